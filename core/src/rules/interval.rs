//! `interval` and `interval-above-deadline`: how often Flagger looks.

use std::time::Duration;

use serde_json::Value;

use super::{Finding, rule_def::RuleDef};
use crate::{
    duration::{self, GoDuration},
    flagger::{
        analysis_fields::AnalysisFields,
        canary::whole_number,
        effective::{DEFAULT_INTERVAL, MIN_INTERVAL},
    },
    policy::{AdmissionPolicy, Mode, Rule},
};

impl Rule {
    /// An analysis interval that Flagger does not take as written, or out of the policy's bounds.
    pub const INTERVAL: Self = Self::named("interval");
}

pub(super) const INTERVAL: RuleDef = RuleDef {
    rule: Rule::INTERVAL,
    looks_around: false,
    modes: &[(Mode::Enforce, "where it does not parse"), (Mode::Warn, "")],
    finds: "An analysis interval that does not parse as a Go duration; one that is shorter than 10 s or outside the policy's bounds.",
    why: "Flagger silently uses 60 s in place of `5m30`, and 10 s in place of anything shorter ([F11](flagger.md#f11)).",
    fix: "Write a duration such as `30s`, `1m` or `5m30s`.",
    check: |input| find(input.canary, &input.policy.admission).into_iter().collect(),
};

impl Rule {
    /// An interval longer than the deadline.
    pub const INTERVAL_ABOVE_DEADLINE: Self = Self::named("interval-above-deadline");
}

pub(super) const INTERVAL_ABOVE_DEADLINE: RuleDef = RuleDef {
    rule: Rule::INTERVAL_ABOVE_DEADLINE,
    looks_around: false,
    modes: &[(Mode::Warn, ""), (Mode::Enforce, "for a DaemonSet")],
    finds: "An interval longer than the deadline; for a DaemonSet, one as long.",
    why: "Flagger acts on a passed deadline at its next check, so that a failed version stays an interval longer. A DaemonSet is \
                  failed by Flagger itself when one pod is unready at that moment ([F16](flagger.md#f16)).",
    fix: "Shorten the interval to a third of the deadline or less.",
    check: |input| above_deadline(input.canary).into_iter().collect(),
};

/// Finds an analysis interval that Flagger silently replaces by another, or that the policy finds odd
/// (`docs/flagger.md#f11`).
fn find(canary: &Value, policy: &AdmissionPolicy) -> Option<Finding> {
    let analysis = AnalysisFields::of(canary)?;
    let written = analysis.get("interval").as_str()?;
    let (severity, message, fix) = judge(written, policy)?;
    Some(Finding {
        rule: Rule::INTERVAL,
        severity,
        at_most: Mode::Enforce,
        field: analysis.path("interval"),
        value: Value::from(written).to_string(),
        message,
        fix,
    })
}

/// Finds an interval so long that Flagger may look after the deadline has passed. A `DaemonSet` is failed then although
/// one pod was unready for a moment (`docs/flagger.md#f16`).
fn above_deadline(canary: &Value) -> Option<Finding> {
    let analysis = AnalysisFields::of(canary)?;
    let written = &canary["spec"]["progressDeadlineSeconds"];
    if !written.is_null() {
        // What Flagger cannot decode is `undecodable`.
        whole_number(written)?;
    }
    let deadline = Duration::from_secs(u64::try_from(analysis.effective.progress_deadline_seconds).ok()?);
    let written = analysis.get("interval").as_str().unwrap_or_default();
    let interval = analysis.effective.interval;
    let is_daemon_set = canary["spec"]["targetRef"]["kind"] == "DaemonSet";
    let (severity, message) = if is_daemon_set && interval >= deadline {
        (
            Mode::Enforce,
            "one pod of the DaemonSet that is unready for a moment, when Flagger looks, fails a healthy rollout",
        )
    } else if interval > deadline {
        (Mode::Warn, "a rollout that failed goes on until Flagger looks again")
    } else {
        return None;
    };
    Some(Finding {
        rule: Rule::INTERVAL_ABOVE_DEADLINE,
        severity,
        at_most: Mode::Enforce,
        field: analysis.path("interval"),
        value: Value::from(written).to_string(),
        message: format!(
            "{}: Flagger looks no more often than the deadline of {} s: {message}",
            written_as(interval),
            deadline.as_secs()
        ),
        fix: "shorten it to a third of the deadline or less".to_owned(),
    })
}

