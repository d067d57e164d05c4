//! Looking: a Canary, its workloads and its pods in, what matters about them out, and the stamp carried forward.

use jiff::{SignedDuration, Timestamp};

use super::{
    budget::{Budget, Course},
    follow::{carry_forward, recalled_breach},
    pods::{self, PodSeen},
    remedy::OURS,
    revision::Revision,
    stamp::{Rollout, Stamp},
};
use crate::flagger::{
    canary::Canary,
    effective::Effective,
    phase::Phase,
    ready::{self, Readiness, Shortfall, readiness},
    workload::{Condition, Kind, Workload},
};

/// The share of Flagger's deadline after which an adoption is held, per cent.
const HOLD_AT: i32 = 80;

/// What is given to Flagger on top of an interval to look at its target.
pub(super) const LOOK_MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// Flagger makes the primary at one look, finds it ready at another, and may find it unready in between.
const ADOPTION_LOOKS: i32 = 3;

/// Within this time a controller that keeps up has counted a pod that got ready.
const COUNTED_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// Without a look for so long, what happened meanwhile is not known: a machine was suspended, a watch hung.
const BLIND: SignedDuration = SignedDuration::from_secs(90);

/// A Canary and what belongs to it, from the caches or freshly read.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
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
    pub surroundings: Surroundings,
}

// === impl Scene ===

impl Scene<'_> {
    /// The last time that Flagger wrote the status or an Event. One from the future is some other machine's clock, or a
    /// forgery.
    #[must_use]
    pub fn sign_of_life(&self, now: Timestamp) -> Option<Timestamp> {
        let signs = [self.canary.status.last_transition_time, self.last_event];
        signs.into_iter().flatten().filter(|sign| *sign <= now).max()
    }
}

/// What is known of Flagger itself and of the routes. It is looked up for the last resort alone, and what is not known
/// for certain is false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Surroundings {
    /// There is evidence that Flagger is down, and no Canary shows a sign of life.
    pub flagger_down: bool,
    /// The provider's routes were read back, and all traffic goes to the primary.
    pub routes_on_primary: bool,
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
    pub standing: Standing,
    /// How the target is doing.
    pub target: TargetSeen,
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
    pub hook: Hook,
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
    /// How the adoption of the workload goes, while it is being adopted.
    pub adoption: Option<Adoption>,
    /// What is known beyond the Canary's own objects.
    pub surroundings: Surroundings,
}

// === impl Observation ===

impl Observation {
    /// Whether nobody holds it and it is not being deleted.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.standing == Standing::Live
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

    /// Whether the adoption can be held: there is something to lose, and the primary has the conditions to renew.
    #[must_use]
    pub fn can_be_held(&self) -> bool {
        let to_hold = |adoption: Adoption| adoption.target_serves && adoption.hold_by.is_some();
        self.kind == Some(Kind::Deployment) && self.adoption.is_some_and(to_hold)
    }

    /// Whether a gate may hold the traffic: it has such a hook, and nothing else is in its way.
    #[must_use]
    pub fn behind_gate(&self) -> bool {
        self.traffic_gate && self.phase == Phase::Progressing && self.target == TargetSeen::Ready
    }
}

/// How the adoption of a live workload goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Adoption {
    /// Whether the live workload still serves.
    pub target_serves: bool,
    /// When it must be held at the latest; none while the primary is ready, or not there.
    pub hold_by: Option<Timestamp>,
    /// When it has taken as long as the deadline, and a few of Flagger's looks on top, where nothing says that it must be held.
    pub told_at: Option<Timestamp>,
}

/// Whether a hook may hold one of Flagger's looks, which began with a ready target and writes what it found then when the
/// hook has answered (`docs/flagger.md#hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// There is none, or no look ever got as far as that.
    None,
    /// Not after this moment, if the target stays unready: Flagger calls no hook while it is.
    Until(Timestamp),
    /// The target is ready, so that there may be one at any moment.
    May,
}

/// Whether anybody may act on a Canary at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is live.
    Live,
    /// `spec.suspend`.
    Suspended,
    /// It is being deleted.
    Deleted,
}

