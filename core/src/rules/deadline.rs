//! `deadline-required` and `deadline-bounds`: every Canary says how long its pods may take to become ready.

use std::time::Duration;

use serde_json::Value;

use super::{Finding, rule_def::RuleDef};
use crate::{
    flagger::{canary::whole_number, effective::DEFAULT_PROGRESS_DEADLINE_SECONDS},
    policy::{AdmissionPolicy, Mode, Rule},
};

impl Rule {
    /// No `progressDeadlineSeconds`.
    pub const DEADLINE_REQUIRED: Self = Self::named("deadline-required");
}

pub(super) const DEADLINE_REQUIRED: RuleDef = RuleDef {
    rule: Rule::DEADLINE_REQUIRED,
    looks_around: false,
    modes: &[(Mode::Enforce, "")],
    finds: "No `progressDeadlineSeconds`, unless the policy fills it in (`spec.admission.deadline.default`).",
    why: "Flagger then takes 600 s, which pods that crash and restart never reach ([F1b](flagger.md#f1b)), and nobody chose it.",
    fix: "Set it to a little more than the pods need to become ready, such as 180.",
    check: |input| required(input.canary, &input.policy.admission).into_iter().collect(),
};

impl Rule {
    /// A `progressDeadlineSeconds` out of the policy's bounds.
    pub const DEADLINE_BOUNDS: Self = Self::named("deadline-bounds");
}

pub(super) const DEADLINE_BOUNDS: RuleDef = RuleDef {
    rule: Rule::DEADLINE_BOUNDS,
    looks_around: false,
    modes: &[(Mode::Enforce, "")],
    finds: "A `progressDeadlineSeconds` below the policy's `spec.admission.deadline.min` (60 s) or above its `max` (1 h).",
    why: "With 0 or less every rollout fails at once ([F10](flagger.md#f10)); a deadline of hours leaves users on a broken version \
                  for hours.",
    fix: "Write a whole number within the bounds, or have the policy's bounds moved.",
    check: |input| {
        out_of_bounds(input.canary, &input.policy.admission)
            .into_iter()
            .collect()
    },
};

/// Where it stands.
pub(super) const FIELD: &str = "spec.progressDeadlineSeconds";

/// Finds a missing deadline. Where the policy has a default, it is filled in before this is asked, or at the next change.
fn required(canary: &Value, policy: &AdmissionPolicy) -> Option<Finding> {
    let is_missing = canary["spec"]["progressDeadlineSeconds"].is_null();
    (is_missing && policy.deadline.default.is_none()).then(|| Finding {
        rule: Rule::DEADLINE_REQUIRED,
        severity: Mode::Enforce,
        at_most: Mode::Enforce,
        field: FIELD.to_owned(),
        value: String::new(),
        message: format!(
            "no deadline is set, so pods that never become ready are waited for {DEFAULT_PROGRESS_DEADLINE_SECONDS} s \
             at least, and longer where they crash and restart"
        ),
        fix: "set it to a little more than your pods need to become ready, such as 180".to_owned(),
    })
}

/// Finds a deadline outside the policy's bounds.
fn out_of_bounds(canary: &Value, policy: &AdmissionPolicy) -> Option<Finding> {
    // What Flagger's int32 cannot hold is `undecodable`, and that is enough to say about it.
    let seconds =
        whole_number(&canary["spec"]["progressDeadlineSeconds"]).filter(|seconds| i32::try_from(*seconds).is_ok())?;
    bounds(seconds, policy.deadline.min, policy.deadline.max)
}

