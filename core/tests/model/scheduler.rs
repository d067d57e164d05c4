//! Flagger's scheduler: what `advanceCanary` in its `pkg/controller/scheduler.go` (1.44.0) does at a tick, check by
//! check and in its order.
//!
//! A tick reads the Canary and the target at one moment and decides. Hooks come after all checks and before
//! anything is written, so a tick that a hook holds writes later what it computed before (`docs/flagger.md#l1`).

use curfew_core::flagger::phase::Phase;

use crate::{
    cluster::THRESHOLD,
    world::{Event, Setup, World},
};

/// Weight at which Flagger goes on to the promotion.
const MAX_WEIGHT: u8 = 1;

/// What Flagger has in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flagger {
    /// Whether it has ticked in this step.
    pub ticked: bool,
    /// What the tick read that a hook holds.
    pub held: Option<Read>,
}

/// What a tick read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    phase: Phase,
    weight: u8,
    failed: u8,
    /// The step at which it began.
    pub at: u8,
}

/// How the hooks and the metrics of a tick answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    Passes,
    Fails,
    Holds,
}

/// What a tick decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Nothing,
    Initialized,
    Begin,
    Wait,
    Restart,
    RollBack,
    Analyse,
    Promoted,
    Finalise,
}

impl World {
    pub fn flagger_events(&self, events: &mut Vec<Event>) {
        if self.flagger.held.is_some() {
            events.push(Event::Answer(Hook::Passes));
            if self.left.failing_checks > 0 {
                events.push(Event::Answer(Hook::Fails));
            }
        } else if !self.flagger.ticked {
            events.push(Event::Tick(Hook::Passes));
            let asks = self.asks_hooks();
            if asks && self.left.failing_checks > 0 {
                events.push(Event::Tick(Hook::Fails));
            }
            if asks && self.left.holds > 0 {
                events.push(Event::Tick(Hook::Holds));
            }
        }
    }

    /// Whether a tick now would get as far as the hooks.
    fn asks_hooks(&self) -> bool {
        // Under skipAnalysis it would end before them.
        self.canary.phase.can_roll_back()
            && !self.canary.suspended
            && self.target.template == self.canary.applied
            && self.target.observed
            && self.target.ready
            && !self.target.exceeded
            && self.primary_ready
            && self.canary.failed < THRESHOLD
    }

    /// What `advanceCanary` decides on what there is now.
    fn course(&self, setup: &Setup) -> Course {
        let (canary, target) = (&self.canary, &self.target);
        if canary.suspended || canary.deleted {
            return Course::Nothing;
        }
        let primary_ready = setup.skip_analysis || self.primary_ready;
        let changed = target.template != canary.applied;
        match canary.phase {
            Phase::None | Phase::Initializing => {
                if self.primary_ready {
                    Course::Initialized
                } else {
                    Course::Nothing
                }
            }
            Phase::Initialized | Phase::Succeeded | Phase::Failed | Phase::Waiting => {
                if !primary_ready || (!changed && canary.phase != Phase::Waiting) {
                    Course::Nothing
                } else if self.gates_open {
                    Course::Begin
                } else {
                    Course::Wait
                }
            }
            Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting | Phase::Finalising => {
                let rolls = canary.phase.can_roll_back();
                if !primary_ready {
                    Course::Nothing
                } else if rolls && changed {
                    Course::Restart
                } else if !target.observed {
                    Course::Nothing
                } else if target.exceeded {
                    Course::RollBack
                } else if !target.ready {
                    Course::Nothing
                } else if setup.skip_analysis {
                    Course::Promoted
                } else if canary.phase == Phase::Promoting {
                    Course::Finalise
                } else if canary.phase == Phase::Finalising {
                    Course::Promoted
                } else if canary.failed >= THRESHOLD {
                    Course::RollBack
                } else {
                    Course::Analyse
                }
            }
            Phase::Terminating | Phase::Terminated | Phase::Other(_) => Course::Nothing,
        }
    }

    pub fn tick(&mut self, setup: &Setup, hook: Hook) {
        let now = self.now;
        self.flagger.ticked = true;
        let live = self.target.template;
        match self.course(setup) {
            Course::Nothing => {}
            Course::Initialized => {
                self.scale(setup, false);
                self.write_canary(setup.lag, |canary| {
                    canary.enter(Phase::Initialized, now);
                    canary.applied = live;
                });
            }
            Course::Begin => {
                self.truth.begin();
                self.scale(setup, true);
                self.write_canary(setup.lag, |canary| {
                    canary.enter(Phase::Progressing, now);
                    (canary.applied, canary.weight, canary.failed) = (live, 0, 0);
                });
            }
            Course::Wait => {
                if self.canary.phase != Phase::Waiting {
                    self.write_canary(setup.lag, |canary| canary.enter(Phase::Waiting, now));
                }
            }
            Course::Restart => {
                self.truth.restart();
                self.write_canary(setup.lag, |canary| {
                    canary.enter(Phase::Progressing, now);
                    (canary.applied, canary.weight, canary.failed) = (live, 0, 0);
                });
            }
            Course::RollBack => {
                self.truth.rolled_back(&self.canary.phase);
                self.scale(setup, false);
                self.write_canary(setup.lag, |canary| {
                    canary.enter(Phase::Failed, now);
                    (canary.applied, canary.weight, canary.failed) = (live, 0, 0);
                });
            }
            Course::Analyse => {
                self.flagger.held = Some(Read {
                    phase: self.canary.phase.clone(),
                    weight: self.canary.weight,
                    failed: self.canary.failed,
                    at: now,
                });
                if hook == Hook::Holds {
                    self.left.holds -= 1;
                } else {
                    self.answer(setup, hook);
                }
            }
            Course::Promoted => {
                self.scale(setup, false);
                self.write_canary(setup.lag, |canary| {
                    canary.enter(Phase::Succeeded, now);
                    canary.weight = 0;
                });
            }
            Course::Finalise => self.write_canary(setup.lag, |canary| {
                canary.enter(Phase::Finalising, now);
                canary.weight = 0;
            }),
        }
    }

    /// The rest of a tick, once its hooks have answered.
    pub fn answer(&mut self, setup: &Setup, hook: Hook) {
        let now = self.now;
        let Some(read) = self.flagger.held.take() else { return };
        // A ticker that is behind ticks again at once.
        if read.at < now {
            self.flagger.ticked = false;
        }
        if hook == Hook::Fails {
            self.left.failing_checks -= 1;
            self.truth.own_failures += 1;
            // The count is the one that was read, and one more (docs/flagger.md#l2).
            self.write_canary(setup.lag, |canary| {
                canary.failed = read.failed + 1;
                canary.written = now;
            });
        } else if read.phase == Phase::Progressing && read.weight < MAX_WEIGHT {
            if self.gates_open {
                self.truth.progressed();
                self.write_canary(setup.lag, |canary| {
                    canary.weight = read.weight + 1;
                    canary.written = now;
                });
            }
        } else if self.gates_open {
            self.truth.progressed();
            self.write_canary(setup.lag, |canary| canary.enter(Phase::Promoting, now));
        } else if read.phase != Phase::WaitingPromotion {
            self.truth.progressed();
            self.write_canary(setup.lag, |canary| {
                canary.enter(Phase::WaitingPromotion, now);
                canary.weight = 0;
            });
        }
    }

    fn scale(&mut self, setup: &Setup, up: bool) {
        let now = self.now;
        if self.target.up != up {
            self.write_target(setup.lag, |target| {
                target.up = up;
                target.observed = false;
                target.ready = false;
                target.since = now;
            });
        }
    }
}
