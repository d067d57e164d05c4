//! Stamps: what Curfew keeps on a Canary, in annotations that survive restarts and that everybody can read.
//!
//! What is remembered is more than what is written: exact times, and how the live template and Flagger's revision
//! belong together. [`Stamp::annotations`] writes; [`Stamp::recall`] reads back after a restart, and believes
//! only what the Canary's status does not contradict.

use std::{collections::BTreeMap, fmt};

use jiff::{SignedDuration, Timestamp};

use super::{
    Clock,
    breach::Breach,
    budget::{Budget, Course},
    crashes::Crashes,
    revision::Revision,
    timestamps::{rounded_up, time},
    verdict::{Outcome, RemedyName, Verdict},
};
use crate::{
    flagger::{
        canary::{Canary, Promoted, TargetRef},
        phase::Phase,
    },
    policy::READY_AFTER,
};

/// What all of Curfew's annotations begin with.
pub const PREFIX: &str = "curfew.dev/";
/// The revision that is being rolled out.
pub const REVISION: &str = "curfew.dev/revision";
/// The first `Progressing` of the rollout; on CREATE the creation.
pub const STARTED_AT: &str = "curfew.dev/started-at";
/// The last progress.
pub const PROGRESSED_AT: &str = "curfew.dev/progressed-at";
/// The furthest that the revision came.
pub const PROGRESS: &str = "curfew.dev/progress";
/// How many pods the target wanted when it last came further.
pub const PROGRESS_REPLICAS: &str = "curfew.dev/progress-replicas";
/// The budget of unready time.
pub const UNREADY: &str = "curfew.dev/unready";
/// The time that counts for the whole rollout.
pub const ELAPSED: &str = "curfew.dev/elapsed";
/// The generation of the Canary that the stamp knows: its spec as somebody last edited it.
pub const OBSERVED_GENERATION: &str = "curfew.dev/observed-generation";
/// The clock of the next deadline.
pub const CLOCK: &str = "curfew.dev/clock";
/// The next deadline.
pub const DEADLINE: &str = "curfew.dev/deadline";
/// The last verdict.
pub const VERDICT: &str = "curfew.dev/verdict";

/// All of them.
pub const ALL: [&str; 12] = [
    REVISION,
    STARTED_AT,
    PROGRESSED_AT,
    PROGRESS,
    PROGRESS_REPLICAS,
    UNREADY,
    ELAPSED,
    OBSERVED_GENERATION,
    CLOCK,
    DEADLINE,
    VERDICT,
    READY_AFTER,
];

/// How many revisions' times to readiness are kept.
const KEPT_READY_AFTER: usize = 5;

/// What is known of a Canary beyond its own status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The running rollout, or the last one.
    pub rollout: Option<Rollout>,
    /// The last verdict.
    pub verdict: Option<Verdict>,
    /// Seconds that the last revisions took to their first readiness, the latest first.
    pub ready_after: Vec<i64>,
    /// Since when the Canary is suspended.
    pub suspended_since: Option<Timestamp>,
    /// Of a stamp that was recalled: until when its writer certainly saw every edit, if that is known.
    pub watched_until: Option<Timestamp>,
}

/// What is known of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rollout {
    /// The start of the Promoted condition, which with the revision names the rollout.
    pub promoted_since: Timestamp,
    /// The version that Flagger last took up.
    pub revision: Revision,
    /// The workload that it rolls out.
    pub target: TargetRef,
    /// The first `Progressing`.
    pub started_at: Timestamp,
    /// The last progress.
    pub progressed_at: Timestamp,
    /// The furthest that the revision came.
    pub progress: Progress,
    /// Pods wanted at the last progress, where that is known.
    pub wanted: Option<i64>,
    /// Unready time since the last progress.
    pub budget: Budget,
    /// Time that counts for the whole rollout.
    pub running: Budget,
    /// Failed exits of this revision's containers.
    pub crashes: Crashes,
    /// When this revision began.
    pub revision_since: Timestamp,
    /// Whether this revision was ever ready.
    pub was_ready: bool,
    /// Until when it is not certain that the live template is the one that Flagger took up: what was found
    /// in mid-rollout is believed once Flagger had time to look at it too.
    pub unproven_until: Option<Timestamp>,
    /// While the live template is not the one that Flagger took up: until when it may yet take it up.
    pub unsynced_until: Option<Timestamp>,
    /// When it was last looked at.
    pub observed_at: Timestamp,
    /// The Canary's generation then.
    pub generation: Option<i64>,
    /// The last sign of life from Flagger that was seen.
    pub last_sign: Option<Timestamp>,
    /// The breach that holds, until the phase moves or a user takes its reason away.
    pub breach: Option<Breach>,
}

