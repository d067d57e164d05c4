//! The table of the clocks, as `docs/policies.md` holds it.

use std::fmt::Write as _;

use super::table::CLOCKS;
use crate::policy::action::Action;

/// The table, in Markdown.
#[must_use]
pub fn table() -> String {
    let mut table = String::from("| clock | built in | may be set to |\n|---|---|---|\n");
    for spec in CLOCKS {
        let settings = &spec.settings;
        let allowed: Vec<_> = settings.allowed.iter().map(|action| format!("`{action:?}`")).collect();
        let default = settings.default.action.unwrap_or(Action::Disabled);
        let _ = writeln!(
            table,
            "| `{}` | `{default:?}`{} | {} |",
            settings.clock.name(),
            settings.about_default,
            allowed.join(", ")
        );
    }
    table
}
