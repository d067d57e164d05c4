//! The command line.

mod check;
mod command;
mod exit_code;
mod policy;
mod replay;

pub use command::{Cli, run};