/// The furthest that a revision came. Grows, and never shrinks within a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// The phase furthest along.
    pub phase: Phase,
    /// The largest weight.
    pub weight: i64,
    /// The most iterations.
    pub iterations: i64,
}

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
            .and_then(|text| serde_json::from_str(text).ok());
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

    /// The annotations that this stamp stands for, as they should be on the Canary; `None`: absent.
    #[must_use]
    pub fn annotations(&self, pending: Option<(Clock, Timestamp)>) -> BTreeMap<&'static str, Option<String>> {
        let mut written = BTreeMap::from([
            (CLOCK, pending.map(|(clock, _)| clock.name().to_owned())),
            (DEADLINE, pending.map(|(_, deadline)| time(rounded_up(deadline)))),
        ]);
        if let Some(rollout) = &self.rollout {
            written.insert(REVISION, Some(rollout.revision.to_string()));
            written.insert(STARTED_AT, Some(time(rollout.started_at)));
            written.insert(PROGRESSED_AT, Some(time(rollout.progressed_at)));
            written.insert(PROGRESS, Some(rollout.progress.to_string()));
            written.insert(PROGRESS_REPLICAS, rollout.wanted.map(|wanted| wanted.to_string()));
            written.insert(UNREADY, Some(UNREADY_FORMAT.write(rollout.budget)));
            written.insert(ELAPSED, Some(ELAPSED_FORMAT.write(rollout.running)));
            written.insert(
                OBSERVED_GENERATION,
                rollout.generation.map(|generation| generation.to_string()),
            );
        }
        if !self.ready_after.is_empty() {
            let list: Vec<_> = self.ready_after.iter().map(|seconds| format!("{seconds}s")).collect();
            written.insert(READY_AFTER, Some(list.join(" ")));
        }
        if let Some(verdict) = &self.verdict {
            written.insert(VERDICT, serde_json::to_string(verdict).ok());
        }
        written
    }

    /// Remembers how long a revision took to its first readiness.
    pub fn note_ready_after(&mut self, took: SignedDuration) {
        self.ready_after.insert(0, took.as_secs().max(0));
        self.ready_after.truncate(KEPT_READY_AFTER);
    }
}

/// Whether Flagger was handed a verdict on the rollout that the stamp is about, and has not yet reacted.
#[must_use]
pub fn requested(stamp: &Stamp) -> bool {
    match (&stamp.verdict, &stamp.rollout) {
        (Some(verdict), Some(rollout)) => {
            matches!(verdict.remedy, RemedyName::Rollback | RemedyName::LastResort)
                && verdict.result == Outcome::Requested
                // A start in the future is some other machine's clock.
                && verdict.at >= rollout.promoted_since.min(rollout.started_at)
        }
        _ => false,
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
            phase: status.phase.clone(),
            weight: status.canary_weight,
            iterations: status.iterations,
        }
    }

    /// The further of two in each respect. `None` if `seen` is no further than this.
    #[must_use]
    pub fn advanced_to(&self, seen: &Self) -> Option<Self> {
        let phase = if seen.phase.rank() > self.phase.rank() {
            &seen.phase
        } else {
            &self.phase
        };
        let furthest = Self {
            phase: phase.clone(),
            weight: self.weight.max(seen.weight),
            iterations: self.iterations.max(seen.iterations),
        };
        (furthest != *self).then_some(furthest)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let mut next = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix('=');
        let phase = Phase::parse(next("phase")?);
        phase.rank()?;
        Some(Self {
            phase,
            weight: next("weight")?.parse().ok()?,
            iterations: next("iterations")?.parse().ok()?,
        })
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "phase={} weight={} iterations={}",
            self.phase, self.weight, self.iterations
        )
    }
}

/// How a budget reads in an annotation: the word for time that counts, and for time that does not.
struct BudgetFormat {
    counts: &'static str,
    rests: (&'static str, Course),
}

/// A frozen budget pays nothing back, but after a restart less is counted, never more.
const UNREADY_FORMAT: BudgetFormat = BudgetFormat {
    counts: "unready",
    rests: ("ready", Course::Recovering),
};
const ELAPSED_FORMAT: BudgetFormat = BudgetFormat {
    counts: "running",
    rests: ("held", Course::Paused),
};

// === impl BudgetFormat ===

impl BudgetFormat {
    fn write(&self, budget: Budget) -> String {
        let course = match budget.course {
            Course::Accruing => self.counts,
            Course::Recovering | Course::Paused => self.rests.0,
        };
        let since = time(rounded_up(budget.since));
        format!("{}s, {course} since {since}", budget.spent.as_secs())
    }

    fn read(&self, text: &str) -> Option<Budget> {
        let (spent, rest) = text.split_once("s, ")?;
        let (course, since) = rest.split_once(" since ")?;
        let course = if course == self.counts {
            Course::Accruing
        } else {
            (course == self.rests.0).then_some(self.rests.1)?
        };
        Some(Budget {
            spent: SignedDuration::from_secs(spent.parse().ok().filter(|spent| *spent >= 0)?),
            course,
            since: since.parse().ok()?,
        })
    }
}

#[cfg(test)]
#[path = "stamp_test.rs"]
mod tests;
