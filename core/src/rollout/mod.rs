//! The words that the rooms share: what matters about a rollout, whatever rolls it out.
//!
//! An engine's room ([`crate::flagger`]) turns its objects into an [`observation::Observation`] and carries the
//! [`stamp::Stamp`] forward; [`crate::deadline`] makes of them a [`remedy::Remedy`]; the engine's room makes of that a
//! list of [`write::Write`]s.

pub mod breach;
pub mod budget;
pub mod clock;
pub mod crashes;
pub mod guard;
pub mod levers;
pub mod observation;
pub mod pod_failure;
pub mod pods;
pub mod remedy;
pub mod revision;
pub mod saved_status;
pub mod stage;
pub mod stamp;
pub mod target_ref;
pub mod timestamps;
pub mod unready_pods;
pub mod verdict;
pub mod workload_kind;
pub mod write;

pub use clock::Clock;
pub use stage::Stage;
