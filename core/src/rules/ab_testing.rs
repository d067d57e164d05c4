//! `ab-iterations`: conditions that choose the users of an A/B test, and no test.

use serde_json::Value;

use super::{Finding, rule_def::RuleDef};
use crate::{
    flagger::{analysis_fields::AnalysisFields, effective::Strategy},
    policy::{Mode, Rule},
};

impl Rule {
    /// Match conditions without an A/B test.
    pub const AB_ITERATIONS: Self = Self::named("ab-iterations");
}

pub(super) const AB_ITERATIONS: RuleDef = RuleDef {
    rule: Rule::AB_ITERATIONS,
    looks_around: false,
    modes: &[(Mode::Warn, "")],
    finds: "`match` conditions without `iterations`.",
    why: "That is no A/B test: Flagger looks at the conditions only where there are iterations, and moves everybody's traffic by \
                  weights.",
    fix: "Set `iterations`, or leave `match` out.",
    check: |input| find(input.canary).into_iter().collect(),
};

/// Finds match conditions that Flagger does not look at, since it moves the traffic by weights.
fn find(canary: &Value) -> Option<Finding> {
    let analysis = AnalysisFields::of(canary).filter(|analysis| !analysis.effective.skip_analysis)?;
    let conditions = analysis
        .get("match")
        .as_array()
        .filter(|conditions| !conditions.is_empty())?;
    if analysis.effective.strategy != Strategy::Canary {
        return None;
    }
    Some(Finding {
        rule: Rule::AB_ITERATIONS,
        severity: Mode::Warn,
        at_most: Mode::Enforce,
        field: analysis.path("match"),
        value: Value::from(conditions.clone()).to_string(),
        message: "without iterations this is no A/B test: Flagger moves the traffic of all users by weights".to_owned(),
        fix: "set iterations, or leave match out".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_without_iterations_are_warned_of() {
        let conditions = json!([{"headers": {"x-beta": {"exact": "yes"}}}]);
        for (analysis, is_found) in [
            (json!({"match": conditions, "stepWeight": 10}), true),
            (json!({"match": conditions, "iterations": 0}), true),
            (json!({"match": conditions, "iterations": 10}), false),
            (json!({"match": [], "stepWeight": 10}), false),
            (json!({"stepWeight": 10}), false),
        ] {
            let finding = find(&json!({"spec": {"analysis": analysis}}));
            assert_eq!(finding.is_some(), is_found, "{analysis}");
            assert!(finding.is_none_or(|finding| finding.severity == Mode::Warn));
        }
    }
}
