//! The state of everything, what can happen next, and what comes of it: a model for stateright.
//!
//! Who acts next is always open, within a step of time too. A step ends when everybody who lives has done what he has to
//! do in it: Flagger ticked once, unless a hook holds its tick; the Deployment controller looked; the watches delivered;
//! and the leading enforcer has nothing left to do. So the order of events is free, and nobody sleeps for ever.

use std::sync::Arc;

use curfew_core::{
    deadline::{Inputs, evaluate::Evaluation},
    flagger::phase::Phase,
    rollout::{remedy::Remedy, stamp::Stamp},
};
use jiff::Timestamp;
use stateright::{Model, Property};

use crate::{
    cluster::{CanaryState, Shape, TargetState},
    enforcer::{Doing, Enforcer},
    properties::{self, Truth},
    scheduler::{Flagger, Hook},
    trouble::Trouble,
    user::{Deed, Left},
};

/// The type of [`curfew_core::deadline::evaluate()`].
pub type Evaluate = fn(&Inputs<'_>, &Stamp, Timestamp) -> Evaluation;
/// The type of [`curfew_core::deadline::remedy()`].
pub type Prescribe = fn(&Evaluation, &Inputs<'_>, &Stamp, Timestamp) -> Remedy;

/// What a check covers: the bounds of a world, and the functions that decide in it.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "choices that are independent of each other"
)]
pub struct Setup {
    pub name: &'static str,
    /// The step at which time ends.
    pub horizon: u8,
    /// The Canary's deadline, in steps.
    pub deadline: u8,
    /// The phase in which it begins, with a new template pushed.
    pub start: Phase,
    pub skip_analysis: bool,
    /// Whether watches show what happened later than it happened.
    pub lag: bool,
    /// Whether stamps are written, so that they can be recalled.
    pub stamps: bool,
    pub enforcers: usize,
    /// What may put in doubt what is seen.
    pub trouble: Option<Trouble>,
    /// The invariants that come into question in this world; the others hold in it for want of an occasion.
    pub claims: &'static [&'static str],
    /// What may happen, and how often.
    pub left: Left,
    /// How many steps after its breach a canary must have failed.
    pub patience: u8,
    pub evaluate: Evaluate,
    pub remedy: Prescribe,
    /// Whether the enforcer's writes carry preconditions.
    pub preconditions: bool,
}

/// The state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub struct World {
    pub now: u8,
    pub canary: CanaryState,
    pub target: TargetState,
    pub primary_ready: bool,
    /// Whether a policy exempts the Canary.
    pub exempt: bool,
    /// Whether the gates are open.
    pub gates_open: bool,
    pub flagger: Flagger,
    pub curfew: Vec<Enforcer>,
    /// Which of them holds the lease, and whether that has run out.
    pub leader: usize,
    pub lease_over: bool,
    /// Whether the world's trouble is there, and at which step it last ended.
    pub troubled: bool,
    pub trouble_ended: Option<u8>,
    pub left: Left,
    pub truth: Truth,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Time goes on.
    Step,
    /// Flagger looks at the Canary.
    Tick(Hook),
    /// The hook that held a tick answers.
    Answer(Hook),
    /// The Deployment controller looks at the target's spec.
    Observe,
    /// A watch shows an enforcer the Canary as it is.
    ShowCanary(usize),
    /// A watch shows an enforcer the target as it is.
    ShowTarget(usize),
    /// An enforcer takes its next step.
    Act(usize),
    /// Another enforcer takes the lease.
    TakeOver(usize),
    /// Somebody or something does one of the things that may happen.
    Deed(Deed),
}

// === impl Setup ===

impl Setup {
    /// What the Canary's spec says: a hook that may hold a tick is in it.
    pub fn shape(&self) -> Shape {
        Shape {
            skip_analysis: self.skip_analysis,
            hook: self.left.holds > 0,
        }
    }
}

// === impl World ===

impl World {
    /// Writes the Canary: whoever read it before works on an old version of it.
    pub fn write_canary(&mut self, lag: bool, change: impl FnOnce(&mut CanaryState)) {
        let before = self.canary.clone();
        change(&mut self.canary);
        for enforcer in &mut self.curfew {
            enforcer.canary_changed(&before, lag);
        }
    }

