//! Looking after one Canary.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use kube::runtime::{controller::Action, reflector::ObjectRef};

use super::{
    Context, Error,
    act::act,
    events::{Topic, tell},
    evidence,
    fresh::{self, Fresh},
    levers::{self, Before},
    memory::Memory,
    stamps,
};
use crate::{
    deadline::{
        announce::{Deadlines, announcement, approaching, standstill},
        judge,
        judge::{Judgement, Pending},
        limits::Limits,
        look_time, observe,
        observe::{Observation, Scene, TargetSeen},
        remedy,
        remedy::{Remedy, TargetLever, Withheld, requested, wants_evidence},
        stamp::Stamp,
        trouble,
    },
    flagger::{canary::Canary, effective::Effective, workload::Workload},
    policy::{
        CanaryPolicy, Guard, Subject,
        canary_policy::{Breaker, Enforcement},
    },
};

/// The longest time between two looks at a running rollout: time is compared, never slept through.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// When to look again at a Canary of which the watch shows an older state than was read.
const BEHIND: Duration = Duration::from_secs(1);
/// When to try again while the caches fill.
const CACHES_SOON: Duration = Duration::from_millis(100);
/// How often a target's pods are listed at most.
const PODS_SELDOM: Duration = Duration::from_secs(2);
/// For so many of Flagger's looks the levers are asserted again as soon as one of them is gone.
const LOOKS: i32 = 3;
/// How soon the levers are asserted again while Flagger does not react, and how often it is looked whether the second of
/// them may follow the first.
const REASSERT: Duration = Duration::from_secs(1);

/// How often it is looked for evidence that Flagger is down.
const EVIDENCE_SELDOM: Duration = Duration::from_secs(20);

/// One look: what was seen, what the clocks say, and what to do.
pub(super) struct Look {
    pub(super) seen: Observation,
    pub(super) stamp: Stamp,
    pub(super) judgement: Judgement,
    pub(super) remedy: Remedy,
}

/// Looks after a Canary; answers when to look again.
///
/// # Errors
/// The API server did not do what was asked; whatever was to be done is judged again from scratch.
pub async fn reconcile(canary: Arc<Canary>, context: Arc<Context>) -> Result<Action, Error> {
    // Whoever begins to lead looks at everything.
    if !context.leadership.is_leader() {
        return Ok(Action::await_change());
    }
    if !context.watches.all_listed() || !context.policies.is_known() {
        return Ok(Action::requeue(CACHES_SOON));
    }
    let now = context.now();
    let mut memory = context.memories.take(&canary, now);
    let done = if memory.is_older_than_known(&canary) {
        // The watch will catch up and wake us; should it not, a deadline must not be slept through.
        Ok(Action::requeue(BEHIND))
    } else {
        Box::pin(look_after(&canary, &context, &mut memory, now)).await
    };
    memory.note_outcome(&done);
    // A Canary that went away meanwhile was forgotten already, but a lever must not stay on its target.
    let is_there = context.watches.canaries.get(&ObjectRef::from_obj(&*canary)).is_some();
    if !is_there || matches!(done, Err(Error::Gone)) {
        context.memories.leave(&canary, memory.before.take());
        context.rollouts.forget(&canary);
    }
    if is_there {
        context.memories.keep(&canary, memory);
    }
    match done {
        Err(Error::Gone) => Ok(Action::await_change()),
        done => done,
    }
}

