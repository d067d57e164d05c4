//! What comes of a replay: what Curfew would have said and done, rollout by rollout, beside what Flagger did.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{
    policy::GROUP,
    rollout::{
        Clock,
        breach::Breach,
        timestamps::{rounded_up, time},
    },
};

/// The report of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `curfew.dev/v1alpha1`.
    pub api_version: String,
    /// `ReplayReport`.
    pub kind: &'static str,
    /// Figures.
    pub summary: Summary,
    /// What should be known about the recording.
    pub notes: Vec<String>,
    /// The rollouts and initializations, in the order in which they began.
    pub rollouts: Vec<Course>,
    /// Everything, in the order of time.
    pub events: Vec<Event>,
}

/// A report in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// States of objects that were read.
    pub objects: u64,
    /// Those among them that do not matter here.
    pub ignored: u64,
    /// Canaries.
    pub canaries: usize,
    /// Rollouts and initializations.
    pub rollouts: usize,
    /// Those of them that cannot be judged.
    pub unjudged: usize,
    /// Deadlines that passed.
    pub breaches: usize,
    /// The first change.
    #[serde(serialize_with = "optional_second")]
    pub from: Option<Timestamp>,
    /// The last state of anything that is about one of the Canaries.
    #[serde(serialize_with = "optional_second")]
    pub to: Option<Timestamp>,
}

/// A rollout of one revision, or the initialization of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    /// The Canary's namespace.
    pub namespace: String,
    /// The Canary's name.
    pub name: String,
    /// Which of the two it is.
    pub kind: CourseKind,
    /// The first `Progressing`, or the Canary's creation.
    #[serde(serialize_with = "second")]
    pub started_at: Timestamp,
    /// The revision, as the annotation `curfew.dev/revision` would name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether it could be judged: without its target in the recording it cannot.
    pub judged: bool,
    /// What Curfew would have ended it with, or held it with.
    pub verdict: Option<Finding>,
    /// What else it would have reported.
    pub reports: Vec<Finding>,
    /// How it ended without Curfew; none: it had not when the recording of it ended.
    pub end: Option<End>,
    /// Until when its Canary was recorded.
    #[serde(serialize_with = "second")]
    pub recorded_until: Timestamp,
    /// How many seconds the verdict comes before that end, or, without one, before the end of the recording of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier_seconds: Option<i64>,
}

/// What a course is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CourseKind {
    /// A rollout.
    Rollout,
    /// The initialization of a live workload.
    Initialization,
}

/// A deadline that passed, and what Curfew would have done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What it would have done.
    pub what: What,
    /// When.
    #[serde(serialize_with = "second")]
    pub at: Timestamp,
    /// The clock that ran out.
    #[serde(serialize_with = "clock_name")]
    pub clock: Clock,
    /// The deadline that passed.
    #[serde(serialize_with = "second")]
    pub deadline: Timestamp,
    /// Why.
    pub reason: String,
}

/// The end of a course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct End {
    /// When.
    #[serde(serialize_with = "second")]
    pub at: Timestamp,
    /// Flagger's phase, or what else ended it.
    pub how: String,
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    #[serde(serialize_with = "second")]
    pub at: Timestamp,
    /// Seconds since the rollout or the initialization began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_seconds: Option<i64>,
    /// The Canary's namespace.
    pub namespace: String,
    /// The Canary's name.
    pub name: String,
    /// What happened, or would have happened.
    pub what: What,
    /// The phase that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Whose deadline it is about.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_clock_name")]
    pub clock: Option<Clock>,
    /// The deadline.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_second")]
    pub deadline: Option<Timestamp>,
    /// In words, as Curfew's Event on the Canary would have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What happened, or would have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// Flagger's phase changed.
    Phase,
    /// The Canary went away.
    Deleted,
    /// Curfew would have announced a deadline.
    DeadlineApproaching,
    /// It would have given the initialization more time.
    WouldHold,
    /// It would have handed Flagger the verdict.
    WouldRollBack,
    /// It would have reported a deadline that passed.
    WouldReport,
    /// It would have reported it, and why it does nothing yet.
    WouldWithhold,
}

// === impl Report ===

impl Report {
    /// A report's fixed parts.
    pub const KIND: &'static str = "ReplayReport";

    /// The API version of reports.
    #[must_use]
    pub fn version() -> String {
        format!("{GROUP}/v1alpha1")
    }
}

// === impl Event ===

impl Event {
    /// An event without what only some have.
    #[must_use]
    pub fn new((namespace, name): &(String, String), at: Timestamp, offset_seconds: Option<i64>, what: What) -> Self {
        Self {
            at,
            offset_seconds,
            namespace: namespace.clone(),
            name: name.clone(),
            what,
            phase: None,
            clock: None,
            deadline: None,
            note: None,
        }
    }
}

// === impl Course ===

impl Course {
    /// Notes what comes of a breach: a verdict ends the course as far as Curfew is concerned.
    pub fn note(&mut self, finding: Finding) {
        match finding.what {
            What::WouldHold | What::WouldRollBack => self.verdict = Some(finding),
            _ => self.reports.push(finding),
        }
    }

    /// Whether a finding of this kind about this clock was noted.
    #[must_use]
    pub fn has(&self, what: What, clock: Clock) -> bool {
        let mut reports = self.reports.iter();
        reports.any(|finding| (finding.what, finding.clock) == (what, clock))
    }

    /// Seconds from its beginning, in whole seconds as both are written.
    #[must_use]
    pub fn offset(&self, at: Timestamp) -> i64 {
        seconds_between(self.started_at, at)
    }
}

// === impl Finding ===

impl Finding {
    /// A finding about a breach.
    #[must_use]
    pub fn new(what: What, breach: &Breach, reason: String, at: Timestamp) -> Self {
        Self {
            what,
            at,
            clock: breach.clock,
            deadline: breach.deadline,
            reason,
        }
    }
}

/// Seconds between two moments as they are written.
#[must_use]
pub fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    rounded_up(to).as_second() - rounded_up(from).as_second()
}

/// A moment as it is written: whole seconds, rounded up as on the Canary, so that nothing is written before it happened.
#[must_use]
pub fn written(at: Timestamp) -> String {
    time(rounded_up(at))
}

fn second<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&written(*at))
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn optional_second<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(written).serialize(serializer)
}

fn clock_name<S: Serializer>(clock: &Clock, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(clock.name())
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn optional_clock_name<S: Serializer>(clock: &Option<Clock>, serializer: S) -> Result<S::Ok, S::Error> {
    clock.map(Clock::name).serialize(serializer)
}
