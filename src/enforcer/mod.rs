//! The enforcer: looks after Canaries, keeps the stamps, and hands Flagger the verdicts.
//!
//! [`mod@reconcile`] looks at one Canary on cached objects, with the pure functions of [`crate::deadline`] and
//! [`crate::flagger`]. Only when they ask for something is everything read again; the same functions judge again, and
//! [`mod@apply`] makes the writes that were planned, each with a precondition. Stamps go through [`annotations`].

mod act_on_remedy;
pub mod annotations;
pub mod apply;
mod context;
mod controller;
pub mod flagger_health;
mod lever_pace;
mod listed_pods;
pub mod metrics;
mod notified;
pub mod reconcile;
mod reconciliation;
pub mod rollouts;
mod stamp_pace;
pub mod state;

pub use self::{context::Context, controller::run};
