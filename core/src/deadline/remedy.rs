//! What to do now, if anything.

use jiff::{SignedDuration, Timestamp};

use super::{
    Clock,
    breaker::Cause,
    judge::{Judgement, State},
    limits::Limits,
    observe::{Hook, Observation, TargetSeen},
    revision::Revision,
    stamp::{Breach, Stamp},
    verdict::{Outcome, RemedyName},
};
use crate::flagger::{phase::Phase, workload::Kind};

/// What the message of our own condition on a target begins with, so that it can be told from Kubernetes' own.
pub const OURS: &str = "Curfew: ";

/// What to do about a Canary now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Nothing.
    None,
    /// Tell that a deadline has passed, and leave it at that.
    Report(Breach),
    /// A deadline has passed, but this is not the moment to act.
    Withhold(Breach, Withheld),
    /// Hand Flagger the verdict, and hand it over again until the phase moves.
    RollBack(Breach, Levers),
    /// Give the adoption more time, before Flagger takes the live workload away.
    Hold(Breach),
    /// End the rollout in Flagger's place: it was handed the verdict, and it is down.
    LastResort(Breach),
    /// Scale the target of a rollout that the last resort failed to zero, where that is left to do.
    FinishLastResort,
    /// Take the verdict back: its reason is gone.
    Withdraw,
    /// Flagger rolled back.
    Confirm,
}

/// Why a breach is not acted upon yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Withheld {
    /// The live template is not the one that Flagger took up: a fix was pushed, and until this moment Flagger may
    /// take it up.
    FixPushed(Timestamp),
    /// The rollout was found running; until this moment Flagger may still take up another template.
    Unproven(Timestamp),
    /// Flagger does not look at the canary now, and would find the verdict when all may be well again.
    NotLooking(TargetSeen),
    /// The target's pods cannot be looked at.
    Blind,
    /// What Flagger reads may not be written.
    Forbidden,
    /// By its pods the target is ready, but its controller does not say so.
    ControllersBehind,
    /// Our clock and the API server's are this far apart.
    Skewed(SignedDuration),
    /// A watch has been silent for so long.
    Stale(SignedDuration),
    /// The breaker is open, until this moment at the least; why, unless not every rollout was looked at yet.
    Breaker(Timestamp, Option<Cause>),
}

/// A reason to withhold, whatever its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WithheldKind {
    /// A fix was pushed.
    FixPushed,
    /// The rollout was found running.
    Unproven,
    /// Flagger does not look at the canary.
    NotLooking,
    /// The pods cannot be looked at.
    Blind,
    /// What Flagger reads may not be written.
    Forbidden,
    /// The controller does not keep up.
    ControllersBehind,
    /// Nobody knows what time it is.
    Skewed,
    /// A watch is silent.
    Stale,
    /// The breaker is open.
    Breaker,
}

/// Which levers make Flagger roll back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Levers {
    /// Raise the Canary's failed checks to the threshold (`docs/flagger.md#l2`).
    pub fail_checks: bool,
    /// What is done to the target's own clock.
    pub target: TargetLever,
}

/// How Flagger is told that the target's deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetLever {
    /// Not at all: the pods are ready, and the failed checks suffice.
    None,
    /// Set the Deployment's `Progressing` condition to `ProgressDeadlineExceeded` (`docs/flagger.md#l1`).
    ExceedDeadline,
    /// Set the Canary's `lastTransitionTime` back, from which Flagger counts for a `DaemonSet` (`docs/flagger.md#l6`).
    BackdateTransition,
    /// Not yet: a look that a hook holds may still promote, and would find the lever afterwards. After this moment, if it
    /// is known.
    Later(Option<Timestamp>),
}

