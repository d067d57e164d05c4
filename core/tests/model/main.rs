//! A model of everything that decides about a rollout, explored exhaustively within bounds.
//!
//! Flagger's scheduler ([`scheduler`]), the objects and the Deployment controller ([`cluster`]), what users, pods and
//! hooks do ([`user`]) and the enforcers ([`enforcer`], [`requests`]) make one [`world`], whose events come in every order. The enforcer
//! uses Curfew's own `observe`, `judge` and `remedy`. [`worlds`] says what is explored, [`properties`] what must hold, and
//! [`faults`] shows that it would be seen if it did not.
//!
//! `cargo test -p curfew-core --test model -- --nocapture` prints what was explored.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]
#![expect(
    clippy::disallowed_types,
    reason = "the crate is pure; this test of it says how long it took"
)]

mod cluster;
mod enforcer;
mod faults;
mod properties;
mod requests;
mod scheduler;
mod trouble;
mod user;
mod world;
mod worlds;

use std::{fmt::Write as _, time::Instant};

use stateright::{Checker, Model, Path};

use self::world::{Event, Setup, World};

/// Threads that explore one world.
const THREADS: usize = 2;

/// What came of exploring a world.
struct Explored {
    violations: Vec<(&'static str, Path<World, Event>)>,
    /// What was claimed of the world and never came into question in it.
    vacuous: Vec<&'static str>,
    summary: String,
}

fn explore(setup: Setup) -> Explored {
    let begun = Instant::now();
    let (name, horizon, claims) = (setup.name, setup.horizon, setup.claims);
    let checker = setup.checker().threads(THREADS).spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    let vacuous = claims.iter().copied();
    let vacuous = vacuous
        .filter(|claim| !discoveries.contains_key(properties::question(claim)))
        .collect();
    discoveries.retain(|property, _| properties::INVARIANTS.contains(property));
    let mut violations: Vec<_> = discoveries.into_iter().collect();
    violations.sort_by_key(|(property, _)| *property);
    let summary = format!(
        "{:>9} states, {horizon} steps of time, {:>2} events deep, {:>3} s: {name}",
        checker.unique_state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs()
    );
    Explored {
        violations,
        vacuous,
        summary,
    }
}

/// The properties that do not hold in a world.
fn violated(setup: Setup) -> Vec<&'static str> {
    let Explored {
        violations, summary, ..
    } = explore(setup);
    println!("{summary}");
    violations.into_iter().map(|(property, _)| property).collect()
}

fn story(path: Path<World, Event>) -> String {
    let steps = path.into_vec();
    let mut story = String::new();
    for (world, event) in &steps {
        let _ = match event {
            Some(event) => writeln!(story, "  {:>2}: {event:?}", world.now),
            None => writeln!(story, "{world:#?}"),
        };
    }
    story
}

#[test]
fn every_invariant_holds_in_every_order_of_events() {
    let mut failures = String::new();
    println!("Invariants, checked in every state:");
    for property in properties::INVARIANTS {
        println!("  - {property}");
    }
    for setup in worlds::all() {
        let claims = setup.claims;
        let Explored {
            violations,
            vacuous,
            summary,
        } = explore(setup);
        println!("{summary}");
        for claim in claims {
            println!("          in question: {claim}");
        }
        for claim in vacuous {
            let _ = writeln!(failures, "{summary}\nnever comes into question: \"{claim}\"");
        }
        for (property, path) in violations {
            let _ = writeln!(failures, "{summary}\nviolates \"{property}\":\n{}", story(path));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
