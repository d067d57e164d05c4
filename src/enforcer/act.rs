//! Acting: what the judgement on fresh objects asks for is done, told and remembered.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{
    Context, Error,
    events::Topic,
    fresh::Fresh,
    levers::{self, Pulled},
    memory::Memory,
    reconcile::{Look, breaker_of},
    rollouts::Answer,
};
use crate::{
    deadline::{
        Clock,
        reason::{exceeded, held, why, withheld},
        remedy::{Levers, Remedy, Withheld, requested},
        revision::Revision,
        stamp::Breach,
        verdict::{Outcome, RemedyName, Verdict},
    },
    flagger::phase::Phase,
};

/// How long something that speaks against acting is believed to last.
const RESTRAINED: SignedDuration = SignedDuration::from_secs(10);

/// How long kubelets are given to tell what happened while the API server was gone: that pods got ready meanwhile, for
/// one. What they could not tell they try again once in so long (`syncPeriod` in `pkg/kubelet/status`). What a controller
/// tells later than that is not waited for, since the pods speak for themselves.
const NEWS: Duration = Duration::from_secs(10);

/// How often an adoption that is held is told of.
const HOLD_SELDOM: Duration = Duration::from_mins(1);

/// Does what the judgement on fresh objects asks for. Answers whether anything was written.
pub(super) async fn act(
    context: &Context,
    fresh: &Fresh,
    look: &Look,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<bool, Error> {
    // The fresh reads took their time.
    context.must_lead()?;
    if let Some(wait) = news_due(context).filter(|_| needs_news(look, memory)) {
        let (namespace, name) = (fresh.canary.namespace(), fresh.canary.name());
        tracing::info!(
            namespace,
            name,
            ?wait,
            "the API server was gone: waiting for what kubelets have to tell"
        );
        memory.restrained_until = now.checked_add(wait).ok();
        return Ok(false);
    }
    let mut wrote = false;
    for breach in &look.judgement.reports {
        wrote |= report(context, fresh, *breach, memory, now);
    }
    wrote |= match look.remedy.clone() {
        Remedy::None => false,
        Remedy::Report(breach) => report(context, fresh, breach, memory, now),
        Remedy::Withhold(breach, why) => withhold(context, breach, RemedyName::Rollback, why, memory, now),
        // Without the pods nobody can say why, and something is wrong that is not the rollout's fault.
        Remedy::RollBack(breach, _) if fresh.pods.is_none() && !requested(&memory.stamp) => {
            memory.pulled_at = Some(Instant::now());
            memory.refusals = memory.refusals.saturating_add(1);
            withhold(context, breach, RemedyName::Rollback, Withheld::Blind, memory, now)
        }
        Remedy::RollBack(breach, _) if let Some(why) = restraint(context, fresh, breach, memory, now) => {
            memory.restrained_until = retry_at(why, now);
            withhold(context, breach, RemedyName::Rollback, why, memory, now)
        }
        Remedy::Hold(breach) if let Some(why) = doubt(context) => {
            memory.restrained_until = retry_at(why, now);
            withhold(context, breach, RemedyName::Hold, why, memory, now)
        }
        Remedy::LastResort(_) if let Some(why) = doubt(context) => {
            memory.restrained_until = retry_at(why, now);
            false
        }
        Remedy::RollBack(breach, levers) => roll_back(context, fresh, breach, levers, memory, now).await?,
        Remedy::Hold(breach) => hold(context, fresh, breach, memory, now).await?,
        Remedy::LastResort(breach) => last_resort(context, fresh, breach, memory, now).await?,
        Remedy::FinishLastResort => finish_last_resort(context, fresh, memory).await?,
        Remedy::Withdraw => {
            withdraw(context, fresh, memory).await?;
            true
        }
        Remedy::Confirm => confirm(context, fresh, memory),
    };
    Ok(wrote)
}

/// What speaks against a rollback that is not about the rollout itself.
fn restraint(context: &Context, fresh: &Fresh, breach: Breach, memory: &Memory, now: Timestamp) -> Option<Withheld> {
    // What was handed over already is not taken back for it.
    if requested(&memory.stamp) {
        return None;
    }
    if let Some(why) = doubt(context) {
        return Some(why);
    }
    let canary = &fresh.canary;
    let (policy, settings) = breaker_of(context, canary);
    let answer = context
        .rollouts
        .ask(canary, &policy, settings, breach.deadline, &context.watches, now);
    match answer {
        Answer::Free => None,
        Answer::Held(until, cause) => Some(Withheld::Breaker(until, cause)),
    }
}

/// Whether what time it is, or what goes on, is in doubt.
fn doubt(context: &Context) -> Option<Withheld> {
    let skew = context.link.skew();
    if skew.is_too_much() {
        return Some(Withheld::Skewed(skew.offset()));
    }
    let (what, age) = context.link.stale_watch()?;
    tracing::warn!(what, ?age, "nothing is done while this watch is silent");
    Some(Withheld::Stale(
        SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX),
    ))
}

