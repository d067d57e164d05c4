//! Seeded faults: for each property one that breaks it and nothing else, to show that the model would see it.
//!
//! They are wrappers around `evaluate` and `remedy`; nothing of them is in Curfew.

use curfew_core::{
    deadline::{Conditions, Inputs, breaker::BreakerAnswer, evaluate, evaluate::Evaluation, remedy},
    rollout::{
        Clock, Stage,
        breach::Breach,
        levers::{Levers, TargetLever},
        remedy::Remedy,
        stamp::{Stamp, requested},
    },
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    properties::{ALONE, DOUBT, FIX, FORBIDDEN, LIVE, ONCE},
    trouble::Trouble,
    user::Left,
    violated,
    world::{Prescribe, Setup},
    worlds::quiet,
};

#[test]
fn a_verdict_that_outlives_its_revision_is_found() {
    fn keeps(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
        match remedy(evaluation, inputs, stamp, now) {
            Remedy::Withdraw if inputs.observation.stage == Stage::Progressing => Remedy::None,
            other => other,
        }
    }
    let setup = Setup {
        left: Left {
            rises: 1,
            pushes: 1,
            ..Left::default()
        },
        remedy: keeps,
        ..quiet("fault: the verdict is kept when a fix was taken up")
    };
    assert_eq!(violated(setup), [FIX]);
}

#[test]
fn a_second_rollback_is_found() {
    fn again(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
        let levers = Levers {
            fail_checks: false,
            target: TargetLever::ExceedDeadline,
        };
        match (remedy(evaluation, inputs, stamp, now), &stamp.verdict) {
            (Remedy::Confirm, Some(verdict)) => {
                let breach = Breach {
                    clock: verdict.clock,
                    deadline: verdict.deadline,
                    limit: SignedDuration::ZERO,
                };
                Remedy::RollBack(breach, levers)
            }
            (other, _) => other,
        }
    }
    let setup = Setup {
        left: Left {
            rises: 1,
            ..Left::default()
        },
        remedy: again,
        ..quiet("fault: what Flagger rolled back is asked for again")
    };
    assert_eq!(violated(setup), [ONCE]);
}

#[test]
fn levers_that_are_not_asserted_again_are_found() {
    fn once(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
        match remedy(evaluation, inputs, stamp, now) {
            Remedy::RollBack(..) if requested(stamp) => Remedy::None,
            other => other,
        }
    }
    let setup = Setup {
        left: Left {
            rises: 1,
            resets: 1,
            ..Left::default()
        },
        remedy: once,
        ..quiet("fault: the levers are pulled once")
    };
    assert_eq!(violated(setup), [LIVE]);
}