/// What the judgement asks to be done. What it only asks to be told stands in [`Judgement::reports`].
#[must_use]
pub fn remedy(judgement: &Judgement, seen: &Observation, stamp: &Stamp, limits: &Limits, now: Timestamp) -> Remedy {
    // A lever without a verdict was left by a process that was ended between the two. It is bound to nothing
    // (docs/flagger.md#l9): unless the rollout has breached, it would fail whatever comes next.
    let orphaned = seen.running && seen.lever_stands;
    let requested = requested(stamp) || left_over(seen, stamp) || orphaned;
    match (judgement.state, requested) {
        (State::Breached(breach), true)
            if wants_evidence(judgement, seen, stamp, limits, now)
                && seen.surroundings.flagger_down
                && seen.surroundings.routes_on_primary =>
        {
            Remedy::LastResort(breach)
        }
        (State::Breached(breach), requested) => {
            let wanted = roll_back(breach, seen, stamp, now);
            match wanted {
                Remedy::RollBack(..) | Remedy::None => wanted,
                _ if requested => Remedy::Withdraw,
                wanted => wanted,
            }
        }
        (_, true) if seen.ended_by_us => Remedy::FinishLastResort,
        (_, true) if seen.phase == Phase::Failed => Remedy::Confirm,
        (_, true) => Remedy::Withdraw,
        (State::Holding(breach), false) => Remedy::Hold(breach),
        (State::Idle | State::Running | State::Frozen, false) => Remedy::None,
    }
}

/// Whether the last resort is due if Flagger turns out to be down and the routes untouched, so that the evidence for
/// that is worth looking for.
///
/// It is due when Flagger was handed the verdict a whole silence ago and has not moved since, no traffic was ever moved,
/// the primary serves, and nothing else would scale the target up again.
#[must_use]
pub fn wants_evidence(
    judgement: &Judgement,
    seen: &Observation,
    stamp: &Stamp,
    limits: &Limits,
    now: Timestamp,
) -> bool {
    let (State::Breached(_), Some(silence)) = (judgement.state, limits.silence.limit) else {
        return false;
    };
    let silent_since = |moment: Option<Timestamp>| {
        moment
            .and_then(|moment| moment.checked_add(silence).ok())
            .is_some_and(|end| now >= end)
    };
    // Of a rollout that was found running nobody knows which template Flagger took up.
    let rollout = stamp.rollout.as_ref();
    let is_proven = rollout.is_some_and(|rollout| rollout.unproven_until.is_none());
    limits.last_resort
        && requested(stamp)
        && silent_since(stamp.verdict.as_ref().map(|verdict| verdict.at))
        && silent_since(seen.last_sign)
        && seen.phase == Phase::Progressing
        && seen.is_live()
        && seen.synced
        && is_proven
        && seen.untouched
        && seen.primary_ready
        && !seen.scaled_object
        && seen.kind.is_some()
}

fn roll_back(breach: Breach, seen: &Observation, stamp: &Stamp, now: Timestamp) -> Remedy {
    let Some(levers) = levers(breach, seen, now) else {
        // A target that is gone for a moment is no reason to forget what was handed over.
        return if requested(stamp) {
            Remedy::None
        } else {
            Remedy::Report(breach)
        };
    };
    if !seen.synced && !seen.service {
        let until = stamp.rollout.as_ref().and_then(|rollout| rollout.unsynced_until);
        return Remedy::Withhold(breach, Withheld::FixPushed(until.unwrap_or(now)));
    }
    let unproven_until = stamp.rollout.as_ref().and_then(|rollout| rollout.unproven_until);
    if let Some(until) = unproven_until.filter(|until| now < *until) {
        return Remedy::Withhold(breach, Withheld::Unproven(until));
    }
    if seen.controllers_behind && breach.clock == Clock::Readiness && !requested(stamp) {
        return Remedy::Withhold(breach, Withheld::ControllersBehind);
    }
    match seen.target {
        TargetSeen::Ready | TargetSeen::Unready | TargetSeen::Growing(_) => Remedy::RollBack(breach, levers),
        // What was handed over already stays: taking it back for a moment would only delay the end.
        _ if requested(stamp) => Remedy::RollBack(breach, levers),
        TargetSeen::Unobserved | TargetSeen::Paused | TargetSeen::PrimaryNotReady | TargetSeen::Missing => {
            Remedy::Withhold(breach, Withheld::NotLooking(seen.target))
        }
    }
}

// === impl Levers ===

