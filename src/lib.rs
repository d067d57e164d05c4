//! Curfew: deadlines that hold for [Flagger](https://flagger.app) canaries.
//!
//! The rooms of the house, and the one direction in which they know each other:
//! [`duration`] ← [`rollout`] ← [`policy`] ← [`deadline`] ← [`flagger`] ← [`rules`] ← [`cluster`] ← [`leader`] ←
//! [`enforcer`], [`audit`] ← [`serve`] ← [`cli`]; and [`admission`] ← [`serve`], which knows the core alone.
//!
//! The first six decide everything and are a crate of their own, [`curfew_core`]: they know no clock, no network and no
//! async, and what time it is comes in as an argument. `tests/architecture` proves both.

pub mod admission;
pub mod audit;
pub mod cli;
pub mod cluster;
pub mod enforcer;
pub mod leader;
pub mod serve;

pub use curfew_core::*;
