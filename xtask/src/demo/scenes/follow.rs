//! Following a rollout: what changes is written down, and how it stands.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;
use testbed::{Component, Plane};

use super::course::{EVERY, SETTING_UP, until};
use crate::demo::{
    cluster::{Look, Namespace, Told},
    observation::{Journal, Outcome, REACTION, Reporter, Seen, Side, Status, Weights},
    stage::Pace,
};

/// The application of every rollout, and how many pods it has.
const APP: &str = "web";
const REPLICAS: u32 = 4;

/// An application whose Canary is initialised.
pub struct Prepared<'a> {
    pub namespace: Namespace,
    plane: &'a Plane,
    routed: bool,
    /// What was told before the scene.
    told: HashSet<Told>,
}

/// A rollout that is looked at, and what of it was written down already.
pub struct Follow<'a> {
    pub prepared: Prepared<'a>,
    journal: &'a Journal,
    pace: Pace,
    phase: String,
    weights: Option<Weights>,
    /// The weights when the rollout's time began to count.
    first_weights: Option<Weights>,
    deadline: Option<Instant>,
    passed: bool,
}

// === impl Prepared ===

impl<'a> Prepared<'a> {
    /// Deploys the application and waits until its Canary is initialised.
    pub async fn new(plane: &'a Plane, journal: &Journal, name: &str, spec: &Value) -> Result<Self> {
        let namespace = Namespace::create(plane.client("admin").await?, name).await?;
        namespace.deploy(APP, REPLICAS).await?;
        namespace.create_canary(APP, spec).await?;
        until(journal, "Flagger to initialize the Canary", SETTING_UP, async || {
            Ok((namespace.phase(APP).await? == "Initialized").then_some(()))
        })
        .await?;
        let told = namespace.told(APP).await?;
        Ok(Self {
            told: told.into_iter().map(|(_, told)| told).collect(),
            routed: spec["provider"] == "gatewayapi:v1",
            namespace,
            plane,
        })
    }

    /// Pushes a version whose pods have this outcome.
    pub async fn push(&self, outcome: &str) -> Result<()> {
        self.namespace.push(APP, outcome).await
    }

    /// Makes one pod crash; its name.
    pub async fn break_pod(&self) -> Result<String> {
        self.namespace.break_pod(APP).await
    }
}

// === impl Follow ===

impl<'a> Follow<'a> {
    pub fn new(prepared: Prepared<'a>, journal: &'a Journal, pace: Pace) -> Self {
        Self {
            prepared,
            journal,
            pace,
            phase: String::new(),
            weights: None,
            first_weights: None,
            deadline: None,
            passed: false,
        }
    }

    /// Looks until the rollout stands as wanted.
    pub async fn until(&mut self, what: &str, patience: Duration, wanted: impl Fn(&Look) -> bool) -> Result<Look> {
        self.journal.write(Seen::Waiting(what.to_owned()));
        let started = Instant::now();
        loop {
            let look = self.look().await?;
            if wanted(&look) {
                return Ok(look);
            }
            if started.elapsed() > patience {
                bail!("waited {} s for {what} in vain", patience.as_secs());
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// The rollout's time counts from this moment.
    pub fn start_clock(&mut self) {
        self.deadline = Some(Instant::now() + self.pace.limit);
        self.first_weights = self.weights;
        self.journal.write(Seen::ClockStarted { limit: self.pace.limit });
    }

    /// Looks until it is clear what becomes of the rollout: on the side of Flagger alone until it has hung long
    /// enough, with Curfew until the rollback is confirmed. Whatever happens instead is the outcome too.
    pub async fn outcome(mut self) -> Result<()> {
        let waiting = match self.journal.side {
            Side::Alone => format!(
                "Flagger to fail the rollout, until {} s after the deadline",
                self.pace.linger.as_secs()
            ),
            Side::Curfew => "the deadline, then for Flagger to roll back".to_owned(),
        };
        self.journal.write(Seen::Waiting(waiting));
        let linger = match self.journal.side {
            Side::Alone => self.pace.linger,
            Side::Curfew => REACTION,
        };
        let mut failed = None;
        loop {
            let look = self.look().await?;
            let past = self.past().unwrap_or_default();
            if self.phase != "Progressing" {
                failed.get_or_insert(past);
            }
            let settled = failed.is_some() && look.wanted == 0 && is_confirmed(&look);
            if settled || past > linger.as_secs_f64() {
                self.journal.write(Seen::Outcome(Outcome {
                    phase: look.phase,
                    wanted: look.wanted,
                    weights: self.first_weights.zip(look.weights),
                    limit: self.pace.limit.as_secs_f64(),
                    past: failed.unwrap_or(past),
                    verdict: look.verdict,
                    flagger_runs: self.prepared.plane.runs(Component::Flagger),
                }));
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Looks once and writes down what is new.
    async fn look(&mut self) -> Result<Look> {
        let namespace = &self.prepared.namespace;
        let (look, told) = tokio::try_join!(namespace.look(APP, self.prepared.routed), namespace.told(APP))?;
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) && !self.passed {
            self.passed = true;
            self.journal.write(Seen::DeadlinePassed);
        }
        self.tell(Reporter::Flagger, &told);
        if look.phase != self.phase {
            self.phase.clone_from(&look.phase);
            self.journal.write(Seen::Phase(look.phase.clone()));
        }
        if let Some(weights) = look.weights.filter(|weights| Some(*weights) != self.weights) {
            self.weights = Some(weights);
            self.journal.write(Seen::Weights(weights));
        }
        // Curfew tells what became of a phase, Flagger what it will become.
        self.tell(Reporter::Curfew, &told);
        self.journal.write(Seen::Now(Status {
            phase: look.phase.clone(),
            available: look.available,
            wanted: look.wanted,
            weights: look.weights,
            past: self.past(),
        }));
        Ok(look)
    }

    fn tell(&mut self, who: Reporter, told: &[(Reporter, Told)]) {
        for (reporter, told) in told.iter().filter(|(reporter, _)| *reporter == who) {
            if self.prepared.told.insert(told.clone()) && is_worth_telling(*reporter, told) {
                // Its clock is the more exact one; ours need not say the same after it.
                self.passed |= told.reason == "DeadlineExceeded";
                let Told { reason, note } = told.clone();
                self.journal.write(Seen::Event {
                    reporter: *reporter,
                    reason,
                    note,
                });
            }
        }
    }

    /// Seconds since the deadline; negative before it.
    fn past(&self) -> Option<f64> {
        let deadline = self.deadline?;
        let now = Instant::now();
        let after = now.saturating_duration_since(deadline).as_secs_f64();
        Some(after - deadline.saturating_duration_since(now).as_secs_f64())
    }
}

fn is_confirmed(look: &Look) -> bool {
    look.verdict
        .as_ref()
        .is_some_and(|verdict| verdict.result == "confirmed")
}

/// Flagger tells the same at every tick in other words: how many replicas it waits for while they come up.
fn is_worth_telling(reporter: Reporter, told: &Told) -> bool {
    reporter == Reporter::Curfew || !told.note.contains(": 0 of ")
}
