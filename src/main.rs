//! The `curfew` binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use curfew::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
