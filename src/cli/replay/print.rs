//! Writing a report down: a timeline for people, or JSON.

use std::fmt::Write as _;

use super::report::{Course, CourseKind, End, Event, Finding, Report, What, written};

/// What is said of a rollout without its target.
const UNJUDGED: &str = "cannot be judged: its target is not in the recording";

/// As JSON.
#[must_use]
pub fn json(report: &Report) -> String {
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    format!("{text}\n")
}

/// As a timeline, one line for each thing that happened or would have, and then one for each rollout.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    for event in &report.events {
        let offset = event
            .offset_seconds
            .map(|seconds| format!("{seconds:+}s"))
            .unwrap_or_default();
        let (at, namespace, name) = (written(event.at), &event.namespace, &event.name);
        let _ = writeln!(text, "{at} {offset:>7}  {namespace}/{name}  {}", happened(event));
    }
    // An initialization of which there is nothing to say is not worth a line.
    let described = |course: &&Course| {
        course.kind == CourseKind::Rollout || course.verdict.is_some() || !course.reports.is_empty() || !course.judged
    };
    let courses: Vec<_> = report.rollouts.iter().filter(described).collect();
    if !courses.is_empty() {
        text.push('\n');
    }
    for course in courses {
        let _ = writeln!(text, "{}", summary(course));
    }
    if !report.notes.is_empty() {
        text.push('\n');
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn happened(event: &Event) -> String {
    let note = event.note.as_deref().unwrap_or_default();
    match event.what {
        What::Phase => match event.phase.as_deref() {
            Some("") | None => "no phase yet".to_owned(),
            Some(phase) => phase.to_owned(),
        },
        What::Deleted => "deleted".to_owned(),
        What::DeadlineApproaching => format!("deadline approaching: {note}"),
        What::WouldHold => format!("would hold: {note} (from here on: without Curfew)"),
        What::WouldRollBack => format!("would roll back: {note} (from here on: without Curfew)"),
        What::WouldReport => format!("would report: {note}"),
        What::WouldWithhold => format!("would withhold: {note}"),
    }
}

fn summary(course: &Course) -> String {
    let what = match course.kind {
        CourseKind::Rollout => "rollout",
        CourseKind::Initialization => "initialization",
    };
    let (how, at) = match &course.end {
        Some(End { at, how }) => (how.as_str(), *at),
        None => ("still running when its recording ends,", course.recorded_until),
    };
    let flagger = format!("without Curfew {how} at {} ({:+}s)", written(at), course.offset(at));
    let earlier = match (course.earlier_seconds, &course.end) {
        (Some(seconds), Some(_)) => format!(": {seconds} s later"),
        (Some(seconds), None) => format!(": more than {seconds} s later"),
        (None, _) => String::new(),
    };
    format!(
        "{}/{}  {what} of {}: {}; {flagger}{earlier}",
        course.namespace,
        course.name,
        written(course.started_at),
        verdict(course),
    )
}

fn verdict(course: &Course) -> String {
    let said = |finding: &Finding| {
        let verb = match finding.what {
            What::WouldHold => "would hold it",
            What::WouldRollBack => "would roll it back",
            What::WouldWithhold => "would withhold",
            What::WouldReport | What::Phase | What::Deleted | What::DeadlineApproaching => "would report",
        };
        let (clock, at, offset) = (finding.clock.name(), written(finding.at), course.offset(finding.at));
        format!("{verb} at {at} ({offset:+}s, {clock})")
    };
    let all: Vec<_> = course.verdict.iter().chain(&course.reports).map(said).collect();
    match (all.as_slice(), course.judged) {
        ([], true) => "Curfew would do nothing".to_owned(),
        ([], false) => UNJUDGED.to_owned(),
        (all, true) => format!("Curfew {}", all.join(", ")),
        (all, false) => format!("Curfew {}; more {UNJUDGED}", all.join(", ")),
    }
}
