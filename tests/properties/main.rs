//! Whatever comes in, nothing panics and nothing is let in by mistake: the invariants that `fuzz/` searches for days, over
//! some hundred generated inputs each.

#![expect(clippy::expect_used, reason = "the helpers of tests fail as tests do")]

#[path = "../e2e/hostile.rs"]
mod hostile;
mod invariants;

use fastrand::Rng;
use proptest::{collection, prelude::*};
use serde_json::{Value, json};

fn review(operation: &str, object: &Value, old: &Value) -> Vec<u8> {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5", "operation": operation, "namespace": "shop", "name": "web",
        "resource": {"group": "flagger.app", "version": "v1beta1", "resource": "canaries"},
        "userInfo": {"username": "jane"}, "object": object, "oldObject": old}})
    .to_string()
    .into_bytes()
}

/// Any JSON, with the names in it that mean something here.
fn any_json() -> impl Strategy<Value = Value> {
    const NAMES: [&str; 14] = [
        "metadata",
        "annotations",
        "curfew.dev/started-at",
        "curfew.dev/rollout-deadline",
        "deletionTimestamp",
        "spec",
        "progressDeadlineSeconds",
        "analysis",
        "interval",
        "stepWeights",
        "webhooks",
        "timeout",
        "service",
        "port",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        (0_i64..4000).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        let name = prop_oneof![3 => (0..NAMES.len()).prop_map(|at| NAMES[at].to_owned()), 1 => ".{0,8}"];
        prop_oneof![
            collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            collection::btree_map(name, inner, 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn reviews_of_what_somebody_might_send(new: u64, old: u64, operation in "CREATE|UPDATE|DELETE|CONNECT") {
        let canary = |seed| hostile::canary("web", &mut Rng::with_seed(seed));
        invariants::review(&review(&operation, &canary(new), &canary(old)));
    }

    #[test]
    fn reviews_of_anything(new in any_json(), old in any_json(), operation in "CREATE|UPDATE") {
        invariants::review(&review(&operation, &new, &old));
    }

    #[test]
    fn bodies_of_any_bytes(body: Vec<u8>) {
        invariants::review(&body);
        invariants::spec(&body);
    }

    #[test]
    fn canaries_of_any_shape(canary in any_json(), seed: u64) {
        invariants::spec(canary.to_string().as_bytes());
        invariants::spec(hostile::canary("web", &mut Rng::with_seed(seed)).to_string().as_bytes());
    }

    #[test]
    fn durations(text in "[-+]?([0-9]{0,21}(\\.[0-9]{0,21})?(ns|us|µs|μs|ms|s|m|h|d|)){0,4}", odd in ".{0,12}") {
        invariants::duration(&text);
        invariants::duration(&odd);
    }

    #[test]
    fn policies(line in 0_usize..40, value in "[ a-zA-Z0-9:{}\\[\\]\\-\"'&*!|>%@#,.~\n]{0,30}", keep: bool) {
        let mut lines: Vec<&str> = include_str!("../../src/policy/default.yaml").lines().collect();
        let at = line % lines.len();
        let changed = if keep { format!("{}{value}", lines[at]) } else { value.clone() };
        lines[at] = &changed;
        invariants::policy(&lines.join("\n"));
        invariants::policy(&value);
    }
}
