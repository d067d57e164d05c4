//! What is remembered of each Canary between two looks: more than the stamp on it says, and believed before it.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    lever_pace::LeverPace,
    listed_pods::ListedPods,
    metrics::Metrics,
    notified::NotifiedState,
    reconciliation::Reconciliation,
    stamp_pace::{STAMP_EVERY, StampPace},
};
use crate::{
    cluster::{Error, events::EventReason},
    flagger::canary::Canary,
    rollout::{
        Clock,
        breach::Breach,
        remedy::Remedy,
        saved_status::SavedStatus,
        stamp::{Stamp, requested},
        verdict::{Outcome, RemedyName, Ruling, Verdict},
    },
};

/// A deadline that was written and one that is computed anew are the same if they are so close together: what is written is
/// in whole seconds, and so are the times that it is computed from.
const SAME_DEADLINE: SignedDuration = SignedDuration::from_secs(5);

/// The states of all Canaries, by namespace and name.
#[derive(Debug, Default)]
pub struct CanaryStates {
    kept: Mutex<Kept>,
    /// What the levers found on the targets of Canaries that are gone, by namespace.
    left: Mutex<Vec<(String, SavedStatus)>>,
    more_left: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    states: HashMap<(String, String), CanaryState>,
    /// How often everything was forgotten.
    forgotten: u64,
    /// Until when whoever led before certainly wrote down every edit that there was.
    watched_until: Option<Timestamp>,
}

/// What is remembered of a Canary.
#[derive(Debug)]
pub struct CanaryState {
    /// Which object it is about: a Canary of the same name may be another one.
    uid: Option<String>,
    /// How often everything had been forgotten when it began.
    forgotten: u64,
    /// Its stamp, exact.
    pub stamp: Stamp,
    /// The target's pods, as they were last listed.
    pub pods: ListedPods,
    /// What the levers found before they moved anything.
    pub saved: Option<SavedStatus>,
    /// When its annotations may be written again.
    pub stamping: StampPace,
    /// When something is done about it again.
    pub pace: LeverPace,
    /// What was told already.
    pub notified: NotifiedState,
    /// The newest state of the Canary that was seen.
    seen_version: Option<u128>,
    /// Events that wait until what they tell of is written.
    events: Vec<(EventReason, String)>,
    /// How often in a row looking after it failed.
    failures: u32,
    /// Whether the API server did not answer when it was last asked.
    unanswered: bool,
}

// === impl CanaryStates ===

impl CanaryStates {
    /// Takes out what is remembered of a Canary; of one that is new, what it carries itself.
    #[must_use]
    pub fn take(&self, canary: &Canary, now: Timestamp) -> CanaryState {
        let (known, forgotten, watched_until) = {
            let mut kept = self.kept.lock();
            (kept.states.remove(&key(canary)), kept.forgotten, kept.watched_until)
        };
        let (known, other) = match known {
            Some(state) if state.uid == canary.metadata.uid => (Some(state), None),
            other => (None, other),
        };
        self.leave(canary, other.and_then(|state| state.saved));
        known.unwrap_or_else(|| CanaryState {
            uid: canary.metadata.uid.clone(),
            forgotten,
            stamp: Stamp::recall(canary, watched_until, now),
            pods: ListedPods::default(),
            saved: None,
            stamping: StampPace::default(),
            pace: LeverPace::default(),
            notified: NotifiedState::default(),
            seen_version: None,
            events: Vec::new(),
            failures: 0,
            unanswered: false,
        })
    }

    /// Puts it back, unless everything was forgotten meanwhile.
    pub fn keep(&self, canary: &Canary, state: CanaryState) {
        let mut kept = self.kept.lock();
        if state.forgotten == kept.forgotten {
            kept.states.insert(key(canary), state);
        }
    }

