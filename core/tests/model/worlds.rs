//! The worlds that are explored: each everything that can happen within its bounds, in every order.

use curfew_core::{deadline, flagger::phase::Phase};

use crate::{
    properties::{ALONE, DOUBT, FIX, FORBIDDEN, LIVE, ONCE},
    trouble::Trouble,
    user::Left,
    world::Setup,
};

/// A world in which nothing happens but time, Flagger, the Deployment controller and Curfew.
pub fn quiet(name: &'static str) -> Setup {
    Setup {
        name,
        horizon: 5,
        deadline: 1,
        start: Phase::Initialized,
        skip_analysis: false,
        lag: false,
        stamps: false,
        enforcers: 1,
        trouble: None,
        claims: &[],
        left: Left::default(),
        patience: 2,
        evaluate: deadline::evaluate,
        remedy: deadline::remedy,
        preconditions: true,
    }
}

/// The worlds in which every property must hold.
pub fn all() -> Vec<Setup> {
    let mut all = pods_and_hooks();
    all.extend(people_and_phases());
    all.extend(with_several_processes());
    all.extend(in_doubt());
    all
}

/// One Curfew: pods that come and go, fixes, hooks.
fn pods_and_hooks() -> Vec<Setup> {
    let none = Left::default();
    vec![
        Setup {
            horizon: 9,
            deadline: 2,
            // The target's lever waits for the hook, whose time is a step and something on top, once more after each fall.
            patience: 6,
            left: Left {
                rises: 2,
                falls: 1,
                resets: 1,
                failing_checks: 1,
                holds: 1,
                ..none
            },
            claims: &[ONCE, ALONE],
            ..quiet("pods that come and go, failing checks, hooks that hold a tick")
        },
        Setup {
            horizon: 8,
            patience: 6,
            left: Left {
                rises: 1,
                falls: 1,
                pushes: 1,
                resets: 1,
                holds: 1,
                ..none
            },
            claims: &[FIX, ONCE],
            ..quiet("a fix at any moment, and hooks that hold a tick")
        },
        Setup {
            horizon: 4,
            lag: true,
            left: Left {
                rises: 1,
                falls: 1,
                pushes: 1,
                ..none
            },
            claims: &[FIX, ONCE],
            ..quiet("a fix at any moment, and watches that lag")
        },
    ]
}

/// One Curfew: what users and admins do, gates, an initialization, no analysis.
fn people_and_phases() -> Vec<Setup> {
    let none = Left::default();
    vec![
        Setup {
            left: Left {
                pushes: 1,
                longer_deadlines: 1,
                suspensions: 1,
                ..none
            },
            claims: &[FORBIDDEN, FIX, ONCE, LIVE, ALONE],
            ..quiet("a user who pushes, lengthens the deadline, suspends and resumes")
        },
        Setup {
            left: Left {
                rises: 1,
                falls: 1,
                deletions: 1,
                exemptions: 1,
                ..none
            },
            claims: &[FORBIDDEN, ONCE, LIVE],
            ..quiet("a user who deletes, an admin who exempts")
        },
        Setup {
            horizon: 7,
            deadline: 2,
            left: Left {
                rises: 2,
                falls: 2,
                gates: 2,
                ..none
            },
            claims: &[ONCE, LIVE, ALONE],
            ..quiet("gates")
        },
        Setup {
            horizon: 6,
            start: Phase::Initializing,
            left: Left {
                rises: 1,
                falls: 1,
                primary_falls: 1,
                pushes: 1,
                ..none
            },
            claims: &[ONCE, LIVE],
            ..quiet("an initialization, and a primary that falls")
        },
        Setup {
            horizon: 6,
            skip_analysis: true,
            left: Left {
                rises: 2,
                falls: 1,
                pushes: 1,
                resets: 1,
                ..none
            },
            claims: &[FORBIDDEN, FIX, ONCE, LIVE],
            ..quiet("no analysis")
        },
    ]
}

/// One Curfew after another, or two at a time; what they know of each other stands on the Canary.
fn with_several_processes() -> Vec<Setup> {
    let none = Left::default();
    vec![
        Setup {
            horizon: 4,
            stamps: true,
            patience: 3,
            left: Left {
                rises: 1,
                pushes: 1,
                restarts: 1,
                ..none
            },
            claims: &[FIX, ONCE],
            ..quiet("a fix at any moment, and Curfew killed at any moment")
        },
        Setup {
            horizon: 6,
            stamps: true,
            patience: 3,
            left: Left {
                rises: 1,
                falls: 1,
                restarts: 1,
                ..none
            },
            claims: &[ONCE, LIVE],
            ..quiet("Curfew killed at any moment, and time for the next one to act")
        },
        Setup {
            horizon: 4,
            stamps: true,
            enforcers: 2,
            patience: 3,
            left: Left {
                pushes: 1,
                pauses: 1,
                ..none
            },
            claims: &[FIX, ONCE],
            ..quiet("a fix at any moment, and a leader stopped between two writes and resumed later")
        },
        Setup {
            horizon: 6,
            stamps: true,
            enforcers: 2,
            patience: 3,
            left: Left { pauses: 1, ..none },
            claims: &[ONCE, LIVE],
            ..quiet("a leader stopped between two writes, and time for the other to act")
        },
    ]
}

/// What is seen is in doubt for a while, which begins and ends at any moment.
fn in_doubt() -> Vec<Setup> {
    let world = |trouble, name| Setup {
        horizon: 6,
        trouble: Some(trouble),
        patience: 3,
        left: Left {
            rises: 1,
            pushes: 1,
            troubles: 1,
            ..Left::default()
        },
        claims: &[FIX, ONCE, LIVE, DOUBT],
        ..quiet(name)
    };
    vec![
        world(Trouble::StaleWatch, "a watch that is silent for a while"),
        Setup {
            // Without a fix: one that Flagger takes up a moment before the outage, with a lever still on it, is rolled back if
            // Flagger looks first when the API server is back (docs/design.md#the-model).
            left: Left {
                rises: 1,
                falls: 1,
                troubles: 1,
                ..Left::default()
            },
            // What passed while nothing was seen counts only as far as the pods tell.
            horizon: 8,
            patience: 5,
            claims: &[ONCE, LIVE, DOUBT],
            ..world(Trouble::Outage, "an API server that is gone for a while")
        },
        world(Trouble::Skew, "clocks that are apart for a while"),
        world(Trouble::OpenBreaker, "a breaker that is open for a while"),
    ]
}
