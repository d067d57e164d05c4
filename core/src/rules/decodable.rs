//! `undecodable`: values that Flagger's Go types cannot hold.

use serde_json::Value;

use super::{Finding, deadline, rule_def::RuleDef};
use crate::{
    flagger::decode::undecodable,
    policy::{AdmissionPolicy, Mode, Rule},
};

impl Rule {
    /// A value that Flagger's types cannot hold.
    pub const UNDECODABLE: Self = Self::named("undecodable");
}

pub(super) const UNDECODABLE: RuleDef = RuleDef {
    rule: Rule::UNDECODABLE,
    looks_around: false,
    modes: &[(Mode::Enforce, "")],
    finds: "A value that Flagger's Go types cannot hold: `180.5` or `2147483648` seconds, `threshold: 2.5`, a port of -1. The whole \
                    spec is judged, field by field.",
    why: "While one such Canary is stored, Flagger sees no new Canary in the whole cluster, and at its next restart it exits \
                  ([F7](flagger.md#f7)). So no exemption covers this rule.",
    fix: "Write what the message names: a whole number mostly, within its range.",
    check: |input| find(input.canary, &input.policy.admission),
};

/// Finds every value in `spec` that Flagger cannot decode (`docs/flagger.md#f7`).
fn find(canary: &Value, policy: &AdmissionPolicy) -> Vec<Finding> {
    undecodable(canary)
        .into_iter()
        .map(|found| Finding {
            rule: Rule::UNDECODABLE,
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