async fn look_after(canary: &Canary, context: &Context, memory: &mut Memory, now: Timestamp) -> Result<Action, Error> {
    let limits = limits(context, canary, now);
    if limits.mode == Enforcement::Off && !requested(&memory.stamp) {
        // An exemption ends by itself, and a namespace may get other labels.
        let running = canary.status.phase.rank().is_some();
        if running {
            context.rollouts.note_off(canary, &breaker_of(context, canary).0);
        } else {
            context.rollouts.forget(canary);
        }
        return Ok(if running {
            Action::requeue(until_no_longer_exempt(context, canary, now))
        } else {
            Action::await_change()
        });
    }
    let cached = cached(canary, context);
    let (target, primary) = (cached.0.as_deref(), cached.1.as_deref());
    let pods_wait = list_pods(canary, context, target, memory).await;
    let scene = Scene {
        canary,
        target,
        primary,
        pods: memory.pods.as_ref().map(|(_, pods)| pods.as_slice()),
        last_event: context.watches.signs.last(canary),
        surroundings: evidence::surroundings(context),
    };
    let mut look = Look::at(scene, &memory.stamp, &limits, now);

    context
        .rollouts
        .note(canary, &breaker_of(context, canary).0, &look.judgement, memory);
    let mut canary = canary.clone();
    if look.is_another_rollout(&memory.stamp) || !is_settled(&look, scene, &limits, memory, now) {
        let mut fresh = Fresh::read(context, &canary).await?;
        let now = context.now();
        memory.saw(&fresh.canary);
        let limits = self::limits(context, &fresh.canary, now);
        look = Look::at(fresh.scene(), &memory.stamp, &limits, now);
        if let Some(silence) = limits
            .silence
            .limit
            .filter(|_| look.wants_evidence(&limits, memory, now))
        {
            memory.evidence_at = Some(Instant::now());
            match evidence::gather(context, &fresh.canary, silence, now).await {
                Ok(surroundings) => fresh.surroundings = surroundings,
                Err(error) => {
                    let (namespace, name) = (fresh.canary.namespace(), fresh.canary.name());
                    tracing::warn!(namespace, name, %error, "cannot find out whether Flagger is down; not acting in its place");
                }
            }
            look = Look::at(fresh.scene(), &memory.stamp, &limits, now);
        }
        if look.is_another_rollout(&memory.stamp) {
            // What was found for a verdict that is still to be withdrawn must be put back.
            if memory.before.is_none() || !requested(&look.stamp) {
                memory.before = Before::found(&fresh, &look.stamp, now);
            }
            memory.refusals = 0;
            memory.restrained_until = None;
            memory.told.withheld = None;
            memory.told.reported.clear();
            memory.told.counted.clear();
        }
        memory.stamp = look.stamp.clone();
        let acted = act(context, &fresh, &look, memory, now).await;
        memory.pods = fresh.pods.map(|pods| (Instant::now(), pods));
        // The levers may have changed it; a stamp with a stale precondition would only be refused. Even when one of
        // them failed, what was done must be written down.
        canary = match acted {
            Ok(false) => fresh.canary,
            Ok(true) | Err(_) => fresh::read_canary(context, &canary).await?,
        };
        if acted.is_err() {
            stamp_and_tell(context, &canary, &look, memory).await?;
        }
        acted?;
    } else {
        memory.stamp = look.stamp.clone();
    }
    memory.forget_reports(&look);
    announce(&look, memory, &limits, now);
    let wait = stamp_and_tell(context, &canary, &look, memory).await?;
    Ok(next_look(&look, memory, &canary, [wait, pods_wait], context.now()))
}

/// Writes down what is known, then says what there is to say about it.
async fn stamp_and_tell(
    context: &Context,
    canary: &Canary,
    look: &Look,
    memory: &mut Memory,
) -> Result<Option<Duration>, Error> {
    let pending = look.judgement.pending;
    let pending = pending.map(|Pending { clock, deadline, .. }| (clock, deadline));
    let written = stamps::write(context, canary, memory, pending, context.now()).await;
    tell(context, canary, std::mem::take(&mut memory.words));
    written
}

/// Tells once what a user may want to know before anything is done.
fn announce(look: &Look, memory: &mut Memory, limits: &Limits, now: Timestamp) {
    let deadlines = Deadlines::of(&look.seen, &look.stamp, limits);
    let before = std::mem::replace(&mut memory.told.deadlines, deadlines);
    if let Some(note) = deadlines
        .zip(before)
        .and_then(|(now, before)| now.changed_since(before))
    {
        memory.words.push((Topic::DeadlineChanged, note));
    }
    let Some(rollout) = &look.stamp.rollout else { return };
    if let Some(pending) = look.judgement.pending
        && let Some(announcement) = announcement(&look.judgement, &look.stamp)
        && memory.told.approaching != Some(announcement)
    {
        memory.told.approaching = Some(announcement);
        let ails = memory.pods.as_ref().and_then(|(_, pods)| trouble::reason(pods));
        let note = approaching(pending, ails.as_deref());
        memory.words.push((Topic::DeadlineApproaching, note));
    }
    if let Some((moment, note)) = standstill(&look.seen, &look.stamp)
        && moment <= now
        && memory.told.standstill != Some((note, rollout.progressed_at))
    {
        memory.told.standstill = Some((note, rollout.progressed_at));
        memory.words.push((Topic::ActionWithheld, note.to_owned()));
    }
}

