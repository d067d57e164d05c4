//! What Curfew decides, and nothing else: it knows no clock, no network, no files and no async. What time it is comes in
//! as an argument.
//!
//! The rooms, and the one direction in which they know each other:
//! [`duration`] ← [`rollout`] ← [`policy`] ← [`deadline`] ← [`flagger`] ← [`rules`]. `tests/architecture` of the workspace
//! proves it, and `clippy.toml` beside this crate forbids what would make it impure.

pub mod deadline;
pub mod duration;
pub mod flagger;
pub mod policy;
pub mod rollout;
pub mod rules;
