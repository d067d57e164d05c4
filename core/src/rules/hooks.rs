//! `webhook-timeout` and `gate-without-deadline`: what Flagger calls on its way, and may wait for.

use serde_json::Value;

use super::{
    finding::{Finding, MOST_ALIKE},
    spec::Analysis,
};
use crate::{
    duration,
    policy::{CanaryPolicySpec, Mode, Rule, canary_policy::Action},
};

/// Finds hooks whose timeout Flagger cannot use, and gates that may be waited for without a limit.
#[must_use]
pub fn find(canary: &Value, policy: &CanaryPolicySpec) -> Vec<Finding> {
    let Some(analysis) = Analysis::of(canary) else {
        return Vec::new();
    };
    let timeouts = analysis.hooks().filter_map(|(index, hook)| {
        let written = hook["timeout"].as_str()?;
        timeout(analysis.path(&format!("webhooks[{index}].timeout")), written)
    });
    let gate = &policy.enforcement.clocks.gate;
    let is_open = gate.limit.is_none() || gate.action == Action::Disabled;
    let gates = analysis.hooks().filter(|_| is_open).filter_map(|(index, hook)| {
        let kind = hook["type"].as_str().filter(|kind| kind.starts_with("confirm-"))?;
        Some(Finding {
            rule: Rule::GateWithoutDeadline,
            severity: Mode::Audit,
            at_most: Mode::Enforce,
            field: analysis.path(&format!("webhooks[{index}].type")),
            value: Value::from(kind).to_string(),
            message: format!("nobody is told however long {kind} is waited for"),
            fix: "let the policy set spec.enforcement.clocks.gate.limit".to_owned(),
        })
    });
    timeouts.take(MOST_ALIKE).chain(gates.take(MOST_ALIKE)).collect()
}

fn timeout(field: String, written: &str) -> Option<Finding> {
    // Flagger takes anything shorter than two characters for 10s (`CallWebhook` in its `pkg/controller/webhook.go`).
    if written.len() < 2 {
        return None;
    }
    let why = match duration::parse(written) {
        Err(error) => format!("{error}, so that every call of this hook fails"),
        Ok(parsed) if parsed.as_nanos() < 0 => format!("{written}: every call of this hook fails at once"),
        Ok(parsed) if parsed.as_nanos() == 0 => {
            format!("{written}: a hook that does not answer stops this rollout for ever")
        }
        Ok(_) => return None,
    };
    Some(Finding {
        rule: Rule::WebhookTimeout,
        severity: Mode::Enforce,
        at_most: Mode::Enforce,
        field,
        value: Value::from(written).to_string(),
        message: why,
        fix: "write a Go duration such as 30s, 1m or 5m30s".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn found(hook: &Value, policy: &CanaryPolicySpec) -> Vec<(Rule, String)> {
        let canary = json!({"spec": {"analysis": {"webhooks": [{"name": "first"}, hook]}}});
        find(&canary, policy)
            .into_iter()
            .map(|finding| (finding.rule, format!("{} {}", finding.field, finding.message)))
            .collect()
    }

    #[test]
    fn a_timeout_that_flagger_can_use_is_fine() {
        for timeout in [
            json!("30s"),
            json!("1m30s"),
            json!(""),
            json!("5"),
            json!(null),
            json!(7),
        ] {
            assert_eq!(
                found(&json!({"timeout": timeout}), &CanaryPolicySpec::default()),
                [],
                "{timeout}"
            );
        }
    }

    #[test]
    fn a_timeout_that_flagger_cannot_use_is_refused() {
        for (timeout, words) in [
            ("30", "so that every call of this hook fails"),
            ("5 s", "so that every call of this hook fails"),
            ("-5s", "-5s: every call of this hook fails at once"),
            ("0s", "0s: a hook that does not answer stops this rollout for ever"),
        ] {
            let found = found(&json!({"timeout": timeout}), &CanaryPolicySpec::default());
            let [(rule, text)] = &found[..] else {
                panic!("{found:?}")
            };
            assert_eq!(*rule, Rule::WebhookTimeout);
            assert!(text.starts_with("spec.analysis.webhooks[1].timeout "), "{text}");
            assert!(text.ends_with(words), "{text}");
        }
    }

    #[test]
    fn a_gate_without_a_limit_is_noted() {
        let mut policy = CanaryPolicySpec::default();
        let gate = json!({"type": "confirm-promotion"});
        let noted = [(
            Rule::GateWithoutDeadline,
            "spec.analysis.webhooks[1].type nobody is told however long confirm-promotion is waited for".to_owned(),
        )];
        assert_eq!(found(&gate, &policy), noted);
        assert_eq!(found(&json!({"type": "rollout"}), &policy), []);
        policy.enforcement.clocks.gate.limit = Some(Duration::from_hours(1));
        assert_eq!(found(&gate, &policy), []);
        policy.enforcement.clocks.gate.action = Action::Disabled;
        assert_eq!(found(&gate, &policy), noted);
    }
}
