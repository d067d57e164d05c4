//! Faults that a real control plane cannot be made to show at the right moment: the real enforcer against a scripted API
//! server. Each test says in its name what comes of it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]

mod app;
mod audit;
mod breaker;
mod conflicts;
mod daemon_set;
mod flagger_timing;
mod gone;
mod leadership;
mod logs;
mod lost_answers;
mod malformed_status;
mod mass_breach;
mod means;
mod outage;
mod pages;
mod permissions;
mod request;
mod restart;
mod script;
mod server;
mod stage;
mod storms;
mod telling;
mod two_writers;
mod watching;
mod world;
