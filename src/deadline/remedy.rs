//! What to do now, if anything.

use jiff::Timestamp;

use super::{
    judge::{Judgement, State},
    limits::Limits,
    observe::Observation,
    stamp::{Breach, Stamp},
    verdict::{Outcome, RemedyName},
};
use crate::{
    flagger::{phase::Phase, workload::Kind},
    policy::canary_policy::{Action, Enforcement},
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
}

/// Which levers make Flagger roll back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Levers {
    /// Raise the Canary's failed checks to the threshold (`docs/flagger.md#l2`).
    pub fail_checks: bool,
    /// Set the target Deployment's `Progressing` condition to `ProgressDeadlineExceeded` (`docs/flagger.md#l1`).
    pub exceed_deadline: bool,
}

/// What the judgement asks for.
#[must_use]
pub fn remedy(judgement: &Judgement, seen: &Observation, stamp: &Stamp, limits: &Limits, now: Timestamp) -> Remedy {
    let requested = requested(stamp);
    let State::Breached(breach) = judgement.state else {
        return match (requested, &seen.phase) {
            (false, _) => Remedy::None,
            (true, Phase::Failed) => Remedy::Confirm,
            (true, _) => Remedy::Withdraw,
        };
    };
    let Some(levers) = levers(seen) else {
        return Remedy::Report(breach);
    };
    match (limits.mode, limits.readiness_action) {
        (Enforcement::Enforce, Action::RollBack) => {}
        (Enforcement::Report | Enforcement::Off, _) | (_, Action::Hold | Action::Report | Action::Off) => {
            return if requested {
                Remedy::Withdraw
            } else {
                Remedy::Report(breach)
            };
        }
    }
    if !seen.synced {
        return if requested {
            Remedy::Withdraw
        } else {
            Remedy::Withhold(breach, Withheld::FixPushed)
        };
    }
    let unproven_until = stamp.rollout.as_ref().and_then(|rollout| rollout.unproven_until);
    if let Some(until) = unproven_until.filter(|until| now < *until) {
        return Remedy::Withhold(breach, Withheld::Unproven(until));
    }
    Remedy::RollBack(breach, levers)
}

/// Whether Flagger was handed a verdict on the rollout that the stamp is about, and it is not yet known what came of it.
///
/// Without a rollout the stamp was recalled from a Canary that had ended it meanwhile.
#[must_use]
pub fn requested(stamp: &Stamp) -> bool {
    stamp.verdict.as_ref().is_some_and(|verdict| {
        verdict.remedy == RemedyName::Rollback
            && verdict.result == Outcome::Requested
            && stamp
                .rollout
                .as_ref()
                .is_none_or(|rollout| verdict.at >= rollout.promoted_since)
    })
}

/// The levers that work on this target (`docs/design.md#remedies`).
fn levers(seen: &Observation) -> Option<Levers> {
    match seen.kind {
        // With L2 alone Flagger acts only on ready pods, with L1 alone the team's alert is never sent.
        Some(Kind::Deployment) => Some(Levers {
            fail_checks: !seen.skip_analysis,
            exceed_deadline: true,
        }),
        Some(Kind::DaemonSet) | None => None,
    }
}
