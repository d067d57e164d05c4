//! What the demo sees: the data between the scenes, which observe, and the screen and the summary, which tell.

use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::mpsc::UnboundedSender;

/// After the deadline Flagger acts at its next tick, an interval of ten seconds later at most; the rest is for a slow
/// machine.
pub const REACTION: Duration = Duration::from_secs(25);

/// One part of the demo.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scene {
    /// A deadline with a fraction stops Flagger for everybody.
    Poison,
    /// One pod of four crashes, and the rollout hangs.
    Hang,
    /// A pod breaks while the canary has live traffic.
    Traffic,
}

/// Who looks after the rollout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Flagger alone.
    Alone,
    /// Flagger with Curfew.
    Curfew,
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    pub scene: Scene,
    pub side: Side,
    /// Since the scene began; zero before.
    pub at: Duration,
    pub seen: Seen,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The demo did something to the cluster.
    Did(String),
    /// A user's command, and how it went.
    Answered {
        command: String,
        accepted: bool,
        output: String,
    },
    /// Flagger has initialised a new Canary.
    Initialized { canary: String, after: Duration },
    /// A new Canary that Flagger did nothing about.
    Ignored {
        canary: String,
        waited: Duration,
        flagger_runs: bool,
    },
    /// A line of Flagger's log.
    Log(String),
    /// An Event on the Canary.
    Event {
        reporter: Reporter,
        reason: String,
        note: String,
    },
    /// The Canary's phase has changed.
    Phase(String),
    /// The HTTPRoute's weights have changed.
    Weights(Weights),
    /// From now on the rollout's time counts.
    ClockStarted { limit: Duration },
    /// That time is over.
    DeadlinePassed,
    /// How a rollout stood when it was last looked at.
    Outcome(Outcome),
    /// How it stands now; the next one replaces it.
    Now(Status),
    /// What is waited for; the next one replaces it.
    Waiting(String),
    /// Nothing more is to be seen here; why, if it went wrong.
    Ended { error: Option<String> },
}

/// Who wrote an Event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reporter {
    Flagger,
    Curfew,
}

/// How an HTTPRoute shares out the traffic, in percent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Weights {
    pub primary: i64,
    pub canary: i64,
}

/// A rollout at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub phase: String,
    pub available: i64,
    pub wanted: i64,
    pub weights: Option<Weights>,
    /// Seconds since the deadline; negative before it.
    pub past: Option<f64>,
}

/// How a rollout stood when it was last looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub phase: String,
    /// How many replicas the target wanted.
    pub wanted: i64,
    /// Before the first look at a broken pod, and at the end.
    pub weights: Option<(Weights, Weights)>,
    /// The deadline, in seconds since the rollout's time began to count.
    pub limit: f64,
    /// Seconds since the deadline: of the phase's change if it has changed, else of this look.
    pub past: f64,
    pub verdict: Option<Verdict>,
    pub flagger_runs: bool,
}

/// The annotation `curfew.dev/verdict`, as far as it is told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Verdict {
    pub clock: String,
    pub remedy: String,
    pub result: String,
    pub reason: String,
}

/// Where a scene's observations on one side go.
#[derive(Clone)]
pub struct Journal {
    pub scene: Scene,
    pub side: Side,
    sender: UnboundedSender<Observation>,
    began: Option<Instant>,
}

// === impl Scene ===

impl Scene {
    pub const ALL: [Self; 3] = [Self::Poison, Self::Hang, Self::Traffic];

    /// As `--scene` counts them.
    pub fn number(self) -> usize {
        match self {
            Self::Poison => 1,
            Self::Hang => 2,
            Self::Traffic => 3,
        }
    }
}

// === impl Side ===

impl Side {
    pub const BOTH: [Self; 2] = [Self::Alone, Self::Curfew];

    /// As namespaces end and lines are tagged.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Curfew => "curfew",
        }
    }

    /// The heading of its column.
    pub fn title(self) -> &'static str {
        match self {
            Self::Alone => "Flagger alone",
            Self::Curfew => "with Curfew",
        }
    }
}

// === impl Journal ===

impl Journal {
    pub fn new(scene: Scene, side: Side, sender: UnboundedSender<Observation>) -> Self {
        Self {
            scene,
            side,
            sender,
            began: None,
        }
    }

    /// The scene begins: its seconds are counted from here.
    pub fn begin(&mut self, at: Instant) {
        self.began = Some(at);
    }

    /// Writes down what was seen now. Nobody reads when the demo is being stopped, which is no failure.
    pub fn write(&self, seen: Seen) {
        let _ = self.sender.send(Observation {
            scene: self.scene,
            side: self.side,
            at: self.began.map(|began| began.elapsed()).unwrap_or_default(),
            seen,
        });
    }
}
