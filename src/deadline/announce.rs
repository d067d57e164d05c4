//! What a user may want to know before anything is done.

use jiff::{SignedDuration, Timestamp};

use super::{
    Clock,
    judge::{Judgement, Pending},
    observe::{Observation, TargetSeen},
    reason,
    stamp::{Stamp, rounded_up, time},
};

/// How long a primary may be unready before it is told. Flagger makes it so itself when it promotes, a moment before
/// the phase says that it does.
pub const PRIMARY_PATIENCE: SignedDuration = SignedDuration::from_secs(5);

/// Whose deadline is to be announced, and what it counts from: once for a rollout, or for each progress.
#[must_use]
pub fn announcement(judgement: &Judgement, stamp: &Stamp) -> Option<(Clock, Timestamp)> {
    let pending = judgement.pending.filter(|pending| pending.approaching)?;
    let rollout = stamp.rollout.as_ref()?;
    let since = if pending.clock == Clock::Rollout {
        rollout.started_at
    } else {
        rollout.progressed_at
    };
    Some((pending.clock, since))
}

/// The words of an announcement, and what ails the pods, if that is known.
#[must_use]
pub fn approaching(pending: Pending, ails: Option<&str>) -> String {
    let deadline = time(rounded_up(pending.deadline));
    let note = format!("the {} deadline passes at {deadline}", pending.clock.name());
    match ails {
        Some(ails) => format!("{note}: {ails}"),
        None => note,
    }
}

/// From when on a primary that is not ready is worth a word, while it is what a rollout waits for.
#[must_use]
pub fn primary_told_at(seen: &Observation, stamp: &Stamp) -> Option<Timestamp> {
    let waits = seen.running && seen.phase.can_roll_back() && seen.target == TargetSeen::PrimaryNotReady;
    let rollout = stamp.rollout.as_ref().filter(|_| waits)?;
    rollout.budget.since.checked_add(PRIMARY_PATIENCE).ok()
}

/// From when on it is worth a word that a rollout stands still without its time counting, and which word.
#[must_use]
pub fn standstill(seen: &Observation, stamp: &Stamp) -> Option<(Timestamp, &'static str)> {
    if seen.target == TargetSeen::Paused {
        let rollout = stamp.rollout.as_ref().filter(|_| seen.counts())?;
        return Some((rollout.budget.since, reason::PAUSED));
    }
    primary_told_at(seen, stamp).map(|moment| (moment, reason::PRIMARY_NOT_READY))
}
