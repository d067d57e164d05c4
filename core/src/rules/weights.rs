//! `weights`: how much of the traffic a canary gets, per cent.

use serde_json::Value;

use super::{
    finding::{Finding, MOST_ALIKE},
    rule_def::RuleDef,
};
use crate::{
    flagger::{analysis_fields::AnalysisFields, effective::Strategy},
    policy::{Mode, Rule},
};

impl Rule {
    /// Weights that are no share of the traffic, or do not rise.
    pub const WEIGHTS: Self = Self::named("weights");
}

pub(super) const WEIGHTS: RuleDef = RuleDef {
    rule: Rule::WEIGHTS,
    looks_around: false,
    modes: &[(Mode::Enforce, "")],
    finds: "Weights that are no share of the traffic: outside 1 to 100 (`stepWeightPromotion`: 0 to 100), a step above `maxWeight`, \
                    `stepWeights` that do not rise.",
    why: "The traffic never gets to the canary, or all of it at once, or a promotion gives the canary ever more ([F18](flagger.md#f18)).",
    fix: "Write whole numbers from 1 to 100, steps in rising order.",
    check: |input| find(input.canary),
};

/// Finds weights that are no share of the traffic, and steps that do not rise (`docs/flagger.md#f18`).
fn find(canary: &Value) -> Vec<Finding> {
    let Some(analysis) = AnalysisFields::of(canary) else {
        return Vec::new();
    };
    let mut findings: Vec<_> = [
        ("maxWeight", 1, "Flagger takes it for 100"),
        (
            "stepWeightPromotion",
            0,
            "no such share of the traffic can be moved, and below 0 a promotion gives the canary ever more",
        ),
        ("mirrorWeight", 1, "no such share of the traffic can be mirrored"),
    ]
    .into_iter()
    .filter_map(|(field, least, matters)| {
        let weight = analysis.number(field)?;
        outside(least, weight).then(|| finding(analysis.path(field), weight, matters, &between(least)))
    })
    .collect();
    if analysis.effective.strategy == Strategy::Canary {
        findings.extend(steps(&analysis));
    }
    findings
}

/// None at all is `analysis-never-advances`.
fn steps(analysis: &AnalysisFields<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(step) = analysis.number("stepWeight").filter(|step| *step != 0) {
        let field = analysis.path("stepWeight");
        let most = analysis
            .number("maxWeight")
            .filter(|most| !outside(1, *most))
            .unwrap_or(100);
        if outside(1, step) {
            findings.push(finding(
                field,
                step,
                "the traffic would never reach the canary, or all of it at once",
                &between(1),
            ));
        } else if step > most {
            let matters = format!("the first step would go beyond maxWeight, which is {most}");
            findings.push(finding(
                field,
                step,
                &matters,
                &format!("write a whole number from 1 to {most}"),
            ));
        }
        // With a step, the list is not looked at.
        return findings;
    }
    let mut before = 0;
    for (index, step) in analysis.step_weights() {
        if findings.len() == MOST_ALIKE {
            break;
        }
        let field = analysis.path(&format!("stepWeights[{index}]"));
        if step != 0 && outside(1, step) {
            findings.push(finding(
                field,
                step,
                "no such share of the traffic can be moved",
                &between(1),
            ));
        } else if index > 0 && step <= before {
            let matters = format!("the step before it is {before}, and one that does not rise advances nothing");
            findings.push(finding(field, step, &matters, "let the steps rise, such as 10, 20, 50"));
        }
        before = step;
    }
    findings
}

fn outside(least: i64, weight: i64) -> bool {
    !(least..=100).contains(&weight)
}

fn between(least: i64) -> String {
    format!("write a whole number from {least} to 100")
}

fn finding(field: String, weight: i64, matters: &str, fix: &str) -> Finding {
    Finding {
        rule: Rule::WEIGHTS,
        severity: Mode::Enforce,
        at_most: Mode::Enforce,
        field,
        value: weight.to_string(),
        message: format!("{weight}: {matters}"),
        fix: fix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(analysis: &Value) -> Vec<String> {
        let canary = json!({"spec": {"analysis": analysis}});
        find(&canary)
            .into_iter()
            .map(|finding| {
                format!(
                    "{} {}",
                    finding.field.trim_start_matches("spec.analysis."),
                    finding.message
                )
            })
            .collect()
    }

    #[test]
    fn weights_that_flagger_can_move_are_fine() {
        for analysis in [
            json!({"stepWeight": 10, "maxWeight": 50}),
            json!({"stepWeight": 100}),
            json!({"stepWeight": 50, "maxWeight": 50, "stepWeightPromotion": 0, "mirrorWeight": 100}),
            json!({"stepWeights": [1, 2, 10, 100], "stepWeightPromotion": 100}),
            json!({"iterations": 10}),
            // What is not looked at does no harm.
            json!({"iterations": 10, "stepWeight": 80, "maxWeight": 50}),
            json!({"stepWeight": 10, "stepWeights": [50, 20]}),
        ] {
            assert_eq!(found(&analysis), [""; 0], "{analysis}");
        }
    }

    #[test]
    fn a_list_of_a_million_faults_does_not_make_a_million_findings() {
        let analysis = json!({"stepWeights": vec![1; 1_000_000]});
        assert_eq!(found(&analysis).len(), MOST_ALIKE);
    }

    #[test]
    fn each_weight_that_is_no_share_is_found() {
        for (analysis, expected) in [
            (
                json!({"stepWeight": 10, "maxWeight": 0}),
                "maxWeight 0: Flagger takes it for 100",
            ),
            (
                json!({"stepWeight": 10, "maxWeight": 101}),
                "maxWeight 101: Flagger takes it for 100",
            ),
            (
                json!({"stepWeight": -1}),
                "stepWeight -1: the traffic would never reach the canary, or all of it at once",
            ),
            (
                json!({"stepWeight": 101}),
                "stepWeight 101: the traffic would never reach the canary, or all of it at once",
            ),
            (
                json!({"stepWeight": 51, "maxWeight": 50}),
                "stepWeight 51: the first step would go beyond maxWeight, which is 50",
            ),
            (
                json!({"stepWeights": [10, 101]}),
                "stepWeights[1] 101: no such share of the traffic can be moved",
            ),
            (
                json!({"stepWeights": [-10, 10]}),
                "stepWeights[0] -10: no such share of the traffic can be moved",
            ),
            (
                json!({"stepWeights": [10, 20, 20]}),
                "stepWeights[2] 20: the step before it is 20, and one that does not rise advances nothing",
            ),
            (
                json!({"stepWeights": [10, null]}),
                "stepWeights[1] 0: the step before it is 10, and one that does not rise advances nothing",
            ),
            (
                json!({"stepWeights": [10, 0]}),
                "stepWeights[1] 0: the step before it is 10, and one that does not rise advances nothing",
            ),
            (
                json!({"stepWeight": 10, "stepWeightPromotion": -1}),
                "stepWeightPromotion -1: no such share of the traffic can be moved, and below 0 a promotion gives the canary ever more",
            ),
            (
                json!({"stepWeight": 10, "stepWeightPromotion": 101}),
                "stepWeightPromotion 101: no such share of the traffic can be moved, and below 0 a promotion gives the canary ever more",
            ),
            (
                json!({"iterations": 5, "mirrorWeight": 101}),
                "mirrorWeight 101: no such share of the traffic can be mirrored",
            ),
        ] {
            assert_eq!(found(&analysis), [expected], "{analysis}");
        }
    }
}
