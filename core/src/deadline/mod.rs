//! Deadlines: what Curfew knows of a rollout, what its clocks say, and what is to be done.
//!
//! [`observe()`] looks at a Canary, its workloads and its pods and carries the [`stamp::Stamp`] forward; [`judge()`] reads
//! the clocks; [`remedy()`] says what to do now, if anything. All three are functions of their arguments, `now` among
//! them. The enforcer calls them on cached objects to find out *that* something may have to be done, and again on
//! freshly read ones before it does it.

mod adoption;
pub mod announce;
pub mod breaker;
pub mod budget;
pub mod clock;
mod counted;
pub mod crashes;
mod follow;
pub mod judge;
pub mod limits;
mod looks;
pub mod observe;
pub mod pods;
pub mod reason;
pub mod remedy;
pub mod revision;
pub mod stamp;
mod target;
pub mod trouble;
pub mod verdict;

pub use clock::Clock;
pub use judge::judge;
pub use looks::{look_time, looks_ended_at};
pub use observe::observe;
pub use remedy::remedy;
