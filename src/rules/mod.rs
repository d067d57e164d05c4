//! The admission rules: a Canary's spec and a policy in, findings out.
//!
//! Each family of rules has a file of its own and looks at the spec independently of the others, so that
//! everything wrong is reported at once. How strictly a finding is taken is decided afterwards, by
//! [`Finding::mode`], and what is done about it in [`crate::admission`].

pub mod deadline;
pub mod decodable;
pub mod finding;
pub mod interval;

use serde_json::Value;

pub use self::finding::Finding;
use crate::policy::AdmissionPolicy;

/// Everything that is wrong with a Canary, in the order of [`crate::policy::Rule::ALL`].
///
/// `canary` is the object's JSON; `policy` the one in force for it.
#[must_use]
pub fn findings(canary: &Value, policy: &AdmissionPolicy) -> Vec<Finding> {
    let mut findings = decodable::find(canary, policy);
    findings.extend(deadline::find(canary, policy));
    findings.extend(interval::find(canary, policy));
    findings
}
