//! Following a rollout: from what was known of it, or what stands on the Canary, to what it is now.

use jiff::{SignedDuration, Timestamp};

use super::{
    accrual::after,
    canary::{Canary, Promoted},
    effective::Effective,
    look::Look,
    objects::{Objects, lifecycle},
    phase::Phase,
    timing::check_time,
};
use crate::{
    deadline::limits::CHECK_MARGIN,
    rollout::{
        Clock,
        breach::Breach,
        budget::{Budget, Course},
        crashes::Crashes,
        observation::Lifecycle,
        revision::{Revision, TemplateHash},
        stamp::{Progress, Rollout, Stamp, requested},
    },
};

/// What whole seconds in annotations may add up to.
const ROUNDING: SignedDuration = SignedDuration::from_secs(3);

/// The rollout as it is now: the same one, the same one with another revision, or another one.
pub(super) fn carry_forward(look: Look<'_>, promoted: &Promoted, before: Option<&Rollout>, live: &Revision) -> Rollout {
    let Look { objects, now, .. } = look;
    let canary = objects.canary;
    let seen = Progress::of(canary);
    // Flagger advances a target that was scaled to 0, but nothing runs that could make progress (docs/flagger.md#f9).
    let wants_none = canary.status.phase.can_roll_back() && objects.target.is_some_and(|target| target.wanted == 0);
    let Some(before) = before.filter(|before| Some(before.promoted_since) == promoted.rollout_started) else {
        return found(look, promoted, live, before.is_some());
    };
    let mut rollout = before.clone();
    if rollout.target != canary.spec.target {
        retarget(&mut rollout, objects, live, now);
    }
    if objects.target.is_some() && rollout.revision.template == TemplateHash::default() {
        // The rollout was found without its target, and now the target is there.
        rollout.revision.template = live.template;
        rollout.unproven_until = proven_after(objects, now);
    }
    if !live.taken_up_since(&before.revision) {
        follow_template(&mut rollout, objects, live, now);
    }
    rollout.started_at = started_at(canary, promoted, Some(before.started_at), now);
    let progressed_at = canary
        .status
        .last_transition_time
        .map_or(now, |written| written.min(now));
    if live.taken_up_since(&before.revision) {
        rollout.revision = live.clone();
        rollout.progress = seen;
        rollout.crashes = before.crashes.of_next_revision();
        rollout.revision_since = now;
        rollout.was_ready = false;
        rollout.unproven_until = None;
        rollout.unsynced_until = None;
        rollout.breach = None;
    } else if let Some(advanced) = before.progress.advanced_to(&seen).filter(|_| !wants_none) {
        rollout.progress = advanced;
    } else {
        return rollout;
    }
    rollout.progressed_at = progressed_at;
    rollout.wanted = objects.target.map(|target| target.wanted);
    rollout.budget = Budget::new(rollout.budget.course, now);
    rollout
}

/// A user pointed the Canary at another workload: what was counted was about the first one, and Flagger must look at the
/// other one before anybody may say that it took up its template.
fn retarget(rollout: &mut Rollout, objects: Objects<'_>, live: &Revision, now: Timestamp) {
    rollout.target = objects.canary.spec.target.clone();
    rollout.revision.template = live.template;
    rollout.wanted = None;
    rollout.budget = Budget::new(rollout.budget.course, now);
    rollout.crashes = Crashes::default();
    rollout.revision_since = now;
    rollout.was_ready = false;
    rollout.unproven_until = proven_after(objects, now);
    rollout.unsynced_until = None;
    rollout.breach = None;
}

/// A template that was pushed is Flagger's to take up. What it has not taken up after it looked, such as the promoted
/// template, is no new revision to it, and what is live is what the rollout goes on with.
fn follow_template(rollout: &mut Rollout, objects: Objects<'_>, live: &Revision, now: Timestamp) {
    let canary = objects.canary;
    // A Flagger that is down did not look, however long that takes, and a check that began before the push, held by a hook
    // or by other checks, did not see it.
    let interval = SignedDuration::try_from(Effective::of(canary).interval).unwrap_or(SignedDuration::MAX);
    let looked = |until: Timestamp| objects.sign_of_life(now) > until.checked_sub(interval).ok();
    if live.template == rollout.revision.template {
        rollout.unsynced_until = None;
    } else if rollout.unsynced_until.is_none() {
        rollout.unsynced_until = proven_after(objects, now);
    } else if rollout
        .unsynced_until
        .is_some_and(|until| now >= until && looked(until))
    {
        rollout.revision.template = live.template;
        rollout.unsynced_until = None;
    }
}

