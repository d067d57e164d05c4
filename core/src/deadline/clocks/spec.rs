//! What there is to know about a clock.

use jiff::{SignedDuration, Timestamp};

use crate::{
    deadline::{
        conditions::Inputs,
        limits::{Limit, Timing},
    },
    policy::clock_policy::{ClockPolicy, ClockSettings},
    rollout::{breach::Breach, stamp::Stamp},
};

/// A clock: what policies may say of it, how it is read, and what is said when it runs out.
pub struct ClockSpec {
    /// Its name, and what policies may say of it.
    pub settings: ClockSettings,
    /// Its limit for a rollout under a policy; none: it does not run, or takes its limit from elsewhere.
    pub limit: fn(&ClockPolicy, &Timing) -> Option<SignedDuration>,
    /// The deadline that it has set, while it runs.
    pub read: fn(&Inputs<'_>, &Stamp, &Limit, Timestamp) -> Option<Set>,
    /// Which limit was reached.
    pub passed: fn(&Breach) -> String,
    /// Why.
    pub why: Why,
}

/// Where it is to be seen why a clock ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is always the same.
    Always(&'static str),
    /// The target is not ready.
    Target,
    /// Containers of the target failed.
    Failures,
    /// The target is not ready, or this.
    TargetOr(&'static str),
    /// The primary is not ready.
    Primary,
    /// Something keeps the rollout from going on, whatever its pods do.
    Blocked,
}

/// A deadline that a clock has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// When the limit is reached, if things go on as they do.
    pub deadline: Timestamp,
    /// When most of the limit is used up, and that is announced.
    pub warn_at: Option<Timestamp>,
}

// === impl Set ===

impl Set {
    /// A deadline so long after a moment.
    pub(super) fn after(start: Timestamp, limit: SignedDuration) -> Option<Self> {
        start.checked_add(limit).ok().map(Self::at)
    }

    /// A deadline that is not announced.
    pub(super) const fn at(deadline: Timestamp) -> Self {
        Self {
            deadline,
            warn_at: None,
        }
    }
}

/// What most clocks say.
pub(super) fn deadline_passed(breach: &Breach) -> String {
    format!(
        "the {} deadline of {} s has passed",
        breach.clock.name(),
        breach.limit.as_secs()
    )
}

/// A share of a limit.
pub(super) fn share(limit: SignedDuration, percent: u8) -> SignedDuration {
    limit
        .checked_mul(i32::from(percent))
        .map_or(limit, |hundredfold| hundredfold / 100)
}

/// A policy's span of time.
pub(super) fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
