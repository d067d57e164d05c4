//! Guards: why a breach is reported, and not acted upon yet.

use jiff::{SignedDuration, Timestamp};

use super::observation::TargetState;

/// Trouble elsewhere needs at least so many objects: a share of two is no sign of anything.
const LEAST_TROUBLE: usize = 3;

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

/// Why a breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Too many deadlines passed within the window.
    Breaches {
        /// How many.
        count: usize,
        /// How many may.
        limit: usize,
    },
    /// Too many primaries are not ready either.
    Primaries(Share),
    /// The controllers do not keep up.
    Controllers(Share),
    /// Not every rollout has been looked at since Curfew started, so how many are breached is not known yet.
    Starting,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Share {
    /// How many are in trouble.
    pub troubled: usize,
    /// Of how many.
    pub of: usize,
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

// === impl Share ===

impl Share {
    /// Whether that is more than so many per cent, and enough to be a sign of anything.
    #[must_use]
    pub fn is_above(self, percent: u8) -> bool {
        self.troubled >= LEAST_TROUBLE
            && self.troubled.saturating_mul(100) > self.of.saturating_mul(usize::from(percent))
    }
}

// === impl Cause ===

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Breaches { count, limit } => write!(
                f,
                "{count} deadlines passed within the breaker's window, more than the {limit} that are no sign of trouble"
            ),
            Self::Primaries(Share { troubled, of }) => {
                write!(f, "{troubled} of {of} primaries are not ready either")
            }
            Self::Controllers(Share { troubled, of }) => {
                write!(f, "the controllers have not looked at {troubled} of {of} workloads yet")
            }
            Self::Starting => f.write_str("not every rollout has been looked at since Curfew started"),
        }
    }
}
