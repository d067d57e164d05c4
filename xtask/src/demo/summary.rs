//! What the observations prove. Pure: what was not observed did not happen.

use super::{
    grid::{Cell, Grid, Mark},
    lag::Lag,
    observation::{Observation, Outcome, REACTION, Scene, Seen, Side, Verdict, Weights},
    tell,
};

/// A verdict has to be handed over that fast, in seconds.
const PROMPT: f64 = 1.0;
/// The demo looks a few times a second, so its clock starts a little later than Curfew's, in seconds.
const BLUR: f64 = 1.0;
/// What refuses a Canary that Flagger cannot read.
const RULE: &str = "undecodable";
/// A pod that crashes in either way that Kubernetes tells it.
const CRASHES: [&str; 2] = ["CrashLoopBackOff", "exit code 1"];

/// What was to be shown, and whether it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub scene: Option<Scene>,
    pub what: String,
    pub alone: Fact,
    pub curfew: Fact,
}

/// What one side showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub text: String,
    /// It is what the demo promises.
    pub holds: bool,
}

/// The observations of one side of a scene.
#[derive(Clone, Copy)]
struct Seens<'a> {
    observations: &'a [Observation],
    scene: Scene,
    side: Side,
}

/// What the played scenes prove, row by row. `lag` was read after the last scene.
pub fn rows(scenes: &[Scene], observations: &[Observation], lag: Option<&Lag>) -> Vec<Row> {
    let mut rows = Vec::new();
    for &scene in scenes {
        let [alone, curfew] = Side::BOTH.map(|side| Seens {
            observations,
            scene,
            side,
        });
        match scene {
            Scene::Poison => rows.extend(poison(alone, curfew)),
            Scene::Hang => rows.extend(rollout(alone, curfew)),
            Scene::Traffic => {
                rows.push(Row {
                    scene: Some(scene),
                    what: "traffic, old/new".to_owned(),
                    alone: alone.outcome(|outcome| weights(outcome, (80, 20))),
                    curfew: curfew.outcome(|outcome| weights(outcome, (100, 0))),
                });
                rows.extend(rollout(alone, curfew));
            }
        }
    }
    let rollouts = scenes.iter().filter(|scene| **scene != Scene::Poison).count();
    if rollouts > 0 {
        rows.push(promptness(rollouts, lag));
    }
    rows
}

/// Everything that was to be shown was shown.
pub fn all_hold(rows: &[Row]) -> bool {
    !rows.is_empty() && rows.iter().all(Row::holds)
}

/// The rows as a table.
pub fn table(grid: &Grid, rows: &[Row]) -> String {
    const SCENE: usize = 5;
    const OK: usize = 6;
    let room = grid.width - SCENE - OK - 4 * 3;
    let what = room / 4;
    let column = (room - what) / 2;
    let widths = [SCENE, what, column, column, OK];
    let [alone, curfew] = Side::BOTH.map(|side| Cell::new(Mark::Title, side.title()));
    let [scene, what] = ["Scene", "Observed"].map(|title| Cell::new(Mark::Title, title));
    let mut table = grid.row(&widths, &[scene, what, alone, curfew, Cell::empty()]);
    let mut scene = None;
    for row in rows {
        let mut number = String::new();
        if scene != Some(row.scene) {
            scene = Some(row.scene);
            table.push_str(&grid.rule(&widths));
            if let Some(scene) = row.scene {
                number = scene.number().to_string();
            }
        }
        let [alone, curfew] = [&row.alone, &row.curfew].map(|fact| {
            let mark = if fact.holds { Mark::Plain } else { Mark::Bad };
            Cell::new(mark, fact.text.as_str())
        });
        let verdict = if row.holds() {
            Cell::new(Mark::Good, "ok")
        } else {
            Cell::new(Mark::Bad, "FAILED")
        };
        let cells = [
            Cell::new(Mark::Faint, number),
            Cell::new(Mark::Plain, row.what.as_str()),
            alone,
            curfew,
            verdict,
        ];
        table.push_str(&grid.row(&widths, &cells));
    }
    table
}

// === scene 1 ===

fn poison(alone: Seens<'_>, curfew: Seens<'_>) -> [Row; 3] {
    let row = |what: &str, alone, curfew| Row {
        scene: Some(Scene::Poison),
        what: what.to_owned(),
        alone,
        curfew,
    };
    [
        row(
            "a Canary created before",
            alone.initialized("shop/cart"),
            curfew.initialized("shop/cart"),
        ),
        row(
            "the tenant's 180.5",
            alone.fact(|seen| match seen {
                Seen::Answered { accepted, .. } => Some(Fact::new(answer(*accepted), *accepted)),
                _ => None,
            }),
            curfew.fact(|seen| match seen {
                Seen::Answered { accepted, output, .. } => {
                    let named = output.contains(RULE) && output.contains("180.5");
                    let rule = if named { format!(" [{RULE}]") } else { String::new() };
                    Some(Fact::new(format!("{}{rule}", answer(*accepted)), !accepted && named))
                }
                _ => None,
            }),
        ),
        row(
            "a Canary created afterwards",
            ignored(alone),
            curfew.initialized("shop/pay"),
        ),
    ]
}

fn answer(accepted: bool) -> &'static str {
    if accepted { "accepted" } else { "refused" }
}

