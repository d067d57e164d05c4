//! Looking after one Canary.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube::runtime::{controller::Action, reflector::ObjectRef};

use super::{
    act_on_remedy::act_on_remedy,
    annotations,
    context::Context,
    flagger_health,
    lever_pace::{LONGEST_SLEEP, REASSERT},
    reconciliation::Reconciliation,
    rollouts::BreakerQuestion,
    state::CanaryState,
};
use crate::{
    cluster::{
        Error,
        events::EventReason,
        in_force::{self, breaker_of, until_no_longer_exempt},
        snapshot,
    },
    deadline::{
        Conditions,
        conditions::FlaggerEvidence,
        evaluate::Pending,
        limits::Limits,
        messages::{Deadlines, announcement, approaching},
    },
    flagger::{
        canary::Canary, check_time, objects::Objects, rollback_plan::due, snapshot::Snapshot, workload::Workload,
    },
    policy::canary_policy::Enforcement,
    rollout::{
        Clock, guard::Guard, observation::Observation, remedy::Remedy, saved_status::SavedStatus, stamp::requested,
        unready_pods,
    },
};

/// When to look again at a Canary of which the watch shows an older state than was read.
const BEHIND: Duration = Duration::from_secs(1);
/// When to try again while the caches fill.
const CACHES_SOON: Duration = Duration::from_millis(100);
/// For so many of Flagger's checks the levers are asserted again as soon as one of them is gone.
const CHECKS: i32 = 3;

/// Looks after a Canary; answers when to look again.
///
/// # Errors
/// The API server did not do what was asked; whatever was to be done is judged again from scratch.
pub async fn reconcile(canary: Arc<Canary>, context: Arc<Context>) -> Result<Action, Error> {
    // Whoever begins to lead looks at everything.
    if !context.leadership.is_leader() {
        return Ok(Action::await_change());
    }
    if !context.cluster.watches.all_listed() || !context.cluster.policies.is_known() {
        return Ok(Action::requeue(CACHES_SOON));
    }
    let now = context.cluster.now();
    let mut state = context.states.take(&canary, now);
    let done = if state.is_older_than_known(&canary) {
        // The watch will catch up and wake us; should it not, a deadline must not be slept through.
        Ok(Action::requeue(BEHIND))
    } else {
        Box::pin(reconcile_canary(&canary, &context, &mut state, now)).await
    };
    state.note_outcome(&done);
    // A Canary that went away meanwhile was forgotten already, but a lever must not stay on its target.
    let is_there = context
        .cluster
        .watches
        .canaries
        .get(&ObjectRef::from_obj(&*canary))
        .is_some();
    if !is_there || matches!(done, Err(Error::Gone)) {
        context.states.leave(&canary, state.saved.take());
        context.rollouts.forget(&canary);
    }
    if is_there {
        context.states.keep(&canary, state);
    }
    match done {
        Err(Error::Gone) => Ok(Action::await_change()),
        done => done,
    }
}

