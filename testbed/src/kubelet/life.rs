//! What has happened to a pod's last container, and when something happens next. Pure: time is an argument.
//!
//! [`Life::advance`] brings a life up to a moment, event by event, each at its own time, however seldom it is called.
//! Every other container of a pod runs from its first start.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::outcome::{Outcome, Place, Script};

/// The first restart follows at once, in the time that a kubelet takes to notice the exit.
const NOTICE: Duration = Duration::from_secs(1);
/// The kubelet's back-off: `kubelet.go` `backOffPeriod`, `MaxCrashLoopBackOff`.
const BACK_OFF: Duration = Duration::from_secs(10);
const MAX_BACK_OFF: Duration = Duration::from_mins(5);
/// A container that ran that long starts again at once (client-go `flowcontrol.Backoff`: twice the maximum).
const FORGIVEN: Duration = Duration::from_mins(10);
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
    /// The container cannot be made, and is tried again until what is missing is there.
    Unconfigured,
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
            (Stage::Running { since }, Place::WithoutImage | Place::WithoutConfig) => {
                self.exit(*since, now);
                self.place(now);
            }
            // A container that is down stays down for its time, unless nothing ails it any more.
            (Stage::Exited { .. }, Place::Node) if self.script.runs_for.is_some() => {}
            (
                Stage::Unscheduled
                | Stage::Pulling { .. }
                | Stage::Unconfigured
                | Stage::Running { .. }
                | Stage::Exited { .. },
                _,
            ) => self.place(now),
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
            Stage::Unscheduled | Stage::Unconfigured => None,
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
            Stage::Unscheduled | Stage::Unconfigured | Stage::Running { .. } => None,
        }
    }

    fn happen(&mut self, at: Timestamp) {
        match self.stage {
            Stage::Unscheduled | Stage::Unconfigured => {}
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
            Place::WithoutConfig => self.stage = Stage::Unconfigured,
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
            Stage::Unscheduled | Stage::Pulling { .. } | Stage::Unconfigured | Stage::Exited { .. } => false,
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
#[path = "life_test.rs"]
mod tests;
