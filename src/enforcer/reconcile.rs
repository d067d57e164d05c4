//! Looking after one Canary.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use kube::runtime::{controller::Action, reflector::ObjectRef};

use super::{
    Context, Error, clock,
    events::{Topic, tell},
    fresh::{self, Fresh},
    levers::{self, Pulled},
    memory::Memory,
    stamps,
};
use crate::{
    deadline::{
        judge,
        judge::{Judgement, Pending},
        limits::Limits,
        observe,
        observe::{Observation, Scene, TargetSeen},
        pods, remedy,
        remedy::{Levers, Remedy, Withheld, requested},
        stamp::{self, Breach, Stamp},
        verdict::{Outcome, RemedyName, Verdict},
    },
    flagger::{
        canary::Canary,
        effective::Effective,
        ready::{Readiness, readiness},
        workload::Workload,
    },
    policy::{Guard, Subject, canary_policy::Enforcement},
};

/// The longest time between two looks at a running rollout: time is compared, never slept through.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// When to try again while the caches fill.
const CACHES_SOON: Duration = Duration::from_millis(100);
/// How often a target's pods are listed at most.
const PODS_SELDOM: Duration = Duration::from_secs(2);
/// How often the levers are asserted again while Flagger does not react.
const REASSERT: Duration = Duration::from_secs(2);

/// How long a primary may be unready before it is told. Flagger makes it so itself when it promotes, a moment before
/// the phase says that it does.
const PRIMARY_PATIENCE: SignedDuration = SignedDuration::from_secs(5);

/// One look: what was seen, what the clocks say, and what to do.
struct Look {
    seen: Observation,
    stamp: Stamp,
    judgement: Judgement,
    remedy: Remedy,
}

/// Looks after a Canary; answers when to look again.
///
/// # Errors
/// The API server did not do what was asked; whatever was to be done is judged again from scratch.
pub async fn reconcile(canary: Arc<Canary>, context: Arc<Context>) -> Result<Action, Error> {
    if !context.watches.all_listed() {
        return Ok(Action::requeue(CACHES_SOON));
    }
    let now = clock::now();
    let mut memory = context.memories.take(&canary, now);
    let done = if memory.is_older_than_known(&canary) {
        Ok(Action::await_change())
    } else {
        look_after(&canary, &context, &mut memory, now).await
    };
    // A Canary that went away meanwhile was forgotten already.
    if context.watches.canaries.get(&ObjectRef::from_obj(&*canary)).is_some() {
        context.memories.keep(&canary, memory);
    }
    match done {
        Err(error) if error.is_gone() => Ok(Action::await_change()),
        done => done,
    }
}

async fn look_after(canary: &Canary, context: &Context, memory: &mut Memory, now: Timestamp) -> Result<Action, Error> {
    let limits = limits(context, canary, now);
    if limits.mode == Enforcement::Off && !requested(&memory.stamp) {
        return Ok(Action::await_change());
    }
    let cached = cached(canary, context);
    let (target, primary) = (cached.0.as_deref(), cached.1.as_deref());
    list_pods(canary, context, target, memory).await?;
    let scene = Scene {
        canary,
        target,
        primary,
        pods: memory.pods.as_ref().map(|(_, pods)| pods.as_slice()),
    };
    let mut look = Look::at(scene, &memory.stamp, &limits, now);

    let mut canary = canary.clone();
    if look.is_another_rollout(&memory.stamp) || !is_settled(&look.remedy, scene, memory, now) {
        let fresh = Fresh::read(context, &canary).await?;
        let now = clock::now();
        memory.saw(&fresh.canary);
        look = Look::at(fresh.scene(), &memory.stamp, &limits, now);
        memory.stamp = look.stamp.clone();
        let wrote = act(context, &fresh, &look, memory, now).await?;
        memory.pods = Some((Instant::now(), fresh.pods));
        // The levers may have changed it; a stamp with a stale precondition would only be refused.
        canary = if wrote {
            fresh::read_canary(context, &canary).await?
        } else {
            fresh.canary
        };
    } else {
        memory.stamp = look.stamp.clone();
    }
    announce(context, &canary, &look, memory, now).await;

    let pending = look
        .judgement
        .pending
        .map(|Pending { clock, deadline, .. }| (clock, deadline));
    let now = clock::now();
    let wait = stamps::write(context, &canary, memory, pending, now).await?;
    Ok(next_look(&look, memory, wait, now))
}

