//! The clocks as films: what counts, what does not, and at which second a rollout is failed.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]

mod adoption;
mod breaker;
mod edges;
mod film;
mod handed;
mod others;
mod readiness;
mod restart;
mod safety;

use curfew_core::deadline::{
    judge::State,
    verdict::{Outcome, RemedyName, Verdict},
};
use film::Film;

/// What the enforcer notes after it handed Flagger the verdict.
fn requested(film: &mut Film) {
    let State::Breached(breach) = film.judgement().state else {
        panic!("no breach")
    };
    let rollout = film.stamp.rollout.as_mut().expect("a rollout");
    rollout.breach = Some(breach);
    let revision = rollout.revision.to_string();
    film.stamp.verdict = Some(Verdict::new(
        film.now,
        revision,
        breach,
        RemedyName::Rollback,
        Outcome::Requested,
        String::new(),
    ));
}
