//! What the cluster's admins demand: `CanaryPolicy` objects and which one applies to a Canary.
//!
//! Policies come from files ([`mod@file`]) and from the cluster, whose definition of them is [`crd`]. What the shape of
//! their fields does not say is in `conditions`. [`Policies`] picks the one in force for a Canary, or the built-in
//! default. What a policy says about one Canary leaves this room as [`AdmissionPolicy`] (to the rules) and
//! [`EnforcementPolicy`] (to the clocks).

pub mod action;
mod built_in;
pub mod canary_policy;
pub mod clock_policy;
mod conditions;
pub mod crd;
pub mod exemption;
pub mod file;
mod names;
pub mod rule;
mod selection;
mod sizes;
mod vocabulary;
mod written;

pub use canary_policy::{AdmissionPolicy, CanaryPolicy, CanaryPolicySpec, EnforcementPolicy};
pub use exemption::{Exemption, ExemptionScope};
pub use names::{GROUP, ROLLOUT_DEADLINE};
pub use rule::{Mode, Rule};
pub use selection::{Checked, Fault, NAMESPACE_NAME, Policies, Subject};
pub use vocabulary::Vocabulary;
