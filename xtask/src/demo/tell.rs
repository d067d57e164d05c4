//! Observations in words.

use std::fmt::Write as _;

use super::{
    grid::{Cell, Mark},
    observation::{Outcome, Reporter, Scene, Seen, Side, Status, Weights},
};

/// A scene's title, and what happens in it, for somebody who has never seen it.
pub fn introduction(scene: Scene, limit: u64) -> (&'static str, String) {
    match scene {
        Scene::Poison => (
            "Half a second stops Flagger for everybody",
            "A tenant sets progressDeadlineSeconds to 180.5. The CRD allows any number, Flagger's code only whole ones: \
             it can no longer read the list of Canaries, anybody's."
                .to_owned(),
        ),
        Scene::Hang => (
            "One pod of four crashes, and the rollout hangs",
            format!(
                "The new version's first pod is in CrashLoopBackOff for ever. With \
                 progressDeadlineSeconds: {limit} the rollout should fail after {limit} s. Flagger looks every 10 s."
            ),
        ),
        Scene::Traffic => (
            "A pod breaks with 20 % of the traffic on the new version",
            format!(
                "The analysis has sent 20 % of the users to the new version when one of its 4 pods begins to \
                 crash. progressDeadlineSeconds is {limit} again."
            ),
        ),
    }
}

/// An observation for the timeline; `None` for what belongs to the present only.
pub fn words(side: Side, seen: &Seen) -> Option<Cell> {
    let cell = match seen {
        Seen::Did(deed) => Cell::new(Mark::Deed, deed.as_str()),
        Seen::Answered {
            command,
            accepted,
            output,
        } => Cell::new(
            // The only command of the demo is one that should be refused.
            if *accepted { Mark::Bad } else { Mark::Good },
            format!("$ {command}\n{output}"),
        ),
        Seen::Initialized { canary, after } => Cell::new(
            Mark::Good,
            format!("Flagger initialized the Canary {canary} in {} s", after.as_secs()),
        ),
        Seen::Ignored {
            canary,
            waited,
            flagger_runs,
        } => {
            let state = if *flagger_runs {
                "though Flagger runs"
            } else {
                "and Flagger has ended"
            };
            let waited = waited.as_secs();
            Cell::new(
                Mark::Bad,
                format!("after {waited} s the Canary {canary} is still not initialized, {state}"),
            )
        }
        Seen::Log(line) => Cell::new(Mark::Bad, format!("Flagger's log: {line}")),
        Seen::Event { reporter, reason, note } => event(*reporter, reason, note),
        Seen::Phase(phase) => Cell::new(phase_mark(side, phase), format!("phase: {phase}")),
        Seen::Weights(weights) => Cell::new(
            if weights.canary == 0 { Mark::Good } else { Mark::Plain },
            format!("traffic: {}", split(*weights)),
        ),
        Seen::ClockStarted { limit } => Cell::new(
            Mark::Plain,
            format!("not ready: the {} s of the deadline run", limit.as_secs()),
        ),
        Seen::DeadlinePassed => Cell::new(Mark::Title, "the deadline"),
        Seen::Outcome(outcome) => Cell::new(
            if outcome.phase == "Failed" {
                Mark::Good
            } else {
                Mark::Bad
            },
            outcome_words(outcome),
        ),
        Seen::Ended { error: Some(error) } => Cell::new(Mark::Bad, format!("the demo failed here: {error}")),
        Seen::Ended { error: None } | Seen::Now(_) | Seen::Waiting(_) => return None,
    };
    Some(cell.hanging())
}

fn event(reporter: Reporter, reason: &str, note: &str) -> Cell {
    match reporter {
        Reporter::Flagger => Cell::new(Mark::Plain, format!("Flagger: {note}")),
        // The others tell the reason again.
        Reporter::Curfew if reason == "DeadlineExceeded" => Cell::new(Mark::Good, format!("Curfew: {reason}: {note}")),
        Reporter::Curfew => {
            let sentence = note.split_once(". ").map_or(note, |(first, _)| first);
            Cell::new(Mark::Plain, format!("Curfew: {reason}: {sentence}"))
        }
    }
}

fn phase_mark(side: Side, phase: &str) -> Mark {
    match (side, phase) {
        (Side::Curfew, "Failed") => Mark::Good,
        _ => Mark::Plain,
    }
}

/// `80 % to the old version, 20 % to the new`.
pub fn split(weights: Weights) -> String {
    format!("{} % old version, {} % new", weights.primary, weights.canary)
}

fn outcome_words(outcome: &Outcome) -> String {
    let Outcome { phase, weights, .. } = outcome;
    let mut words = format!("{phase} {}", past(outcome.past));
    if phase != "Failed" {
        words.insert_str(0, "still ");
    }
    if let Some((_, weights)) = weights {
        // Writing to a String cannot fail.
        let _ = write!(words, ", traffic {}/{}", weights.primary, weights.canary);
    }
    words
}

/// How a rollout stands now.
pub fn status(status: &Status) -> String {
    let Status {
        phase,
        available,
        wanted,
        weights,
        past: since,
    } = status;
    let mut parts = vec![phase.clone()];
    if *wanted > 0 {
        parts.push(format!("{available} of {wanted} pods ready"));
    }
    if let Some(Weights { primary, canary }) = weights {
        parts.push(format!("traffic {primary}/{canary}"));
    }
    if let Some(since) = since {
        parts.push(past(*since));
    }
    parts.join(", ")
}

/// `12 s before the deadline`, `3 s after the deadline`.
#[expect(clippy::cast_possible_truncation, reason = "seconds of a demo")]
pub fn past(seconds: f64) -> String {
    if seconds < 0.0 {
        format!("{} s before the deadline", seconds.abs().ceil() as i64)
    } else {
        format!("{} s after the deadline", seconds.floor() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_there_is() {
        let mut now = Status {
            phase: "Progressing".to_owned(),
            available: 3,
            wanted: 4,
            weights: Some(Weights {
                primary: 80,
                canary: 20,
            }),
            past: Some(-12.4),
        };
        assert_eq!(
            status(&now),
            "Progressing, 3 of 4 pods ready, traffic 80/20, 13 s before the deadline"
        );
        now = Status {
            wanted: 0,
            weights: None,
            past: None,
            ..now
        };
        assert_eq!(status(&now), "Progressing");
        assert_eq!(past(0.4), "0 s after the deadline");
    }

    #[test]
    fn curfews_events_are_told_shortly_and_the_reason_once() {
        let cell = |reason: &str, note: &str| event(Reporter::Curfew, reason, note).text;
        assert_eq!(
            cell("RollbackRequested", "handed over. 1 of 4 pods"),
            "Curfew: RollbackRequested: handed over"
        );
        assert_eq!(
            cell("DeadlineExceeded", "passed. 1 of 4 pods"),
            "Curfew: DeadlineExceeded: passed. 1 of 4 pods"
        );
    }
}
