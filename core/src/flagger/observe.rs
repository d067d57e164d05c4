//! Looking: a Canary, its workloads and its pods in, what matters about them out, and the stamp carried forward.

use jiff::{SignedDuration, Timestamp};

use super::{
    accrual::{Gap, running, unready},
    effective::Effective,
    initialization::initialization,
    look::Look,
    objects::{Objects, is_service, lifecycle},
    phase::Phase,
    ready::{Readiness, readiness},
    target::{controllers_behind, target_state},
    timing::check_margin,
    tracking::{carry_forward, recalled_breach},
    workload::{Condition, Workload},
};
use crate::rollout::{
    budget::Course,
    levers::OURS,
    observation::{HookWindow, Lifecycle, Observation, TargetState},
    revision::Revision,
    stamp::{Rollout, Stamp},
};

/// Looks at a Canary and carries its stamp forward.
///
/// `before` is what is remembered, or [`Stamp::recall`]ed on a first look.
#[must_use]
pub fn observe(objects: Objects<'_>, before: &Stamp, now: Timestamp) -> (Observation, Stamp) {
    let Objects { canary, target, .. } = objects;
    let effective = Effective::of(canary);
    let look = Look {
        objects,
        effective: &effective,
        now,
    };
    let mut stamp = before.clone();
    // Flagger always writes when it began; what does not say so is nobody's rollout.
    let began = canary
        .status
        .promoted
        .as_ref()
        .and_then(|promoted| promoted.rollout_started);
    let is_running = canary.status.phase.rank().is_some() && began.is_some();
    let mut synced = false;
    let mut seen = TargetState::Missing;
    let mut hook_window = HookWindow::None;
    let mut last_sign = objects.sign_of_life(now);
    let is_suspended = lifecycle(canary) == Lifecycle::Suspended;

    if is_running && let Some(promoted) = &canary.status.promoted {
        // While the target is not there, its template is taken to be what it was.
        let known = before.rollout.as_ref().map(|rollout| rollout.revision.template);
        let template = target.map(|target| target.template).or(known).unwrap_or_default();
        let live = Revision::of(canary, template);
        let mut rollout = carry_forward(look, promoted, before.rollout.as_ref(), &live);
        if before.rollout.is_none() {
            rollout.breach = recalled_breach(before, &rollout, &effective);
        }
        synced = rollout.revision == live;
        let gap = Gap::found(look, before, &rollout, synced);
        rollout.observed_at = now;
        rollout.generation = canary.metadata.generation;
        // A lever of ours sets back what Flagger wrote (docs/flagger.md#l6).
        rollout.last_sign = rollout.last_sign.max(objects.sign_of_life(now));
        last_sign = rollout.last_sign;
        seen = target_state(look, &rollout);
        let is_blocked = lifecycle(canary) == Lifecycle::Live && seen.is_blocked();
        rollout.blocked_since = is_blocked.then(|| rollout.blocked_since.unwrap_or(now));
        // When since the last look it was suspended, nobody knows: the news may have been on its way for a while.
        let since = match &before.rollout {
            Some(looked) if is_suspended && before.suspended_since.is_none() => looked.observed_at,
            Some(_) | None => now,
        };
        let turned = if gap.is_some() { now } else { since };
        rollout.budget = unready(Look { now: turned, ..look }, &rollout, gap, seen);
        rollout.running = running(rollout.running, gap, canary, turned);
        if let Some(pods) = objects.pods {
            rollout.crashes.note(pods, rollout.started_at, synced);
        }
        hook_window = window_of_hooks(&rollout, &effective, objects.canaries);
        if seen == TargetState::Ready && !rollout.was_ready {
            rollout.was_ready = true;
            stamp.note_ready_after(now.duration_since(rollout.revision_since));
        }
        stamp.rollout = Some(rollout);
    }
    stamp.suspended_since = is_suspended.then(|| before.suspended_since.unwrap_or(now));
    let observation = Observation {
        last_sign,
        synced,
        hook_window,
        ..observation(look, is_running, seen)
    };
    (observation, stamp)
}

fn observation(look: Look<'_>, running: bool, seen: TargetState) -> Observation {
    let Look {
        objects,
        effective,
        now,
    } = look;
    let Objects {
        canary,
        target,
        primary,
        pods: _,
        last_event: _,
        canaries,
    } = objects;
    let (spec, status) = (&canary.spec, &canary.status);
    let phase_since = status.promoted.as_ref().and_then(|promoted| promoted.phase_started);
    let initializing = matches!(status.phase, Phase::None | Phase::Initializing);
    Observation {
        stage: status.phase.stage(),
        phase: status.phase.to_string(),
        applied: status.last_applied_spec.clone(),
        phase_since,
        status_written: status.last_transition_time,
        last_sign: objects.sign_of_life(now),
        running,
        kind: target.map(|target| target.kind),
        service: is_service(canary),
        foreign: !is_service(canary) && !matches!(spec.target.kind.as_str(), "Deployment" | "DaemonSet"),
        lifecycle: lifecycle(canary),
        target: seen,
        no_deadline: target.is_some_and(Workload::has_no_deadline),
        lever_stands: target.is_some_and(lever_stands),
        synced: false,
        hook_window: HookWindow::None,
        skip_analysis: effective.skip_analysis,
        traffic_gate: spec
            .analysis
            .as_ref()
            .is_some_and(|analysis| analysis.has_hook("confirm-traffic-increase")),
        on_canary: status.canary_weight > 0 || (running && target.is_some_and(|target| target.wanted > 0)),
        controllers_behind: seen == TargetState::Unready && controllers_behind(look),
        ended_by_us: status.phase == Phase::Failed
            && (status.promoted.as_ref()).is_some_and(|promoted| promoted.message.starts_with(OURS)),
        untouched: status.canary_weight == 0 && status.iterations == 0,
        primary_ready: primary
            .is_some_and(|primary| readiness(primary, effective.primary_ready_threshold) == Readiness::Ready),
        scaled_object: (spec.autoscaler.as_ref()).is_some_and(|autoscaler| autoscaler.kind == "ScaledObject"),
        initialization: initializing.then(|| initialization(canary, target, primary, effective)),
        canaries,
    }
}

/// Until when a check that a hook holds may go on, by what is known of the target.
fn window_of_hooks(rollout: &Rollout, effective: &Effective, canaries: usize) -> HookWindow {
    // Under skipAnalysis a check ends before it would call a hook.
    let calls_hooks = !effective.skip_analysis && !effective.hook_time.is_zero();
    if !calls_hooks || !(rollout.was_ready || rollout.budget.course == Course::Recovering) {
        return HookWindow::None;
    }
    let held = SignedDuration::try_from(effective.hook_time).unwrap_or(SignedDuration::MAX);
    let end = rollout
        .budget
        .since
        .checked_add(held.saturating_add(check_margin(canaries)));
    match (rollout.budget.course, end) {
        (Course::Accruing, Ok(end)) => HookWindow::Until(end),
        (Course::Accruing, Err(_)) | (Course::Recovering | Course::Paused, _) => HookWindow::May,
    }
}

/// Whether a target carries our own condition.
fn lever_stands(target: &Workload) -> bool {
    let ours = |condition: &Condition| condition.message.starts_with(OURS);
    target.deadline_exceeded() && target.progressing.as_ref().is_some_and(ours)
}
