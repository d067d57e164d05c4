//! The one clock.

use jiff::Timestamp;

/// What time it is.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock; everywhere else `now` is an argument"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
