//! Acting: what the evaluation on fresh objects asks for is done, told and remembered.

use jiff::Timestamp;

use super::{
    apply::{Applied, apply},
    context::Context,
    notified::HoldNews,
    reconciliation::Reconciliation,
    state::CanaryState,
};
use crate::{
    cluster::{
        Error,
        events::EventReason,
        snapshot::{read, read_canary},
    },
    deadline::messages::{exceeded, withheld},
    flagger::{
        phase::Phase,
        plan,
        reasons::{held, why},
        rollback_plan::moved_on,
        snapshot::Snapshot,
    },
    rollout::{
        Clock,
        breach::Breach,
        guard::Guard,
        remedy::Remedy,
        revision::Revision,
        stamp::requested,
        verdict::{Outcome, RemedyName, Verdict},
        write::Write,
    },
};

/// Does what the evaluation on fresh objects asks for. Answers whether anything was written.
pub(super) async fn act_on_remedy(
    context: &Context,
    fresh: &Snapshot,
    reconciliation: &Reconciliation,
    state: &mut CanaryState,
    now: Timestamp,
) -> Result<bool, Error> {
    // The fresh reads took their time.
    context.cluster.gate.check()?;
    if let Remedy::Await(until) = reconciliation.remedy {
        let (namespace, name) = (fresh.canary.namespace(), fresh.canary.name());
        tracing::info!(namespace, name, %until, "waiting: what is seen may not be all that happened");
        state.pace.restrain(until);
        return Ok(false);
    }
    let mut wrote = false;
    for breach in &reconciliation.evaluation.reports {
        wrote |= report(context, fresh, *breach, state, now);
    }
    wrote |= match reconciliation.remedy.clone() {
        Remedy::None | Remedy::Await(_) => false,
        Remedy::Report(breach) => report(context, fresh, breach, state, now),
        Remedy::Withhold(breach, guard) => {
            state.pace.held_back_by(guard, now);
            let remedy = match breach.clock {
                Clock::INITIALIZATION => RemedyName::Hold,
                _ => RemedyName::Rollback,
            };
            withhold(context, breach, remedy, guard, state, now)
        }
        Remedy::RollBack(breach, _) => {
            let plan = plan(&reconciliation.remedy, fresh, state.saved.as_ref(), now);
            let done = roll_back(context, fresh, breach, &plan, state, now).await;
            if done.as_ref().is_err_and(Error::is_forbidden) {
                forbidden(context, reconciliation, breach, state, now);
            }
            done?
        }
        Remedy::Hold(breach) => hold(context, fresh, breach, state, now).await?,
        Remedy::LastResort(breach) => last_resort(context, fresh, breach, state, now).await?,
        Remedy::FinishLastResort => finish_last_resort(context, fresh, state, now).await?,
        Remedy::Withdraw => {
            withdraw(context, fresh, state, now).await?;
            true
        }
        Remedy::Confirm => confirm(context, fresh, state),
    };
    Ok(wrote)
}

/// Tells once that a lever may not be written. What is in place already stays: it is true, and the rest is tried again.
fn forbidden(
    context: &Context,
    reconciliation: &Reconciliation,
    breach: Breach,
    state: &mut CanaryState,
    now: Timestamp,
) {
    let why = Guard::Forbidden;
    if let Remedy::Withhold(breach, why) = reconciliation.if_forbidden(&state.stamp, now) {
        withhold(context, breach, RemedyName::Rollback, why, state, now);
    } else if !state.notified.is_withheld(breach.clock, why) {
        state.notified.withheld(breach.clock, why);
        state.say(EventReason::ActionWithheld, exceeded(&breach, &withheld(why)));
    }
}