    /// Forgets everything, for one that begins to lead: another may have led in between, and what it did stands in the
    /// stamps alone. It led until then, and a stamp may be a little older.
    pub fn clear(&self, led_until: Option<Timestamp>) {
        let mut kept = self.kept.lock();
        kept.states.clear();
        kept.forgotten += 1;
        kept.watched_until = led_until.and_then(|until| until.checked_sub(STAMP_EVERY).ok());
    }

    /// How often in a row looking after a Canary failed.
    #[must_use]
    pub fn failures(&self, canary: &Canary) -> u32 {
        self.kept
            .lock()
            .states
            .get(&key(canary))
            .map_or(0, |state| state.failures)
    }

    /// Forgets a Canary that is gone, but not a lever on its target.
    pub fn forget(&self, canary: &Canary) {
        let known = self.kept.lock().states.remove(&key(canary));
        self.leave(canary, known.and_then(|state| state.saved));
    }

    /// Notes what the levers found on the target of a Canary that is gone.
    pub fn leave(&self, canary: &Canary, before: Option<SavedStatus>) {
        if let Some(before) = before.filter(SavedStatus::is_on_target) {
            self.left.lock().push((canary.namespace().to_owned(), before));
            self.more_left.notify_one();
        }
    }

    /// The next lever that is to be taken off the target of a Canary that is gone: its namespace, and what was there.
    pub async fn next_left(&self) -> (String, SavedStatus) {
        loop {
            let next = self.left.lock().pop();
            match next {
                Some(next) => return next,
                None => self.more_left.notified().await,
            }
        }
    }
}

// === impl CanaryState ===

impl CanaryState {
    /// Notes that this state of the Canary was seen.
    pub fn saw(&mut self, canary: &Canary) {
        self.seen_version = self.seen_version.max(version(canary));
    }

    /// Notes whether looking after it failed.
    pub fn note_outcome<T>(&mut self, done: &Result<T, Error>) {
        let unanswered = done.as_ref().is_err_and(Error::is_unanswered);
        let was_unanswered = std::mem::replace(&mut self.unanswered, unanswered);
        self.failures = match done {
            Ok(_) => 0,
            // One that answers again may refuse at first; how long it did not answer has nothing to do with that.
            Err(_) if was_unanswered != unanswered => 1,
            Err(_) => self.failures.saturating_add(1),
        };
    }

    /// Takes out the Events that waited.
    pub(super) fn take_events(&mut self) -> Vec<(EventReason, String)> {
        std::mem::take(&mut self.events)
    }

    /// Whether the watch has yet to catch up with what was read: its older state would look like another rollout.
    #[must_use]
    pub fn is_older_than_known(&self, canary: &Canary) -> bool {
        version(canary) < self.seen_version
    }

    /// Notes that another rollout began, on which these levers were found.
    pub(super) fn another_rollout(&mut self, stamp: &Stamp, found: Option<SavedStatus>) {
        // What was found for a verdict that is still to be withdrawn must be put back.
        if self.saved.is_none() || !requested(stamp) {
            self.saved = found;
        }
        self.pace.another_rollout();
        self.notified.another_rollout();
    }

    /// Notes that Flagger did what was asked for, or that it is not asked for any more: nothing is left to put back.
    pub(super) fn settled(&mut self) {
        self.saved = None;
        self.pace.finished();
    }

    /// Remembers a breach until its reason goes away.
    pub(super) fn latch(&mut self, breach: Breach) {
        if let Some(rollout) = &mut self.stamp.rollout {
            rollout.breach = Some(breach);
        }
    }

    /// Keeps words for the user until what they tell of stands on the Canary.
    pub(super) fn say(&mut self, reason: EventReason, note: String) {
        self.events.push((reason, note));
    }

