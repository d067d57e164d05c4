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
        verdict::{Outcome, RemedyName, Ruling, Verdict},
        write::Write,
    },
};

/// Does what the evaluation on fresh objects asks for. Answers whether anything was written.
pub(super) async fn act_on_remedy(
    context: &Context,
    fresh: &Snapshot,
    reconciliation: &Reconciliation,
    state: &mut CanaryState,
) -> Result<bool, Error> {
    // The fresh reads took their time.
    context.cluster.gate.check()?;
    if let Remedy::Await(until) = reconciliation.remedy {
        let (namespace, name) = (fresh.canary.namespace(), fresh.canary.name());
        tracing::info!(namespace, name, %until, "waiting: what is seen may not be all that happened");
        state.pace.restrain(until);
        return Ok(false);
    }
    let acting = Acting {
        context,
        fresh,
        now: reconciliation.at,
    };
    let mut wrote = false;
    for breach in &reconciliation.evaluation.reports {
        wrote |= acting.report(*breach, state);
    }
    wrote |= match &reconciliation.remedy {
        Remedy::None | Remedy::Await(_) => false,
        Remedy::Report(breach) => acting.report(*breach, state),
        Remedy::Withhold(breach, guard) => {
            state.pace.held_back_by(*guard, acting.now);
            let remedy = match breach.clock {
                Clock::INITIALIZATION => RemedyName::Hold,
                _ => RemedyName::Rollback,
            };
            acting.withhold(*breach, remedy, *guard, state)
        }
        Remedy::RollBack(breach, _) => {
            let plan = acting.plan(&reconciliation.remedy, state);
            let done = acting.roll_back(*breach, &plan, state).await;
            if done.as_ref().is_err_and(Error::is_forbidden) {
                acting.forbidden(reconciliation, *breach, state);
            }
            done?
        }
        Remedy::Hold(breach) => acting.hold(*breach, state).await?,
        Remedy::LastResort(breach) => acting.last_resort(*breach, state).await?,
        Remedy::FinishLastResort => acting.finish_last_resort(state).await?,
        Remedy::Withdraw => acting.withdraw(state).await?,
        Remedy::Confirm => acting.confirm(state),
    };
    Ok(wrote)
}

/// Acting on what was freshly read.
struct Acting<'a> {
    context: &'a Context,
    fresh: &'a Snapshot,
    /// When it was read.
    now: Timestamp,
}

// === impl Acting ===

