//! `deadline-fit`: the deadline against the time that the last rollouts really needed.

use std::time::Duration;

use serde_json::Value;

use super::{Finding, rule_def::RuleDef};
use crate::{
    duration,
    flagger::canary::whole_number,
    policy::{AdmissionPolicy, Mode, Rule},
    rollout::stamp::READY_AFTER,
};

impl Rule {
    /// A deadline far from what the last rollouts needed.
    pub const DEADLINE_FIT: Self = Self::named("deadline-fit");
}

pub(super) const DEADLINE_FIT: RuleDef = RuleDef {
    rule: Rule::DEADLINE_FIT,
    looks_around: false,
    modes: &[(Mode::Warn, "")],
    finds: "A deadline under 1.5 times what the slowest of the last rollouts needed (`curfew.dev/ready-after`), or above 10 times.",
    why: "A deadline should be a little above what the pods need: below, the next healthy version may fail; far above, users wait \
                  for a broken one.",
    fix: "Write what the message says would fit.",
    check: |input| find(input.canary, &input.policy.admission).into_iter().collect(),
};

/// Finds a deadline that the slowest of the last rollouts nearly missed, or one far above what any of them needed.
fn find(canary: &Value, policy: &AdmissionPolicy) -> Option<Finding> {
    let deadline = whole_number(&canary["spec"]["progressDeadlineSeconds"]).filter(|seconds| *seconds > 0)?;
    let written = canary["metadata"]["annotations"][READY_AFTER].as_str()?;
    let slowest = written
        .split_whitespace()
        .filter_map(seconds)
        .max()
        .filter(|slowest| *slowest > 0)?;
    let bound = |bound: Duration| i64::try_from(bound.as_secs()).unwrap_or(i64::MAX);
    let (min, max) = (bound(policy.deadline.min), bound(policy.deadline.max));
    // Twice what was needed, in tens of seconds; nobody is sent to where the policy would refuse it.
    let fitting = (slowest.saturating_mul(2).saturating_add(9) / 10 * 10)
        .max(min)
        .min(max);
    let (message, fix) = if fitting > deadline && deadline.saturating_mul(2) < slowest.saturating_mul(3) {
        let message = format!(
            "{deadline} s: the pods of one of the last rollouts needed {slowest} s to become ready, so that the next healthy version \
             may fail"
        );
        (message, "lengthen it")
    } else if deadline > slowest.saturating_mul(10).max(min) {
        let message = format!(
            "{deadline} s: the pods of the last rollouts needed {slowest} s at most, so that a broken version is waited for far longer \
             than any sound one"
        );
        (message, "shorten it")
    } else {
        return None;
    };
    Some(Finding {
        rule: Rule::DEADLINE_FIT,
        severity: Mode::Warn,
        at_most: Mode::Enforce,
        field: "spec.progressDeadlineSeconds".to_owned(),
        value: deadline.to_string(),
        message,
        fix: format!("{fix}: {fitting} would fit"),
    })
}

fn seconds(text: &str) -> Option<i64> {
    let parsed = Duration::try_from(duration::parse(text).ok()?).ok()?;
    i64::try_from(parsed.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(deadline: i64, ready_after: &str) -> Option<String> {
        let canary = json!({"metadata": {"annotations": {READY_AFTER: ready_after}},
            "spec": {"progressDeadlineSeconds": deadline}});
        find(&canary, &AdmissionPolicy::default()).map(|finding| finding.fix)
    }

    #[test]
    fn a_deadline_a_little_above_what_the_pods_need_is_fine() {
        for (deadline, ready_after) in [
            (60, "40s"),
            (180, "41s 38s 44s"),
            (400, "40s"),
            // No deadline that the policy admits is shorter.
            (60, "2s"),
            (180, ""),
            (180, "soon"),
            (180, "0s"),
            // The policy admits none that is longer.
            (3600, "2500s"),
            (3600, "59m"),
            (4000, "2700s"),
        ] {
            assert_eq!(found(deadline, ready_after), None, "{deadline} {ready_after:?}");
        }
    }

    #[test]
    fn one_that_nearly_failed_a_sound_version_and_one_far_above_are_warned_of() {
        for (deadline, ready_after, fix) in [
            (59, "40s", "lengthen it: 80 would fit"),
            (180, "41s 121s 44s", "lengthen it: 250 would fit"),
            (401, "40s", "shorten it: 80 would fit"),
            (61, "2s", "shorten it: 60 would fit"),
        ] {
            assert_eq!(
                found(deadline, ready_after).as_deref(),
                Some(fix),
                "{deadline} {ready_after:?}"
            );
        }
    }
}