/// Whether nothing needs to be done about a remedy now that was not done already.
fn is_settled(look: &Look, scene: Scene<'_>, limits: &Limits, memory: &Memory, now: Timestamp) -> bool {
    let is_announced = announcement(&look.judgement, &look.stamp)
        .is_none_or(|announcement| memory.told.approaching == Some(announcement));
    // An announcement says why, and the pods are listed for that.
    is_announced
        && look.judgement.reports.iter().all(|breach| memory.is_reported(breach))
        && match &look.remedy {
            Remedy::None => true,
            Remedy::Report(breach) => memory.is_reported(breach),
            Remedy::Withhold(breach, why) => memory.is_withheld(breach, *why),
            Remedy::RollBack(_, levers) => {
                let failed = scene.canary.status.failed_checks >= Effective::of(scene.canary).threshold;
                let target_told = match levers.target {
                    TargetLever::None => true,
                    TargetLever::ExceedDeadline => {
                        scene.target.is_some_and(Workload::deadline_exceeded)
                            || !levers::may_follow(scene, memory.before.as_ref(), now)
                    }
                    TargetLever::BackdateTransition => levers::backdated(scene.canary, now).is_none(),
                    TargetLever::Later(until) => until.is_none_or(|until| now < until),
                };
                let in_place = (!levers.fail_checks || failed) && target_told;
                let just_pulled = rests(memory, &look.seen, scene.canary, now);
                let restrained = !requested(&memory.stamp) && memory.is_restrained(now);
                let in_place = requested(&memory.stamp) && in_place && !look.wants_evidence(limits, memory, now);
                restrained || just_pulled || in_place
            }
            Remedy::Hold(_) => memory.is_restrained(now),
            Remedy::LastResort(_) | Remedy::FinishLastResort | Remedy::Withdraw | Remedy::Confirm => false,
        }
}

/// Whether the levers were asserted a moment ago, and it is waited before that is done again. The one on a target that was
/// ready was taken away at once, and Flagger may look in the next moment in which it is not.
fn rests(memory: &Memory, seen: &Observation, canary: &Canary, now: Timestamp) -> bool {
    let was_in_vain = memory.pulled_when_ready && memory.refusals == 0 && seen.target == TargetSeen::Unready;
    let just_pulled = memory
        .pulled_at
        .is_some_and(|pulled| pulled.elapsed() < reassert(memory, seen, canary, now));
    just_pulled && !was_in_vain
}

/// How long to wait before the levers are asserted again: longer each time that this was refused, and longer and longer if
/// Flagger does not react. While it may yet look, whatever takes one away, such as pods that are ready for a moment, may
/// not keep it away (`docs/flagger.md#l3`).
fn reassert(memory: &Memory, seen: &Observation, canary: &Canary, now: Timestamp) -> Duration {
    if memory.refusals > 0 {
        let wait = REASSERT.saturating_mul(1 << memory.refusals.min(6));
        return wait.min(LONGEST_SLEEP);
    }
    let asked = memory.stamp.verdict.as_ref().filter(|_| requested(&memory.stamp));
    let looks = look_time(canary, seen.surroundings.canaries).saturating_mul(LOOKS);
    let beyond = asked.map(|verdict| now.duration_since(verdict.at).saturating_sub(looks));
    let beyond = beyond.and_then(|beyond| Duration::try_from(beyond).ok());
    beyond.unwrap_or_default().clamp(REASSERT, LONGEST_SLEEP)
}

