//! `curfew replay`: what Curfew would have done about rollouts that were recorded.
//!
//! [`stream`] reads the objects of a file one by one, [`times`] says since when each is as it is, [`recording`] keeps what
//! the clocks need and puts several files in the order of time; [`coverage`] is until when they tell about which Canary.
//! [`playback`] lets time pass over it and asks the pure functions
//! of [`crate::deadline`] as the enforcer does, about what is in the [`recorded_cluster`]; [`describe`] says what it would have said.
//! [`report`] is what comes of it, and [`mod@print`] writes that down.

mod command;
mod coverage;
mod describe;
mod objects;
mod playback;
mod print;
mod recorded_cluster;
mod recording;
mod report;

mod stream;
mod times;

pub use command::{Args, run};