    /// Keeps a verdict, to be written down.
    pub(super) fn give_verdict(&mut self, ruling: Ruling, now: Timestamp) {
        // A verdict that Flagger was handed must be confirmed or taken back; what is only told must not displace it.
        let revision = self.stamp.rollout.as_ref().map(|rollout| rollout.revision.to_string());
        let revision = revision.unwrap_or_default();
        // Nor what came of it.
        let is_confirmed = |verdict: &Verdict| verdict.result == Outcome::Confirmed && verdict.revision == revision;
        let stays = requested(&self.stamp) || self.stamp.verdict.as_ref().is_some_and(is_confirmed);
        if ruling.remedy == RemedyName::Report && stays {
            return;
        }
        self.stamp.verdict = Some(Verdict::new(now, revision, ruling));
    }

    /// Counts a breach, once for each rollout and clock whatever comes of it.
    pub(super) fn count(&mut self, metrics: &Metrics, clock: Clock) {
        if self.notified.is_to_be_counted(clock) {
            metrics.breached(clock);
        }
    }

    /// Whether this breach was told already, before a restart perhaps.
    pub(super) fn is_reported(&self, breach: &Breach) -> bool {
        let revision = self.stamp.rollout.as_ref().map(|rollout| rollout.revision.to_string());
        let written = self.stamp.verdict.as_ref().is_some_and(|verdict| {
            verdict.remedy == RemedyName::Report
                && verdict.clock == breach.clock
                && verdict.revision == revision.unwrap_or_default()
                && verdict.deadline.duration_since(breach.deadline).abs() <= SAME_DEADLINE
        });
        written || self.notified.is_reported(breach.clock)
    }

    /// Forgets what was told of deadlines that are not passed any more: should they pass again, that is news.
    pub(super) fn forget_reports(&mut self, reconciliation: &Reconciliation) {
        if matches!(reconciliation.remedy, Remedy::Await(_)) {
            return;
        }
        let stands = |clock: Clock| {
            let reported = reconciliation
                .evaluation
                .reports
                .iter()
                .any(|breach| breach.clock == clock);
            reported || matches!(reconciliation.remedy, Remedy::Report(breach) if breach.clock == clock)
        };
        self.notified.keep_reported(stands);
    }
}

/// An object's resource version, which supported API servers count up.
fn version(canary: &Canary) -> Option<u128> {
    canary.metadata.resource_version.as_ref()?.parse().ok()
}

fn key(canary: &Canary) -> (String, String) {
    (canary.namespace().to_owned(), canary.name().to_owned())
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_forgotten_does_not_come_back() {
        let canary = Canary::from_json(json!({"metadata": {"namespace": "shop", "name": "web", "uid": "1"}}));
        let (states, now) = (CanaryStates::default(), Timestamp::UNIX_EPOCH);
        let mut state = states.take(&canary, now);
        state.failures = 3;
        states.keep(&canary, state);
        let state = states.take(&canary, now);
        assert_eq!(state.failures, 3);
        // It is being looked after while another term begins.
        states.clear(None);
        states.keep(&canary, state);
        assert_eq!(states.take(&canary, now).failures, 0);
        let mut state = states.take(&canary, now);
        state.failures = 1;
        states.keep(&canary, state);
        assert_eq!(states.take(&canary, now).failures, 1);
    }

    #[test]
    fn failures_are_counted_anew_when_the_api_server_answers_again_or_does_not_any_more() {
        let silent = || Err::<(), _>(Error::Timeout("read the Canary", std::time::Duration::from_secs(10)));
        let refused = || {
            Err(Error::Api(
                "read the Canary",
                kube::Error::Api(Status::failure("no", "Forbidden").boxed()),
            ))
        };
        let canary = Canary::from_json(serde_json::json!({"metadata": {"name": "web"}}));
        let mut state = CanaryStates::default().take(&canary, Timestamp::UNIX_EPOCH);
        for (outcome, failures) in [
            (silent(), 1),
            (silent(), 2),
            (silent(), 3),
            (refused(), 1),
            (refused(), 2),
            (silent(), 1),
            (Ok(()), 0),
            (silent(), 1),
        ] {
            state.note_outcome(&outcome);
            assert_eq!(state.failures, failures, "{outcome:?}");
        }
    }
}
