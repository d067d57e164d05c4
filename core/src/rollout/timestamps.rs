//! Times as annotations carry them.

use jiff::Timestamp;

/// A time as annotations carry it: RFC 3339, UTC, whole seconds, the second that had begun.
#[must_use]
pub fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The next whole second, unless it is one: a deadline is never written earlier than it is.
#[must_use]
pub fn rounded_up(time: Timestamp) -> Timestamp {
    let second = time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    Timestamp::from_second(second).unwrap_or(time)
}
