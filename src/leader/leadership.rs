//! Whether this Curfew leads: written by [`super::election`], asked before everything that is done to the cluster.
//!
//! Leadership ends by itself when its time is over, so that a process which was stopped and goes on finds itself deposed
//! before it writes anything, whatever it was doing. The wall clock can take leadership away as well, and never give it:
//! on a machine that was suspended the monotonic clock stood still.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, stream};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::cluster::{WritePermit, clock};

/// Whether this Curfew leads. Copies share what they know.
#[derive(Clone, Debug)]
pub struct Leadership(Arc<watch::Sender<Inner>>);

/// A moment at which a leader was sure to lead, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sure {
    at: Instant,
    wall: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Inner {
    /// How often it began to lead.
    terms: u64,
    tenure: Option<(Sure, Duration)>,
}

// === impl Leadership ===

impl Leadership {
    /// Nobody leads yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Inner::default())))
    }

    /// Whether this one leads, at this very moment.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0.borrow().leads(Sure::now())
    }

    /// Leads for so long from a moment on. When that is a beginning, `prepare` comes before it, and it is answered.
    pub(super) fn lead(&self, from: Sure, length: Duration, prepare: impl FnOnce()) -> bool {
        let begins = !self.is_leader();
        if begins {
            prepare();
        }
        self.0.send_if_modified(|state| {
            state.terms += u64::from(begins);
            state.tenure = Some((from, length));
            begins
        });
        begins
    }

    /// Leads no more; answers whether it did as far as it knew.
    pub(super) fn end(&self) -> bool {
        self.0.send_if_modified(|state| state.tenure.take().is_some())
    }

    /// Each beginning of leadership from now on, and one at once if it leads already.
    pub fn beginnings(&self) -> impl Stream<Item = ()> + Send + use<> {
        stream::unfold((self.0.subscribe(), 0), |(mut changes, known)| async move {
            let terms = changes.wait_for(|state| state.terms > known).await.ok()?.terms;
            Some(((), (changes, terms)))
        })
    }
}

impl WritePermit for Leadership {
    fn holds(&self) -> bool {
        self.is_leader()
    }
}

impl Default for Leadership {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Sure ===

impl Sure {
    pub(super) fn now() -> Self {
        Self {
            at: Instant::now(),
            wall: clock::now(),
        }
    }
}

// === impl Inner ===

impl Inner {
    fn leads(&self, now: Sure) -> bool {
        self.tenure.is_some_and(|(from, length)| {
            let by_wall = now.wall.duration_since(from.wall);
            now.at.duration_since(from.at) < length
                && jiff::SignedDuration::try_from(length).is_ok_and(|length| by_wall < length)
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);

    fn led_since(monotonic: u64, wall: i64) -> bool {
        let now = Sure::now();
        let from = Sure {
            at: now
                .at
                .checked_sub(Duration::from_secs(monotonic))
                .expect("a machine that runs"),
            wall: now.wall - jiff::SignedDuration::from_secs(wall),
        };
        let tenure = Some((from, LENGTH));
        Inner { terms: 1, tenure }.leads(now)
    }

    #[test]
    fn leadership_ends_by_itself_by_whichever_clock_is_first() {
        assert!(led_since(9, 9));
        assert!(!led_since(10, 10), "its time is over");
        assert!(!led_since(1, 10), "the machine was suspended");
        assert!(!led_since(10, 1), "the wall clock was put back");
        assert!(led_since(9, -3600), "which gives no time either, and takes none");
        assert!(!Leadership::new().is_leader());
    }

    #[test]
    fn what_a_beginning_needs_comes_before_it_and_a_renewal_is_none() {
        let leadership = Leadership::new();
        let mut beginnings = Box::pin(leadership.beginnings());
        assert_eq!(beginnings.next().now_or_never(), None);
        for _ in 0..2 {
            let mut prepared = false;
            assert!(leadership.lead(Sure::now(), LENGTH, || {
                prepared = true;
                assert!(!leadership.is_leader());
            }));
            assert!(prepared && leadership.is_leader());
            assert!(!leadership.lead(Sure::now(), LENGTH, || panic!("it leads already")));
            assert_eq!(beginnings.next().now_or_never(), Some(Some(())));
            assert_eq!(beginnings.next().now_or_never(), None);
            assert!(leadership.end() && !leadership.end());
            assert!(!leadership.is_leader());
        }
    }
}
