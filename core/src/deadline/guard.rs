//! Guards: why a breach is reported, and not acted upon yet.

use jiff::{SignedDuration, Timestamp};

use super::{breaker::Cause, observation::TargetState};

/// Why a breach is not acted upon yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guard {
    /// The live template is not the one that Flagger took up: a fix was pushed, and until this moment Flagger may
    /// take it up.
    FixPushed(Timestamp),
    /// The rollout was found running; until this moment Flagger may still take up another template.
    Unproven(Timestamp),
    /// Flagger does not look at the canary now, and would find the verdict when all may be well again.
    NotLooking(TargetState),
    /// The target's pods cannot be looked at.
    Blind,
    /// What Flagger reads may not be written.
    Forbidden,
    /// By its pods the target is ready, but its controller does not say so.
    ControllersBehind,
    /// Our clock and the API server's are this far apart.
    Skewed(SignedDuration),
    /// A watch has been silent for so long.
    Stale(SignedDuration),
    /// The breaker is open, until this moment at the least; why, unless not every rollout was looked at yet.
    Breaker(Timestamp, Cause),
}

/// A reason to withhold, whatever its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuardKind {
    /// A fix was pushed.
    FixPushed,
    /// The rollout was found running.
    Unproven,
    /// Flagger does not look at the canary.
    NotLooking,
    /// The pods cannot be looked at.
    Blind,
    /// What Flagger reads may not be written.
    Forbidden,
    /// The controller does not keep up.
    ControllersBehind,
    /// Nobody knows what time it is.
    Skewed,
    /// A watch is silent.
    Stale,
    /// The breaker is open.
    Breaker,
}

// === impl Guard ===

impl Guard {
    /// The reason alone.
    #[must_use]
    pub const fn kind(self) -> GuardKind {
        match self {
            Self::FixPushed(_) => GuardKind::FixPushed,
            Self::Unproven(_) => GuardKind::Unproven,
            Self::NotLooking(_) => GuardKind::NotLooking,
            Self::Blind => GuardKind::Blind,
            Self::Forbidden => GuardKind::Forbidden,
            Self::ControllersBehind => GuardKind::ControllersBehind,
            Self::Skewed(_) => GuardKind::Skewed,
            Self::Stale(_) => GuardKind::Stale,
            Self::Breaker(..) => GuardKind::Breaker,
        }
    }

    /// The moment from which it does not hold any more, if that is known.
    #[must_use]
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::FixPushed(until) | Self::Unproven(until) | Self::Breaker(until, _) => Some(until),
            Self::NotLooking(_)
            | Self::Blind
            | Self::Forbidden
            | Self::ControllersBehind
            | Self::Skewed(_)
            | Self::Stale(_) => None,
        }
    }
}