async fn reconcile_canary(
    canary: &Canary,
    context: &Context,
    state: &mut CanaryState,
    now: Timestamp,
) -> Result<Action, Error> {
    let limits = in_force::limits(&context.cluster, canary, now);
    if limits.mode == Enforcement::Disabled && !requested(&state.stamp) {
        // An exemption ends by itself, and a namespace may get other labels.
        let running = canary.status.phase.rank().is_some();
        if running {
            context
                .rollouts
                .note_off(canary, &breaker_of(&context.cluster, canary).0);
        } else {
            context.rollouts.forget(canary);
        }
        return Ok(if running {
            Action::requeue(
                until_no_longer_exempt(&context.cluster, canary, now)
                    .map_or(LONGEST_SLEEP, |left| left.min(LONGEST_SLEEP)),
            )
        } else {
            Action::await_change()
        });
    }
    let cached = cached(canary, context);
    let (target, primary) = (cached.0.as_deref(), cached.1.as_deref());
    let pods_wait = list_pods(canary, context, target, state).await;
    let objects = Objects {
        canary,
        target,
        primary,
        pods: state.pods.pods(),
        last_event: context.cluster.watches.signs.last(canary),
        canaries: context.cluster.watches.canaries.len(),
    };
    let mut reconciliation = Reconciliation::at(objects, &state.stamp, &limits, now);

    context.rollouts.note(
        canary,
        &breaker_of(&context.cluster, canary).0,
        &reconciliation.evaluation,
        requested(&state.stamp),
    );
    let mut canary = canary.clone();
    if reconciliation.is_another_rollout(&state.stamp) || !is_settled(&reconciliation, objects, state, now) {
        let fresh = snapshot::read(&context.cluster, &canary, state.saved.as_ref()).await?;
        let now = context.cluster.now();
        state.saw(&fresh.canary);
        let limits = in_force::limits(&context.cluster, &fresh.canary, now);
        reconciliation = Reconciliation::at(fresh.objects(), &state.stamp, &limits, now);
        let flagger = if is_time_for_evidence(&reconciliation, state) {
            evidence(context, &fresh.canary, &reconciliation, state).await
        } else {
            FlaggerEvidence::default()
        };
        if reconciliation.is_another_rollout(&state.stamp) {
            let found = SavedStatus::found(&fresh, &reconciliation.stamp, now);
            state.another_rollout(&reconciliation.stamp, found);
        }
        state.stamp = reconciliation.stamp.clone();
        decide(context, &fresh, flagger, &mut reconciliation);
        let acted = act_on_remedy(context, &fresh, &reconciliation, state).await;
        state.pods.read(fresh.pods);
        // The levers may have changed it; a stamp with a stale precondition would only be refused. Even when one of
        // them failed, what was done must be written down.
        canary = match acted {
            Ok(false) => fresh.canary,
            Ok(true) | Err(_) => snapshot::read_canary(&context.cluster, &canary).await?,
        };
        if acted.is_err() {
            write_and_publish(context, &canary, &reconciliation, state).await?;
        }
        acted?;
    } else {
        state.stamp = reconciliation.stamp.clone();
    }
    state.forget_reports(&reconciliation);
    announce(&reconciliation, state, &limits);
    let wait = write_and_publish(context, &canary, &reconciliation, state).await?;
    Ok(requeue(
        &reconciliation,
        state,
        &canary,
        [wait, pods_wait],
        context.cluster.now(),
    ))
}

/// What is to be done, given what speaks against it. The breaker is asked when nothing else does.
fn decide(context: &Context, fresh: &Snapshot, flagger: FlaggerEvidence, reconciliation: &mut Reconciliation) {
    let stale = context.cluster.api_health.stale_watch();
    if let Some((what, age)) = &stale {
        tracing::warn!(what, ?age, "nothing is done while this watch is silent");
    }
    let signed = |age: Duration| SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    let conditions = Conditions {
        skew: context.cluster.api_health.skew().offset(),
        stale_watch: stale.map(|(_, age)| signed(age)),
        outage_ended: context.cluster.api_health.back_for().map(signed),
        pods_visible: fresh.pods.is_some(),
        flagger,
        ..Conditions::default()
    };
    reconciliation.under(conditions);
    if let Remedy::RollBack(breach, _) = reconciliation.remedy
        && !requested(&reconciliation.stamp)
    {
        let (policy, settings) = breaker_of(&context.cluster, &fresh.canary);
        let question = BreakerQuestion {
            canary: &fresh.canary,
            policy: &policy,
            settings,
            deadline: breach.deadline,
        };
        let breaker = context
            .rollouts
            .check_breaker(&question, &context.cluster.watches, reconciliation.at);
        reconciliation.under(Conditions { breaker, ..conditions });
    }
}

/// Looks for evidence that Flagger is down.
async fn evidence(
    context: &Context,
    canary: &Canary,
    reconciliation: &Reconciliation,
    state: &mut CanaryState,
) -> FlaggerEvidence {
    let Some(silence) = reconciliation.limits.of_clock(Clock::SILENCE).limit else {
        return FlaggerEvidence::default();
    };
    state.pace.looked_for_evidence();
    flagger_health::gather(&context.cluster, canary, silence, reconciliation.at)
        .await
        .unwrap_or_else(|error| {
            let (namespace, name) = (canary.namespace(), canary.name());
            tracing::warn!(namespace, name, %error, "cannot find out whether Flagger is down; not acting in its place");
            FlaggerEvidence::default()
        })
}

