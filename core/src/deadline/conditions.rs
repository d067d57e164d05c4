//! What a remedy is decided on besides the rollout itself: whether this Curfew can trust what it sees, and whether it may
//! write.

use jiff::{SignedDuration, Timestamp};

use super::{breaker::BreakerAnswer, limits::Limits};
use crate::rollout::{guard::Guard, observation::Observation};

/// With more skew than this the time is unknown.
pub const MOST_SKEW: SignedDuration = SignedDuration::from_secs(30);

/// How long kubelets are given to report what happened while the API server was gone: that pods got ready meanwhile, for
/// one. What they could not report they try again once in so long (`syncPeriod` in `pkg/kubelet/status`). What a controller
/// reports later than that is not waited for, since the pods speak for themselves.
const NEWS: SignedDuration = SignedDuration::from_secs(10);

/// How long something that speaks against acting is believed to last, where its end is not known.
const UNKNOWN_END: SignedDuration = SignedDuration::from_secs(10);

/// What is decided on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What matters about the Canary now.
    pub observation: &'a Observation,
    /// The limits of its clocks.
    pub limits: &'a Limits,
    /// What speaks against acting.
    pub conditions: Conditions,
}

/// What speaks against acting, beside the rollout. Nothing does by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// How far the API server's clock is ahead of ours.
    pub skew: SignedDuration,
    /// For how long a watch that rollouts are judged by has been silent, if that is too long.
    pub stale_watch: Option<SignedDuration>,
    /// How long ago an outage of the API server ended, if there was one.
    pub outage_ended: Option<SignedDuration>,
    /// Whether the target's pods could be listed.
    pub pods_visible: bool,
    /// Whether a permission is missing to write what Flagger reads.
    pub forbidden: bool,
    /// What is known of Flagger itself.
    pub flagger: FlaggerEvidence,
    /// What the breaker says of a rollback.
    pub breaker: BreakerAnswer,
}

/// What is known of Flagger itself and of the routes. The evidence is looked up for the last resort alone, and what is not
/// known for certain is false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlaggerEvidence {
    /// There is evidence that Flagger is down, and no Canary shows a sign of life.
    pub down: bool,
    /// The provider's routes were read back, and all traffic goes to the primary.
    pub routes_on_primary: bool,
}

// === impl Conditions ===

impl Default for Conditions {
    fn default() -> Self {
        Self {
            skew: SignedDuration::ZERO,
            stale_watch: None,
            outage_ended: None,
            pods_visible: true,
            forbidden: false,
            flagger: FlaggerEvidence::default(),
            breaker: BreakerAnswer::Allow,
        }
    }
}

impl Conditions {
    /// Why nothing can be trusted that was seen: what time it is, or what goes on, is in doubt.
    #[must_use]
    pub fn doubt(&self) -> Option<Guard> {
        if self.skew.abs() > MOST_SKEW {
            return Some(Guard::Skewed(self.skew));
        }
        self.stale_watch.map(Guard::Stale)
    }

    /// Why a rollback that was not requested yet is held back.
    pub(super) fn against_rollback(&self) -> Option<Guard> {
        // Without the pods no reason can be given, and something is wrong that is not the rollout's fault.
        if !self.pods_visible {
            return Some(Guard::Blind);
        }
        if let Some(doubt) = self.doubt() {
            return Some(doubt);
        }
        if let BreakerAnswer::Hold(until, cause) = self.breaker {
            return Some(Guard::Breaker(until, cause));
        }
        self.forbidden.then_some(Guard::Forbidden)
    }

    /// Until when what happened during an outage may still be reported.
    pub(super) fn news_until(&self, now: Timestamp) -> Option<Timestamp> {
        let wait = NEWS.saturating_sub(self.outage_ended?);
        now.checked_add(wait).ok().filter(|_| wait.is_positive())
    }

    /// When to look again while something is in doubt.
    pub(super) fn doubt_until(&self, now: Timestamp) -> Option<Timestamp> {
        let guard = self.doubt()?;
        Some(guard.lasts_until(now))
    }
}

// === impl Guard ===

impl Guard {
    /// When to look again at what it holds back.
    #[must_use]
    pub fn lasts_until(self, now: Timestamp) -> Timestamp {
        let unknown = now.checked_add(UNKNOWN_END).unwrap_or(now);
        self.until().unwrap_or(unknown)
    }
}
