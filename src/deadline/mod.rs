//! Deadlines: what Curfew knows of a rollout, what its clocks say, and what is to be done.
//!
//! [`observe()`] looks at a Canary, its workloads and its pods and carries the [`stamp::Stamp`] forward; [`judge()`] reads
//! the clocks; [`remedy()`] says what to do now, if anything. All three are functions of their arguments, `now` among
//! them. The enforcer calls them on cached objects to find out *that* something may have to be done, and again on
//! freshly read ones before it does it.

pub mod budget;
pub mod judge;
pub mod limits;
pub mod observe;
pub mod pods;
pub mod remedy;
pub mod revision;
pub mod stamp;
pub mod verdict;

pub use judge::judge;
pub use observe::observe;
pub use remedy::remedy;

/// A clock of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Clock {
    /// How long the target may be less ready than Flagger needs it to advance.
    Readiness,
}

// === impl Clock ===

impl Clock {
    /// The clock's name in annotations, Events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Readiness => "readiness",
        }
    }

    /// The clock of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Readiness].into_iter().find(|clock| clock.name() == name)
    }
}
