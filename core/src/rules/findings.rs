//! All rules together.

use serde_json::Value;

use super::{
    Finding, Lookup, ab_testing, analysis, conflicts, deadline, deadline_fit, decodable, hooks, interval, rollout,
    service, target, thresholds, weights,
};
use crate::policy::CanaryPolicySpec;

/// Everything that is wrong with a Canary of a namespace, in the order of [`crate::policy::Rule::ALL`].
///
/// `canary` is the object's JSON, `policy` the one in force for it.
#[must_use]
pub fn findings(canary: &Value, namespace: &str, policy: &CanaryPolicySpec, lookup: &dyn Lookup) -> Vec<Finding> {
    let mut findings = decodable::find(canary, &policy.admission);
    findings.extend(deadline::find(canary, &policy.admission));
    findings.extend(interval::find(canary, &policy.admission));
    findings.extend(analysis::find(canary, lookup.provider()));
    findings.extend(weights::find(canary));
    findings.extend(thresholds::find(canary, namespace, lookup));
    findings.extend(service::find(canary));
    findings.extend(conflicts::find(canary, namespace, lookup));
    findings.extend(ab_testing::find(canary));
    findings.extend(hooks::find(canary, policy));
    findings.extend(target::find(canary, namespace, lookup));
    findings.extend(interval::above_deadline(canary));
    findings.extend(deadline_fit::find(canary, &policy.admission));
    findings.extend(rollout::find(canary, policy, lookup.provider()));
    findings.sort_by_key(|finding| finding.rule);
    findings
}