/// A rollout that was not known before: it just began, or Curfew just came.
fn found(look: Look<'_>, promoted: &Promoted, live: &Revision, watched: bool) -> Rollout {
    let Look { objects, now, .. } = look;
    let canary = objects.canary;
    let phase_started = promoted.phase_started.unwrap_or(now).min(now);
    // A rollout that has only just begun has the template that it began with.
    let just_begun = now.duration_since(phase_started) <= CHECK_MARGIN;
    let unproven_until = proven_after(objects, now).filter(|_| !watched && !just_begun);
    // After a restart in the middle of an update nobody knows whose pods these are.
    let is_updating = objects.target.is_some_and(|target| target.total > target.updated);
    let unknown = objects.pods.filter(|_| !watched && is_updating).unwrap_or_default();
    let crashes = Crashes::beside(unknown.iter().map(|pod| pod.name.clone()));
    if !watched && let Some(recalled) = Rollout::recall(canary, promoted, live, now) {
        let started_at = started_at(canary, promoted, Some(recalled.started_at), now);
        return Rollout {
            started_at,
            crashes,
            unproven_until: None,
            ..recalled
        };
    }
    // Every progress, and every revision that was taken up, was a write of the status.
    let progressed_at = canary.status.last_transition_time.unwrap_or(phase_started).min(now);
    let started_at = started_at(canary, promoted, None, now);
    // Since when it is suspended, nobody knows.
    let since_phase = match lifecycle(canary) {
        Lifecycle::Live if !watched => Course::Accruing,
        Lifecycle::Live | Lifecycle::Suspended | Lifecycle::Deleted => Course::Paused,
    };
    Rollout {
        promoted_since: promoted.rollout_started.unwrap_or(phase_started),
        revision: live.clone(),
        target: canary.spec.target.clone(),
        started_at,
        progressed_at,
        progress: Progress::of(canary),
        wanted: objects
            .target
            .map(|target| target.wanted)
            .filter(|_| watched || just_begun),
        budget: Budget::new(Course::Paused, if watched { now } else { after(progressed_at, now) }),
        running: Budget::new(since_phase, phase_started.max(started_at)),
        crashes,
        revision_since: phase_started,
        // What was found running may have been ready before; when, nobody saw.
        was_ready: !watched && !just_begun,
        unproven_until,
        unsynced_until: None,
        blocked_since: None,
        observed_at: now,
        generation: canary.metadata.generation,
        last_sign: None,
        breach: None,
    }
}

/// When it is certain that the live template is the one that Flagger took up: it looks at its target once an interval,
/// and what it has not taken up by then it does not see as new.
fn proven_after(objects: Objects<'_>, now: Timestamp) -> Option<Timestamp> {
    now.checked_add(check_time(objects.canary, objects.canaries)).ok()
}

/// The first `Progressing`; while there was none, the start of the wait for it. A stamp never gives a later start than
/// the status does.
fn started_at(canary: &Canary, promoted: &Promoted, stamped: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let phase_started = promoted.phase_started.unwrap_or(now).min(now);
    match canary.status.phase {
        Phase::Waiting => promoted.rollout_started.unwrap_or(phase_started).min(now),
        // A rollout that had to wait for its approval starts when it gets it.
        Phase::Progressing if stamped.is_none_or(|stamped| Some(stamped) == promoted.rollout_started) => phase_started,
        _ => stamped.map_or(phase_started, |stamped| stamped.min(phase_started)),
    }
}

/// After a restart: the breach on which Flagger was handed the verdict, which holds whatever the pods do since, unless
/// the deadline was made longer meanwhile.
pub(super) fn recalled_breach(before: &Stamp, rollout: &Rollout, effective: &Effective) -> Option<Breach> {
    let asked = Stamp {
        rollout: Some(rollout.clone()),
        ..before.clone()
    };
    let verdict = before.verdict.as_ref().filter(|_| requested(&asked))?;
    let limit = SignedDuration::from_secs(effective.progress_deadline_seconds.max(0));
    if verdict.revision != rollout.revision.to_string() {
        return None;
    }
    let budget = rollout.budget;
    let reached = match budget.course {
        Course::Accruing => budget
            .reaches(limit)
            .is_some_and(|reached| reached.duration_since(verdict.deadline) <= ROUNDING),
        // The pods got ready since: what had been spent by then still tells whether this limit was reached.
        Course::Recovering | Course::Paused => budget.spent.saturating_add(ROUNDING) >= limit,
    };
    let lengthened = verdict.clock == Clock::READINESS && !reached;
    // Of the other clocks it is not known what the limit was; it is taken to be what it is.
    let limit = if verdict.clock == Clock::READINESS {
        limit
    } else {
        SignedDuration::MAX
    };
    (!lengthened).then_some(Breach {
        clock: verdict.clock,
        deadline: verdict.deadline,
        limit,
    })
}