impl Acting<'_> {
    fn plan(&self, remedy: &Remedy, state: &CanaryState) -> Vec<Write> {
        plan(remedy, self.fresh, state.saved.as_ref(), self.now)
    }

    /// What is there after something was written.
    async fn read_again(&self, state: &CanaryState) -> Result<Snapshot, Error> {
        read(&self.context.cluster, &self.fresh.canary, state.saved.as_ref()).await
    }

    /// Acting on what was read again, at this moment.
    fn on<'a>(&'a self, fresh: &'a Snapshot) -> Acting<'a> {
        Acting {
            context: self.context,
            fresh,
            now: self.context.cluster.now(),
        }
    }

    /// Tells once that a lever may not be written. What is in place already stays: it is true, and the rest is tried again.
    fn forbidden(&self, reconciliation: &Reconciliation, breach: Breach, state: &mut CanaryState) {
        let why = Guard::Forbidden;
        if let Remedy::Withhold(breach, why) = reconciliation.if_forbidden(&state.stamp) {
            self.withhold(breach, RemedyName::Rollback, why, state);
        } else if !state.notified.is_withheld(breach.clock, why) {
            state.notified.withheld(breach.clock, why);
            state.say(EventReason::ActionWithheld, exceeded(&breach, &withheld(why)));
        }
    }

    /// Tells once that a deadline has passed and why nothing is done about it.
    fn withhold(&self, breach: Breach, remedy: RemedyName, why: Guard, state: &mut CanaryState) -> bool {
        if state.notified.is_withheld(breach.clock, why) {
            return false;
        }
        state.notified.withheld(breach.clock, why);
        state.count(&self.context.metrics, breach.clock);
        self.context.metrics.acted(breach.clock, remedy, Outcome::Withheld);
        let reason = withheld(why);
        state.give_verdict(ruling(breach, remedy, Outcome::Withheld, &reason), self.now);
        state.say(EventReason::ActionWithheld, exceeded(&breach, &reason));
        true
    }

    /// Tells of a deadline that has passed, once.
    fn report(&self, breach: Breach, state: &mut CanaryState) -> bool {
        if state.is_reported(&breach) {
            return false;
        }
        let reason = why(self.fresh.objects(), breach.clock);
        state.notified.reported(breach.clock);
        state.count(&self.context.metrics, breach.clock);
        self.context
            .metrics
            .acted(breach.clock, RemedyName::Report, Outcome::Reported);
        state.give_verdict(ruling(breach, RemedyName::Report, Outcome::Reported, &reason), self.now);
        state.say(reason_of(breach.clock), exceeded(&breach, &reason));
        true
    }

    fn confirm(&self, state: &mut CanaryState) -> bool {
        state.settled();
        let Some(verdict) = &mut state.stamp.verdict else {
            return false;
        };
        verdict.result = Outcome::Confirmed;
        self.context
            .metrics
            .acted(verdict.clock, verdict.remedy, Outcome::Confirmed);
        let note = rolled_back(verdict, &self.fresh.canary.status.last_applied_spec);
        state.say(EventReason::RollbackConfirmed, note);
        true
    }

    /// Gives an initialization more time; tells of it once a minute at most.
    async fn hold(&self, breach: Breach, state: &mut CanaryState) -> Result<bool, Error> {
        let plan = self.plan(&Remedy::Hold(breach), state);
        apply(self.context, &plan, &mut state.saved).await.result?;
        let news = state.notified.held();
        if news == HoldNews::Told {
            return Ok(true);
        }
        if news == HoldNews::First {
            state.count(&self.context.metrics, breach.clock);
            self.context
                .metrics
                .acted(breach.clock, RemedyName::Hold, Outcome::Held);
        }
        let reason = held(self.fresh.objects());
        state.give_verdict(ruling(breach, RemedyName::Hold, Outcome::Held, &reason), self.now);
        let note = format!("gave the initialization more time: {reason}");
        state.say(EventReason::InitializationExtended, note);
        Ok(true)
    }

    async fn roll_back(&self, breach: Breach, plan: &[Write], state: &mut CanaryState) -> Result<bool, Error> {
        let reason = why(self.fresh.objects(), breach.clock);
        state.latch(breach);
        state.pace.released();
        let Applied { first, result } = apply(self.context, plan, &mut state.saved).await;
        let has_moved_on = match result {
            Ok(()) if first.is_some() => read_canary(&self.context.cluster, &self.fresh.canary)
                .await
                .map(|after| moved_on(&self.fresh.canary, &after)),
            result => result.map(|()| false),
        };
        state.pace.asserted(&has_moved_on, self.fresh.is_target_ready());
        // Whatever of it got there, by this request or by one whose answer was lost, Flagger has been told something: that
        // must not be forgotten.
        let is_handed_over = first.is_some() || matches!(has_moved_on, Ok(false));
        if is_handed_over && !requested(&state.stamp) {
            let first = first.unwrap_or(self.now);
            state.give_verdict(
                ruling(breach, RemedyName::Rollback, Outcome::Requested, &reason),
                self.now,
            );
            state.count(&self.context.metrics, breach.clock);
            self.context
                .metrics
                .acted(breach.clock, RemedyName::Rollback, Outcome::Requested);
            // Of an exit it is only known to the second when it was.
            if breach.clock != Clock::CRASHES {
                self.context.metrics.lagged(first.duration_since(breach.deadline));
            }
            let note = exceeded(&breach, &reason);
            state.say(reason_of(breach.clock), note);
            let note = format!("handed Flagger the verdict; it rolls back when it next looks. {reason}");
            state.say(EventReason::RollbackRequested, note);
        }
        if has_moved_on? {
            let after = self.read_again(state).await?;
            return self.on(&after).withdraw(state).await;
        }
        Ok(first.is_some())
    }

    /// Ends a rollout in Flagger's place.
    async fn last_resort(&self, breach: Breach, state: &mut CanaryState) -> Result<bool, Error> {
        let reason = why(self.fresh.objects(), breach.clock);
        let plan = self.plan(&Remedy::LastResort(breach), state);
        apply(self.context, &plan, &mut state.saved).await.result?;
        state.give_verdict(
            ruling(breach, RemedyName::LastResort, Outcome::Requested, &reason),
            self.now,
        );
        let note = format!("Flagger is down and did not react: ended the rollout in its place. {reason}");
        state.say(EventReason::LastResort, note);
        // Should anything fail from here on, it is done at the next reconciliation, which finds the phase that was written.
        let after = self.read_again(state).await?;
        if after.canary.status.phase == Phase::Failed {
            self.on(&after).finish_last_resort(state).await?;
        }
        Ok(true)
    }

    async fn finish_last_resort(&self, state: &mut CanaryState) -> Result<bool, Error> {
        let plan = self.plan(&Remedy::FinishLastResort, state);
        apply(self.context, &plan, &mut state.saved).await.result?;
        state.settled();
        if let Some(verdict) = &mut state.stamp.verdict {
            // The answer to the write of the phase may have been lost, and the verdict with it.
            verdict.remedy = RemedyName::LastResort;
            verdict.result = Outcome::Confirmed;
            self.context
                .metrics
                .acted(verdict.clock, verdict.remedy, Outcome::Confirmed);
        }
        Ok(true)
    }

    async fn withdraw(&self, state: &mut CanaryState) -> Result<bool, Error> {
        let plan = self.plan(&Remedy::Withdraw, state);
        apply(self.context, &plan, &mut state.saved).await.result?;
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
            self.context
                .metrics
                .acted(verdict.clock, verdict.remedy, Outcome::Withheld);
        }
        let note = "took the verdict back: the rollout moved on or its limits changed";
        state.say(EventReason::ActionWithheld, note.to_owned());
        Ok(true)
    }
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

fn ruling(breach: Breach, remedy: RemedyName, result: Outcome, reason: &str) -> Ruling {
    Ruling {
        breach,
        remedy,
        result,
        reason: reason.to_owned(),
    }
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
