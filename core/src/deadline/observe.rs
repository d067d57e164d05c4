//! Looking: a Canary, its workloads and its pods in, what matters about them out, and the stamp carried forward.

use jiff::{SignedDuration, Timestamp};

use super::{
    accrual::{Gap, running, unready},
    budget::Course,
    flagger_timing::check_margin,
    initialization::initialization,
    pods::PodSeen,
    remedy::OURS,
    revision::Revision,
    stamp::{Rollout, Stamp},
    target::{controllers_behind, target_state},
    tracking::{carry_forward, recalled_breach},
};
use crate::flagger::{
    canary::Canary,
    effective::Effective,
    phase::Phase,
    ready::{Readiness, readiness},
    workload::{Condition, Kind, Workload},
};

/// What is given to Flagger on top of an interval to look at its target.
pub(super) const CHECK_MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// A Canary and what belongs to it, from the caches or freshly read.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    /// The Canary.
    pub canary: &'a Canary,
    /// The workload that it targets; none if it is not there or is no Deployment or `DaemonSet`.
    pub target: Option<&'a Workload>,
    /// The workload that serves meanwhile.
    pub primary: Option<&'a Workload>,
    /// The target's pods, if they were looked at.
    pub pods: Option<&'a [PodSeen]>,
    /// The last Event that Flagger wrote about the Canary, if one was seen.
    pub last_event: Option<Timestamp>,
    /// What is known beyond these.
    pub evidence: FlaggerEvidence,
}

// === impl Objects ===

impl Objects<'_> {
    /// The last time that Flagger wrote the status or an Event. One from the future is some other machine's clock, or a
    /// forgery.
    #[must_use]
    pub fn sign_of_life(&self, now: Timestamp) -> Option<Timestamp> {
        let signs = [self.canary.status.last_transition_time, self.last_event];
        signs.into_iter().flatten().filter(|sign| *sign <= now).max()
    }
}

/// What is known of Flagger itself and of the routes. The evidence is looked up for the last resort alone, and what is not
/// known for certain is false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlaggerEvidence {
    /// There is evidence that Flagger is down, and no Canary shows a sign of life.
    pub flagger_down: bool,
    /// The provider's routes were read back, and all traffic goes to the primary.
    pub routes_on_primary: bool,
    /// How many Canaries Flagger looks after, as far as that is known.
    pub canaries: usize,
}

/// What matters about a Canary now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub struct Observation {
    /// Its phase.
    pub phase: Phase,
    /// `status.lastAppliedSpec`.
    pub applied: String,
    /// When the phase began.
    pub phase_since: Option<Timestamp>,
    /// When Flagger last wrote the status.
    pub status_written: Option<Timestamp>,
    /// The last sign of life from Flagger on this Canary: a write of the status or an Event.
    pub last_sign: Option<Timestamp>,
    /// Whether a rollout runs.
    pub running: bool,
    /// What kind of workload it targets; none for a Service and anything else.
    pub kind: Option<Kind>,
    /// Whether its target is a plain Service, which Flagger holds for always ready.
    pub service: bool,
    /// Whether its target is of a kind that Curfew does not look at, such as Knative's Service.
    pub foreign: bool,
    /// Whether the user holds it (`spec.suspend`), or it is being deleted.
    pub lifecycle: Lifecycle,
    /// How the target is doing.
    pub target: TargetState,
    /// Whether Kubernetes strips the condition that the lever on the target would set (`docs/flagger.md#l10`).
    pub no_deadline: bool,
    /// Whether the target carries the condition that Curfew set on it (`docs/flagger.md#l1`).
    pub lever_stands: bool,
    /// Whether the live template is the one that Flagger last took up. If not, a fix may have been pushed.
    pub synced: bool,
    /// Whether Flagger promotes as soon as the target is ready.
    pub skip_analysis: bool,
    /// Whether a `confirm-traffic-increase` hook may hold the traffic.
    pub traffic_gate: bool,
    /// Whether one of Flagger's looks may be held by a hook.
    pub hook_window: HookWindow,
    /// Whether traffic or pods are on the canary.
    pub on_canary: bool,
    /// Whether by its pods the target has long been ready, although its own status does not say so: its controller does not
    /// keep up, and the time that counted may have been no unready time.
    pub controllers_behind: bool,
    /// Whether it failed because we ended it in Flagger's place.
    pub ended_by_us: bool,
    /// Whether no traffic was moved and nothing analysed yet.
    pub untouched: bool,
    /// Whether the primary is as ready as Flagger needs it.
    pub primary_ready: bool,
    /// Whether a `ScaledObject` sets the target's replicas.
    pub scaled_object: bool,
    /// How the initialization of the workload goes, while it is being initialized.
    pub initialization: Option<Initialization>,
    /// What is known beyond the Canary's own objects.
    pub evidence: FlaggerEvidence,
}

// === impl Observation ===

impl Observation {
    /// Whether nobody holds it and it is not being deleted.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.lifecycle == Lifecycle::Live
    }

    /// Whether the clocks of the canary's pods run.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.running && self.is_live() && self.phase.can_roll_back()
    }

    /// Whether the analysis runs.
    #[must_use]
    pub fn is_progressing(&self) -> bool {
        self.running && self.is_live() && self.phase == Phase::Progressing
    }

    /// Whether the initialization can be held: there is something to lose, and the primary has the conditions to renew.
    #[must_use]
    pub fn can_be_held(&self) -> bool {
        let to_hold = |initialization: Initialization| initialization.target_serves && initialization.hold_by.is_some();
        self.kind == Some(Kind::Deployment) && self.initialization.is_some_and(to_hold)
    }

    /// Whether a gate may hold the traffic: it has such a hook, and nothing else is in its way.
    #[must_use]
    pub fn behind_gate(&self) -> bool {
        self.traffic_gate && self.phase == Phase::Progressing && self.target == TargetState::Ready
    }
}

