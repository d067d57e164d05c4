//! What the cluster's admins demand: `CanaryPolicy` objects and which one applies to a Canary.
//!
//! Policies come from files ([`mod@file`]) and from the cluster, whose definition of them is [`crd`]. What the shape of
//! their fields does not say is in `conditions`. [`Policies`] picks the one in force for a Canary, or the built-in
//! default. What a policy says about one Canary leaves this room as [`AdmissionPolicy`] (to the rules) and
//! [`EnforcementPolicy`] (to the clocks).

mod built_in;
pub mod canary_policy;
mod conditions;
pub mod crd;
pub mod exemption;
pub mod file;
pub mod rule;
mod selection;
mod written;

pub use canary_policy::{AdmissionPolicy, CanaryPolicy, CanaryPolicySpec, EnforcementPolicy};
pub use exemption::{Exemption, ExemptionScope};
pub use rule::{Mode, Rule};
pub use selection::{Checked, Fault, NAMESPACE_NAME, Policies, Subject};

/// The API group of everything that Curfew owns, and the prefix of its annotations.
pub const GROUP: &str = "curfew.dev";

/// The one annotation that users write: a deadline for the whole rollout.
pub const ROLLOUT_DEADLINE: &str = "curfew.dev/rollout-deadline";

/// How long the last rollouts took to become ready, as Curfew stamps it.
pub const READY_AFTER: &str = "curfew.dev/ready-after";