impl Levers {
    /// From when on the target's lever may be pulled, if that is later.
    #[must_use]
    pub const fn later(self) -> Option<Timestamp> {
        match self.target {
            TargetLever::Later(until) => until,
            TargetLever::None | TargetLever::ExceedDeadline | TargetLever::BackdateTransition => None,
        }
    }
}

// === impl Withheld ===

impl Withheld {
    /// The reason alone.
    #[must_use]
    pub const fn kind(self) -> WithheldKind {
        match self {
            Self::FixPushed(_) => WithheldKind::FixPushed,
            Self::Unproven(_) => WithheldKind::Unproven,
            Self::NotLooking(_) => WithheldKind::NotLooking,
            Self::Blind => WithheldKind::Blind,
            Self::Forbidden => WithheldKind::Forbidden,
            Self::ControllersBehind => WithheldKind::ControllersBehind,
            Self::Skewed(_) => WithheldKind::Skewed,
            Self::Stale(_) => WithheldKind::Stale,
            Self::Breaker(..) => WithheldKind::Breaker,
        }
    }

    /// The moment from which it does not hold any more, if that is known.
    #[must_use]
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::FixPushed(until) | Self::Unproven(until) | Self::Breaker(until, _) => Some(until),
            Self::NotLooking(_)
            | Self::Blind
            | Self::Forbidden
            | Self::ControllersBehind
            | Self::Skewed(_)
            | Self::Stale(_) => None,
        }
    }
}

/// Whether Flagger was handed a verdict on the rollout that the stamp is about, and has not yet reacted.
#[must_use]
pub fn requested(stamp: &Stamp) -> bool {
    match (&stamp.verdict, &stamp.rollout) {
        (Some(verdict), Some(rollout)) => {
            matches!(verdict.remedy, RemedyName::Rollback | RemedyName::LastResort)
                && verdict.result == Outcome::Requested
                // A start in the future is some other machine's clock.
                && verdict.at >= rollout.promoted_since.min(rollout.started_at)
        }
        _ => false,
    }
}

/// Whether Flagger was handed a verdict whose rollout ended while nobody looked.
fn left_over(seen: &Observation, stamp: &Stamp) -> bool {
    let asked = stamp
        .verdict
        .as_ref()
        .filter(|_| stamp.rollout.is_none() && !seen.running);
    asked.is_some_and(|verdict| {
        matches!(verdict.remedy, RemedyName::Rollback | RemedyName::LastResort)
            && verdict.result == Outcome::Requested
            && Revision::is_applied(&verdict.revision, &seen.applied)
    })
}

/// The levers that work on this target now (`docs/design.md#remedies`); none if nothing does.
fn levers(breach: Breach, seen: &Observation, now: Timestamp) -> Option<Levers> {
    let fail_checks = !seen.skip_analysis;
    let about_pods = matches!(breach.clock, Clock::Readiness | Clock::Crashes);
    let target = match seen.kind {
        // Pods that are ready at this moment may not be at the next look: both levers together work either way.
        Some(Kind::Deployment) if about_pods || seen.target != TargetSeen::Ready => {
            if seen.no_deadline {
                return None;
            }
            TargetLever::ExceedDeadline
        }
        Some(Kind::DaemonSet) if about_pods || seen.target != TargetSeen::Ready => TargetLever::BackdateTransition,
        Some(Kind::Deployment | Kind::DaemonSet) => TargetLever::None,
        None if seen.service => TargetLever::None,
        None => return None,
    };
    // What a held look does after the lever is put there, the lever must not meet: in `Promoting` it is honoured too
    // (docs/flagger.md#l9). One that stands already was there before the look began.
    let target = match (target, seen.hook) {
        (TargetLever::ExceedDeadline, _) if seen.lever_stands => target,
        (TargetLever::ExceedDeadline | TargetLever::BackdateTransition, Hook::Until(end)) if now < end => {
            TargetLever::Later(Some(end))
        }
        (TargetLever::ExceedDeadline | TargetLever::BackdateTransition, Hook::May) => TargetLever::Later(None),
        (target, Hook::None | Hook::Until(_) | Hook::May) => target,
    };
    (fail_checks || target != TargetLever::None).then_some(Levers { fail_checks, target })
}
