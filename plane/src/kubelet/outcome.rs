//! What a pod's annotation asks for, and what follows from it. Pure: time is an argument.
//!
//! [`Outcome`] is the annotation. [`Script`] is how the pod's last container behaves under it. [`Life`] is what has
//! happened to that container so far; [`Life::advance`] brings it up to a moment, event by event, and says when to
//! look next. Every other container of a pod runs from its first start.

use std::str::FromStr;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// The annotation, on a pod or in its template.
pub const ANNOTATION: &str = "plane.curfew.dev/outcome";

/// The first restart follows at once, in the time that a kubelet takes to notice the exit.
const NOTICE: Duration = Duration::from_secs(1);
/// The kubelet's back-off: `kubelet.go` `backOffPeriod`, `MaxCrashLoopBackOff`.
const BACK_OFF: Duration = Duration::from_secs(10);
const MAX_BACK_OFF: Duration = Duration::from_mins(5);
/// A container that ran that long starts again at once (client-go `flowcontrol.Backoff`: twice the maximum).
const FORGIVEN: Duration = Duration::from_mins(10);
/// How long a container runs that is to crash.
const CRASH: Duration = Duration::from_secs(1);

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Outcome {
    /// Ready at once and for ever.
    #[default]
    Ready,
    /// Exits after a second, again and again, and is never Ready.
    Crash,
    /// Ready for that long, then exits; again after the kubelet's back-off.
    CrashLast(Duration),
    /// The oldest pod of its ReplicaSet crashes, the others are ready.
    CrashOne,
    /// Ready for `up`, gone for `down`.
    Flap {
        /// How long it is ready.
        up: Duration,
        /// How long it is down.
        down: Duration,
    },
    /// No node has room.
    Pending,
    /// The image cannot be pulled.
    ImagePull,
    /// Runs, and is ready that much later.
    ReadyAfter(Duration),
    /// Runs, and its readiness probe fails.
    Unready,
    /// Killed for want of memory, again and again.
    Oom,
}

/// How the container behaves.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Script {
    place: Place,
    /// From its start to its exit; `None` = it never exits.
    runs_for: Option<Duration>,
    /// From its start until it is ready; `None` = never.
    ready_after: Option<Duration>,
    exit_code: i32,
    /// Between exit and start; `None` = the kubelet's back-off.
    down_for: Option<Duration>,
    /// A container that runs when this begins exits there and then.
    falls_at_once: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// No node.
    Nowhere,
    /// A node without the image.
    WithoutImage,
    Node,
}

/// One end of the container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Exit {
    pub started: Timestamp,
    pub finished: Timestamp,
    pub code: i32,
}

/// Where the container is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// The pod has no node.
    Unscheduled,
    /// An attempt to get the image failed at `failed`; the next is at `again`.
    Pulling {
        failed: Timestamp,
        again: Timestamp,
        failures: u32,
    },
    Running {
        since: Timestamp,
    },
    /// Down until `resume`.
    Exited {
        exit: Exit,
        resume: Timestamp,
    },
}

/// What has happened so far.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Life {
    outcome: Outcome,
    script: Script,
    /// Since when the script is played.
    since: Timestamp,
    /// When the pod came to its node (or was found without one).
    pub began: Timestamp,
    pub stage: Stage,
    pub restarts: i32,
    /// The exit before the present run or wait.
    pub last: Option<Exit>,
    /// Exits that the back-off still remembers.
    failures: u32,
    pub ready: bool,
    pub ready_changed: Timestamp,
}

// === impl Outcome ===

impl Outcome {
    /// What it means for one pod: `crash-one` is `crash` for the oldest pod and `ready` for the others.
    pub(super) fn of_pod(self, oldest: bool) -> Self {
        match self {
            Self::CrashOne if oldest => Self::Crash,
            Self::CrashOne => Self::Ready,
            other => other,
        }
    }

