//! The messages about a rollout: what comes, what passed, why, and why nothing is done about it. The enforcer publishes
//! them, and a replay of what was recorded prints the same.

use jiff::{SignedDuration, Timestamp};

use super::{
    clocks,
    evaluate::{Evaluation, Pending},
    limits::Limits,
};
use crate::rollout::{
    Clock,
    breach::Breach,
    guard::{Cause, Guard},
    observation::{Observation, TargetState},
    stamp::Stamp,
    timestamps::{rounded_up, time},
};

/// Which limit was reached, and why.
#[must_use]
pub fn exceeded(breach: &Breach, why: &str) -> String {
    let passed = clocks::spec(breach.clock).map(|spec| (spec.passed)(breach));
    format!("{}: {why}", passed.unwrap_or_default())
}

/// Why nothing is done about a breach yet.
#[must_use]
pub fn withheld(why: Guard) -> String {
    let said = match why {
        Guard::Skewed(offset) => {
            return format!(
                "this machine's clock and the API server's are {} s apart, so that nobody knows what time it is; \
                 set the clocks right (NTP)",
                offset.abs().as_secs()
            );
        }
        Guard::Stale(age) => {
            return format!(
                "a watch has been silent for {} s, so that nobody knows what goes on; the log says which and why",
                age.as_secs()
            );
        }
        Guard::Breaker(_, Cause::Starting) => "not every rollout has been looked at since Curfew started",
        Guard::Breaker(_, cause) => {
            return format!("the breaker is open: {cause}; it lets go later, one after the other, each judged again");
        }
        Guard::ControllersBehind => {
            "by its pods the target is ready, but its status has not said so for long: kube-controller-manager does \
             not keep up"
        }
        Guard::FixPushed(_) => {
            "the pod template is not the one that this rollout began with; Flagger will look at the new one"
        }
        Guard::Unproven(_) => {
            "the rollout was found running; waiting one interval to be sure that Flagger saw its template"
        }
        Guard::NotLooking(TargetState::PrimaryNotReady) => {
            "Flagger waits for the primary, which is not ready, and does not look at the canary"
        }
        Guard::NotLooking(TargetState::Paused) => "the target is paused, which only its owner should end",
        Guard::Forbidden => "a permission is missing to write what Flagger reads; the log says which",
        Guard::Blind => "the target's pods cannot be looked at; the log says why",
        Guard::NotLooking(_) => "Flagger cannot judge the target now",
    };
    said.to_owned()
}

/// Whose deadline is to be announced, and what it counts from: once for a rollout, or for each progress.
#[must_use]
pub fn announcement(evaluation: &Evaluation, stamp: &Stamp) -> Option<(Clock, Timestamp)> {
    let pending = evaluation.pending.filter(|pending| pending.approaching)?;
    let rollout = stamp.rollout.as_ref()?;
    let since = if pending.clock == Clock::ROLLOUT {
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
            readiness: limits.of_clock(Clock::READINESS).limit,
            whole: limits.of_clock(Clock::ROLLOUT).limit,
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

#[cfg(test)]
#[path = "messages_test.rs"]
mod tests;