/// Tells once that a deadline has passed and why nothing is done about it.
fn withhold(
    context: &Context,
    breach: Breach,
    remedy: RemedyName,
    why: Guard,
    state: &mut CanaryState,
    now: Timestamp,
) -> bool {
    if state.notified.is_withheld(breach.clock, why) {
        return false;
    }
    state.notified.withheld(breach.clock, why);
    state.count(&context.metrics, breach.clock);
    context.metrics.acted(breach.clock, remedy, Outcome::Withheld);
    let reason = withheld(why);
    state.give_verdict(breach, remedy, Outcome::Withheld, &reason, now);
    state.say(EventReason::ActionWithheld, exceeded(&breach, &reason));
    true
}

/// Tells of a deadline that has passed, once.
fn report(context: &Context, fresh: &Snapshot, breach: Breach, state: &mut CanaryState, now: Timestamp) -> bool {
    if state.is_reported(&breach) {
        return false;
    }
    let reason = why(fresh.objects(), breach.clock);
    state.notified.reported(breach.clock);
    state.count(&context.metrics, breach.clock);
    context
        .metrics
        .acted(breach.clock, RemedyName::Report, Outcome::Reported);
    state.give_verdict(breach, RemedyName::Report, Outcome::Reported, &reason, now);
    state.say(reason_of(breach.clock), exceeded(&breach, &reason));
    true
}

fn confirm(context: &Context, fresh: &Snapshot, state: &mut CanaryState) -> bool {
    state.settled();
    let Some(verdict) = &mut state.stamp.verdict else {
        return false;
    };
    verdict.result = Outcome::Confirmed;
    context.metrics.acted(verdict.clock, verdict.remedy, Outcome::Confirmed);
    let note = rolled_back(verdict, &fresh.canary.status.last_applied_spec);
    state.say(EventReason::RollbackConfirmed, note);
    true
}

/// What is told of a rollback. A version that is pushed while Flagger rolls back is written down as the one that failed
/// (`docs/flagger.md#swallowed`).
fn rolled_back(verdict: &Verdict, applied: &str) -> String {
    let note = format!("Flagger rolled back after the verdict of {}", verdict.at);
    if Revision::is_applied(&verdict.revision, applied) {
        note
    } else {
        format!(
            "{note}. It wrote down a version as failed that was pushed meanwhile: if that is not rolled out, change the \
             template once more"
        )
    }
}

/// Gives an initialization more time; tells of it once a minute at most.
async fn hold(
    context: &Context,
    fresh: &Snapshot,
    breach: Breach,
    state: &mut CanaryState,
    now: Timestamp,
) -> Result<bool, Error> {
    let plan = plan(&Remedy::Hold(breach), fresh, state.saved.as_ref(), now);
    apply(context, &plan, &mut state.saved).await.result?;
    let news = state.notified.held();
    if news == HoldNews::Told {
        return Ok(true);
    }
    if news == HoldNews::First {
        state.count(&context.metrics, breach.clock);
        context.metrics.acted(breach.clock, RemedyName::Hold, Outcome::Held);
    }
    let reason = held(fresh.objects());
    state.give_verdict(breach, RemedyName::Hold, Outcome::Held, &reason, now);
    let note = format!("gave the initialization more time: {reason}");
    state.say(EventReason::InitializationExtended, note);
    Ok(true)
}