    fn script(self) -> Script {
        let runs = Script {
            place: Place::Node,
            runs_for: None,
            ready_after: Some(Duration::ZERO),
            exit_code: 1,
            down_for: None,
            falls_at_once: false,
        };
        let crashes = Script {
            runs_for: Some(CRASH),
            ready_after: None,
            falls_at_once: true,
            ..runs.clone()
        };
        match self {
            Self::Ready | Self::CrashOne => runs,
            Self::Crash => crashes,
            Self::CrashLast(up) => Script {
                runs_for: Some(up),
                ..runs
            },
            Self::Flap { up, down } => Script {
                runs_for: Some(up),
                down_for: Some(down),
                ..runs
            },
            Self::Pending => Script {
                place: Place::Nowhere,
                ..runs
            },
            Self::ImagePull => Script {
                place: Place::WithoutImage,
                ..runs
            },
            Self::ReadyAfter(after) => Script {
                ready_after: Some(after),
                ..runs
            },
            Self::Unready => Script {
                ready_after: None,
                ..runs
            },
            Self::Oom => Script {
                exit_code: 137,
                ..crashes
            },
        }
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim().split(':');
        let name = parts.next().unwrap_or_default();
        let times: Vec<Duration> = parts.map(seconds).collect::<Result<_, _>>()?;
        match (name, times.as_slice()) {
            ("ready", []) => Ok(Self::Ready),
            ("crash", []) => Ok(Self::Crash),
            ("crash-last", [up]) => Ok(Self::CrashLast(*up)),
            ("crash-one", []) => Ok(Self::CrashOne),
            ("flap", [up, down]) => Ok(Self::Flap { up: *up, down: *down }),
            ("pending", []) => Ok(Self::Pending),
            ("image-pull", []) => Ok(Self::ImagePull),
            ("ready-after", [after]) => Ok(Self::ReadyAfter(*after)),
            ("unready", []) => Ok(Self::Unready),
            ("oom", []) => Ok(Self::Oom),
            _ => Err(format!(
                "{ANNOTATION}: {text:?} is none of ready, crash, crash-last:SECONDS, crash-one, flap:UP:DOWN, pending, \
                 image-pull, ready-after:SECONDS, unready, oom"
            )),
        }
    }
}

/// Seconds, with decimals if need be. Zero is too short for anything that repeats.
fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{ANNOTATION}: {text:?} is not a number of seconds between 0.1 and 86400");
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if (0.1..=86_400.0).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err(wrong())
    }
}

// === impl Life ===

impl Life {
    /// A pod that is first seen at `now`.
    pub fn new(outcome: Outcome, now: Timestamp) -> Self {
        let mut life = Self {
            outcome,
            script: outcome.script(),
            since: now,
            began: now,
            stage: Stage::Unscheduled,
            restarts: 0,
            last: None,
            failures: 0,
            ready: false,
            ready_changed: now,
        };
        life.place(now);
        life
    }

    /// Plays another outcome from `now` on; the same one goes on as it was.
    pub fn change(&mut self, outcome: Outcome, now: Timestamp) {
        self.advance(now);
        if outcome == self.outcome {
            return;
        }
        (self.outcome, self.script, self.since) = (outcome, outcome.script(), now);
        match (&self.stage, self.script.place) {
            (Stage::Running { since }, Place::Node) if self.script.falls_at_once => self.exit(*since, now),
            (Stage::Running { .. }, Place::Node) => self.note_ready(now),
            (Stage::Running { since }, Place::WithoutImage) => {
                self.exit(*since, now);
                self.place(now);
            }
            // A container that is down stays down for its time, unless nothing ails it any more.
            (Stage::Exited { .. }, Place::Node) if self.script.runs_for.is_some() => {}
            (Stage::Unscheduled | Stage::Pulling { .. } | Stage::Running { .. } | Stage::Exited { .. }, _) => {
                self.place(now);
            }
        }
    }

