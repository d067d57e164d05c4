//! The breaker over more than one window: who is counted, who is forgotten, and what is said meanwhile.

use std::time::Duration;

use curfew_core::{
    deadline::{
        breaker::{Breaker, BreakerAnswer, Load},
        messages,
    },
    policy::canary_policy,
    rollout::guard::{Cause, Guard, Share},
};

use super::scenario::Scenario;

const SETTINGS: canary_policy::BreakerSettings = canary_policy::BreakerSettings {
    enabled: true,
    min: 20,
    percent: 50,
    window: Duration::from_mins(5),
};

fn name(index: usize) -> String {
    format!("web-{index:03}")
}

/// Thirty rollouts run, and these are due.
fn due(indices: impl IntoIterator<Item = usize>) -> Load {
    Load {
        running: 30,
        due: indices.into_iter().map(name).collect(),
        ..Load::default()
    }
}

/// One asks at a second, with a deadline that passed right then.
fn ask(breaker: &mut Breaker, index: usize, load: &Load, second: i64) -> BreakerAnswer {
    let now = Scenario::at(second);
    breaker.ask(&name(index), now, load, SETTINGS, now)
}

#[test]
fn those_that_are_gone_still_count_until_their_window_is_over() {
    let mut breaker = Breaker::default();
    for index in 0..20 {
        assert_eq!(ask(&mut breaker, index, &due([index]), 10), BreakerAnswer::Allow);
    }
    let cause = Cause::Breaches { count: 21, limit: 20 };
    assert_eq!(
        ask(&mut breaker.clone(), 20, &due([20]), 309),
        BreakerAnswer::Hold(Scenario::at(309 + 300), cause)
    );
    assert_eq!(ask(&mut breaker, 20, &due([20]), 310), BreakerAnswer::Allow);
}

#[test]
fn one_that_comes_back_after_its_window_counts_anew() {
    let mut breaker = Breaker::default();
    assert_eq!(ask(&mut breaker, 0, &due([0]), 0), BreakerAnswer::Allow);
    assert_eq!(ask(&mut breaker, 50, &due([50]), 1_000), BreakerAnswer::Allow);
    let held = ask(&mut breaker, 1, &due(0..21), 4_000);
    assert_eq!(
        held,
        BreakerAnswer::Hold(Scenario::at(4_300), Cause::Breaches { count: 21, limit: 20 })
    );
}

#[test]
fn those_that_were_due_all_along_are_known_when_they_ask_again() {
    let mut breaker = Breaker::default();
    assert!(matches!(ask(&mut breaker, 0, &due(0..30), 0), BreakerAnswer::Hold(..)));
    assert_eq!(ask(&mut breaker, 0, &due(0..30), 300), BreakerAnswer::Allow);
    // The other 29 missed their deadlines five minutes ago, together, and nobody has since.
    assert_eq!(ask(&mut breaker, 1, &due(1..30), 301), BreakerAnswer::Allow);
}

#[test]
fn whoever_is_a_little_late_costs_nobody_their_turn_and_a_long_pause_is_not_made_up_for() {
    let mut breaker = Breaker::default();
    let all = due(0..25);
    let mut ask = |index: usize, second: i64| {
        let deadline = Scenario::at(i64::try_from(index).expect("small") - 60);
        breaker.ask(&name(index), deadline, &all, SETTINGS, Scenario::at(second))
    };
    for index in 0..25 {
        assert!(matches!(ask(index, 0), BreakerAnswer::Hold(..)));
    }
    // Twenty within five minutes: one in 15 s.
    for second in [300, 316, 330] {
        let index = usize::try_from((second - 300) / 15).expect("small");
        assert_eq!(ask(index, second), BreakerAnswer::Allow, "{second}");
    }
    // Nobody asked when it was their turn.
    assert_eq!(ask(3, 400), BreakerAnswer::Allow);
    assert!(matches!(ask(4, 400), BreakerAnswer::Hold(until, _) if until == Scenario::at(400 - 2 + 15)));
}

#[test]
fn an_open_breaker_says_why_until_nobody_waits() {
    let mut breaker = Breaker::default();
    assert_eq!(breaker.state(Scenario::at(0)), None);
    assert!(matches!(ask(&mut breaker, 0, &due(0..25), 0), BreakerAnswer::Hold(..)));
    let cause = Cause::Breaches { count: 25, limit: 20 };
    assert_eq!(breaker.state(Scenario::at(1)), Some(cause));
    assert_eq!(breaker.state(Scenario::at(599)), Some(cause));
    assert_eq!(breaker.state(Scenario::at(600)), None);
}

#[test]
fn the_reason_of_an_open_breaker_is_told_in_numbers() {
    let said = |cause| messages::withheld(Guard::Breaker(Scenario::at(0), cause));
    let share = Share { troubled: 6, of: 10 };
    for (cause, words) in [
        (
            Cause::Breaches { count: 25, limit: 20 },
            "25 deadlines passed within the breaker's window, more than the 20 that are no sign of trouble",
        ),
        (Cause::Primaries(share), "6 of 10 primaries are not ready either"),
        (
            Cause::Controllers(share),
            "the controllers have not looked at 6 of 10 workloads yet",
        ),
    ] {
        assert_eq!(
            said(cause),
            format!("the breaker is open: {words}; it lets go later, one after the other, each judged again")
        );
    }
}
