//! Breaches.

use jiff::{SignedDuration, Timestamp};

use super::Clock;

/// A deadline that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Breach {
    /// Whose deadline.
    pub clock: Clock,
    /// When it was.
    pub deadline: Timestamp,
    /// The limit that was reached; a longer one takes the breach back.
    pub limit: SignedDuration,
}
