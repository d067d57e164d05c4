//! What must hold for any input whatsoever: checked by generated input here, and by the fuzzer in `fuzz/`.

use std::collections::BTreeMap;

use curfew_core::{
    duration,
    flagger::{canary::whole_number, decode::undecodable},
    policy::{CanaryPolicySpec, Mode, Subject, file},
    rules::{self, Finding, lookup::NoLookup},
};
use serde_json::Value;

/// The bounds of the built-in policy.
const DEADLINE: std::ops::RangeInclusive<i64> = 60..=3600;

/// A Canary that is let in is one that Flagger can decode, with a deadline.
pub fn is_sound(canary: &Value) {
    assert_eq!(undecodable(canary), [], "{canary}");
    let deadline = whole_number(&canary["spec"]["progressDeadlineSeconds"]);
    assert!(deadline.is_some_and(|seconds| DEADLINE.contains(&seconds)), "{canary}");
}

/// The JSON of a Canary.
pub fn spec(json: &[u8]) {
    let Ok(canary) = serde_json::from_slice::<Value>(json) else {
        return;
    };
    let policy = CanaryPolicySpec::default();
    let findings = rules::findings(&canary, "shop", &policy, &NoLookup);
    let place = |finding: &Finding| {
        rules::RULES
            .iter()
            .position(|definition| definition.rule == finding.rule)
    };
    assert!(findings.is_sorted_by_key(place), "{findings:?}");
    for finding in &findings {
        let modes = rules::definition(finding.rule).expect("a rule of the table").modes;
        assert!(modes.iter().any(|(mode, _)| *mode == finding.severity), "{finding:?}");
        is_one_line(&finding.to_string());
    }
    let is_enforced = |finding: &Finding| finding.mode(&policy.admission) == Mode::Enforce;
    if !findings.iter().any(is_enforced) {
        is_sound(&canary);
    }
}

/// A duration as somebody writes it.
pub fn duration(text: &str) {
    match duration::parse(text) {
        Ok(parsed) => assert_eq!(duration::parse(&parsed.to_string()), Ok(parsed), "{text:?}"),
        Err(error) => is_one_line(&error.to_string()),
    }
}

/// The text of a policy file.
pub fn policy(text: &str) {
    match file::parse(text, &rules::vocabulary()) {
        Ok(policies) => {
            let labels = BTreeMap::new();
            let subject = Subject {
                namespace: "shop",
                namespace_labels: &labels,
                name: "web",
                labels: &labels,
            };
            assert!(!policies.applying(subject).name.is_empty());
        }
        Err(error) => is_one_line(&error.to_string()),
    }
}

fn is_one_line(message: &str) {
    assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
}
