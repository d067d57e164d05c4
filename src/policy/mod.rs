//! What the cluster's admins demand: `CanaryPolicy` objects and which one applies to a Canary.
//!
//! Policies come from files ([`mod@file`]); [`Policies`] picks the one in force for a Canary, or the built-in
//! default. What a policy says about one Canary leaves this room as [`AdmissionPolicy`] (to the rules) and
//! [`EnforcementPolicy`] (to the clocks).

pub mod canary_policy;
pub mod exemption;
pub mod file;
pub mod rule;
mod selection;

pub use canary_policy::{AdmissionPolicy, CanaryPolicy, EnforcementPolicy};
pub use exemption::{Exemption, Guard};
pub use rule::{Mode, Rule};
pub use selection::{Policies, Subject};

/// The API group of everything that Curfew owns, and the prefix of its annotations.
pub const GROUP: &str = "curfew.dev";