/// Lists the target's pods when the target changed, but not too often; answers how long to wait if it was too soon, or if
/// they cannot be listed: then it is judged without them.
async fn list_pods(
    canary: &Canary,
    context: &Context,
    target: Option<&Workload>,
    memory: &mut Memory,
) -> Option<Duration> {
    let Some(target) = target.filter(|_| canary.status.phase.can_roll_back()) else {
        memory.pods = None;
        return None;
    };
    if memory.pods_of == target.metadata.resource_version {
        return None;
    }
    let wait = memory
        .pods
        .as_ref()
        .map(|(listed, _)| PODS_SELDOM.saturating_sub(listed.elapsed()));
    if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
        return Some(wait);
    }
    match fresh::pods(context, target).await {
        Ok(pods) => {
            memory.pods = Some((Instant::now(), pods));
            memory.pods_of.clone_from(&target.metadata.resource_version);
            None
        }
        Err(error) => {
            let (namespace, name) = (canary.namespace(), canary.name());
            tracing::warn!(namespace, name, %error, "judging without the target's pods");
            Some(LONGEST_SLEEP)
        }
    }
}

fn next_look(look: &Look, memory: &Memory, canary: &Canary, waits: [Option<Duration>; 2], now: Timestamp) -> Action {
    let withheld = match &look.remedy {
        // Past that moment it is waited for a sign of Flagger's, and an Event wakes nobody.
        Remedy::Withhold(_, Withheld::FixPushed(until)) => Some(if *until > now { *until } else { now + REASSERT }),
        Remedy::Withhold(_, why) => why.until(),
        Remedy::RollBack(_, levers) => levers.later(),
        _ => None,
    };
    let since = look.stamp.rollout.as_ref().map(|rollout| rollout.progressed_at);
    let told_at = standstill(&look.seen, &look.stamp)
        .filter(|(_, note)| memory.told.standstill != since.map(|since| (*note, since)))
        .map(|(moment, _)| moment);
    let restrained = memory.restrained_until.filter(|until| now < *until);
    let moments = [look.judgement.look_at, withheld, told_at, restrained]
        .into_iter()
        .flatten();
    let until = moments.map(|moment| moment.duration_since(now).max(SignedDuration::ZERO).unsigned_abs());
    let acting = requested(&memory.stamp) || (matches!(look.remedy, Remedy::RollBack(..)) && restrained.is_none());
    let rest = reassert(memory, &look.seen, canary, now);
    let rested = memory
        .pulled_at
        .map(|pulled| pulled.elapsed())
        .filter(|rested| *rested < rest);
    let reassert = acting.then(|| rest.saturating_sub(rested.unwrap_or_default()));
    let running = look.seen.running.then_some(LONGEST_SLEEP);
    match until
        .chain(waits.into_iter().flatten())
        .chain(reassert)
        .chain(running)
        .min()
    {
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
    Limits::in_force(canary, &namespace_labels, &context.policies.current(), now)
}

/// The name and the breaker's settings of the policy that applies to a Canary.
pub(super) fn breaker_of(context: &Context, canary: &Canary) -> (String, Breaker) {
    under_policy(context, canary, |policy, _| {
        (policy.name.clone(), policy.spec.enforcement.breaker)
    })
}

/// When to look again at a Canary that nobody watches: when its exemption ends, if it has one that does.
fn until_no_longer_exempt(context: &Context, canary: &Canary, now: Timestamp) -> Duration {
    let until = under_policy(context, canary, |policy, subject| {
        policy.exemption(subject, Guard::Enforcement, now)?.until
    });
    let left = until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
    // A timer may fire a little early.
    left.map_or(LONGEST_SLEEP, |left| LONGEST_SLEEP.min(left + Duration::from_millis(1)))
}

fn under_policy<T>(context: &Context, canary: &Canary, look: impl FnOnce(&CanaryPolicy, Subject<'_>) -> T) -> T {
    let namespace_labels = context.watches.namespaces.labels(canary.namespace());
    let labels = canary.metadata.labels.clone().unwrap_or_default();
    let subject = Subject {
        namespace: canary.namespace(),
        namespace_labels: &namespace_labels,
        name: canary.name(),
        labels: &labels,
    };
    look(context.policies.current().applying(subject), subject)
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

    /// Whether it is time to look for evidence that Flagger is down.
    fn wants_evidence(&self, limits: &Limits, memory: &Memory, now: Timestamp) -> bool {
        let just_looked = memory.evidence_at.is_some_and(|at| at.elapsed() < EVIDENCE_SELDOM);
        !just_looked && wants_evidence(&self.judgement, &self.seen, &self.stamp, limits, now)
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
#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        deadline::{
            Clock,
            announce::PRIMARY_PATIENCE,
            observe::Surroundings,
            reason, stamp,
            stamp::Breach,
            verdict::{Outcome, RemedyName},
        },
        enforcer::memory::Memories,
        policy::EnforcementPolicy,
    };

    #[test]
    fn levers_are_asserted_at_once_until_flagger_had_three_looks_and_then_ever_more_seldom() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).expect("a time");
        let canary = Canary::from_json(json!({
            "metadata": {"name": "web"},
            "spec": {"analysis": {"interval": "10s"}},
            "status": {"phase": "Progressing", "conditions": [{"type": "Promoted", "status": "Unknown",
                "lastTransitionTime": stamp::time(at(-60)), "lastUpdateTime": stamp::time(at(-60))}]},
        }));
        let scene = Scene {
            canary: &canary,
            target: None,
            primary: None,
            pods: None,
            last_event: None,
            surroundings: Surroundings::default(),
        };
        let mut memory = Memories::default().take(&canary, at(0));
        let (mut seen, stamp) = observe(scene, &memory.stamp, at(0));
        memory.stamp = stamp;
        let breach = Breach {
            clock: Clock::Readiness,
            deadline: at(0),
            limit: SignedDuration::from_secs(60),
        };
        memory.give_verdict(breach, RemedyName::Rollback, Outcome::Requested, "", at(0));
        // A look takes an interval and five seconds at the most.
        for (second, wait) in [(0, 1), (44, 1), (46, 1), (47, 2), (55, 10), (105, 60), (4000, 60)] {
            assert_eq!(
                reassert(&memory, &seen, &canary, at(second)),
                Duration::from_secs(wait),
                "{second}"
            );
        }
        // Hooks that take longer than there is time, and a verdict by a clock that was ahead.
        let mut endless = canary.clone();
        endless.spec.analysis = Canary::from_json(json!({"spec": {"analysis": {"webhooks":
            [{"type": "rollout", "timeout": "2540400h", "retries": i64::MAX}]}}}))
        .spec
        .analysis;
        assert_eq!(reassert(&memory, &seen, &endless, at(-10)), REASSERT);
        memory.pulled_at = Some(Instant::now());
        for (was_ready, refusals, target, waits) in [
            (false, 0, TargetSeen::Unready, true),
            // What was put on a ready target is gone already.
            (true, 0, TargetSeen::Unready, false),
            (true, 0, TargetSeen::Ready, true),
            (true, 1, TargetSeen::Unready, true),
        ] {
            memory.pulled_when_ready = was_ready;
            memory.refusals = refusals;
            seen.target = target;
            assert_eq!(rests(&memory, &seen, &canary, at(0)), waits, "{target:?} {refusals}");
        }
        for (refusals, wait) in [(1, 2), (2, 4), (5, 32), (6, 60), (100, 60)] {
            memory.refusals = refusals;
            assert_eq!(
                reassert(&memory, &seen, &canary, at(1)),
                Duration::from_secs(wait),
                "{refusals}"
            );
        }
    }

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
                last_event: None,
                surroundings: Surroundings::default(),
            };
            let limits = Limits::of(&canary, &EnforcementPolicy::default());
            Look::at(scene, stamp, &limits, at(now))
        };
        let before = look("Progressing", &ready, &Stamp::default(), 0);
        assert_eq!(standstill(&before.seen, &before.stamp), None);
        let waiting = look("Progressing", &unready, &before.stamp, 30);
        assert_eq!(
            standstill(&waiting.seen, &waiting.stamp),
            Some((at(30) + PRIMARY_PATIENCE, reason::PRIMARY_NOT_READY))
        );
        let longer = look("Progressing", &unready, &waiting.stamp, 40);
        assert_eq!(
            standstill(&longer.seen, &longer.stamp),
            Some((at(30) + PRIMARY_PATIENCE, reason::PRIMARY_NOT_READY))
        );
        let promoting = look("Promoting", &unready, &waiting.stamp, 31);
        assert_eq!(standstill(&promoting.seen, &promoting.stamp), None);
    }
}