/// For how long it must still be waited for what happened while the API server was gone.
fn news_due(context: &Context) -> Option<Duration> {
    NEWS.checked_sub(context.link.back_for()?)
        .filter(|wait| !wait.is_zero())
}

/// Whether that may change what is done or told. An adoption is held at once, and what was begun is ended.
fn needs_news(look: &Look, memory: &Memory) -> bool {
    match look.remedy {
        Remedy::RollBack(..) | Remedy::Report(_) => !requested(&memory.stamp),
        Remedy::LastResort(_) => true,
        Remedy::None => look.judgement.reports.iter().any(|breach| !memory.is_reported(breach)),
        Remedy::Withhold(..) | Remedy::Hold(_) | Remedy::FinishLastResort | Remedy::Withdraw | Remedy::Confirm => false,
    }
}

fn retry_at(why: Withheld, now: Timestamp) -> Option<Timestamp> {
    why.until().or_else(|| now.checked_add(RESTRAINED).ok())
}

/// Tells once that a lever may not be written. What is in place already stays: it is true, and the rest is tried again.
fn forbidden(context: &Context, breach: Breach, memory: &mut Memory, now: Timestamp) {
    let why = Withheld::Forbidden;
    if !requested(&memory.stamp) {
        withhold(context, breach, RemedyName::Rollback, why, memory, now);
    } else if !memory.is_withheld(&breach, why) {
        memory.told.withheld = Some((breach.clock, why.kind()));
        memory.say(Topic::ActionWithheld, exceeded(&breach, &withheld(why)));
    }
}

/// Tells once that a deadline has passed and why nothing is done about it.
fn withhold(
    context: &Context,
    breach: Breach,
    remedy: RemedyName,
    why: Withheld,
    memory: &mut Memory,
    now: Timestamp,
) -> bool {
    if memory.is_withheld(&breach, why) {
        return false;
    }
    memory.told.withheld = Some((breach.clock, why.kind()));
    memory.count(context, breach.clock);
    context.metrics.acted(breach.clock, remedy, Outcome::Withheld);
    let reason = withheld(why);
    memory.give_verdict(breach, remedy, Outcome::Withheld, &reason, now);
    memory.say(Topic::ActionWithheld, exceeded(&breach, &reason));
    true
}

/// Tells of a deadline that has passed, once.
fn report(context: &Context, fresh: &Fresh, breach: Breach, memory: &mut Memory, now: Timestamp) -> bool {
    if memory.is_reported(&breach) {
        return false;
    }
    let reason = why(fresh.scene(), breach.clock);
    memory.told.reported.insert(breach.clock);
    memory.count(context, breach.clock);
    context
        .metrics
        .acted(breach.clock, RemedyName::Report, Outcome::Reported);
    memory.give_verdict(breach, RemedyName::Report, Outcome::Reported, &reason, now);
    memory.say(topic(breach.clock), exceeded(&breach, &reason));
    true
}