#[test]
fn a_clock_that_runs_too_fast_is_found() {
    fn hasty(inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Evaluation {
        let mut limits = inputs.limits.clone();
        for limit in &mut limits.clocks {
            limit.limit = limit
                .limit
                .filter(|_| limit.clock == Clock::READINESS)
                .map_or(limit.limit, |limit| Some(limit / 2));
        }
        let inputs = Inputs {
            limits: &limits,
            ..*inputs
        };
        evaluate(&inputs, stamp, now)
    }
    let setup = Setup {
        deadline: 2,
        left: Left {
            rises: 1,
            falls: 1,
            ..Left::default()
        },
        evaluate: hasty,
        ..quiet("fault: the readiness clock runs twice as fast")
    };
    assert_eq!(violated(setup), [ALONE]);
}

#[test]
fn writes_without_preconditions_are_found() {
    let setup = Setup {
        left: Left {
            rises: 1,
            falls: 1,
            holds: 1,
            ..Left::default()
        },
        preconditions: false,
        ..quiet("fault: writes carry no preconditions")
    };
    assert_eq!(violated(setup), [FORBIDDEN]);
}

/// What preconditions cannot prevent: a tick that a hook holds promotes a canary whose verdict was handed over meanwhile,
/// and a ticker that is behind ticks again at once, before the verdict is taken back.
#[test]
fn a_lever_pulled_while_a_hook_may_run_is_found() {
    fn at_once(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
        match remedy(evaluation, inputs, stamp, now) {
            Remedy::RollBack(breach, levers) if matches!(levers.target, TargetLever::Later(_)) => {
                let target = TargetLever::ExceedDeadline;
                Remedy::RollBack(breach, Levers { target, ..levers })
            }
            other => other,
        }
    }
    let setup = Setup {
        left: Left {
            rises: 1,
            falls: 1,
            holds: 1,
            ..Left::default()
        },
        remedy: at_once,
        ..quiet("fault: the target's lever does not wait for a hook")
    };
    assert_eq!(violated(setup), [FORBIDDEN]);
}

/// Each kind of trouble, with a `remedy` that does not know of it.
#[test]
fn a_rollback_that_is_begun_in_doubt_is_found() {
    fn asked(
        evaluation: &Evaluation,
        inputs: &Inputs<'_>,
        (stamp, now): (&Stamp, Timestamp),
        without: impl FnOnce(&mut Conditions),
    ) -> Remedy {
        let mut conditions = inputs.conditions;
        without(&mut conditions);
        remedy(evaluation, &Inputs { conditions, ..*inputs }, stamp, now)
    }
    fn not_stale(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
        asked(evaluation, inputs, (stamp, now), |conditions| {
            conditions.stale_watch = None;
        })
    }
    fn no_outage(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
        asked(evaluation, inputs, (stamp, now), |conditions| {
            conditions.outage_ended = None;
        })
    }
    fn no_skew(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
        asked(evaluation, inputs, (stamp, now), |conditions| {
            conditions.skew = SignedDuration::ZERO;
        })
    }
    fn no_breaker(evaluation: &Evaluation, inputs: &Inputs<'_>, stamp: &Stamp, now: Timestamp) -> Remedy {
        asked(evaluation, inputs, (stamp, now), |conditions| {
            conditions.breaker = BreakerAnswer::Allow;
        })
    }
    let faults: [(Trouble, Prescribe, &str); 4] = [
        (Trouble::StaleWatch, not_stale, "fault: a silent watch is believed"),
        (
            Trouble::Outage,
            no_outage,
            "fault: after an outage it is not waited for news",
        ),
        (Trouble::Skew, no_skew, "fault: clocks that are apart are believed"),
        (Trouble::OpenBreaker, no_breaker, "fault: an open breaker holds nothing"),
    ];
    for (trouble, remedy, name) in faults {
        let setup = Setup {
            trouble: Some(trouble),
            left: Left {
                troubles: 1,
                ..Left::default()
            },
            remedy,
            ..quiet(name)
        };
        assert_eq!(violated(setup), [DOUBT], "{trouble:?}");
    }
}

/// With several processes: what one of them had begun, the next one would not know of.
#[test]
fn a_process_that_does_not_read_the_stamps_is_found() {
    let setup = Setup {
        horizon: 7,
        deadline: 2,
        patience: 3,
        left: Left {
            rises: 1,
            falls: 1,
            restarts: 1,
            ..Left::default()
        },
        ..quiet("fault: nothing is stamped, and Curfew is killed")
    };
    assert_eq!(violated(setup), [LIVE]);
}

/// A leader that was stopped between two writes and goes on writes what it had in mind.
#[test]
fn a_deposed_leader_whose_writes_carry_no_preconditions_is_found() {
    let setup = Setup {
        horizon: 4,
        stamps: true,
        enforcers: 2,
        patience: 3,
        left: Left {
            pushes: 1,
            pauses: 1,
            ..Left::default()
        },
        preconditions: false,
        ..quiet("fault: writes carry no preconditions, and a leader is stopped between two of them")
    };
    assert_eq!(violated(setup), [ALONE, FORBIDDEN]);
}