fn bounds(seconds: i64, min: Duration, max: Duration) -> Option<Finding> {
    let (wrong, fix) = if seconds <= 0 {
        ("every rollout would fail at once".to_owned(), fix(min, max))
    } else if below(seconds, min) {
        (
            format!("the cluster's policy wants at least {}", seconds_of(min)),
            fix(min, max),
        )
    } else if above(seconds, max) {
        (
            format!("the cluster's policy allows at most {}", seconds_of(max)),
            fix(min, max),
        )
    } else {
        return None;
    };
    Some(Finding {
        rule: Rule::DEADLINE_BOUNDS,
        severity: Mode::Enforce,
        at_most: Mode::Enforce,
        field: FIELD.to_owned(),
        value: seconds.to_string(),
        message: format!("{seconds} s: {wrong}"),
        fix,
    })
}

fn below(seconds: i64, min: Duration) -> bool {
    u64::try_from(seconds).is_ok_and(|seconds| Duration::from_secs(seconds) < min)
}

fn above(seconds: i64, max: Duration) -> bool {
    u64::try_from(seconds).is_ok_and(|seconds| Duration::from_secs(seconds) > max)
}

/// What to write instead of a deadline that cannot be.
pub(super) fn fix(min: Duration, max: Duration) -> String {
    format!(
        "write a whole number from {} to {}",
        min.as_secs_f64().ceil().max(1.0),
        max.as_secs()
    )
}

fn seconds_of(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find(canary: &Value, policy: &AdmissionPolicy) -> Option<Finding> {
        required(canary, policy).or_else(|| out_of_bounds(canary, policy))
    }

    fn found(spec: &Value) -> Option<(Rule, String)> {
        find(&json!({ "spec": spec }), &AdmissionPolicy::default())
            .map(|finding| (finding.rule, format!("{}; {}", finding.message, finding.fix)))
    }

    #[test]
    fn a_deadline_is_required() {
        for spec in [json!({}), json!({"progressDeadlineSeconds": null})] {
            let (rule, _) = found(&spec).expect("a finding");
            assert_eq!(rule, Rule::DEADLINE_REQUIRED, "{spec}");
        }
    }

    #[test]
    fn no_deadline_is_required_where_the_policy_fills_it_in() {
        let mut policy = AdmissionPolicy::default();
        policy.deadline.default = Some(Duration::from_mins(5));
        assert_eq!(find(&json!({"spec": {}}), &policy), None);
        let found = find(&json!({"spec": {"progressDeadlineSeconds": 5}}), &policy);
        assert_eq!(found.map(|finding| finding.rule), Some(Rule::DEADLINE_BOUNDS));
    }

    #[test]
    fn a_deadline_within_bounds_is_fine() {
        for seconds in [json!(60), json!(180), json!(180.0), json!(3600)] {
            assert_eq!(found(&json!({"progressDeadlineSeconds": seconds})), None, "{seconds}");
        }
    }

    #[test]
    fn a_deadline_out_of_bounds_says_the_bounds() {
        for (seconds, words) in [
            (
                json!(0),
                "0 s: every rollout would fail at once; write a whole number from 60 to 3600",
            ),
            (
                json!(-5),
                "-5 s: every rollout would fail at once; write a whole number from 60 to 3600",
            ),
            (
                json!(59),
                "59 s: the cluster's policy wants at least 60 s; write a whole number from 60 to 3600",
            ),
            (
                json!(3601),
                "3601 s: the cluster's policy allows at most 3600 s; write a whole number from 60 to 3600",
            ),
        ] {
            let (rule, text) = found(&json!({"progressDeadlineSeconds": seconds})).expect("a finding");
            assert_eq!((rule, text.as_str()), (Rule::DEADLINE_BOUNDS, words));
        }
    }

    #[test]
    fn what_is_advised_is_never_what_would_be_refused_again() {
        assert_eq!(
            fix(Duration::ZERO, Duration::from_mins(1)),
            "write a whole number from 1 to 60"
        );
    }

    #[test]
    fn what_flagger_cannot_decode_is_not_reported_twice() {
        for value in [json!(180.5), json!("180"), json!(true), json!(2_147_483_648_u64)] {
            assert_eq!(found(&json!({"progressDeadlineSeconds": value})), None, "{value}");
        }
    }
}
