//! The clocks as scenarios: what counts, what does not, and at which second a rollout is failed.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]

mod breaker;
mod edges;
mod guards;
mod initialization;
mod levers;
mod other_clocks;
mod readiness;
mod restart;
mod safety;
mod scenario;
mod standstill;

use curfew_core::{
    deadline::evaluate::RolloutState,
    rollout::verdict::{Outcome, RemedyName, Ruling, Verdict},
};
use scenario::Scenario;

/// What the enforcer notes after it handed Flagger the verdict.
fn requested(scenario: &mut Scenario) {
    let RolloutState::Breached(breach) = scenario.evaluation().state else {
        panic!("no breach")
    };
    let rollout = scenario.stamp.rollout.as_mut().expect("a rollout");
    rollout.breach = Some(breach);
    let revision = rollout.revision.to_string();
    scenario.stamp.verdict = Some(Verdict::new(
        scenario.now,
        revision,
        Ruling {
            breach,
            remedy: RemedyName::Rollback,
            result: Outcome::Requested,
            reason: String::new(),
        },
    ));
}
