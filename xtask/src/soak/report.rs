//! What a soak tells at its end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{
    check::{Conduct, Violation},
    facts::{Seconds, Seen},
    faults::{Fault, Kind},
    resources::Growth,
};

/// How much of an application's past and future is shown around a violation.
const AROUND: Seconds = 15.0;

/// The share of rollouts that may be beyond what truth can decide: one in so many. A short soak has few, and one fault hides
/// what several applications did at once.
const UNDECIDED: usize = 3;

/// Everything that came of a soak.
pub struct Report<'a> {
    pub conducts: &'a BTreeMap<String, Conduct>,
    pub timelines: &'a BTreeMap<String, Vec<Seen>>,
    pub faults: &'a [Fault],
    pub growth: Option<Growth>,
}

// === impl Report ===

impl Report<'_> {
    /// Why the soak fails, if it does.
    pub fn complaints(&self) -> Vec<String> {
        let violations: usize = self.conducts.values().map(|conduct| conduct.violations.len()).sum();
        let mut complaints = Vec::new();
        if violations > 0 {
            complaints.push(format!("{violations} violations"));
        }
        let (begun, undecided) = (
            self.sum(|conduct| conduct.begun),
            self.sum(|conduct| conduct.undecided.len()),
        );
        if undecided * UNDECIDED > begun {
            complaints.push(format!(
                "{undecided} of {begun} rollouts are undecided, too many to say anything"
            ));
        }
        if begun == 0 {
            complaints.push("no rollout began".to_owned());
        }
        match self.growth {
            Some(growth) => complaints.extend(growth.complaint()),
            None => complaints.push("no Curfew ran for long enough to say whether it grows".to_owned()),
        }
        complaints
    }

    /// The summary, and every violation in full.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (app, conduct) in self.conducts {
            for violation in &conduct.violations {
                text += &self.timeline(app, violation);
            }
        }
        let mut by_clock = BTreeMap::new();
        for (clock, count) in self.conducts.values().flat_map(|conduct| &conduct.by_curfew) {
            *by_clock.entry(clock.as_str()).or_insert(0) += count;
        }
        let clocks: Vec<_> = by_clock
            .iter()
            .map(|(clock, count)| format!("{clock} {count}"))
            .collect();
        let _ = writeln!(
            text,
            "rollouts    {} begun: {} promoted, {} rolled back by Curfew ({}), {} by Flagger's own deadline, {} fixes taken \
             up on the way, {} deleted or still open",
            self.sum(|conduct| conduct.begun),
            self.sum(|conduct| conduct.promoted),
            by_clock.values().sum::<usize>(),
            clocks.join(", "),
            self.sum(|conduct| conduct.by_flagger),
            self.sum(|conduct| conduct.replaced),
            self.sum(|conduct| conduct.open),
        );
        let mut lateness: Vec<_> = self
            .conducts
            .values()
            .flat_map(|conduct| conduct.lateness.clone())
            .collect();
        lateness.sort_by(f64::total_cmp);
        let _ = writeln!(
            text,
            "lateness    {} verdicts: p50 {:.2} s, p99 {:.2} s, at most {:.2} s, faults included",
            lateness.len(),
            at(&lateness, 50),
            at(&lateness, 99),
            at(&lateness, 100),
        );
        let _ = writeln!(text, "undecided   {}", self.sum(|conduct| conduct.undecided.len()));
        for (app, conduct) in self.conducts {
            for undecided in &conduct.undecided {
                let _ = writeln!(text, "            {app} at {undecided}");
            }
        }
        let _ = writeln!(text, "faults      {}", self.faults());
        if let Some(Growth { warm, end }) = &self.growth {
            let _ = writeln!(
                text,
                "memory      {} KiB after warm-up, {} KiB {:.0} s later\nopen files  {} after warm-up, {} then",
                warm.memory,
                end.memory,
                end.at - warm.at,
                warm.files,
                end.files,
            );
        }
        text
    }

    fn sum(&self, of: impl Fn(&Conduct) -> usize) -> usize {
        self.conducts.values().map(of).sum()
    }

    fn faults(&self) -> String {
        let mut kinds: BTreeMap<Kind, (usize, Seconds)> = BTreeMap::new();
        for fault in self.faults {
            let (count, time) = kinds.entry(fault.kind).or_default();
            *count += 1;
            *time += fault.end - fault.start;
        }
        let kinds: Vec<_> = kinds
            .iter()
            .map(|(kind, (count, time))| format!("{} {count} × ({time:.1} s)", kind.name()))
            .collect();
        if kinds.is_empty() {
            "none".to_owned()
        } else {
            kinds.join(", ")
        }
    }

    fn timeline(&self, app: &str, violation: &Violation) -> String {
        let Violation { at, since, what, why } = violation;
        let mut text = format!("\n{what:?}: {app} at {at:.2}: {why}\n");
        let shown = (since - AROUND)..(at + AROUND);
        let mut lines: Vec<(Seconds, String)> = self
            .timelines
            .get(app)
            .into_iter()
            .flatten()
            .filter(|seen| shown.contains(&seen.at))
            .map(|seen| (seen.at, seen.to_string()))
            .collect();
        for fault in self
            .faults
            .iter()
            .filter(|fault| fault.end > shown.start && fault.start < shown.end)
        {
            let Fault { kind, start, end } = fault;
            lines.push((*start, format!("{start:8.2}  fault    {} until {end:.2}", kind.name())));
        }
        lines.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, line) in lines {
            let _ = writeln!(text, "  {line}");
        }
        text.push('\n');
        text
    }
}

