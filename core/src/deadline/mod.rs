//! Deadlines: what the clocks say of a rollout, and what is to be done.
//!
//! [`evaluate()`] reads the clocks; [`remedy()`] says what to do now, if anything. Both are functions of their arguments,
//! `now` among them, and know no engine: what they judge is an [`Observation`](crate::rollout::observation::Observation).
//! The enforcer calls them on cached objects to find out *that* something may have to be done, and again on freshly read
//! ones before it does it.

pub mod breaker;
pub mod clocks;
pub mod conditions;
pub mod evaluate;
mod in_force;
pub mod limits;
pub mod messages;
pub mod remedy;

pub use conditions::{Conditions, Inputs};
pub use evaluate::evaluate;
pub use remedy::remedy;