/// How the target stands against what Flagger needs to advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetSeen {
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
pub fn observe(scene: Scene<'_>, before: &Stamp, now: Timestamp) -> (Observation, Stamp) {
    let Scene { canary, target, .. } = scene;
    let effective = Effective::of(canary);
    let mut stamp = before.clone();
    // Flagger always writes when it began; what does not say so is nobody's rollout.
    let began = canary
        .status
        .promoted
        .as_ref()
        .and_then(|promoted| promoted.rollout_started);
    let running = canary.status.phase.rank().is_some() && began.is_some();
    let mut synced = false;
    let mut seen = TargetSeen::Missing;
    let mut hook = Hook::None;
    let mut last_sign = scene.sign_of_life(now);

    if running && let Some(promoted) = &canary.status.promoted {
        // While the target is not there, its template is taken to be what it was.
        let known = before.rollout.as_ref().map(|rollout| rollout.revision.template);
        let template = target.map(|target| target.template).or(known).unwrap_or_default();
        let live = Revision::of(canary, template);
        let mut rollout = carry_forward(scene, promoted, before.rollout.as_ref(), &live, now);
        if before.rollout.is_none() {
            rollout.breach = recalled_breach(before, &rollout, &effective);
        }
        let watched = before
            .rollout
            .as_ref()
            .is_some_and(|before| now.duration_since(before.looked_at) < BLIND);
        rollout.looked_at = now;
        // A lever of ours sets back what Flagger wrote (docs/flagger.md#l6).
        rollout.last_sign = rollout.last_sign.max(scene.sign_of_life(now));
        last_sign = rollout.last_sign;
        synced = rollout.revision == live;
        seen = target_seen(scene, &effective, &rollout, now);
        rollout.budget = turned(rollout.budget, scene, &effective, seen, watched, now);
        rollout.running = rollout.running.turn(running_course(canary), now);
        if let Some(pods) = scene.pods {
            rollout.crashes.note(pods, rollout.started_at, synced);
        }
        hook = hook_seen(&rollout, &effective);
        if seen == TargetSeen::Ready && !rollout.was_ready {
            rollout.was_ready = true;
            stamp.note_ready_after(now.duration_since(rollout.revision_since));
        }
        stamp.rollout = Some(rollout);
    }
    stamp.suspended_since = (standing(canary) == Standing::Suspended).then(|| before.suspended_since.unwrap_or(now));
    let observation = Observation {
        last_sign,
        synced,
        hook,
        ..observation(scene, &effective, running, seen, now)
    };
    (observation, stamp)
}

fn observation(
    scene: Scene<'_>,
    effective: &Effective,
    running: bool,
    seen: TargetSeen,
    now: Timestamp,
) -> Observation {
    let Scene {
        canary,
        target,
        primary,
        pods: _,
        last_event: _,
        surroundings,
    } = scene;
    let (spec, status) = (&canary.spec, &canary.status);
    let phase_since = status.promoted.as_ref().and_then(|promoted| promoted.phase_started);
    let adopting = matches!(status.phase, Phase::None | Phase::Initializing);
    Observation {
        phase: status.phase.clone(),
        applied: status.last_applied_spec.clone(),
        phase_since,
        status_written: status.last_transition_time,
        last_sign: scene.sign_of_life(now),
        running,
        kind: target.map(|target| target.kind),
        service: is_service(canary),
        foreign: !is_service(canary) && !matches!(spec.target.kind.as_str(), "Deployment" | "DaemonSet"),
        standing: standing(canary),
        target: seen,
        no_deadline: target.is_some_and(Workload::has_no_deadline),
        lever_stands: target.is_some_and(lever_stands),
        synced: false,
        hook: Hook::None,
        skip_analysis: effective.skip_analysis,
        traffic_gate: spec
            .analysis
            .as_ref()
            .is_some_and(|analysis| analysis.has_hook("confirm-traffic-increase")),
        on_canary: status.canary_weight > 0 || (running && target.is_some_and(|target| target.wanted > 0)),
        controllers_behind: seen == TargetSeen::Unready && controllers_behind(scene, effective, now),
        ended_by_us: status.phase == Phase::Failed
            && (status.promoted.as_ref()).is_some_and(|promoted| promoted.message.starts_with(OURS)),
        untouched: status.canary_weight == 0 && status.iterations == 0,
        primary_ready: primary
            .is_some_and(|primary| readiness(primary, effective.primary_ready_threshold) == Readiness::Ready),
        scaled_object: (spec.autoscaler.as_ref()).is_some_and(|autoscaler| autoscaler.kind == "ScaledObject"),
        adoption: adopting.then(|| adoption(canary, target, primary, effective)),
        surroundings,
    }
}

