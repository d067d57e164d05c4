//! What came of the steps, and how long each took.

use std::time::Duration;

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    LeftOut(String),
}

/// A step that has run.
pub struct Done {
    pub name: &'static str,
    pub outcome: Outcome,
    pub took: Duration,
}

/// Whether the whole run passes; what was left out fails a strict one.
pub fn passes(all: &[Done], strict: bool) -> bool {
    all.iter().all(|done| match done.outcome {
        Outcome::Passed => true,
        Outcome::Failed => false,
        Outcome::LeftOut(_) => !strict,
    })
}

/// A line for each step, and one for all.
pub fn summary(all: &[Done]) -> String {
    let line = |name: &str, took: Duration, said: &str| format!("{name:<20} {:>4} s  {said}\n", took.as_secs());
    let steps = all.iter().map(|done| {
        let said = match &done.outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Failed => "FAILED".to_owned(),
            Outcome::LeftOut(why) => format!("left out: {why}"),
        };
        line(done.name, done.took, &said)
    });
    let whole = all.iter().map(|done| done.took).sum();
    steps.chain([line("all", whole, "")]).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(outcome: Outcome) -> Done {
        Done {
            name: "tests",
            outcome,
            took: Duration::from_secs(7),
        }
    }

    #[test]
    fn what_is_left_out_is_named_and_fails_only_in_ci() {
        let all = [done(Outcome::Passed), done(Outcome::LeftOut("no go".to_owned()))];
        assert!(passes(&all, false));
        assert!(!passes(&all, true));
        assert!(summary(&all).contains("left out: no go"));
        assert!(summary(&all).contains("all                    14 s"));
    }

    #[test]
    fn one_failure_fails() {
        assert!(!passes(&[done(Outcome::Passed), done(Outcome::Failed)], false));
    }
}
