//! What a Canary and its target carry: the stamp on it, its revision, how far it is, and levers that were applied before a
//! restart.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{
    canary::{Canary, Promoted},
    deployment_conditions::{is_ours, progressing},
    effective::Effective,
    phase::Phase,
    snapshot::Snapshot,
};
use crate::{
    deadline::clocks,
    rollout::{
        budget::Course,
        crashes::Crashes,
        revision::{Revision, TemplateHash},
        saved_status::{Overwritten, SavedStatus},
        stamp::{
            BudgetFormat, ELAPSED, ELAPSED_FORMAT, KEPT_READY_AFTER, OBSERVED_GENERATION, PROGRESS, PROGRESS_REPLICAS,
            PROGRESSED_AT, Progress, READY_AFTER, REVISION, Rollout, STARTED_AT, Stamp, UNREADY, UNREADY_FORMAT,
            VERDICT, requested,
        },
        timestamps::rounded_up,
        verdict::Verdict,
        workload_kind::WorkloadKind,
    },
};

// === impl Stamp ===

impl Stamp {
    /// Reads what the Canary carries, for a first look at it: only what its status does not contradict.
    ///
    /// A stamp of another rollout or revision, one in the future and one that does not parse are as good as none.
    /// `watched_until`: until when whoever wrote it certainly saw every edit.
    #[must_use]
    pub fn recall(canary: &Canary, watched_until: Option<Timestamp>, now: Timestamp) -> Self {
        let verdict = canary
            .annotation(VERDICT)
            .and_then(|text| Verdict::parse(text, clocks::named));
        let ready_after = canary.annotation(READY_AFTER).unwrap_or_default();
        Self {
            rollout: None,
            verdict: verdict.filter(|verdict: &Verdict| verdict.at <= rounded_up(now)),
            ready_after: ready_after
                .split(' ')
                .filter_map(seconds)
                .take(KEPT_READY_AFTER)
                .collect(),
            // When that began is not known any more: less is counted, never more.
            suspended_since: canary.spec.suspend.then_some(now),
            watched_until,
        }
    }
}

fn seconds(text: &str) -> Option<i64> {
    text.strip_suffix('s')?.parse().ok().filter(|seconds| *seconds >= 0)
}

// === impl Rollout ===

impl Rollout {
    /// What the Canary's annotations say about the rollout that runs now, if they are about it.
    #[must_use]
    pub fn recall(canary: &Canary, promoted: &Promoted, revision: &Revision, now: Timestamp) -> Option<Self> {
        if canary.annotation(REVISION)? != revision.to_string() {
            return None;
        }
        let promoted_since = promoted.rollout_started?;
        let past = |key| {
            let time: Timestamp = canary.annotation(key)?.parse().ok()?;
            (time >= promoted_since && time <= now).then_some(time)
        };
        let progressed_at = past(PROGRESSED_AT)?;
        // Every progress is a write of the status.
        if canary
            .status
            .last_transition_time
            .is_some_and(|last| progressed_at.duration_since(last) > SignedDuration::from_secs(2))
        {
            return None;
        }
        let started_at = past(STARTED_AT)?;
        let progress = Progress::parse(canary.annotation(PROGRESS)?)?;
        let read = |key, words: BudgetFormat| {
            let budget = words.read(canary.annotation(key)?)?;
            // More than the rollout lasted by then cannot have been spent.
            let lasted = budget.since.duration_since(promoted_since);
            (budget.since <= rounded_up(now) && budget.spent <= lasted && !lasted.is_negative()).then_some(budget)
        };
        let budget = read(UNREADY, UNREADY_FORMAT)?;
        Some(Self {
            promoted_since,
            revision: revision.clone(),
            target: canary.spec.target.clone(),
            started_at,
            progressed_at,
            // Of what was ready before, it is not known when.
            was_ready: progress.weight > 0 || progress.iterations > 0 || budget.course == Course::Recovering,
            progress,
            wanted: canary.annotation(PROGRESS_REPLICAS).and_then(|text| text.parse().ok()),
            budget,
            running: read(ELAPSED, ELAPSED_FORMAT)?,
            crashes: Crashes::default(),
            revision_since: progressed_at,
            unproven_until: None,
            unsynced_until: None,
            blocked_since: None,
            observed_at: now,
            generation: canary
                .annotation(OBSERVED_GENERATION)
                .and_then(|text| text.parse().ok()),
            last_sign: None,
            breach: None,
        })
    }
}

// === impl Progress ===

impl Progress {
    /// How far the Canary's status says that it is.
    #[must_use]
    pub fn of(canary: &Canary) -> Self {
        let status = &canary.status;
        Self {
            phase: status.phase.to_string(),
            rank: status.phase.rank().unwrap_or_default(),
            weight: status.canary_weight,
            iterations: status.iterations,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let mut next = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix('=');
        let phase = Phase::parse(next("phase")?);
        Some(Self {
            rank: phase.rank()?,
            phase: phase.to_string(),
            weight: next("weight")?.parse().ok()?,
            iterations: next("iterations")?.parse().ok()?,
        })
    }
}

// === impl Revision ===

impl Revision {
    /// The revision of a Canary whose target has this template now.
    #[must_use]
    pub fn of(canary: &Canary, template: TemplateHash) -> Self {
        let mut digest = Sha256::new();
        for (name, checksum) in &canary.status.tracked_configs {
            for part in [name, checksum] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        let mut configs = [0; 16];
        configs.copy_from_slice(&digest.finalize()[..16]);
        Self {
            applied: canary.status.last_applied_spec.clone(),
            configs,
            template,
        }
    }
}

// === impl SavedStatus ===

impl SavedStatus {
    /// What may be ours on a rollout that is looked at for the first time: levers that were applied before a restart. What
    /// stood there before them is forgotten.
    #[must_use]
    pub fn found(fresh: &Snapshot, stamp: &Stamp, now: Timestamp) -> Option<Self> {
        let canary = &fresh.canary;
        let failed =
            canary.status.phase.can_roll_back() && canary.status.failed_checks >= Effective::of(canary).threshold;
        let target = fresh.target.as_ref().map(|(_, object)| object);
        let exceeded = target.and_then(progressing).is_some_and(is_ours);
        // Flagger has not written since, so what stands there is as old as the verdict wanted it.
        let asked = stamp
            .verdict
            .as_ref()
            .filter(|_| requested(stamp))
            .map(|verdict| verdict.at);
        let backdated = canary.status.last_transition_time.filter(|stands| {
            let by_status = fresh
                .target
                .as_ref()
                .is_some_and(|(target, _)| target.kind == WorkloadKind::DaemonSet);
            by_status && canary.status.phase.can_roll_back() && asked.is_some_and(|asked| *stands < asked)
        });
        let found = Self {
            progressing: exceeded.then(|| (canary.spec.target.name.clone(), None)),
            // Flagger counts on from none.
            failed_checks: failed.then_some(0),
            raised_at: failed.then_some(asked.unwrap_or(now)),
            transition: backdated.map(|put| Overwritten { found: now, put }),
        };
        (found != Self::default()).then_some(found)
    }
}

#[cfg(test)]
#[path = "recall_test.rs"]
mod tests;
