//! The reference of the rules: what `docs/rules.md` holds.

use std::fmt::Write as _;

use super::{rule_def::RuleDef, table::RULES};

/// How strictly a rule's findings are taken where no policy says otherwise, as the page says it.
fn default(definition: &RuleDef) -> String {
    let [(only, "")] = definition.modes else {
        let modes = definition
            .modes
            .iter()
            .enumerate()
            .map(|(index, (mode, which))| match (index, *which) {
                (0, "") => format!("{mode:?}"),
                (_, "") => format!("else {mode:?}"),
                (_, which) => format!("{mode:?} {which}"),
            });
        return modes.collect::<Vec<_>>().join("; ");
    };
    format!("{only:?}")
}

/// The page, as `docs/rules.md` holds it.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# The rules\n\n\
         What Curfew finds in a Canary: at `kubectl apply`, with `curfew check`, and in what is stored already. This page is written by\n\
         the code (`core/src/rules`).\n\n\
         The mode in force for a finding decides what is done about it: `Enforce` refuses the request, `Warn` warns the user, `Audit`\n\
         records it in the policy's status and the metrics, `Disabled` forgets it. The modes below are the defaults; a `CanaryPolicy` sets others,\n\
         for a rule by its name:\n\n\
         ```yaml\nspec:\n  admission:\n    rules: {probes: Disabled, target-missing: Audit}\n```\n\n\
         An update is refused only for what is new in it. What could not be looked at (a cache that is not filled, a permission that is\n\
         missing) is a warning at most.\n\n\
         | rule | default |\n|---|---|\n",
    );
    for definition in RULES {
        let rule = definition.rule;
        let _ = writeln!(page, "| [`{rule}`](#{rule}) | {} |", default(definition));
    }
    for definition in RULES {
        let RuleDef {
            rule, finds, why, fix, ..
        } = definition;
        let _ = write!(
            page,
            "\n## {rule}\n\n{finds}\n\n**Why.** {why}\n\n**Fix.** {fix}\n\n**Switch off.** `spec.admission.rules: {{{rule}: Disabled}}`\n"
        );
    }
    page
}
