//! When the annotations of a Canary may be written, so seldom that it costs nothing.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::cluster::Error;

/// The least time between two stamps of one Canary.
pub(super) const STAMP_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// Annotations; none: absent.
pub type Annotations = BTreeMap<&'static str, Option<String>>;

/// What was written on a Canary, and when.
#[derive(Debug, Default)]
pub struct StampPace {
    /// How often in a row annotations were refused.
    refusals: u32,
    /// Not before this it is tried again.
    again_at: Option<Timestamp>,
    /// When annotations were last written.
    written_at: Option<Timestamp>,
    /// The annotations as last written, until the watch shows them.
    written: Annotations,
}

// === impl StampPace ===

impl StampPace {
    /// How long to wait before these may be written, if it is too early. What is urgent does not wait, unless it was just
    /// written and the watch does not show it yet.
    #[must_use]
    pub fn wait(&self, wanted: &Annotations, urgent: bool, now: Timestamp) -> Option<Duration> {
        let is_written = self.written == *wanted;
        let rest = self.written_at.map(|written| STAMP_EVERY - now.duration_since(written));
        let rest = rest.filter(|rest| rest.is_positive() && (!urgent || is_written));
        let refused = self
            .again_at
            .filter(|again| now < *again)
            .map(|again| again.duration_since(now));
        rest.or(refused).map(SignedDuration::unsigned_abs)
    }

    /// Notes that these were written.
    pub fn wrote(&mut self, written: Annotations, now: Timestamp) {
        *self = Self {
            refusals: 0,
            again_at: self.again_at,
            written_at: Some(now),
            written,
        };
    }

    /// Notes that they were refused, and answers how long to wait.
    pub fn refused(&mut self, error: &Error, now: Timestamp) -> Duration {
        self.refusals = self.refusals.saturating_add(1);
        let wait = error.wait(self.refusals);
        self.again_at = SignedDuration::try_from(wait)
            .ok()
            .and_then(|wait| now.checked_add(wait).ok());
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn what_is_urgent_waits_only_for_what_was_just_written() {
        let stamp = |text: &str| Annotations::from([("curfew.dev/revision", Some(text.to_owned()))]);
        let mut pace = StampPace::default();
        assert_eq!(pace.wait(&stamp("a"), false, at(0)), None);
        pace.wrote(stamp("a"), at(0));
        for (wanted, urgent, second, wait) in [
            ("b", false, 1, Some(9)),
            ("b", true, 1, None),
            ("a", true, 1, Some(9)),
            ("b", false, 10, None),
        ] {
            let found = pace.wait(&stamp(wanted), urgent, at(second));
            assert_eq!(found, wait.map(Duration::from_secs), "{wanted} {urgent} {second}");
        }
        let wait = pace.refused(&Error::Timeout("write", Duration::from_secs(10)), at(20));
        assert_eq!(pace.wait(&stamp("b"), true, at(20)), Some(wait));
    }
}
