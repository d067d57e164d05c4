//! The clocks: what each of them watches, and when its deadline is.
//!
//! Each clock is a file with a [`spec::ClockSpec`], and [`CLOCKS`] lists them: policies, their definition for API servers,
//! limits, evaluation, messages and documents all go by it.

mod advance;
mod crashes;
mod gate;
mod initialization;
mod promotion;
mod readiness;
pub mod reference;
mod rollout;
mod silence;
pub mod spec;
mod stall;
mod standstill;
mod suspended;
mod table;

pub use table::{CLOCKS, named, spec};