/// Until when a look that a hook holds may go on, by what is known of the target.
fn hook_seen(rollout: &Rollout, effective: &Effective) -> Hook {
    // Under skipAnalysis a look ends before it would call a hook.
    let calls_hooks = !effective.skip_analysis && !effective.hook_time.is_zero();
    if !calls_hooks || !(rollout.was_ready || rollout.budget.course == Course::Ready) {
        return Hook::None;
    }
    let held = SignedDuration::try_from(effective.hook_time).unwrap_or(SignedDuration::MAX);
    let end = rollout.budget.since.checked_add(held.saturating_add(LOOK_MARGIN));
    match (rollout.budget.course, end) {
        (Course::Unready, Ok(end)) => Hook::Until(end),
        (Course::Unready, Err(_)) | (Course::Ready | Course::Frozen, _) => Hook::May,
    }
}

/// Whether a target carries our own condition.
fn lever_stands(target: &Workload) -> bool {
    let ours = |condition: &Condition| condition.message.starts_with(OURS);
    target.deadline_exceeded() && target.progressing.as_ref().is_some_and(ours)
}

/// Flagger gives an unready primary its deadline from the last update of its `Available` condition, and Kubernetes
/// gives it its own from the last update of `Progressing`; either ends the adoption, and the live workload with it. That of
/// a `DaemonSet` counts from the last write of the Canary's status (`docs/flagger.md#l6`).
fn adoption(canary: &Canary, target: Option<&Workload>, primary: Option<&Workload>, effective: &Effective) -> Adoption {
    let unready = primary.filter(|primary| {
        !effective.skip_analysis && readiness(primary, effective.primary_ready_threshold) != Readiness::Ready
    });
    let most_of = |since: Timestamp, deadline: i64| {
        let share = SignedDuration::from_secs(deadline.max(0)).saturating_mul(HOLD_AT) / 100;
        since.checked_add(share).ok()
    };
    let from = |condition: &Option<Condition>, status: &str, deadline: i64| {
        let condition = condition.as_ref().filter(|condition| condition.status == status)?;
        most_of(condition.updated?, deadline)
    };
    let hold_by = unready.and_then(|primary| {
        if primary.kind == Kind::DaemonSet {
            let created = canary.metadata.creation_timestamp.as_ref().map(|time| time.0);
            let since = canary.status.last_transition_time.or(created)?;
            return most_of(since, effective.progress_deadline_seconds);
        }
        let flaggers = from(&primary.availability, "False", effective.progress_deadline_seconds);
        let kubernetes = primary
            .progress_deadline
            .and_then(|deadline| from(&primary.progressing, "True", deadline));
        [flaggers, kubernetes].into_iter().flatten().min()
    });
    Adoption {
        target_serves: target.is_some_and(|target| target.available > 0),
        hold_by,
        told_at: canary.metadata.creation_timestamp.as_ref().and_then(|created| {
            let deadline = SignedDuration::from_secs(effective.progress_deadline_seconds.max(0));
            created.0.checked_add(deadline.saturating_add(looks(effective))).ok()
        }),
    }
}

/// Whether enough pods have been ready for so long that the controller should have counted them.
fn controllers_behind(scene: Scene<'_>, effective: &Effective, now: Timestamp) -> bool {
    let (Some(target), Some(pods)) = (scene.target, scene.pods) else {
        return false;
    };
    let due = SignedDuration::from_secs(target.min_ready).saturating_add(COUNTED_WITHIN);
    let ready = pods
        .iter()
        .filter(|pod| pod.ready && pod.since.is_some_and(|since| now.duration_since(since) > due))
        .count();
    let needed = ready::needed(target, effective.canary_ready_threshold);
    // Pods of an old version, or too few of them, are another matter.
    let only_availability = matches!(
        readiness(target, effective.canary_ready_threshold),
        Readiness::NotReady(Shortfall::Unavailable { .. })
    );
    only_availability && i64::try_from(ready).is_ok_and(|ready| ready >= needed)
}

/// What the looks take that even a smooth adoption needs.
fn looks(effective: &Effective) -> SignedDuration {
    let interval = SignedDuration::try_from(effective.interval).unwrap_or(SignedDuration::MAX);
    interval
        .saturating_mul(ADOPTION_LOOKS)
        .max(SignedDuration::from_mins(1))
}

/// Whether the target is a Service of Kubernetes' own; Knative's have the same kind.
#[must_use]
pub fn is_service(canary: &Canary) -> bool {
    canary.spec.target.kind == "Service" && canary.spec.target.api_version == "v1"
}

fn standing(canary: &Canary) -> Standing {
    if canary.metadata.deletion_timestamp.is_some() {
        Standing::Deleted
    } else if canary.spec.suspend {
        Standing::Suspended
    } else {
        Standing::Live
    }
}

