//! What a user may want to know before anything is done.

use jiff::{SignedDuration, Timestamp};

use super::{
    Clock,
    judge::{Judgement, Pending},
    limits::Limits,
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

/// The deadlines that people set for a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deadlines {
    /// Which rollout: when it began.
    rollout: Timestamp,
    /// Of unready time.
    readiness: Option<SignedDuration>,
    /// Of the whole rollout.
    whole: Option<SignedDuration>,
}

// === impl Deadlines ===

impl Deadlines {
    /// Those of a running rollout.
    #[must_use]
    pub fn of(seen: &Observation, stamp: &Stamp, limits: &Limits) -> Option<Self> {
        let rollout = stamp.rollout.as_ref().filter(|_| seen.running)?;
        Some(Self {
            rollout: rollout.promoted_since,
            readiness: limits.readiness.limit,
            whole: limits.rollout.limit,
        })
    }

    /// What is to be put on record when somebody changed them in mid-rollout.
    #[must_use]
    pub fn changed_since(self, before: Self) -> Option<String> {
        if before.rollout != self.rollout || before == self {
            return None;
        }
        let change = |what: &str, before: Option<SignedDuration>, now: Option<SignedDuration>| {
            (before != now).then(|| format!("{what} is {} now, and was {}", written(now), written(before)))
        };
        let changes: Vec<_> = [
            change("the deadline for readiness", before.readiness, self.readiness),
            change("the deadline for the whole rollout", before.whole, self.whole),
        ]
        .into_iter()
        .flatten()
        .collect();
        let changes = changes.join("; ");
        Some(format!("{changes}; in mid-rollout, counted from where each began"))
    }
}

fn written(deadline: Option<SignedDuration>) -> String {
    deadline.map_or_else(|| "none".to_owned(), |deadline| format!("{} s", deadline.as_secs()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_that_somebody_changed_in_mid_rollout_are_put_on_record() {
        let deadlines = |rollout: i64, readiness: i64, whole: Option<i64>| Deadlines {
            rollout: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(rollout),
            readiness: Some(SignedDuration::from_secs(readiness)),
            whole: whole.map(SignedDuration::from_secs),
        };
        let before = deadlines(1, 180, None);
        for (now, expected) in [
            (deadlines(1, 180, None), None),
            // Another rollout has what it has.
            (deadlines(2, 600, None), None),
            (
                deadlines(1, 600, None),
                Some(
                    "the deadline for readiness is 600 s now, and was 180 s; in mid-rollout, counted from where each began",
                ),
            ),
            (
                deadlines(1, 180, Some(7200)),
                Some(
                    "the deadline for the whole rollout is 7200 s now, and was none; in mid-rollout, counted from where each began",
                ),
            ),
        ] {
            assert_eq!(now.changed_since(before).as_deref(), expected, "{now:?}");
        }
    }
}