    /// Writes the target.
    pub fn write_target(&mut self, lag: bool, change: impl FnOnce(&mut TargetState)) {
        let before = self.target.clone();
        change(&mut self.target);
        for enforcer in &mut self.curfew {
            enforcer.target_changed(&before, lag);
        }
    }

    /// Something changed that is not in one of the two: everybody looks again.
    pub fn wake_all(&mut self) {
        for enforcer in &mut self.curfew {
            enforcer.looked = false;
        }
    }

    /// Whether the enforcer that holds the lease is running.
    pub fn is_led(&self) -> bool {
        !self.curfew[self.leader].paused
    }

    /// Whether the Deployment controller has something to do: a new spec, or our condition on a Deployment that wants no
    /// pods, which is complete.
    fn controller_waits(&self) -> bool {
        !self.target.observed || (self.target.exceeded && !self.target.up)
    }

    /// Whether everybody has done what belongs to this step.
    fn is_quiet(&self) -> bool {
        self.flagger.ticked
            && !self.controller_waits()
            // A hook has a timeout.
            && self.flagger.held.as_ref().is_none_or(|read| read.at == self.now)
            && self.curfew.iter().enumerate().all(|(index, enforcer)| {
                enforcer.paused
                    || (enforcer.doing == Doing::Nothing && (index != self.leader || enforcer.is_up_to_date()))
            })
    }
}

impl Model for Setup {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let initializing = self.start == Phase::Initializing;
        vec![World {
            now: 0,
            canary: CanaryState {
                phase: self.start.clone(),
                applied: 1,
                weight: 0,
                failed: 0,
                began: 0,
                phase_began: 0,
                written: 0,
                suspended: false,
                deleted: false,
                deadline: self.deadline,
                notes: Arc::default(),
            },
            target: TargetState {
                template: if initializing { 1 } else { 2 },
                up: initializing,
                observed: true,
                ready: initializing,
                since: 0,
                exceeded: false,
            },
            primary_ready: !initializing,
            exempt: false,
            gates_open: self.left.gates == 0,
            flagger: Flagger::default(),
            curfew: vec![Enforcer::default(); self.enforcers],
            leader: 0,
            lease_over: false,
            troubled: false,
            trouble_ended: None,
            left: self.left,
            truth: Truth::default(),
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        if properties::is_over(self, world) {
            return;
        }
        if world.now < self.horizon && (world.is_cut_off(self) || world.is_quiet()) {
            events.push(Event::Step);
        }
        if world.is_cut_off(self) {
            // Nobody reads or writes anything.
            events.push(Event::Deed(Deed::TroubleEnds));
            return;
        }
        world.flagger_events(events);
        if world.controller_waits() {
            events.push(Event::Observe);
        }
        for (index, enforcer) in world.curfew.iter().enumerate() {
            if enforcer.old_canary.is_some() {
                events.push(Event::ShowCanary(index));
            }
            if enforcer.old_target.is_some() {
                events.push(Event::ShowTarget(index));
            }
            if enforcer.can_act(index == world.leader) {
                events.push(Event::Act(index));
            }
            if world.lease_over && index != world.leader && !enforcer.paused {
                events.push(Event::TakeOver(index));
            }
        }
        world.deeds(events);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = world.clone();
        match event {
            Event::Step => next.step(self),
            Event::Tick(hook) => next.tick(self, hook),
            Event::Answer(hook) => next.answer(self, hook),
            Event::Observe => next.write_target(self.lag, |target| {
                target.observed = true;
                // A Deployment that wants no pods is complete, and the condition says so again.
                target.exceeded &= target.up;
            }),
            Event::ShowCanary(index) => next.curfew[index].show_canary(),
            Event::ShowTarget(index) => next.curfew[index].show_target(),
            Event::Act(index) => next.enforcer_acts(self, index),
            Event::TakeOver(index) => {
                next.leader = index;
                next.lease_over = false;
                next.curfew[index] = Enforcer::default();
            }
            Event::Deed(deed) => next.deed(self, deed),
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl World {
    fn step(&mut self, setup: &Setup) {
        let mut truth = self.truth.clone();
        truth.step(setup, self);
        self.truth = truth;
        self.now += 1;
        self.flagger.ticked = self.flagger.held.is_some();
        self.lease_over = self.curfew.len() > 1 && !self.is_led();
        self.wake_all();
    }
}