/// How the target stands, in the order in which Flagger would find out.
fn target_seen(scene: Scene<'_>, effective: &Effective, rollout: &Rollout, now: Timestamp) -> TargetSeen {
    let Scene {
        canary,
        target,
        primary,
        pods,
        last_event: _,
        surroundings: _,
    } = scene;
    // Flagger holds a Service for always ready.
    if is_service(canary) {
        return TargetSeen::Ready;
    }
    let Some(target) = target else {
        return TargetSeen::Missing;
    };
    if target.paused {
        return TargetSeen::Paused;
    }
    if target.unobserved() {
        return TargetSeen::Unobserved;
    }
    if !effective.skip_analysis {
        let Some(primary) = primary else {
            return TargetSeen::Missing;
        };
        let ready = readiness(primary, effective.primary_ready_threshold) == Readiness::Ready;
        if !ready || primary.deadline_exceeded() {
            return TargetSeen::PrimaryNotReady;
        }
    }
    match readiness(target, effective.canary_ready_threshold) {
        Readiness::Unobserved => TargetSeen::Unobserved,
        // Flagger holds none of none for ready and would promote it (docs/flagger.md#f9).
        Readiness::Ready if target.wanted == 0 => TargetSeen::Unready,
        Readiness::Ready => TargetSeen::Ready,
        Readiness::NotReady(_) => pods
            .and_then(|pods| growing_until(canary, target, pods, rollout, effective, now))
            .map_or(TargetSeen::Unready, TargetSeen::Growing),
    }
}

/// Until when an autoscaler or a drain explains the unready pods, if it does.
fn growing_until(
    canary: &Canary,
    target: &Workload,
    pods: &[PodSeen],
    rollout: &Rollout,
    effective: &Effective,
    now: Timestamp,
) -> Option<Timestamp> {
    // After a restart it is not known how many were wanted. Nobody but an autoscaler changes that in mid-rollout.
    let enough = match (rollout.wanted, &canary.spec.autoscaler) {
        (Some(wanted), _) => target.available >= wanted,
        (None, Some(_)) => target.available > 0,
        (None, None) => target.available >= target.wanted,
    };
    if !enough {
        return None;
    }
    let oldest = pods.iter().filter(|pod| !pod.ready).map(|pod| pod.created).min()??;
    let deadline = SignedDuration::from_secs(effective.progress_deadline_seconds.max(0));
    oldest.checked_add(deadline).ok().filter(|until| now < *until)
}

/// The budget with the course that the target takes now.
fn turned(
    budget: Budget,
    scene: Scene<'_>,
    effective: &Effective,
    seen: TargetSeen,
    watched: bool,
    now: Timestamp,
) -> Budget {
    let course = course(scene.canary, seen);
    if watched {
        return budget.turn(course, now);
    }
    // A first look: what happened since the stamp, or since the progress, is filled in as far as it is certain. The pods
    // tell since when the target has been unready at the least; before that it may have been ready.
    let certain = match (course, scene.target, scene.pods) {
        (Course::Unready, Some(target), Some(pods)) => {
            let needed = usize::try_from(ready::needed(target, effective.canary_ready_threshold)).unwrap_or_default();
            pods::unready_since(pods, needed).unwrap_or(now).min(now)
        }
        _ => now,
    };
    if course == Course::Unready && budget.course == Course::Unready && certain <= budget.since {
        return budget;
    }
    let believed = Budget {
        spent: budget.spent,
        course: if budget.course == Course::Frozen {
            Course::Frozen
        } else {
            Course::Ready
        },
        since: budget.since,
    };
    believed.turn(course, certain.max(budget.since))
}

/// Approvals and holds are no part of the time that a rollout takes.
fn running_course(canary: &Canary) -> Course {
    match canary.status.phase {
        Phase::Progressing | Phase::Promoting | Phase::Finalising if standing(canary) == Standing::Live => {
            Course::Unready
        }
        _ => Course::Frozen,
    }
}

fn course(canary: &Canary, seen: TargetSeen) -> Course {
    if standing(canary) != Standing::Live || !canary.status.phase.can_roll_back() {
        return Course::Frozen;
    }
    match seen {
        TargetSeen::Ready => Course::Ready,
        TargetSeen::Unready => Course::Unready,
        TargetSeen::Growing(_)
        | TargetSeen::Unobserved
        | TargetSeen::Paused
        | TargetSeen::PrimaryNotReady
        | TargetSeen::Missing => Course::Frozen,
    }
}
