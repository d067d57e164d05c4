//! `interval`: how often Flagger looks.

use std::time::Duration;

use serde_json::Value;

use super::Finding;
use crate::{
    flagger::{
        duration::{self, GoDuration},
        effective::{DEFAULT_INTERVAL, MIN_INTERVAL},
    },
    policy::{AdmissionPolicy, Mode, Rule},
};

/// Finds an analysis interval that Flagger silently replaces by another, or that the policy finds odd
/// (`docs/flagger.md#f11`).
#[must_use]
pub fn find(canary: &Value, policy: &AdmissionPolicy) -> Option<Finding> {
    let key = ["analysis", "canaryAnalysis"]
        .into_iter()
        .find(|key| canary["spec"][key].is_object())?;
    let written = canary["spec"][key]["interval"].as_str()?;
    let (severity, message, mend) = judge(written, policy)?;
    Some(Finding {
        rule: Rule::Interval,
        severity,
        field: format!("spec.{key}.interval"),
        value: Value::from(written).to_string(),
        message,
        mend,
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
                format!("{}: {}; {}", finding.field, finding.message, finding.mend),
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
    fn what_is_no_text_is_left_to_undecodable() {
        assert_eq!(found(&json!(60)), None);
    }
}