/// How the initialization of a live workload goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Initialization {
    /// Whether the live workload still serves.
    pub target_serves: bool,
    /// When it must be held at the latest; none while the primary is ready, or not there.
    pub hold_by: Option<Timestamp>,
    /// When it has taken as long as the deadline, and a few of Flagger's looks on top, where nothing says that it must be held.
    pub reported_at: Option<Timestamp>,
}

/// Whether a hook may hold one of Flagger's looks, which began with a ready target and writes what it found then when the
/// hook has answered (`docs/flagger.md#hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookWindow {
    /// There is none, or no look ever got as far as that.
    None,
    /// Not after this moment, if the target stays unready: Flagger calls no hook while it is.
    Until(Timestamp),
    /// The target is ready, so that there may be one at any moment.
    May,
}

/// Whether anybody may act on a Canary at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// It is live.
    Live,
    /// `spec.suspend`.
    Suspended,
    /// It is being deleted.
    Deleted,
}

/// How the target stands against what Flagger needs to advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetState {
    /// Flagger would go on.
    Ready,
    /// Flagger waits for the target, and the time counts.
    Unready,
    /// Every pod that is not ready is young and as many are available as there were wanted: something is growing
    /// or moving, nothing is failing. Counts from this moment on.
    Growing(Timestamp),
    /// Its controller has not looked at its spec yet.
    Unobserved,
    /// It is `paused`: a user's hold (`docs/flagger.md#f17`).
    Paused,
    /// It is the primary that is not ready; Flagger does not even look at the canary (`docs/flagger.md#f13`).
    PrimaryNotReady,
    /// It or its primary is not there.
    Missing,
}

/// Looks at a Canary and carries its stamp forward.
///
/// `before` is what is remembered, or [`Stamp::recall`]ed on a first look.
#[must_use]
pub fn observe(objects: Objects<'_>, before: &Stamp, now: Timestamp) -> (Observation, Stamp) {
    let Objects { canary, target, .. } = objects;
    let effective = Effective::of(canary);
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
        let mut rollout = carry_forward(objects, promoted, before.rollout.as_ref(), &live, now);
        if before.rollout.is_none() {
            rollout.breach = recalled_breach(before, &rollout, &effective);
        }
        synced = rollout.revision == live;
        let gap = Gap::found(before, &rollout, objects, synced, now);
        rollout.observed_at = now;
        rollout.generation = canary.metadata.generation;
        // A lever of ours sets back what Flagger wrote (docs/flagger.md#l6).
        rollout.last_sign = rollout.last_sign.max(objects.sign_of_life(now));
        last_sign = rollout.last_sign;
        seen = target_state(objects, &effective, &rollout, now);
        // When since the last look it was suspended, nobody knows: the news may have been on its way for a while.
        let since = match &before.rollout {
            Some(looked) if is_suspended && before.suspended_since.is_none() => looked.observed_at,
            Some(_) | None => now,
        };
        let turned = if gap.is_some() { now } else { since };
        rollout.budget = unready(&rollout, gap, objects, &effective, seen, turned);
        rollout.running = running(rollout.running, gap, canary, turned);
        if let Some(pods) = objects.pods {
            rollout.crashes.note(pods, rollout.started_at, synced);
        }
        hook_window = window_of_hooks(&rollout, &effective, objects.evidence.canaries);
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
        ..observation(objects, &effective, is_running, seen, now)
    };
    (observation, stamp)
}

fn observation(
    objects: Objects<'_>,
    effective: &Effective,
    running: bool,
    seen: TargetState,
    now: Timestamp,
) -> Observation {
    let Objects {
        canary,
        target,
        primary,
        pods: _,
        last_event: _,
        evidence,
    } = objects;
    let (spec, status) = (&canary.spec, &canary.status);
    let phase_since = status.promoted.as_ref().and_then(|promoted| promoted.phase_started);
    let initializing = matches!(status.phase, Phase::None | Phase::Initializing);
    Observation {
        phase: status.phase.clone(),
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
        controllers_behind: seen == TargetState::Unready && controllers_behind(objects, effective, now),
        ended_by_us: status.phase == Phase::Failed
            && (status.promoted.as_ref()).is_some_and(|promoted| promoted.message.starts_with(OURS)),
        untouched: status.canary_weight == 0 && status.iterations == 0,
        primary_ready: primary
            .is_some_and(|primary| readiness(primary, effective.primary_ready_threshold) == Readiness::Ready),
        scaled_object: (spec.autoscaler.as_ref()).is_some_and(|autoscaler| autoscaler.kind == "ScaledObject"),
        initialization: initializing.then(|| initialization(canary, target, primary, effective)),
        evidence,
    }
}

/// Until when a look that a hook holds may go on, by what is known of the target.
fn window_of_hooks(rollout: &Rollout, effective: &Effective, canaries: usize) -> HookWindow {
    // Under skipAnalysis a look ends before it would call a hook.
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

/// Whether the target is a Service of Kubernetes' own; Knative's have the same kind.
#[must_use]
pub fn is_service(canary: &Canary) -> bool {
    canary.spec.target.kind == "Service" && canary.spec.target.api_version == "v1"
}

pub(super) fn lifecycle(canary: &Canary) -> Lifecycle {
    if canary.metadata.deletion_timestamp.is_some() {
        Lifecycle::Deleted
    } else if canary.spec.suspend {
        Lifecycle::Suspended
    } else {
        Lifecycle::Live
    }
}
