//! Deadlines: what Curfew knows of a rollout, what its clocks say, and what is to be done.
//!
//! [`observe()`] looks at a Canary, its workloads and its pods and carries the [`stamp::Stamp`] forward; [`evaluate()`] reads
//! the clocks; [`remedy()`] says what to do now, if anything. All three are functions of their arguments, `now` among
//! them. The enforcer calls them on cached objects to find out *that* something may have to be done, and again on
//! freshly read ones before it does it.

mod accrual;
pub mod breach;
pub mod breaker;
pub mod budget;
pub mod clock;
mod clocks;
pub mod conditions;
pub mod crashes;
mod deployment_conditions;
pub mod evaluate;
mod flagger_timing;
pub mod guard;
mod initialization;
pub mod levers;
pub mod limits;
pub mod messages;
pub mod objects;
pub mod observation;
pub mod observe;
pub mod pod_failure;
pub mod pods;
pub mod remedy;
pub mod revision;
pub mod rollback_plan;
pub mod saved_status;
pub mod snapshot;
pub mod stamp;
mod target;
pub mod timestamps;
mod tracking;
pub mod unready_pods;
pub mod verdict;
pub mod write;

pub use clock::Clock;
pub use conditions::{Conditions, Inputs};
pub use evaluate::evaluate;
pub use flagger_timing::check_time;
pub use observe::observe;
pub use remedy::remedy;
pub use rollback_plan::plan;