/// Does what the judgement on fresh objects asks for. Answers whether anything was written.
async fn act(
    context: &Context,
    fresh: &Fresh,
    look: &Look,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<bool, Error> {
    match look.remedy.clone() {
        Remedy::None => Ok(false),
        Remedy::Report(breach) => {
            if memory.is_reported(&breach) {
                return Ok(false);
            }
            memory.latch(breach);
            let reason = reason(fresh);
            context.metrics.breached(breach.clock);
            context
                .metrics
                .acted(breach.clock, RemedyName::Report, Outcome::Reported);
            memory.give_verdict(breach, RemedyName::Report, Outcome::Reported, &reason, now);
            tell(
                context,
                &fresh.canary,
                Topic::DeadlineExceeded,
                &exceeded(&breach, &reason),
            )
            .await;
            Ok(true)
        }
        Remedy::Withhold(breach, why) => {
            if memory.told.withheld != Some((breach, why)) {
                memory.told.withheld = Some((breach, why));
                let note = match why {
                    Withheld::FixPushed => {
                        "the pod template is not the one that this rollout began with; Flagger will look at the new one"
                    }
                    Withheld::Unproven(_) => {
                        "the rollout was found running; waiting one interval to be sure that Flagger saw its template"
                    }
                };
                tell(context, &fresh.canary, Topic::ActionWithheld, &exceeded(&breach, note)).await;
            }
            Ok(false)
        }
        Remedy::RollBack(breach, levers) => roll_back(context, fresh, breach, levers, memory, now).await,
        Remedy::Withdraw => {
            withdraw(context, fresh, memory).await?;
            Ok(true)
        }
        Remedy::Confirm => {
            memory.before = None;
            let Some(verdict) = &mut memory.stamp.verdict else {
                return Ok(false);
            };
            verdict.result = Outcome::Confirmed;
            context.metrics.acted(verdict.clock, verdict.remedy, Outcome::Confirmed);
            let note = format!("Flagger rolled back after the verdict of {}", verdict.at);
            tell(context, &fresh.canary, Topic::RollbackConfirmed, &note).await;
            Ok(true)
        }
    }
}

async fn roll_back(
    context: &Context,
    fresh: &Fresh,
    breach: Breach,
    levers: Levers,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<bool, Error> {
    let reason = reason(fresh);
    memory.latch(breach);
    memory.pulled_at = Some(Instant::now());
    let mut first = None;
    let pulled = levers::pull(context, fresh, levers, &reason, &mut memory.before, &mut first).await;
    // Even when the second lever failed, Flagger has been told something: that must not be forgotten.
    if let Some(first) = first.filter(|_| !requested(&memory.stamp)) {
        memory.give_verdict(breach, RemedyName::Rollback, Outcome::Requested, &reason, now);
        context.metrics.breached(breach.clock);
        context
            .metrics
            .acted(breach.clock, RemedyName::Rollback, Outcome::Requested);
        context.metrics.lagged(first.duration_since(breach.deadline));
        let note = exceeded(&breach, &reason);
        tell(context, &fresh.canary, Topic::DeadlineExceeded, &note).await;
        let note = format!("handed Flagger the verdict; it rolls back when it next looks. {reason}");
        tell(context, &fresh.canary, Topic::RollbackRequested, &note).await;
    }
    if pulled? == Pulled::MovedOn {
        let fresh = Fresh::read(context, &fresh.canary).await?;
        withdraw(context, &fresh, memory).await?;
        return Ok(true);
    }
    Ok(first.is_some())
}

async fn withdraw(context: &Context, fresh: &Fresh, memory: &mut Memory) -> Result<(), Error> {
    levers::withdraw(context, fresh, memory.before.as_ref()).await?;
    memory.before = None;
    // Should its reason come back, it is a new breach.
    if let Some(rollout) = &mut memory.stamp.rollout {
        rollout.breach = None;
    }
    if let Some(verdict) = &mut memory.stamp.verdict {
        verdict.result = Outcome::Withheld;
        context.metrics.acted(verdict.clock, verdict.remedy, Outcome::Withheld);
    }
    let note = "took the verdict back: the rollout moved on or its limits changed";
    tell(context, &fresh.canary, Topic::ActionWithheld, note).await;
    Ok(())
}

/// Tells once what a user may want to know before anything is done.
async fn announce(context: &Context, canary: &Canary, look: &Look, memory: &mut Memory, now: Timestamp) {
    let Some(rollout) = &look.stamp.rollout else { return };
    let since = Some(rollout.progressed_at);
    if let Some(pending) = look.judgement.pending.filter(|pending| pending.approaching)
        && memory.told.approaching != since
    {
        memory.told.approaching = since;
        let why = memory.pods.as_ref().and_then(|(_, pods)| pods::reason(pods));
        let note = format!(
            "the {} deadline passes at {}. {}",
            pending.clock.name(),
            stamp::time(stamp::rounded_up(pending.deadline)),
            why.unwrap_or_default()
        );
        tell(context, canary, Topic::DeadlineApproaching, note.trim_end()).await;
    }
    if memory.told.primary != since && primary_told_at(look).is_some_and(|moment| moment <= now) {
        memory.told.primary = since;
        let note = "the primary is not ready: Flagger does not look at the canary, and its time does not count";
        tell(context, canary, Topic::ActionWithheld, note).await;
    }
}

/// From when on a primary that is not ready is worth a word, while it is what a rollout waits for.
fn primary_told_at(look: &Look) -> Option<Timestamp> {
    let waits = look.seen.running && look.seen.phase.can_roll_back() && look.seen.target == TargetSeen::PrimaryNotReady;
    let rollout = look.stamp.rollout.as_ref().filter(|_| waits)?;
    rollout.budget.since.checked_add(PRIMARY_PATIENCE).ok()
}

/// Whether nothing needs to be done about a remedy now that was not done already.
fn is_settled(remedy: &Remedy, scene: Scene<'_>, memory: &Memory, now: Timestamp) -> bool {
    match remedy {
        Remedy::None => true,
        Remedy::Report(breach) => memory.is_reported(breach),
        Remedy::Withhold(breach, why) => {
            memory.told.withheld == Some((*breach, *why)) && !matches!(why, Withheld::Unproven(until) if now >= *until)
        }
        Remedy::RollBack(_, levers) => {
            let failed = scene.canary.status.failed_checks >= Effective::of(scene.canary).threshold;
            let exceeded = scene.target.is_some_and(Workload::deadline_exceeded);
            let in_place = (!levers.fail_checks || failed) && (!levers.exceed_deadline || exceeded);
            let just_pulled = memory.pulled_at.is_some_and(|pulled| pulled.elapsed() < REASSERT);
            requested(&memory.stamp) && (in_place || just_pulled)
        }
        Remedy::Withdraw | Remedy::Confirm => false,
    }
}

/// Lists the pods of a target that is not ready, if that was not just done.
async fn list_pods(
    canary: &Canary,
    context: &Context,
    target: Option<&Workload>,
    memory: &mut Memory,
) -> Result<(), Error> {
    let Some(target) = target.filter(|_| canary.status.phase.can_roll_back()) else {
        memory.pods = None;
        return Ok(());
    };
    if readiness(target, Effective::of(canary).canary_ready_threshold) == Readiness::Ready && target.wanted > 0 {
        memory.pods = None;
        return Ok(());
    }
    let just_listed = memory
        .pods
        .as_ref()
        .is_some_and(|(listed, _)| listed.elapsed() < PODS_SELDOM);
    if !just_listed {
        memory.pods = Some((Instant::now(), fresh::pods(context, target).await?));
    }
    Ok(())
}

fn next_look(look: &Look, memory: &Memory, wait: Option<Duration>, now: Timestamp) -> Action {
    let withheld = match &look.remedy {
        Remedy::Withhold(_, Withheld::Unproven(until)) => Some(*until),
        _ => None,
    };
    let since = look.stamp.rollout.as_ref().map(|rollout| rollout.progressed_at);
    let primary = primary_told_at(look).filter(|_| memory.told.primary != since);
    let moments = [look.judgement.look_at, withheld, primary].into_iter().flatten();
    let until = moments.map(|moment| moment.duration_since(now).max(SignedDuration::ZERO).unsigned_abs());
    let reassert = requested(&memory.stamp).then_some(REASSERT);
    let running = look.seen.running.then_some(LONGEST_SLEEP);
    match until.chain(wait).chain(reassert).chain(running).min() {
        // A timer may fire a little early; one that fires too early would look in a circle.
        Some(sleep) => Action::requeue(sleep + Duration::from_millis(1)),
        None => Action::await_change(),
    }
}

fn cached(canary: &Canary, context: &Context) -> (Option<Arc<Workload>>, Option<Arc<Workload>>) {
    let (kind, namespace) = (canary.spec.target.kind.as_str(), canary.namespace());
    let workload = |name: &str| context.watches.workload(kind, namespace, name);
    (workload(&canary.spec.target.name), workload(&canary.primary_name()))
}

fn limits(context: &Context, canary: &Canary, now: Timestamp) -> Limits {
    let namespace_labels = context.watches.namespaces.labels(canary.namespace());
    let labels = canary.metadata.labels.clone().unwrap_or_default();
    let subject = Subject {
        namespace: canary.namespace(),
        namespace_labels: &namespace_labels,
        name: canary.name(),
        labels: &labels,
    };
    let policy = context.policies.applying(subject);
    let limits = Limits::of(&Effective::of(canary), &policy.spec.enforcement);
    if policy.exemption(subject, Guard::Enforcement, now).is_some() {
        limits.off()
    } else {
        limits
    }
}

fn exceeded(breach: &Breach, why: &str) -> String {
    format!(
        "the {} deadline of {} s has passed: {why}",
        breach.clock.name(),
        breach.limit.as_secs()
    )
}

/// Why the target is not ready, in one line.
fn reason(fresh: &Fresh) -> String {
    if let Some(reason) = pods::reason(&fresh.pods) {
        return reason;
    }
    match &fresh.target {
        Some((target, _)) if target.wanted == 0 => {
            "the target wants 0 replicas, so that nothing can become ready".to_owned()
        }
        Some((target, _)) => match &target.replica_failure {
            Some(failure) => format!("pods cannot be created: {}", failure.message),
            None => format!("{} of {} pods are available", target.available, target.wanted),
        },
        None => "the target is not there".to_owned(),
    }
}

// === impl Look ===

impl Look {
    fn at(scene: Scene<'_>, before: &Stamp, limits: &Limits, now: Timestamp) -> Self {
        let (seen, stamp) = observe(scene, before, now);
        let judgement = judge(&seen, &stamp, limits, now);
        let remedy = remedy(&judgement, &seen, &stamp, limits, now);
        Self {
            seen,
            stamp,
            judgement,
            remedy,
        }
    }

    /// Whether this is the first look at a rollout or at a revision. What belongs together then is read afresh: a
    /// watch may show the new status before the new template.
    fn is_another_rollout(&self, before: &Stamp) -> bool {
        let identity = |stamp: &Stamp| {
            stamp.rollout.as_ref().map(|rollout| {
                (
                    rollout.promoted_since,
                    rollout.revision.applied.clone(),
                    rollout.revision.configs,
                )
            })
        };
        self.seen.running && identity(&self.stamp) != identity(before)
    }
}

// === impl Memory ===

impl Memory {
    /// Remembers a breach until its reason goes away.
    fn latch(&mut self, breach: Breach) {
        if let Some(rollout) = &mut self.stamp.rollout {
            rollout.breach = Some(breach);
        }
    }

    fn give_verdict(&mut self, breach: Breach, remedy: RemedyName, result: Outcome, reason: &str, now: Timestamp) {
        let revision = self.stamp.rollout.as_ref().map(|rollout| rollout.revision.to_string());
        self.stamp.verdict = Some(Verdict::new(
            now,
            revision.unwrap_or_default(),
            breach,
            remedy,
            result,
            reason.to_owned(),
        ));
    }

    /// Whether this breach was told already, before a restart perhaps.
    fn is_reported(&self, breach: &Breach) -> bool {
        match (&self.stamp.verdict, &self.stamp.rollout) {
            (Some(verdict), Some(rollout)) => {
                verdict.remedy == RemedyName::Report
                    && verdict.clock == breach.clock
                    && verdict.revision == rollout.revision.to_string()
                    && verdict.at >= rollout.promoted_since
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_primary_that_is_just_being_promoted_is_not_worth_a_word() {
        let at = |seconds| Timestamp::from_second(1_800_000_000 + seconds).expect("a time");
        let time = |seconds| stamp::time(at(seconds));
        let canary = |phase: &str| {
            Canary::from_json(json!({
                "spec": {"targetRef": {"kind": "Deployment", "name": "web"}, "progressDeadlineSeconds": 60,
                    "analysis": {"interval": "30s"}},
                "status": {"phase": phase, "lastTransitionTime": time(0),
                    "conditions": [{"type": "Promoted", "status": "Unknown",
                        "lastTransitionTime": time(0), "lastUpdateTime": time(0)}]},
            }))
        };
        let workload = |available: i32| {
            Workload::deployment(&json!({
                "metadata": {"generation": 1}, "spec": {"replicas": 2},
                "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": available},
            }))
        };
        let (ready, unready) = (workload(2), workload(1));
        let look = |phase: &str, primary: &Workload, stamp: &Stamp, now: i64| {
            let canary = canary(phase);
            let scene = Scene {
                canary: &canary,
                target: Some(&ready),
                primary: Some(primary),
                pods: None,
            };
            let limits = Limits::of(&Effective::of(&canary), &crate::policy::EnforcementPolicy::default());
            Look::at(scene, stamp, &limits, at(now))
        };
        let before = look("Progressing", &ready, &Stamp::default(), 0);
        assert_eq!(primary_told_at(&before), None);
        let waiting = look("Progressing", &unready, &before.stamp, 30);
        assert_eq!(primary_told_at(&waiting), Some(at(30) + PRIMARY_PATIENCE));
        let longer = look("Progressing", &unready, &waiting.stamp, 40);
        assert_eq!(primary_told_at(&longer), Some(at(30) + PRIMARY_PATIENCE));
        let promoting = look("Promoting", &unready, &waiting.stamp, 31);
        assert_eq!(primary_told_at(&promoting), None);
    }
}