/// The value below which so many per cent are.
fn at(sorted: &[Seconds], percent: usize) -> Seconds {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::{check::Wrong, facts::Fact, resources::Sample};

    fn growth(memory: u64) -> Growth {
        let sample = |memory| Sample {
            at: 0.0,
            pid: 1,
            memory,
            files: 20,
        };
        Growth {
            warm: sample(30_000),
            end: sample(memory),
        }
    }

    fn complaints(conduct: Conduct, growth: Option<Growth>) -> Vec<String> {
        let report = Report {
            conducts: &BTreeMap::from([("web".to_owned(), conduct)]),
            timelines: &BTreeMap::new(),
            faults: &[],
            growth,
        };
        report.complaints()
    }

    fn violation() -> Violation {
        Violation {
            at: 40.0,
            since: 10.0,
            what: Wrong::Missed,
            why: "a verdict was due for 9.0 s, and there was none".to_owned(),
        }
    }

    #[test]
    fn a_soak_fails_for_each_of_its_reasons() {
        let fine = || Conduct {
            begun: 30,
            ..Conduct::default()
        };
        let violated = Conduct {
            violations: vec![violation()],
            ..fine()
        };
        let undecided = Conduct {
            undecided: vec![String::new(); 11],
            ..fine()
        };
        assert_eq!(complaints(fine(), Some(growth(30_000))), Vec::<String>::new());
        assert_eq!(complaints(violated, Some(growth(30_000))).len(), 1);
        assert_eq!(complaints(undecided, Some(growth(30_000))).len(), 1);
        assert_eq!(complaints(fine(), Some(growth(60_000))).len(), 1);
        assert_eq!(complaints(fine(), None).len(), 1);
        assert_eq!(complaints(Conduct::default(), Some(growth(30_000))).len(), 1);
    }

    #[test]
    fn a_violation_is_shown_with_what_was_seen_around_it() {
        let seen = |at| Seen {
            at,
            fact: Fact::CanaryGone,
        };
        let conduct = Conduct {
            violations: vec![violation()],
            ..Conduct::default()
        };
        let report = Report {
            conducts: &BTreeMap::from([("web".to_owned(), conduct)]),
            timelines: &BTreeMap::from([("web".to_owned(), vec![seen(-9.0), seen(12.0), seen(70.0)])]),
            faults: &[Fault {
                kind: Kind::NetworkCut,
                start: 11.0,
                end: 13.0,
            }],
            growth: None,
        };
        let text = report.text();
        assert!(text.contains("Missed: web at 40.00"), "{text}");
        assert!(
            text.contains("   11.00  fault    network cut until 13.00\n     12.00  canary   gone"),
            "{text}"
        );
        assert!(!text.contains("70.00") && !text.contains("-9.00"), "{text}");
    }

    #[test]
    fn percentiles_are_values_that_there_were() {
        let values: Vec<_> = (1..=200).map(f64::from).collect();
        assert_eq!(
            [at(&values, 50), at(&values, 99), at(&values, 100)],
            [100.0, 198.0, 200.0]
        );
        assert_eq!(at(&[], 50), 0.0);
    }
}
