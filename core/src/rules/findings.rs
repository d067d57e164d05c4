//! All rules together.

use serde_json::Value;

use super::{Finding, Lookup, rule_def::RuleInput, table::RULES};
use crate::policy::CanaryPolicySpec;

/// Everything that is wrong with a Canary of a namespace, in the order of [`RULES`].
///
/// `canary` is the object's JSON, `policy` the one in force for it.
#[must_use]
pub fn findings(canary: &Value, namespace: &str, policy: &CanaryPolicySpec, lookup: &dyn Lookup) -> Vec<Finding> {
    let input = RuleInput {
        canary,
        namespace,
        policy,
        lookup,
    };
    RULES
        .into_iter()
        .flat_map(|definition| (definition.check)(&input))
        .collect()
}