    /// Lets happen what happens until `now`. Returns when something happens next.
    pub fn advance(&mut self, now: Timestamp) -> Option<Timestamp> {
        loop {
            let next = self.next_event();
            match next {
                Some(at) if at <= now => self.happen(at),
                _ => return [next, self.next_look(now)].into_iter().flatten().min(),
            }
        }
    }

    /// Whether the pod has a node.
    pub fn scheduled(&self) -> bool {
        self.stage != Stage::Unscheduled
    }

    /// The end of the time in which a failure is shown as such, before it is shown as a wait.
    pub fn noticed(at: Timestamp) -> Timestamp {
        at + NOTICE
    }

    fn next_event(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Unscheduled => None,
            Stage::Pulling { again, .. } => Some(*again),
            Stage::Exited { resume, .. } => Some(*resume),
            Stage::Running { since } => {
                let start = self.since.max(*since);
                let exit = self.script.runs_for.map(|time| start + time);
                let ready = self.script.ready_after.filter(|_| !self.ready).map(|time| start + time);
                [exit, ready].into_iter().flatten().min()
            }
        }
    }

    /// When a failure stops being news.
    fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.stage {
            Stage::Pulling { failed: at, .. }
            | Stage::Exited {
                exit: Exit { finished: at, .. },
                ..
            } => Some(Self::noticed(*at)).filter(|at| *at > now),
            Stage::Unscheduled | Stage::Running { .. } => None,
        }
    }

    fn happen(&mut self, at: Timestamp) {
        match self.stage {
            Stage::Unscheduled => {}
            Stage::Pulling { failures, .. } => self.pull(at, failures),
            Stage::Exited { .. } => self.place(at),
            Stage::Running { since } => {
                let start = self.since.max(since);
                if self.script.runs_for.is_some_and(|time| start + time <= at) {
                    self.exit(since, at);
                } else {
                    self.note_ready(at);
                }
            }
        }
    }

    /// Puts the container where the script wants it.
    fn place(&mut self, at: Timestamp) {
        if let Stage::Exited { exit, .. } = &self.stage {
            self.last = Some(exit.clone());
        }
        if self.stage == Stage::Unscheduled {
            self.began = at;
        }
        match self.script.place {
            Place::Nowhere => self.stage = Stage::Unscheduled,
            Place::WithoutImage => self.pull(at, 0),
            Place::Node => {
                if self.last.is_some() {
                    self.restarts += 1;
                }
                self.stage = Stage::Running { since: at };
            }
        }
        self.note_ready(at);
    }

    fn pull(&mut self, at: Timestamp, failures: u32) {
        self.stage = Stage::Pulling {
            failed: at,
            again: at + back_off(failures),
            failures: failures + 1,
        };
    }

    fn exit(&mut self, started: Timestamp, at: Timestamp) {
        if at.duration_since(started).unsigned_abs() >= FORGIVEN {
            self.failures = 0;
        }
        let kubelet = self.failures.checked_sub(1).map_or(NOTICE, back_off);
        self.failures += 1;
        let resume = at + self.script.down_for.unwrap_or(kubelet);
        self.stage = Stage::Exited {
            exit: Exit {
                started,
                finished: at,
                code: self.script.exit_code,
            },
            resume,
        };
        self.note_ready(at);
    }

    fn note_ready(&mut self, at: Timestamp) {
        let ready = match &self.stage {
            Stage::Running { since } => self
                .script
                .ready_after
                .is_some_and(|time| self.since.max(*since) + time <= at),
            Stage::Unscheduled | Stage::Pulling { .. } | Stage::Exited { .. } => false,
        };
        if ready != self.ready {
            (self.ready, self.ready_changed) = (ready, at);
        }
    }
}

/// 10, 20, 40 … 300 seconds.
fn back_off(failures: u32) -> Duration {
    BACK_OFF
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(MAX_BACK_OFF)
}

#[cfg(test)]
#[path = "outcome_test.rs"]
mod tests;
