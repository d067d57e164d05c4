//! What to do now, if anything.

use jiff::Timestamp;

use super::{
    Clock,
    judge::{Judgement, State},
    limits::Limits,
    observe::{Observation, TargetSeen},
    stamp::{Breach, Stamp},
    verdict::{Outcome, RemedyName},
};
use crate::{
    flagger::{phase::Phase, workload::Kind},
    policy::canary_policy::Enforcement,
};

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
    /// Take the verdict back: its reason is gone.
    Withdraw,
    /// Flagger rolled back.
    Confirm,
}

/// Why a breach is not acted upon yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Withheld {
    /// The live template is not the one that Flagger took up: a fix was pushed, and Flagger will look at it.
    FixPushed,
    /// The rollout was found running; until this moment Flagger may still take up another template.
    Unproven(Timestamp),
    /// Flagger does not look at the canary now, and would find the verdict when all may be well again.
    NotLooking(TargetSeen),
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
}

/// What the judgement asks to be done. What it only asks to be told stands in [`Judgement::reports`].
#[must_use]
pub fn remedy(judgement: &Judgement, seen: &Observation, stamp: &Stamp, limits: &Limits, now: Timestamp) -> Remedy {
    let requested = requested(stamp);
    match (judgement.state, requested) {
        (State::Breached(breach), requested) => {
            let wanted = roll_back(breach, seen, stamp, limits, now);
            match wanted {
                Remedy::RollBack(..) => wanted,
                _ if requested => Remedy::Withdraw,
                wanted => wanted,
            }
        }
        (_, true) if seen.phase == Phase::Failed => Remedy::Confirm,
        (_, true) => Remedy::Withdraw,
        (State::Holding(breach), false) if limits.mode == Enforcement::Enforce => Remedy::Hold(breach),
        (State::Holding(breach), false) => Remedy::Report(breach),
        (State::Idle | State::Running | State::Frozen, false) => Remedy::None,
    }
}

fn roll_back(breach: Breach, seen: &Observation, stamp: &Stamp, limits: &Limits, now: Timestamp) -> Remedy {
    let levers = levers(breach, seen).filter(|_| limits.mode == Enforcement::Enforce);
    let Some(levers) = levers else {
        return Remedy::Report(breach);
    };
    if !seen.synced && !seen.service {
        return Remedy::Withhold(breach, Withheld::FixPushed);
    }
    let unproven_until = stamp.rollout.as_ref().and_then(|rollout| rollout.unproven_until);
    if let Some(until) = unproven_until.filter(|until| now < *until) {
        return Remedy::Withhold(breach, Withheld::Unproven(until));
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

/// Whether Flagger was handed a verdict on the rollout that the stamp is about, and has not yet reacted.
#[must_use]
pub fn requested(stamp: &Stamp) -> bool {
    match (&stamp.verdict, &stamp.rollout) {
        (Some(verdict), Some(rollout)) => {
            verdict.remedy == RemedyName::Rollback
                && verdict.result == Outcome::Requested
                && verdict.at >= rollout.promoted_since
        }
        _ => false,
    }
}

/// The levers that work on this target now (`docs/design.md#remedies`); none if nothing does.
fn levers(breach: Breach, seen: &Observation) -> Option<Levers> {
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
    (fail_checks || target != TargetLever::None).then_some(Levers { fail_checks, target })
}
