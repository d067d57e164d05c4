//! What to do now, if anything.

use jiff::Timestamp;

use super::{
    conditions::Inputs,
    evaluate::{Evaluation, RolloutState},
};
use crate::rollout::{
    Clock, Stage,
    breach::Breach,
    guard::Guard,
    levers::{Levers, TargetLever},
    observation::{HookWindow, Observation, TargetState},
    remedy::Remedy,
    revision::Revision,
    stage::Done,
    stamp::{Stamp, requested},
    verdict::{Outcome, RemedyName},
    workload_kind::WorkloadKind,
};

/// What the evaluation asks to be done. What it only asks to be told stands in [`Evaluation::reports`].
#[must_use]
pub fn remedy(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
    let wanted = wanted(evaluation, inputs, stamp, now);
    let Inputs { conditions, .. } = inputs;
    let requested = requested(stamp);
    let waits_for_news = match wanted {
        // What was requested already is finished.
        Remedy::RollBack(..) | Remedy::Report(_) => !requested,
        Remedy::LastResort(_) => true,
        Remedy::None => !evaluation.reports.is_empty(),
        // What protects or ends does not wait.
        Remedy::Withhold(..)
        | Remedy::Await(_)
        | Remedy::Hold(_)
        | Remedy::FinishLastResort
        | Remedy::Withdraw
        | Remedy::Confirm => false,
    };
    if let Some(until) = conditions.news_until(now).filter(|_| waits_for_news) {
        return Remedy::Await(until);
    }
    match wanted {
        Remedy::RollBack(breach, _) if !requested && let Some(guard) = conditions.against_rollback() => {
            Remedy::Withhold(breach, guard)
        }
        Remedy::Hold(breach) if let Some(doubt) = conditions.doubt() => Remedy::Withhold(breach, doubt),
        Remedy::LastResort(_) if let Some(until) = conditions.doubt_until(now) => Remedy::Await(until),
        wanted => wanted,
    }
}

/// What the rollout itself asks for, whatever the conditions.
fn wanted(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
    let Inputs {
        observation: seen,
        limits: _,
        conditions,
    } = *inputs;
    // A lever without a verdict was left by a process that was ended between the two. It is bound to nothing
    // (docs/flagger.md#l9): unless the rollout has breached, it would fail whatever comes next.
    let orphaned = seen.running && seen.lever_stands;
    let requested = requested(stamp) || left_over(seen, stamp) || orphaned;
    match (evaluation.state, requested) {
        (RolloutState::Breached(breach), true)
            if wants_evidence(evaluation, inputs, stamp, now)
                && conditions.flagger.down
                && conditions.flagger.routes_on_primary =>
        {
            Remedy::LastResort(breach)
        }
        (RolloutState::Breached(breach), requested) => {
            let wanted = roll_back(breach, seen, stamp, now);
            match wanted {
                Remedy::RollBack(..) | Remedy::None => wanted,
                _ if requested => Remedy::Withdraw,
                wanted => wanted,
            }
        }
        (_, true) if seen.ended_by_us => Remedy::FinishLastResort,
        (_, true) if seen.stage == Stage::Done(Done::RolledBack) => Remedy::Confirm,
        (_, true) => Remedy::Withdraw,
        (RolloutState::Holding(breach), false) => Remedy::Hold(breach),
        (RolloutState::Idle | RolloutState::Running | RolloutState::Paused, false) => Remedy::None,
    }
}

/// Whether the last resort is due if Flagger turns out to be down and the routes untouched, so that the evidence for
/// that is worth looking for.
///
/// It is due when Flagger was handed the verdict a whole silence ago and has not moved since, no traffic was ever moved,
/// the primary serves, and nothing else would scale the target up again.
#[must_use]
pub fn wants_evidence(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> bool {
    let Inputs {
        observation: seen,
        limits,
        conditions: _,
    } = *inputs;
    let (RolloutState::Breached(_), Some(silence)) = (evaluation.state, limits.of_clock(Clock::SILENCE).limit) else {
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
        && seen.stage == Stage::Progressing
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
        return Remedy::Withhold(breach, Guard::FixPushed(until.unwrap_or(now)));
    }
    let unproven_until = stamp.rollout.as_ref().and_then(|rollout| rollout.unproven_until);
    if let Some(until) = unproven_until.filter(|until| now < *until) {
        return Remedy::Withhold(breach, Guard::Unproven(until));
    }
    if seen.controllers_behind && breach.clock == Clock::READINESS && !requested(stamp) {
        return Remedy::Withhold(breach, Guard::ControllersBehind);
    }
    match seen.target {
        TargetState::Ready | TargetState::Unready | TargetState::Growing(_) => Remedy::RollBack(breach, levers),
        // What was handed over already stays: taking it back for a moment would only delay the end.
        _ if requested(stamp) => Remedy::RollBack(breach, levers),
        TargetState::Unobserved | TargetState::Paused | TargetState::PrimaryNotReady | TargetState::Missing => {
            Remedy::Withhold(breach, Guard::NotLooking(seen.target))
        }
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
    let about_pods = matches!(breach.clock, Clock::READINESS | Clock::CRASHES);
    let target = match seen.kind {
        // Pods that are ready at this moment may not be at the next check: both levers together work either way.
        Some(WorkloadKind::Deployment) if about_pods || seen.target != TargetState::Ready => {
            if seen.no_deadline {
                return None;
            }
            TargetLever::ExceedDeadline
        }
        Some(WorkloadKind::DaemonSet) if about_pods || seen.target != TargetState::Ready => {
            TargetLever::BackdateTransition
        }
        Some(WorkloadKind::Deployment | WorkloadKind::DaemonSet) => TargetLever::None,
        None if seen.service => TargetLever::None,
        None => return None,
    };
    // What a held check does after the lever is put there, the lever must not meet: in `Promoting` it is honoured too
    // (docs/flagger.md#l9). One that stands already was there before the check began.
    let target = match (target, seen.hook_window) {
        (TargetLever::ExceedDeadline, _) if seen.lever_stands => target,
        (TargetLever::ExceedDeadline | TargetLever::BackdateTransition, HookWindow::Until(end)) if now < end => {
            TargetLever::Later(Some(end))
        }
        (TargetLever::ExceedDeadline | TargetLever::BackdateTransition, HookWindow::May) => TargetLever::Later(None),
        (target, HookWindow::None | HookWindow::Until(_) | HookWindow::May) => target,
    };
    (fail_checks || target != TargetLever::None).then_some(Levers { fail_checks, target })
}