/// Writes down what is known, then says what there is to say about it.
async fn write_and_publish(
    context: &Context,
    canary: &Canary,
    reconciliation: &Reconciliation,
    state: &mut CanaryState,
) -> Result<Option<Duration>, Error> {
    let pending = reconciliation.evaluation.pending;
    let pending = pending.map(|Pending { clock, deadline, .. }| (clock, deadline));
    let written = annotations::write(context, canary, state, pending, context.cluster.now()).await;
    context.publisher.publish(canary, state.take_events());
    written
}

/// Tells once what a user may want to know before anything is done.
fn announce(reconciliation: &Reconciliation, state: &mut CanaryState, limits: &Limits) {
    let deadlines = Deadlines::of(&reconciliation.seen, &reconciliation.stamp, limits);
    if let Some(note) = state.notified.deadlines_are(deadlines) {
        state.say(EventReason::DeadlineChanged, note);
    }
    if let Some(pending) = reconciliation.evaluation.pending
        && let Some(announcement) = announcement(&reconciliation.evaluation, &reconciliation.stamp)
        && !state.notified.is_announced(announcement)
    {
        state.notified.announced(announcement);
        let ails = state.pods.pods().and_then(unready_pods::reason);
        let note = approaching(pending, ails.as_deref());
        state.say(EventReason::DeadlineApproaching, note);
    }
}

/// Whether nothing needs to be done about a remedy now that was not done already.
fn is_settled(reconciliation: &Reconciliation, objects: Objects<'_>, state: &CanaryState, now: Timestamp) -> bool {
    let is_announced = announcement(&reconciliation.evaluation, &reconciliation.stamp)
        .is_none_or(|announcement| state.notified.is_announced(announcement));
    // An announcement says why, and the pods are listed for that.
    is_announced
        && reconciliation
            .evaluation
            .reports
            .iter()
            .all(|breach| state.is_reported(breach))
        && match &reconciliation.remedy {
            Remedy::None => true,
            Remedy::Report(breach) => state.is_reported(breach),
            Remedy::Withhold(breach, why) => state.notified.is_withheld(breach.clock, *why),
            Remedy::RollBack(_, levers) => {
                let in_place = due(*levers, objects, state.saved.as_ref(), now).is_none();
                let beyond = overdue(state, &reconciliation.seen, objects.canary, now);
                let just_applied = state.pace.rests(reconciliation.seen.target, beyond);
                let restrained = !requested(&state.stamp) && state.pace.restrained_until(now).is_some();
                let in_place = requested(&state.stamp) && in_place && !is_time_for_evidence(reconciliation, state);
                restrained || just_applied || in_place
            }
            Remedy::Hold(_) => state.pace.restrained_until(now).is_some(),
            Remedy::Await(until) => now < *until,
            Remedy::LastResort(_) | Remedy::FinishLastResort | Remedy::Withdraw | Remedy::Confirm => false,
        }
}

/// How long ago Flagger's checks should have reacted to the verdict, if it was handed one.
fn overdue(state: &CanaryState, seen: &Observation, canary: &Canary, now: Timestamp) -> Option<SignedDuration> {
    let asked = state.stamp.verdict.as_ref().filter(|_| requested(&state.stamp))?;
    let checks = check_time(canary, seen.canaries).saturating_mul(CHECKS);
    Some(now.duration_since(asked.at).saturating_sub(checks))
}

/// Lists the target's pods when the target changed, but not too often; answers how long to wait if it was too soon, or if
/// they cannot be listed: then it is judged without them.
async fn list_pods(
    canary: &Canary,
    context: &Context,
    target: Option<&Workload>,
    state: &mut CanaryState,
) -> Option<Duration> {
    let Some(target) = target.filter(|_| canary.status.phase.can_roll_back()) else {
        state.pods.forget();
        return None;
    };
    let version = &target.metadata.resource_version;
    if state.pods.are_of(version.as_ref()) {
        return None;
    }
    if let Some(wait) = state.pods.wait() {
        return Some(wait);
    }
    match snapshot::pods(&context.cluster, target).await {
        Ok(pods) => {
            state.pods.list(pods, version.clone());
            None
        }
        Err(error) => {
            let (namespace, name) = (canary.namespace(), canary.name());
            tracing::warn!(namespace, name, %error, "judging without the target's pods");
            Some(LONGEST_SLEEP)
        }
    }
}

