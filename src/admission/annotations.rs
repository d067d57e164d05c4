//! The annotations that Curfew keeps on a Canary: which are its own, and which one is the user's.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{policy::ROLLOUT_DEADLINE, rollout::stamp::PREFIX};

/// Whether only Curfew may write this annotation.
#[must_use]
pub fn is_ours(key: &str) -> bool {
    key.starts_with(PREFIX) && key != ROLLOUT_DEADLINE
}

/// Curfew's own annotations of an object.
#[must_use]
pub fn ours(object: &Value) -> BTreeMap<&str, &str> {
    object["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .filter(|(key, _)| is_ours(key))
        .collect()
}
