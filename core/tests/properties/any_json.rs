//! Any JSON, with the names in it that mean something to Flagger or Curfew.

use proptest::{collection, prelude::*};
use serde_json::Value;

/// Some JSON.
pub fn any_json() -> impl Strategy<Value = Value> {
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
