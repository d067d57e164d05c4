//! `undecodable`: values that Flagger's Go types cannot hold.

use serde_json::Value;

use super::{Finding, deadline};
use crate::{
    flagger::decode::undecodable,
    policy::{AdmissionPolicy, Mode, Rule},
};

/// Finds every value in `spec` that Flagger cannot decode (`docs/flagger.md#f7`).
#[must_use]
pub fn find(canary: &Value, policy: &AdmissionPolicy) -> Vec<Finding> {
    undecodable(canary)
        .into_iter()
        .map(|found| Finding {
            rule: Rule::Undecodable,
            severity: Mode::Enforce,
            at_most: Mode::Enforce,
            message: format!(
                "Flagger cannot decode {}, and while one such Canary exists it sees no new Canary in the whole cluster",
                found.value
            ),
            fix: if found.field == deadline::FIELD {
                // What Flagger can decode and the policy refuses would only be refused again.
                deadline::fix(policy.deadline.min, policy.deadline.max)
            } else {
                format!("write {}", found.expected)
            },
            field: found.field,
            value: found.value,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_value_that_stops_flagger_is_named() {
        let found = find(
            &json!({"spec": {"progressDeadlineSeconds": 180.5}}),
            &AdmissionPolicy::default(),
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].field, "spec.progressDeadlineSeconds");
        assert_eq!(
            found[0].message,
            "Flagger cannot decode 180.5, and while one such Canary exists it sees no new Canary in the whole cluster"
        );
        assert_eq!(found[0].fix, "write a whole number from 60 to 3600");
        let found = find(
            &json!({"spec": {"service": {"port": 80.5}}}),
            &AdmissionPolicy::default(),
        );
        assert_eq!(found[0].fix, "write a whole number");
    }

    #[test]
    fn a_whole_number_with_a_point_is_fine() {
        assert_eq!(
            find(
                &json!({"spec": {"progressDeadlineSeconds": 180.0}}),
                &AdmissionPolicy::default()
            ),
            []
        );
    }
}
