//! The admission rules: a Canary's spec, its surroundings ([`lookup`]) and a policy in, findings out.
//!
//! Each family of rules has a file of its own and looks at the spec independently of the others, so that
//! everything wrong is reported at once. How strictly a finding is taken is decided afterwards, by
//! [`Finding::mode`], and what is done about it in the admission webhook.

pub mod ab_testing;
pub mod analysis;
pub mod case;
pub mod conflicts;
pub mod deadline;
pub mod deadline_fit;
pub mod decodable;
pub mod finding;
pub mod hooks;
pub mod interval;
pub mod lookup;
pub mod reference;
pub mod rollout;
pub mod service;
mod spec;
pub mod target;
pub mod thresholds;
pub mod weights;

use serde_json::Value;

pub use self::{finding::Finding, lookup::Lookup};
use crate::policy::CanaryPolicySpec;

/// So many faults of one kind in one list are found: a hostile list could hold a million.
const MOST_ALIKE: usize = 100;

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
