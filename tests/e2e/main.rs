//! Curfew end to end: real control planes, the real Flagger, the built binary. One file per promise.
//!
//! Flagger checks every ten seconds at best, so the stories overlap: each plays in namespaces of its own, and [`planes`]
//! says where. They wait much and work little, and those that must wait for their turn do so by themselves, so run them
//! all at once:
//!
//! ```sh
//! cargo test --test e2e -- --test-threads 256
//! ```
//!
//! Where Flagger alone is known to fail (`docs/flagger.md`), the same story plays beside it in a namespace that the
//! plane's policy exempts, and is seen to fail. On a machine that cannot start planes everything is left out, which is
//! said, and which fails with `CI=true`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of tests fail as tests do"
)]

mod admission;
mod admission_policy;
mod alerts;
mod api_objects;
mod api_server;
mod app;
mod approval;
mod audit;
mod autoscaler;
mod bypass;
mod controllers;
#[path = "../canaries/corpus.rs"]
mod corpus;
mod crashes;
mod curfew_says;
mod daemon_set;
mod every_rule;
#[allow(dead_code, reason = "one test writes what another reads")]
#[path = "../reviews/filler.rs"]
mod filler;
mod fix_pushed;
mod flagger_restart;
mod flapping;
mod gates;
mod hang;
mod healthy;
mod history;
mod hooks;
#[path = "../../core/tests/properties/hostile.rs"]
mod hostile;
mod idle;
mod initialization;
mod installed_late;
mod kubectl;
mod last_resort;
mod leadership;
mod malformed_status;
mod mirrored;
mod network;
mod odd_specs;
#[allow(dead_code, reason = "other tests ask it more")]
#[path = "../../core/tests/flagger_codec/oracle.rs"]
mod oracle;
mod paused;
mod permissions;
mod planes;
mod poison;
mod policies;
mod policy_default;
mod primary_not_ready;
mod promotion;
mod raised_deadline;
mod reasons;
mod receiver;
mod recorded_reviews;
mod restart;
mod revision;
mod service_target;
mod skip_analysis;
mod stage;
mod stamps;
mod strategies;
mod suspended;
mod times;
mod traffic;
mod waiting_promotion;
