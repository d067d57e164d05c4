//! Reviews of all kinds: nothing panics, and nothing that Flagger cannot decode is let in. `fuzz/` searches for days for what
//! breaks these [`invariants`].

use fastrand::Rng;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{any_json::any_json, hostile, invariants};

fn review(operation: &str, object: &Value, old: &Value) -> Vec<u8> {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5", "operation": operation, "namespace": "shop", "name": "web",
        "resource": {"group": "flagger.app", "version": "v1beta1", "resource": "canaries"},
        "userInfo": {"username": "jane"}, "object": object, "oldObject": old}})
    .to_string()
    .into_bytes()
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
    }
}
