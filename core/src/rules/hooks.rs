//! `webhook-timeout` and `gate-without-deadline`: what Flagger calls on its way, and may wait for.

use serde_json::Value;

use super::{
    finding::{Finding, MOST_ALIKE},
    rule_def::RuleDef,
};
use crate::{
    deadline::clocks,
    duration,
    flagger::analysis_fields::AnalysisFields,
    policy::{CanaryPolicySpec, Mode, Rule, action::Action},
    rollout::Clock,
};

impl Rule {
    /// A hook's timeout that Flagger cannot use.
    pub const WEBHOOK_TIMEOUT: Self = Self::named("webhook-timeout");
}

pub(super) const WEBHOOK_TIMEOUT: RuleDef = RuleDef {
    rule: Rule::WEBHOOK_TIMEOUT,
    looks_around: false,
    modes: &[(Mode::Enforce, "")],
    finds: "A hook's `timeout` that does not parse, or that is zero or less.",
    why: "Every call of that hook fails, or one that is not answered stops this rollout for ever.",
    fix: "Write a duration such as `30s` or `1m`.",
    check: |input| timeouts(input.canary),
};

impl Rule {
    /// A gate that may be waited for without a limit.
    pub const GATE_WITHOUT_DEADLINE: Self = Self::named("gate-without-deadline");
}

pub(super) const GATE_WITHOUT_DEADLINE: RuleDef = RuleDef {
    rule: Rule::GATE_WITHOUT_DEADLINE,
    looks_around: false,
    modes: &[(Mode::Audit, "")],
    finds: "A `confirm-…` hook, where the policy sets no limit for gates.",
    why: "Nobody is told however long an approval is waited for.",
    fix: "Let the policy set `spec.enforcement.clocks.gate.limit`.",
    check: |input| gates(input.canary, input.policy),
};

/// Finds hooks whose timeout Flagger cannot use.
fn timeouts(canary: &Value) -> Vec<Finding> {
    let analysis = AnalysisFields::of(canary);
    let found = analysis.iter().flat_map(|analysis| {
        analysis.hooks().filter_map(|(index, hook)| {
            let written = hook["timeout"].as_str()?;
            timeout(analysis.path(&format!("webhooks[{index}].timeout")), written)
        })
    });
    found.take(MOST_ALIKE).collect()
}

/// Finds gates that may be waited for without a limit.
fn gates(canary: &Value, policy: &CanaryPolicySpec) -> Vec<Finding> {
    let gate = clocks::spec(Clock::GATE).map(|spec| policy.enforcement.clocks.of(&spec.settings));
    let is_open = gate.is_none_or(|gate| gate.limit.is_none() || gate.action == Some(Action::Disabled));
    let analysis = AnalysisFields::of(canary).filter(|_| is_open);
    let found = analysis.iter().flat_map(|analysis| {
        analysis.hooks().filter_map(|(index, hook)| {
            let kind = hook["type"].as_str().filter(|kind| kind.starts_with("confirm-"))?;
            Some(Finding {
                rule: Rule::GATE_WITHOUT_DEADLINE,
                severity: Mode::Audit,
                at_most: Mode::Enforce,
                field: analysis.path(&format!("webhooks[{index}].type")),
                value: Value::from(kind).to_string(),
                message: format!("nobody is told however long {kind} is waited for"),
                fix: "let the policy set spec.enforcement.clocks.gate.limit".to_owned(),
            })
        })
    });
    found.take(MOST_ALIKE).collect()
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
        rule: Rule::WEBHOOK_TIMEOUT,
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
        timeouts(&canary)
            .into_iter()
            .chain(gates(&canary, policy))
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
            assert_eq!(*rule, Rule::WEBHOOK_TIMEOUT);
            assert!(text.starts_with("spec.analysis.webhooks[1].timeout "), "{text}");
            assert!(text.ends_with(words), "{text}");
        }
    }

    #[test]
    fn a_gate_without_a_limit_is_noted() {
        let mut policy = CanaryPolicySpec::default();
        let gate = json!({"type": "confirm-promotion"});
        let noted = [(
            Rule::GATE_WITHOUT_DEADLINE,
            "spec.analysis.webhooks[1].type nobody is told however long confirm-promotion is waited for".to_owned(),
        )];
        assert_eq!(found(&gate, &policy), noted);
        assert_eq!(found(&json!({"type": "rollout"}), &policy), []);
        policy.enforcement.clocks.entry(Clock::GATE).limit = Some(Duration::from_hours(1));
        assert_eq!(found(&gate, &policy), []);
        policy.enforcement.clocks.entry(Clock::GATE).action = Some(Action::Disabled);
        assert_eq!(found(&gate, &policy), noted);
    }
}
