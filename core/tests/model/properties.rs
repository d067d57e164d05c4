//! What must hold, and the truth that it is held against: counted beside everything else, from what happens and not from
//! what anybody believes.

use curfew_core::flagger::phase::Phase;
use stateright::Property;

use crate::{
    cluster::{CanaryState, THRESHOLD},
    world::{Setup, World},
};

/// Nothing is done to a Canary in a phase in which nothing must be done to it.
pub const FORBIDDEN: &str = "no lever in a forbidden phase or on a held, deleted or exempt Canary";
/// A revision that did not breach is not rolled back for one that did.
pub const FIX: &str = "no rollback of a revision that did not breach";
/// A rollout is ended once.
pub const ONCE: &str = "one rollback per rollout";
/// What has breached is rolled back.
pub const LIVE: &str = "an unready canary past its deadline is failed";
/// What never breached is left alone.
pub const ALONE: &str = "a canary that never breaches is left alone";

/// Nothing is begun while nobody knows what goes on.
pub const DOUBT: &str = "no rollback is begun while clock, watch, API server or breaker is in doubt";

/// What must hold in every state of every world.
pub const INVARIANTS: [&str; 6] = [FORBIDDEN, FIX, ONCE, LIVE, ALONE, DOUBT];

/// Quarters of a step: unready time counts four a step, ready time pays one back.
const QUARTERS: u16 = 4;

/// What is true, whatever anybody believes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Truth {
    /// Unready time of the revision since its last progress, in quarters of a step.
    spent: u16,
    /// Whether the revision that Flagger took up has breached.
    breached: bool,
    /// The deadline then.
    breached_at: u8,
    /// Whether any revision of this rollout has, and any at all.
    rollout_breached: bool,
    ever_breached: bool,
    /// Checks that failed without our doing.
    pub own_failures: u8,
    /// How often this rollout was ended.
    ends: u8,
    /// Whether it had breached for a whole step in which it was never ready, so that everybody could see it.
    owed: bool,
    /// Steps that this has stood without a rollback.
    pub overdue: u8,
    /// A lever was written to a Canary's status where it must not be.
    forbidden_write: bool,
    /// A lever stood at the end of a step where none must.
    left_standing: bool,
    /// Flagger rolled back while it promoted.
    outage: bool,
    /// Flagger rolled back a revision that had not breached, after another had.
    fix_failed: bool,
    /// Something was done to a rollout that never breached.
    meddled: bool,
    /// A rollback was begun in doubt.
    doubted: bool,
}

// === impl Truth ===

impl Truth {
    pub fn begin(&mut self) {
        self.restart();
        self.rollout_breached = false;
        self.ends = 0;
    }

    pub fn restart(&mut self) {
        self.spent = 0;
        self.breached = false;
        self.owed = false;
        self.own_failures = 0;
    }

    /// A user holds the Canary: what it owed is forgotten with the verdict.
    pub fn held(&mut self) {
        self.owed = false;
    }

    pub fn progressed(&mut self) {
        self.spent = 0;
    }

    /// A lever is written, to the Canary's status or to the target's; `stale`: what was judged is not the Canary any more.
    pub fn lever(&mut self, canary: &CanaryState, status: bool, stale: bool) {
        // The target's write cannot carry the Canary's version: what it may meet is held against the end of the step.
        self.forbidden_write |= status && !canary.may_act();
        self.meddled |= !self.rollout_breached;
        if canary.phase == Phase::Failed && !stale {
            self.ends += 1;
        }
    }

    /// An enforcer begins to roll back, or says that it did.
    pub fn begun(&mut self, in_doubt: bool) {
        self.doubted |= in_doubt;
    }

    /// Flagger decided to roll back.
    pub fn rolled_back(&mut self, phase: &Phase) {
        self.outage |= !phase.can_roll_back();
        if self.own_failures < THRESHOLD {
            self.ends += 1;
            if self.ever_breached {
                self.fix_failed |= !self.breached;
            } else {
                self.meddled = true;
            }
        }
    }