fn confirm(context: &Context, fresh: &Fresh, memory: &mut Memory) -> bool {
    memory.before = None;
    memory.refusals = 0;
    let Some(verdict) = &mut memory.stamp.verdict else {
        return false;
    };
    verdict.result = Outcome::Confirmed;
    context.metrics.acted(verdict.clock, verdict.remedy, Outcome::Confirmed);
    let note = rolled_back(verdict, &fresh.canary.status.last_applied_spec);
    memory.say(Topic::RollbackConfirmed, note);
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

/// Gives an adoption more time; tells of it once a minute at most.
async fn hold(
    context: &Context,
    fresh: &Fresh,
    breach: Breach,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<bool, Error> {
    levers::hold(context, fresh).await?;
    if memory.held_at.is_some_and(|held| held.elapsed() < HOLD_SELDOM) {
        return Ok(true);
    }
    if memory.held_at.is_none() {
        memory.count(context, breach.clock);
        context.metrics.acted(breach.clock, RemedyName::Hold, Outcome::Held);
    }
    memory.held_at = Some(Instant::now());
    let reason = held(fresh.scene());
    memory.give_verdict(breach, RemedyName::Hold, Outcome::Held, &reason, now);
    let note = format!("gave the adoption more time: {reason}");
    memory.say(Topic::AdoptionHeld, note);
    Ok(true)
}

async fn roll_back(
    context: &Context,
    fresh: &Fresh,
    breach: Breach,
    levers: Levers,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<bool, Error> {
    let reason = why(fresh.scene(), breach.clock);
    memory.latch(breach);
    memory.restrained_until = None;
    let mut first = None;
    let pulled = levers::pull(context, fresh, levers, &reason, &mut memory.before, &mut first).await;
    memory.asserted(&pulled);
    memory.pulled_when_ready = fresh.is_target_ready();
    // Whatever of it got there, by this request or by one whose answer was lost, Flagger has been told something: that
    // must not be forgotten.
    let is_told = first.is_some() || matches!(pulled, Ok(Pulled::InPlace));
    if is_told && !requested(&memory.stamp) {
        let first = first.unwrap_or(now);
        memory.give_verdict(breach, RemedyName::Rollback, Outcome::Requested, &reason, now);
        memory.count(context, breach.clock);
        context
            .metrics
            .acted(breach.clock, RemedyName::Rollback, Outcome::Requested);
        // Of an exit it is only known to the second when it was.
        if breach.clock != Clock::Crashes {
            context.metrics.lagged(first.duration_since(breach.deadline));
        }
        let note = exceeded(&breach, &reason);
        memory.say(topic(breach.clock), note);
        let note = format!("handed Flagger the verdict; it rolls back when it next looks. {reason}");
        memory.say(Topic::RollbackRequested, note);
    }
    if pulled.as_ref().is_err_and(Error::is_forbidden) {
        forbidden(context, breach, memory, now);
    }
    if pulled? == Pulled::MovedOn {
        let fresh = Fresh::read(context, &fresh.canary).await?;
        withdraw(context, &fresh, memory).await?;
        return Ok(true);
    }
    Ok(first.is_some())
}

/// Ends a rollout in Flagger's place. First the phase, then the replicas: the other way round Flagger would promote what
/// was scaled to zero (`docs/flagger.md#l4`).
async fn last_resort(
    context: &Context,
    fresh: &Fresh,
    breach: Breach,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<bool, Error> {
    let reason = why(fresh.scene(), breach.clock);
    // A phase without its end would be neither Flagger's rollback nor ours.
    levers::may_scale_to_zero(context, fresh).await?;
    levers::fail(context, fresh, &reason).await?;
    memory.give_verdict(breach, RemedyName::LastResort, Outcome::Requested, &reason, now);
    let note = format!("Flagger is down and did not react: ended the rollout in its place. {reason}");
    memory.say(Topic::LastResort, note);
    // Should anything fail from here on, it is done at the next look, which finds the phase that was written.
    let fresh = Fresh::read(context, &fresh.canary).await?;
    if fresh.canary.status.phase == Phase::Failed {
        finish_last_resort(context, &fresh, memory).await?;
    }
    Ok(true)
}

async fn finish_last_resort(context: &Context, fresh: &Fresh, memory: &mut Memory) -> Result<bool, Error> {
    levers::scale_to_zero(context, fresh).await?;
    memory.before = None;
    memory.refusals = 0;
    if let Some(verdict) = &mut memory.stamp.verdict {
        // The answer to the write of the phase may have been lost, and the verdict with it.
        verdict.remedy = RemedyName::LastResort;
        verdict.result = Outcome::Confirmed;
        context.metrics.acted(verdict.clock, verdict.remedy, Outcome::Confirmed);
    }
    Ok(true)
}

async fn withdraw(context: &Context, fresh: &Fresh, memory: &mut Memory) -> Result<(), Error> {
    levers::withdraw(context, fresh, memory.before.as_ref()).await?;
    memory.before = None;
    memory.refusals = 0;
    // Should its reason come back, it is a new breach.
    if let Some(rollout) = &mut memory.stamp.rollout {
        rollout.breach = None;
    }
    // A lever that a killed process left behind has no verdict of its own: an older one stays what it was.
    if let Some(verdict) = &mut memory.stamp.verdict
        && verdict.result == Outcome::Requested
    {
        verdict.result = Outcome::Withheld;
        context.metrics.acted(verdict.clock, verdict.remedy, Outcome::Withheld);
    }
    let note = "took the verdict back: the rollout moved on or its limits changed";
    memory.say(Topic::ActionWithheld, note.to_owned());
    Ok(())
}

fn topic(clock: Clock) -> Topic {
    if clock == Clock::Crashes {
        Topic::CrashLimitExceeded
    } else {
        Topic::DeadlineExceeded
    }
}

#[cfg(test)]
#[path = "act_test.rs"]
mod tests;
