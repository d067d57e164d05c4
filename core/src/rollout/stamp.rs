//! Stamps: what Curfew keeps on a Canary, in annotations that survive restarts and that everybody can read.
//!
//! What is remembered is more than what is written: exact times, and how the live template and Flagger's revision
//! belong together. [`Stamp::annotations`] writes; [`Stamp::recall`] of the engine reads back after a restart, and
//! believes only what the status does not contradict.

use std::{collections::BTreeMap, fmt};

use jiff::{SignedDuration, Timestamp};

use super::{
    Clock,
    breach::Breach,
    budget::{Budget, Course},
    crashes::Crashes,
    revision::Revision,
    target_ref::TargetRef,
    timestamps::{rounded_up, time},
    verdict::{Outcome, RemedyName, Verdict},
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

/// How long the last revisions took to become ready, the latest first.
pub const READY_AFTER: &str = "curfew.dev/ready-after";

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
pub(crate) const KEPT_READY_AFTER: usize = 5;

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
    /// Since when nothing could move it, whatever its pods do.
    pub blocked_since: Option<Timestamp>,
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
    /// The phase furthest along, in the engine's own word.
    pub phase: String,
    /// How far along that is; a higher rank is progress.
    pub rank: u8,
    /// The largest weight.
    pub weight: i64,
    /// The most iterations.
    pub iterations: i64,
}

// === impl Stamp ===

impl Stamp {
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

// === impl Progress ===

impl Progress {
    /// The further of two in each respect. `None` if `seen` is no further than this.
    #[must_use]
    pub fn advanced_to(&self, seen: &Self) -> Option<Self> {
        let further = if seen.rank > self.rank { seen } else { self };
        let furthest = Self {
            phase: further.phase.clone(),
            rank: further.rank,
            weight: self.weight.max(seen.weight),
            iterations: self.iterations.max(seen.iterations),
        };
        (furthest != *self).then_some(furthest)
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
pub(crate) struct BudgetFormat {
    counts: &'static str,
    rests: (&'static str, Course),
}

/// A frozen budget pays nothing back, but after a restart less is counted, never more.
pub(crate) const UNREADY_FORMAT: BudgetFormat = BudgetFormat {
    counts: "unready",
    rests: ("ready", Course::Recovering),
};
pub(crate) const ELAPSED_FORMAT: BudgetFormat = BudgetFormat {
    counts: "running",
    rests: ("held", Course::Paused),
};

// === impl BudgetFormat ===

impl BudgetFormat {
    pub(crate) fn write(&self, budget: Budget) -> String {
        let course = match budget.course {
            Course::Accruing => self.counts,
            Course::Recovering | Course::Paused => self.rests.0,
        };
        let since = time(rounded_up(budget.since));
        format!("{}s, {course} since {since}", budget.spent.as_secs())
    }

    pub(crate) fn read(&self, text: &str) -> Option<Budget> {
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
