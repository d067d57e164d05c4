//! What was told of a Canary already, and what is kept to be told: each thing once.

use std::{collections::BTreeSet, time::Instant};

use jiff::{SignedDuration, Timestamp};

use super::{Context, Error, apply::ApplyOutcome, events::EventReason, reconcile::Reconciliation, state::CanaryState};
use crate::deadline::{
    Clock,
    messages::Deadlines,
    remedy::{Guard, GuardKind, Remedy, requested},
    stamp::Breach,
    verdict::{Outcome, RemedyName, Verdict},
};

/// A deadline that was written and one that is computed anew are the same if they are so close together: what is written is
/// in whole seconds, and so are the times that it is computed from.
const SAME_DEADLINE: SignedDuration = SignedDuration::from_secs(5);

/// What was told already, so that it is told once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifiedState {
    /// That a deadline approaches: whose, counted from when.
    pub approaching: Option<(Clock, Timestamp)>,
    /// What deadlines people set for this rollout.
    pub deadlines: Option<Deadlines>,
    /// That a deadline of this rollout has passed, while it has.
    pub reported: BTreeSet<Clock>,
    /// That a deadline has passed, in the metrics.
    pub counted: BTreeSet<Clock>,
    /// That a breach is withheld, and why.
    pub withheld: Option<(Clock, GuardKind)>,
    /// That time does not count because the rollout stands still: the words, and since which progress.
    pub standstill: Option<(&'static str, Timestamp)>,
}

// === impl CanaryState ===

impl CanaryState {
    /// Remembers a breach until its reason goes away.
    pub(super) fn latch(&mut self, breach: Breach) {
        if let Some(rollout) = &mut self.stamp.rollout {
            rollout.breach = Some(breach);
        }
    }

    /// Notes that the levers were asserted, so that it is waited before they are asserted again. That somebody else wrote at
    /// the same moment is no reason to wait: it is judged again at once.
    pub(super) fn asserted(&mut self, pulled: &Result<ApplyOutcome, Error>) {
        if pulled.as_ref().is_err_and(Error::is_conflict) {
            return;
        }
        self.applied_at = Some(Instant::now());
        self.refusals = if pulled.is_err() {
            self.refusals.saturating_add(1)
        } else {
            0
        };
    }

    /// Keeps words for the user until what they tell of stands on the Canary.
    pub(super) fn say(&mut self, topic: EventReason, note: String) {
        self.words.push((topic, note));
    }

    /// Whether it was told already that nothing is done about this, and why.
    pub(super) fn is_withheld(&self, breach: &Breach, why: Guard) -> bool {
        self.notified.withheld == Some((breach.clock, why.kind()))
    }

    /// Keeps a verdict, to be written down.
    pub(super) fn give_verdict(
        &mut self,
        breach: Breach,
        remedy: RemedyName,
        result: Outcome,
        reason: &str,
        now: Timestamp,
    ) {
        // A verdict that Flagger was handed must be confirmed or taken back; what is only told must not displace it.
        if remedy == RemedyName::Report && requested(&self.stamp) {
            return;
        }
        let revision = self.stamp.rollout.as_ref().map(|rollout| rollout.revision.to_string());
        self.stamp.verdict = Some(Verdict::new(
            now,
            revision.unwrap_or_default(),
            breach,
            remedy,
            result,
            reason.to_owned(),
        ));
    }

    /// Counts a breach, once for each rollout and clock whatever comes of it.
    pub(super) fn count(&mut self, context: &Context, clock: Clock) {
        if self.notified.counted.insert(clock) {
            context.metrics.breached(clock);
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
        written || self.notified.reported.contains(&breach.clock)
    }

    /// Forgets what was told of deadlines that are not passed any more: should they pass again, that is news.
    pub(super) fn forget_reports(&mut self, reconciliation: &Reconciliation) {
        let stands = |clock: &Clock| {
            let reported = reconciliation
                .evaluation
                .reports
                .iter()
                .any(|breach| breach.clock == *clock);
            reported || matches!(reconciliation.remedy, Remedy::Report(breach) if breach.clock == *clock)
        };
        self.notified.reported.retain(stands);
    }
}
