//! `rollout-deadline`: the deadline that a user sets for the whole rollout, in an annotation.

use std::time::Duration;

use serde_json::Value;

use super::{Finding, rule_def::RuleDef};
use crate::{
    deadline::clocks,
    duration::{self, GoDuration},
    flagger::{
        analysis_fields::{AnalysisFields, provider},
        effective::Strategy,
    },
    policy::{CanaryPolicySpec, Mode, ROLLOUT_DEADLINE as ANNOTATION, Rule},
    rollout::Clock,
};

impl Rule {
    /// A deadline for the whole rollout that cannot hold.
    pub const ROLLOUT_DEADLINE: Self = Self::named("rollout-deadline");
}

pub(super) const ROLLOUT_DEADLINE: RuleDef = RuleDef {
    rule: Rule::ROLLOUT_DEADLINE,
    looks_around: false,
    modes: &[(Mode::Enforce, "")],
    finds: "An annotation `curfew.dev/rollout-deadline` that does not parse, is above the policy's \
                    `spec.enforcement.clocks.rollout.maxLimit`, or is shorter than the interval times the steps.",
    why: "It would not hold, or would roll back every rollout, smooth ones too.",
    fix: "Write a duration such as `2h`.",
    check: |input| {
        find(input.canary, input.policy, input.lookup.provider())
            .into_iter()
            .collect()
    },
};

/// Finds an annotation that says nothing, more than the policy allows, or less than even a smooth rollout takes.
fn find(canary: &Value, policy: &CanaryPolicySpec, flaggers: Option<&str>) -> Option<Finding> {
    let written = &canary["metadata"]["annotations"][ANNOTATION];
    let written = written.as_str()?;
    let clock = clocks::spec(Clock::ROLLOUT)?;
    let most = policy.enforcement.clocks.of(&clock.settings).max_limit?;
    let fix = format!("write a Go duration up to {}, such as 2h", go(most));
    let (message, fix) = match duration::parse(written).map(Duration::try_from) {
        Err(error) => (format!("{error}, so that no deadline would hold"), fix),
        Ok(Err(_)) => (format!("{written}: a deadline below zero would never hold"), fix),
        Ok(Ok(Duration::ZERO)) => (
            format!("{written}: a deadline of zero has passed before anything begins"),
            fix,
        ),
        Ok(Ok(limit)) if limit > most => (
            format!("{written}: the cluster's policy allows at most {}", go(most)),
            fix,
        ),
        Ok(Ok(limit)) => {
            let least = smooth(canary, flaggers)?;
            if limit >= least {
                return None;
            }
            (
                format!(
                    "{written}: even a smooth rollout takes {}, and would be rolled back",
                    go(least)
                ),
                format!("write at least {} and the time that the pods need", go(least)),
            )
        }
    };
    Some(Finding {
        rule: Rule::ROLLOUT_DEADLINE,
        severity: Mode::Enforce,
        at_most: Mode::Enforce,
        field: format!("metadata.annotations[{ANNOTATION}]"),
        value: Value::from(written).to_string(),
        message,
        fix,
    })
}

/// What the steps of the analysis take at the least.
fn smooth(canary: &Value, flaggers: Option<&str>) -> Option<Duration> {
    // Where there is nothing to analyse, the pods are all that is waited for.
    let analysis = AnalysisFields::of(canary).filter(|analysis| !analysis.effective.skip_analysis)?;
    let steps = match analysis.effective.strategy {
        Strategy::BlueGreen | Strategy::AbTesting => analysis.number("iterations")?,
        // It moves no traffic, and counts ten checks where none are asked for.
        Strategy::Canary if provider(canary, flaggers) == Some("kubernetes") => 10,
        Strategy::Canary => match analysis.number("stepWeight").filter(|step| *step > 0) {
            Some(step) => {
                let most = analysis.number("maxWeight").filter(|most| *most > 0).unwrap_or(100);
                most / step + i64::from(most % step > 0)
            }
            None => i64::try_from(analysis.step_weights().count()).ok()?,
        },
    };
    Some(
        analysis
            .effective
            .interval
            .saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)),
    )
}

fn go(duration: Duration) -> GoDuration {
    GoDuration::from_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(written: &str, analysis: &Value) -> Option<String> {
        let canary = json!({
            "metadata": {"annotations": {ANNOTATION: written}},
            "spec": {"analysis": analysis},
        });
        find(&canary, &CanaryPolicySpec::default(), None).map(|finding| format!("{}; {}", finding.message, finding.fix))
    }

    #[test]
    fn a_deadline_that_leaves_room_is_fine() {
        let steps = json!({"interval": "1m", "stepWeight": 20, "maxWeight": 50});
        for written in ["3m", "2h", "24h"] {
            assert_eq!(found(written, &steps), None, "{written}");
        }
        assert_eq!(find(&json!({"spec": {}}), &CanaryPolicySpec::default(), None), None);
    }

    #[test]
    fn what_is_no_deadline_is_refused() {
        for (written, words) in [
            (
                "2 hours",
                "so that no deadline would hold; write a Go duration up to 24h0m0s",
            ),
            ("", "so that no deadline would hold"),
            ("-1h", "-1h: a deadline below zero would never hold"),
            ("25h", "25h: the cluster's policy allows at most 24h0m0s"),
        ] {
            let said = found(written, &json!({})).expect(written);
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn a_deadline_shorter_than_the_steps_is_refused() {
        for (analysis, least) in [
            (json!({"interval": "1m", "stepWeight": 20, "maxWeight": 50}), "3m0s"),
            (json!({"interval": "1m", "stepWeight": 50}), "2m0s"),
            (json!({"interval": "30s", "stepWeights": [10, 20, 50, 80]}), "2m0s"),
            (json!({"interval": "1m", "iterations": 10, "stepWeight": 1}), "10m0s"),
            (json!({"iterations": 3}), "3m0s"),
        ] {
            let said = found("1m59s", &analysis).expect("a finding");
            assert!(said.contains(&format!("a smooth rollout takes {least}")), "{said}");
        }
    }

    #[test]
    fn what_flagger_does_not_wait_for_is_not_counted() {
        let found = |spec: Value, flaggers: Option<&str>| {
            let canary = json!({"metadata": {"annotations": {ANNOTATION: "5m"}}, "spec": spec});
            find(&canary, &CanaryPolicySpec::default(), flaggers).is_some()
        };
        let slow = json!({"analysis": {"interval": "1m", "stepWeight": 10}});
        assert!(found(slow.clone(), None));
        // Ten checks, whatever the steps are.
        assert!(found(
            json!({"analysis": {"interval": "1m", "stepWeight": 50}}),
            Some("kubernetes")
        ));
        assert!(!found(
            json!({"analysis": {"interval": "1m", "stepWeight": 50}}),
            Some("istio")
        ));
        let mut skipped = slow;
        skipped["skipAnalysis"] = json!(true);
        assert!(!found(skipped, None));
    }
}