fn requeue(
    reconciliation: &Reconciliation,
    state: &CanaryState,
    canary: &Canary,
    waits: [Option<Duration>; 2],
    now: Timestamp,
) -> Action {
    let withheld = match &reconciliation.remedy {
        // Past that moment it is waited for a sign of Flagger's, and an Event wakes nobody.
        Remedy::Withhold(_, Guard::FixPushed(until)) => Some(if *until > now { *until } else { now + REASSERT }),
        Remedy::Withhold(_, why) => why.until(),
        Remedy::Await(until) => Some(*until),
        Remedy::RollBack(_, levers) => levers.later(),
        _ => None,
    };
    let restrained = state.pace.restrained_until(now);
    let moments = [reconciliation.evaluation.changes_at, withheld, restrained]
        .into_iter()
        .flatten();
    let until = moments.map(|moment| moment.duration_since(now).max(SignedDuration::ZERO).unsigned_abs());
    let is_due = matches!(
        reconciliation.remedy,
        Remedy::RollBack(..) | Remedy::Withhold(_, Guard::Blind)
    );
    let acting = requested(&state.stamp) || (is_due && restrained.is_none());
    let beyond = overdue(state, &reconciliation.seen, canary, now);
    let reassert = acting.then(|| state.pace.left(beyond));
    let running = reconciliation.seen.running.then_some(LONGEST_SLEEP);
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
    let workload = |name: &str| context.cluster.watches.workload(kind, namespace, name);
    (workload(&canary.spec.target.name), workload(&canary.primary_name()))
}

/// Whether it is time to look for evidence that Flagger is down.
fn is_time_for_evidence(reconciliation: &Reconciliation, state: &CanaryState) -> bool {
    !state.pace.has_just_looked_for_evidence() && reconciliation.wants_evidence()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        enforcer::state::CanaryStates,
        flagger::observe,
        rollout::{
            Clock,
            breach::Breach,
            timestamps,
            verdict::{Outcome, RemedyName, Ruling},
        },
    };

    #[test]
    fn levers_are_asserted_at_once_until_flagger_had_three_looks_and_then_ever_more_seldom() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).expect("a time");
        let canary = Canary::from_json(json!({
            "metadata": {"name": "web"},
            "spec": {"analysis": {"interval": "10s"}},
            "status": {"phase": "Progressing", "conditions": [{"type": "Promoted", "status": "Unknown",
                "lastTransitionTime": timestamps::time(at(-60)), "lastUpdateTime": timestamps::time(at(-60))}]},
        }));
        let objects = Objects {
            canary: &canary,
            target: None,
            primary: None,
            pods: None,
            last_event: None,
            canaries: 0,
        };
        let mut state = CanaryStates::default().take(&canary, at(0));
        let (seen, stamp) = observe(objects, &state.stamp, at(0));
        state.stamp = stamp;
        let breach = Breach {
            clock: Clock::READINESS,
            deadline: at(0),
            limit: SignedDuration::from_secs(60),
        };
        let ruling = Ruling {
            breach,
            remedy: RemedyName::Rollback,
            result: Outcome::Requested,
            reason: String::new(),
        };
        state.give_verdict(ruling, at(0));
        // A check takes an interval and five seconds at the most.
        for (second, wait) in [(0, 1), (44, 1), (46, 1), (47, 2), (55, 10), (105, 60), (4000, 60)] {
            let beyond = overdue(&state, &seen, &canary, at(second));
            assert_eq!(state.pace.left(beyond), Duration::from_secs(wait), "{second}");
        }
        // Hooks that take longer than there is time, and a verdict by a clock that was ahead.
        let mut endless = canary.clone();
        endless.spec.analysis = Canary::from_json(json!({"spec": {"analysis": {"webhooks":
            [{"type": "rollout", "timeout": "2540400h", "retries": i64::MAX}]}}}))
        .spec
        .analysis;
        let beyond = overdue(&state, &seen, &endless, at(-10));
        assert_eq!(state.pace.left(beyond), REASSERT);
    }
}
