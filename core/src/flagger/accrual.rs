//! What of the time counts: the budgets with the course that they take now, and what nobody saw left out of them.

use jiff::{SignedDuration, Timestamp};

use super::{canary::Canary, look::Look, objects::lifecycle, phase::Phase, ready, target::enough, workload::Workload};
use crate::rollout::{
    budget::{Budget, Course},
    observation::{Lifecycle, TargetState},
    pods::{self, PodSeen},
    stamp::{Rollout, Stamp},
};

/// Without a look for so long, what happened meanwhile is not known: a machine was suspended, a watch hung.
const BLIND: SignedDuration = SignedDuration::from_secs(90);

/// A target's pods are listed once in two seconds at the most, and a list takes its time: they may be older than the target
/// by so much.
const UNLISTED: SignedDuration = SignedDuration::from_secs(3);

/// What Kubernetes and Flagger write is as exact as this.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A time in which nobody looked, which ends now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// When it began, if that is known.
    since: Option<Timestamp>,
    /// Whether somebody edited the Canary's spec meanwhile: they may have suspended it, and let it go on since.
    edited: bool,
    /// Whether pods of the version before are still there, so that the target was never ready with this one.
    updating: bool,
}

// === impl Gap ===

impl Gap {
    /// The gap that ends with this look, if there is one. `rollout` was carried forward, and knows the generation that was
    /// seen last; `synced`: the live template is the one that it rolls out.
    pub(super) fn found(look: Look<'_>, before: &Stamp, rollout: &Rollout, synced: bool) -> Option<Self> {
        let Look { objects, now, .. } = look;
        let since = match &before.rollout {
            Some(before) if now.duration_since(before.observed_at) < BLIND => return None,
            Some(before) => Some(before.observed_at),
            None => before.watched_until,
        };
        // A stamp is recalled for the very same template only.
        let template = before.rollout.as_ref().map(|before| before.revision.template);
        let is_same = template.is_none_or(|before| before == rollout.revision.template);
        Some(Self {
            since,
            edited: rollout.generation != objects.canary.metadata.generation,
            updating: synced && is_same && objects.target.is_some_and(|target| target.total > target.updated),
        })
    }
}

/// The budget of unready time with the course that the target takes now.
pub(super) fn unready(look: Look<'_>, rollout: &Rollout, gap: Option<Gap>, seen: TargetState) -> Budget {
    let Look { objects, now, .. } = look;
    let budget = rollout.budget;
    let course = course(objects.canary, seen);
    let Some(gap) = gap else {
        let from = match (seen, objects.target, objects.pods) {
            (TargetState::Growing(_), Some(target), Some(pods)) => grew_at(look, rollout, target, pods),
            _ => now,
        };
        return budget.turn(course, from);
    };
    // What happened since the stamp, or since the progress, is filled in as far as it is certain. The pods tell since
    // when the target has been unready at the least; before that it may have been ready.
    let certain = match (course, objects.target, objects.pods) {
        (Course::Accruing, Some(target), Some(pods)) => {
            certain(look, rollout, gap.updating, (target, pods)).unwrap_or(now)
        }
        _ => now,
    };
    let filled = if course == Course::Accruing && budget.course == Course::Accruing && certain <= budget.since {
        budget
    } else {
        let believed = match budget.course {
            Course::Paused => Course::Paused,
            Course::Recovering | Course::Accruing => Course::Recovering,
        };
        let believed = Budget {
            course: believed,
            ..budget
        };
        let from = if certain <= budget.since {
            budget.since
        } else {
            after(certain, now)
        };
        believed.turn(course, from)
    };
    if gap.edited && course == Course::Accruing {
        without(filled, gap.since, now)
    } else {
        filled
    }
}

/// The budget of the whole rollout. Approvals and holds are no part of the time that it takes.
pub(super) fn running(budget: Budget, gap: Option<Gap>, canary: &Canary, now: Timestamp) -> Budget {
    let is_live = lifecycle(canary) == Lifecycle::Live;
    let course = match canary.status.phase {
        Phase::Progressing | Phase::Promoting | Phase::Finalising if is_live => Course::Accruing,
        _ => Course::Paused,
    };
    let Some(gap) = gap else {
        return budget.turn(course, now);
    };
    let phase_started = canary
        .status
        .promoted
        .as_ref()
        .and_then(|promoted| promoted.phase_started);
    let moved = phase_started.filter(|started| *started > gap.since.unwrap_or(budget.since));
    // Between the phase that was seen and this one there may have been an approval.
    let until = if gap.edited { Some(now) } else { moved };
    match until {
        Some(until) => without(budget, gap.since, until.min(now)).turn(course, until.min(now)),
        None => budget.turn(course, now),
    }
}

/// Since when the target has certainly been unready, going by its pods: neither ready, nor growing.
fn certain(
    look: Look<'_>,
    rollout: &Rollout,
    updating: bool,
    (target, pods): (&Workload, &[PodSeen]),
) -> Option<Timestamp> {
    let effective = look.effective;
    let fewer_than = |count: i64| pods::unready_since(pods, usize::try_from(count).unwrap_or_default());
    let not_ready = if updating {
        Timestamp::MIN
    } else {
        fewer_than(ready::needed(target, effective.canary_ready_threshold))?
    };
    let few = fewer_than(enough(target, rollout, look.objects.canary));
    let deadline = SignedDuration::from_secs(effective.progress_deadline_seconds.max(0));
    let not_growing = few.into_iter().chain(pods::old_since(pods, deadline)).min()?;
    Some(not_ready.max(not_growing))
}

/// Since when enough pods have been available, which may not have been known before the pods were listed again.
fn grew_at(look: Look<'_>, rollout: &Rollout, target: &Workload, pods: &[PodSeen]) -> Timestamp {
    let now = look.now;
    let enough = usize::try_from(enough(target, rollout, look.objects.canary)).unwrap_or_default();
    let earliest = now.checked_sub(UNLISTED).unwrap_or(now);
    pods::ready_since(pods, enough)
        .and_then(|ready| ready.checked_add(SignedDuration::from_secs(target.min_ready)).ok())
        .map_or(now, |available| available.clamp(earliest, now))
}

/// When something has certainly happened that was written down with the second in which it did.
pub(super) fn after(written: Timestamp, now: Timestamp) -> Timestamp {
    written.checked_add(SECOND).unwrap_or(now).min(now)
}

/// The budget without what passed in a gap. Without a beginning, that is all the time since the last change.
fn without(budget: Budget, since: Option<Timestamp>, until: Timestamp) -> Budget {
    let since = since
        .unwrap_or(budget.since)
        .clamp(budget.since, until.max(budget.since));
    budget.turn(Course::Paused, since).turn(budget.course, until)
}

fn course(canary: &Canary, seen: TargetState) -> Course {
    if lifecycle(canary) != Lifecycle::Live || !canary.status.phase.can_roll_back() {
        return Course::Paused;
    }
    match seen {
        TargetState::Ready => Course::Recovering,
        TargetState::Unready => Course::Accruing,
        TargetState::Growing(_)
        | TargetState::Unobserved
        | TargetState::Paused
        | TargetState::PrimaryNotReady
        | TargetState::Missing => Course::Paused,
    }
}