fn judge(written: &str, policy: &AdmissionPolicy) -> Option<(Mode, String, String)> {
    let parsed = match duration::parse(written) {
        Ok(parsed) => parsed,
        Err(error) => {
            return Some((
                Mode::Enforce,
                format!(
                    "{error}, so Flagger would silently use {} s",
                    DEFAULT_INTERVAL.as_secs()
                ),
                "write a Go duration such as 30s, 1m or 5m30s".to_owned(),
            ));
        }
    };
    let interval = Duration::try_from(parsed).unwrap_or_default();
    let bounds = &policy.interval;
    if interval < MIN_INTERVAL {
        let message = format!("{written}: Flagger silently uses {} s instead", MIN_INTERVAL.as_secs());
        Some((Mode::Warn, message, "write 10s or more".to_owned()))
    } else if interval < bounds.min {
        let message = format!(
            "{written}: the cluster's policy wants at least {}",
            written_as(bounds.min)
        );
        Some((Mode::Warn, message, "lengthen it".to_owned()))
    } else if interval > bounds.max {
        let message = format!(
            "{written}: Flagger looks at the rollout no more often than this, and acts on a passed deadline only then; \
             the cluster's policy wants at most {}",
            written_as(bounds.max)
        );
        Some((Mode::Warn, message, "shorten it".to_owned()))
    } else {
        None
    }
}

fn written_as(duration: Duration) -> GoDuration {
    GoDuration::from_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(interval: &Value) -> Option<(Mode, String)> {
        find(
            &json!({"spec": {"analysis": {"interval": interval}}}),
            &AdmissionPolicy::default(),
        )
        .map(|finding| {
            (
                finding.severity,
                format!("{}: {}; {}", finding.field, finding.message, finding.fix),
            )
        })
    }

    #[test]
    fn an_ordinary_interval_is_fine() {
        for interval in ["10s", "30s", "1m", "5m30s", "1h"] {
            assert_eq!(found(&json!(interval)), None, "{interval}");
        }
    }

    #[test]
    fn what_flagger_does_not_parse_is_refused() {
        let (mode, text) = found(&json!("5m30")).expect("a finding");
        assert_eq!(mode, Mode::Enforce);
        assert!(text.starts_with("spec.analysis.interval: "), "{text}");
        assert!(
            text.contains("so Flagger would silently use 60 s; write a Go duration such as"),
            "{text}"
        );
    }

    #[test]
    fn what_flagger_changes_silently_is_a_warning() {
        for interval in ["5s", "9999ms", "0s"] {
            let (mode, text) = found(&json!(interval)).expect("a finding");
            assert_eq!(mode, Mode::Warn);
            assert!(text.contains("Flagger silently uses 10 s instead"), "{text}");
        }
    }

    #[test]
    fn beyond_the_policys_bound_is_a_warning() {
        let (mode, text) = found(&json!("61m")).expect("a finding");
        assert_eq!(mode, Mode::Warn);
        assert!(text.contains("the cluster's policy wants at most 1h0m0s"), "{text}");
    }

    #[test]
    fn an_interval_beyond_the_deadline_is_warned_of_and_for_a_daemon_set_refused() {
        for (kind, interval, deadline, expected) in [
            ("Deployment", "1m", 61, None),
            ("Deployment", "1m", 60, None),
            ("Deployment", "1m", 59, Some(Mode::Warn)),
            ("DaemonSet", "1m", 61, None),
            ("DaemonSet", "1m", 60, Some(Mode::Enforce)),
            // What Flagger makes of it counts.
            ("DaemonSet", "1s", 10, Some(Mode::Enforce)),
            ("DaemonSet", "5m30", 59, Some(Mode::Enforce)),
        ] {
            let canary = json!({"spec": {"targetRef": {"kind": kind}, "progressDeadlineSeconds": deadline,
                "analysis": {"interval": interval}}});
            let severity = above_deadline(&canary).map(|finding| finding.severity);
            assert_eq!(severity, expected, "{kind} {interval} {deadline}");
        }
    }

    #[test]
    fn what_is_not_written_is_what_flagger_uses() {
        let severity = |spec: Value| above_deadline(&json!({ "spec": spec })).map(|finding| finding.severity);
        assert_eq!(severity(json!({"analysis": {"interval": "11m"}})), Some(Mode::Warn));
        assert_eq!(severity(json!({"analysis": {"interval": "10m"}})), None);
        let daemon_set = json!({"targetRef": {"kind": "DaemonSet"}, "analysis": {}, "progressDeadlineSeconds": 60});
        assert_eq!(severity(daemon_set), Some(Mode::Enforce));
        assert_eq!(
            severity(json!({"analysis": {"interval": "11m"}, "progressDeadlineSeconds": 60.5})),
            None
        );
    }

    #[test]
    fn what_is_no_text_is_left_to_undecodable() {
        assert_eq!(found(&json!(60)), None);
    }
}