async fn roll_back(
    context: &Context,
    fresh: &Snapshot,
    breach: Breach,
    plan: &[Write],
    state: &mut CanaryState,
    now: Timestamp,
) -> Result<bool, Error> {
    let reason = why(fresh.objects(), breach.clock);
    state.latch(breach);
    state.pace.released();
    let Applied { first, result } = apply(context, plan, &mut state.saved).await;
    let has_moved_on = match result {
        Ok(()) if first.is_some() => read_canary(&context.cluster, &fresh.canary)
            .await
            .map(|after| moved_on(&fresh.canary, &after)),
        result => result.map(|()| false),
    };
    state.pace.asserted(&has_moved_on, fresh.is_target_ready());
    // Whatever of it got there, by this request or by one whose answer was lost, Flagger has been told something: that
    // must not be forgotten.
    let is_handed_over = first.is_some() || matches!(has_moved_on, Ok(false));
    if is_handed_over && !requested(&state.stamp) {
        let first = first.unwrap_or(now);
        state.give_verdict(breach, RemedyName::Rollback, Outcome::Requested, &reason, now);
        state.count(&context.metrics, breach.clock);
        context
            .metrics
            .acted(breach.clock, RemedyName::Rollback, Outcome::Requested);
        // Of an exit it is only known to the second when it was.
        if breach.clock != Clock::CRASHES {
            context.metrics.lagged(first.duration_since(breach.deadline));
        }
        let note = exceeded(&breach, &reason);
        state.say(reason_of(breach.clock), note);
        let note = format!("handed Flagger the verdict; it rolls back when it next looks. {reason}");
        state.say(EventReason::RollbackRequested, note);
    }
    if has_moved_on? {
        let fresh = read(&context.cluster, &fresh.canary, state.saved.as_ref()).await?;
        withdraw(context, &fresh, state, context.cluster.now()).await?;
        return Ok(true);
    }
    Ok(first.is_some())
}

/// Ends a rollout in Flagger's place.
async fn last_resort(
    context: &Context,
    fresh: &Snapshot,
    breach: Breach,
    state: &mut CanaryState,
    now: Timestamp,
) -> Result<bool, Error> {
    let reason = why(fresh.objects(), breach.clock);
    let plan = plan(&Remedy::LastResort(breach), fresh, state.saved.as_ref(), now);
    apply(context, &plan, &mut state.saved).await.result?;
    state.give_verdict(breach, RemedyName::LastResort, Outcome::Requested, &reason, now);
    let note = format!("Flagger is down and did not react: ended the rollout in its place. {reason}");
    state.say(EventReason::LastResort, note);
    // Should anything fail from here on, it is done at the next reconciliation, which finds the phase that was written.
    let fresh = read(&context.cluster, &fresh.canary, state.saved.as_ref()).await?;
    if fresh.canary.status.phase == Phase::Failed {
        finish_last_resort(context, &fresh, state, now).await?;
    }
    Ok(true)
}

async fn finish_last_resort(
    context: &Context,
    fresh: &Snapshot,
    state: &mut CanaryState,
    now: Timestamp,
) -> Result<bool, Error> {
    let plan = plan(&Remedy::FinishLastResort, fresh, state.saved.as_ref(), now);
    apply(context, &plan, &mut state.saved).await.result?;
    state.settled();
    if let Some(verdict) = &mut state.stamp.verdict {
        // The answer to the write of the phase may have been lost, and the verdict with it.
        verdict.remedy = RemedyName::LastResort;
        verdict.result = Outcome::Confirmed;
        context.metrics.acted(verdict.clock, verdict.remedy, Outcome::Confirmed);
    }
    Ok(true)
}

async fn withdraw(context: &Context, fresh: &Snapshot, state: &mut CanaryState, now: Timestamp) -> Result<(), Error> {
    let plan = plan(&Remedy::Withdraw, fresh, state.saved.as_ref(), now);
    apply(context, &plan, &mut state.saved).await.result?;
    state.settled();
    // Should its reason come back, it is a new breach.
    if let Some(rollout) = &mut state.stamp.rollout {
        rollout.breach = None;
    }
    // A lever that a killed process left behind has no verdict of its own: an older one stays what it was.
    if let Some(verdict) = &mut state.stamp.verdict
        && verdict.result == Outcome::Requested
    {
        verdict.result = Outcome::Withheld;
        context.metrics.acted(verdict.clock, verdict.remedy, Outcome::Withheld);
    }
    let note = "took the verdict back: the rollout moved on or its limits changed";
    state.say(EventReason::ActionWithheld, note.to_owned());
    Ok(())
}

fn reason_of(clock: Clock) -> EventReason {
    if clock == Clock::CRASHES {
        EventReason::CrashLimitExceeded
    } else {
        EventReason::DeadlineExceeded
    }
}

#[cfg(test)]
#[path = "act_on_remedy_test.rs"]
mod tests;