/// Not initialised, by a Flagger that runs and says that it cannot read the Canaries.
fn ignored(alone: Seens<'_>) -> Fact {
    let log = alone.find(|seen| match seen {
        Seen::Log(line) => Some(line.as_str()),
        _ => None,
    });
    alone.fact(|seen| match seen {
        Seen::Ignored {
            waited, flagger_runs, ..
        } => {
            let why = match log {
                Some(line) => format!("Flagger's log: {line}"),
                None => "nothing in Flagger's log".to_owned(),
            };
            let ended = if *flagger_runs { "" } else { ", but Flagger has ended" };
            Some(Fact::new(
                format!("not initialized in {} s{ended}; {why}", waited.as_secs()),
                *flagger_runs && log.is_some(),
            ))
        }
        Seen::Initialized { canary, after } if canary == "shop/pay" => {
            Some(Fact::new(format!("initialized in {} s", after.as_secs()), false))
        }
        _ => None,
    })
}

// === scenes 2 and 3 ===

fn rollout(alone: Seens<'_>, curfew: Seens<'_>) -> [Row; 2] {
    let limit = curfew.outcome(|outcome| Fact::new(format!("{} s", outcome.limit), true));
    let row = |what: String, alone, curfew_fact| Row {
        scene: Some(curfew.scene),
        what,
        alone,
        curfew: curfew_fact,
    };
    [
        row(
            format!("the rollout, deadline {}", limit.text),
            alone.outcome(hung),
            curfew.outcome(rolled_back),
        ),
        row(
            "reason given".to_owned(),
            alone.outcome(|outcome| match &outcome.verdict {
                None => Fact::new("none", true),
                Some(verdict) => Fact::new(verdict.reason.as_str(), false),
            }),
            curfew.outcome(|outcome| match &outcome.verdict {
                Some(Verdict { reason, .. }) => {
                    Fact::new(reason.as_str(), CRASHES.iter().any(|crash| reason.contains(crash)))
                }
                None => Fact::new("none", false),
            }),
        ),
    ]
}

fn hung(outcome: &Outcome) -> Fact {
    let holds = outcome.phase == "Progressing" && outcome.past >= outcome.limit / 2.0 && outcome.flagger_runs;
    Fact::new(stands(outcome), holds)
}

fn rolled_back(outcome: &Outcome) -> Fact {
    let Outcome {
        phase,
        wanted,
        past,
        verdict,
        ..
    } = outcome;
    let in_time = (-BLUR..=REACTION.as_secs_f64()).contains(past);
    let by_verdict = verdict.as_ref().is_some_and(|verdict| {
        let Verdict {
            clock, remedy, result, ..
        } = verdict;
        (clock.as_str(), remedy.as_str(), result.as_str()) == ("readiness", "rollback", "confirmed")
    });
    let doubt = if by_verdict {
        ""
    } else {
        ", without a confirmed verdict"
    };
    Fact::new(
        format!("{}{doubt}", stands(outcome)),
        phase == "Failed" && *wanted == 0 && in_time && by_verdict,
    )
}

fn stands(outcome: &Outcome) -> String {
    let still = if outcome.phase == "Failed" { "" } else { "still " };
    format!("{still}{} {}", outcome.phase, tell::past(outcome.past.max(0.0)))
}

/// The shares of the traffic: 80/20 when the pod broke, and these at the end.
fn weights(outcome: &Outcome, (primary, canary): (i64, i64)) -> Fact {
    let Some((first, last)) = outcome.weights else {
        return Fact::missing();
    };
    let expected = Weights { primary, canary };
    let broken = Weights {
        primary: 80,
        canary: 20,
    };
    let words = |weights: Weights| format!("{}/{}", weights.primary, weights.canary);
    Fact::new(
        format!("{} when the pod broke, {} at the end", words(first), words(last)),
        first == broken && last == expected,
    )
}

fn promptness(rollouts: usize, lag: Option<&Lag>) -> Row {
    let curfew = match lag {
        None => Fact::missing(),
        Some(lag) => {
            let count = usize::try_from(lag.count).unwrap_or(usize::MAX);
            let verdicts = if count == 1 { "verdict" } else { "verdicts" };
            Fact::new(
                format!(
                    "{:.3} s on average, each within {} s ({count} {verdicts})",
                    lag.mean(),
                    lag.bound
                ),
                count >= rollouts && lag.bound <= PROMPT,
            )
        }
    };
    Row {
        scene: None,
        what: "from the deadline to the verdict handed over".to_owned(),
        alone: Fact::new("never", true),
        curfew,
    }
}

// === impl Row ===

impl Row {
    /// Both sides showed what the demo promises.
    pub fn holds(&self) -> bool {
        self.alone.holds && self.curfew.holds
    }
}

// === impl Fact ===

impl Fact {
    fn new(text: impl Into<String>, holds: bool) -> Self {
        Self {
            text: text.into(),
            holds,
        }
    }

    fn missing() -> Self {
        Self::new("not observed", false)
    }
}

// === impl Seens ===

impl<'a> Seens<'a> {
    /// The first thing seen of which there is something to say.
    fn find<T>(self, say: impl Fn(&'a Seen) -> Option<T>) -> Option<T> {
        let mut mine = self
            .observations
            .iter()
            .filter(|observation| (observation.scene, observation.side) == (self.scene, self.side));
        mine.find_map(|observation| say(&observation.seen))
    }

    fn fact(self, say: impl Fn(&'a Seen) -> Option<Fact>) -> Fact {
        self.find(say).unwrap_or_else(Fact::missing)
    }

    fn outcome(self, say: impl Fn(&Outcome) -> Fact) -> Fact {
        self.fact(|seen| match seen {
            Seen::Outcome(outcome) => Some(say(outcome)),
            _ => None,
        })
    }

    fn initialized(self, wanted: &str) -> Fact {
        self.fact(|seen| match seen {
            Seen::Initialized { canary, after } if canary == wanted => {
                Some(Fact::new(format!("initialized in {} s", after.as_secs()), true))
            }
            Seen::Ignored { canary, waited, .. } if canary == wanted => {
                Some(Fact::new(format!("not initialized in {} s", waited.as_secs()), false))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
#[path = "summary_test.rs"]
mod tests;