    /// A step of time passes in this state.
    pub fn step(&mut self, setup: &Setup, world: &World) {
        let World {
            now,
            canary,
            target,
            primary_ready,
            exempt,
            flagger,
            ..
        } = world;
        let led = world.is_led() && !world.is_in_doubt(setup);
        let deadline = u16::from(canary.deadline) * QUARTERS;
        let seen_by_all = self.spent >= deadline && !target.ready && target.since < *now && *primary_ready && led;
        self.owed |= seen_by_all && canary.may_act() && !exempt;
        let may_act = canary.may_act() && !exempt;
        if canary.may_act() && *primary_ready {
            if target.ready {
                self.spent = self.spent.saturating_sub(1);
            } else {
                self.spent += QUARTERS;
            }
        }
        let over = self.spent >= deadline && canary.phase.can_roll_back();
        // A longer deadline takes a breach back, if there is somebody to see it.
        let forgiven = self.breached && led && self.breached_at < canary.deadline;
        if forgiven {
            self.breached = false;
            self.owed = false;
        }
        if over && !self.breached {
            self.breached = true;
            self.breached_at = canary.deadline;
            self.rollout_breached = true;
            self.ever_breached = true;
        }
        // Nobody looks at the count once the promotion has begun.
        let count_stands = canary.phase.can_roll_back() && canary.failed >= THRESHOLD && self.own_failures < THRESHOLD;
        let stands = target.exceeded || count_stands;
        let forbidden = canary.phase != Phase::Failed && !may_act;
        self.left_standing |= stands && forbidden && led;
        let flagger_looks = *primary_ready && flagger.held.is_none() && target.template == canary.applied;
        let due = self.owed && may_act && flagger_looks && led;
        self.overdue = if due { self.overdue + 1 } else { 0 };
    }
}

/// Whether something was found that must not be: from there nothing is explored further.
pub fn is_over(setup: &Setup, world: &World) -> bool {
    let truth = &world.truth;
    truth.overdue > setup.patience
        || truth.forbidden_write
        || truth.left_standing
        || truth.outage
        || truth.fix_failed
        || truth.meddled
        || truth.doubted
        || truth.ends > 1
}

/// The invariants, and for each whether it comes into question.
pub fn all() -> Vec<Property<Setup>> {
    vec![
        Property::always(FORBIDDEN, |_, world: &World| {
            let truth = &world.truth;
            !truth.forbidden_write && !truth.left_standing && !truth.outage
        }),
        Property::always(FIX, |_, world: &World| !world.truth.fix_failed),
        Property::always(ONCE, |_, world: &World| world.truth.ends <= 1),
        Property::always(LIVE, |setup: &Setup, world: &World| {
            world.truth.overdue <= setup.patience
        }),
        Property::always(ALONE, |_, world: &World| !world.truth.meddled),
        Property::always(DOUBT, |_, world: &World| !world.truth.doubted),
        // A lever stands on what must not be touched any more, and is to be taken back.
        Property::sometimes(question(FORBIDDEN), |_, world: &World| {
            world.canary.phase != Phase::Failed && !world.canary.may_act() && world.target.exceeded
        }),
        // A revision goes on after another one breached.
        Property::sometimes(question(FIX), |_, world: &World| {
            world.truth.ever_breached && !world.truth.breached && world.canary.phase.can_roll_back()
        }),
        Property::sometimes(question(ONCE), |_, world: &World| world.truth.ends == 1),
        // There is time left in which it would be seen that nothing happens.
        Property::sometimes(question(LIVE), |setup: &Setup, world: &World| {
            world.truth.owed && world.now + setup.patience < setup.horizon
        }),
        // Time was counted, and not enough of it.
        Property::sometimes(question(ALONE), |_, world: &World| {
            world.truth.spent > 0 && !world.truth.rollout_breached && world.canary.may_act()
        }),
        Property::sometimes(question(DOUBT), |setup: &Setup, world: &World| {
            world.is_in_doubt(setup) && world.truth.breached && world.canary.may_act()
        }),
    ]
}

/// The name of the question whether an invariant comes into question.
pub fn question(invariant: &str) -> &'static str {
    match invariant {
        FORBIDDEN => "question: forbidden",
        FIX => "question: fix",
        ONCE => "question: once",
        LIVE => "question: live",
        ALONE => "question: alone",
        _ => "question: doubt",
    }
}
