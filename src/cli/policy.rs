//! `curfew policy`: the built-in policy, to start from.

use std::process::ExitCode;

use clap::Subcommand;

use crate::policy::canary_policy::DEFAULT_YAML;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the built-in policy as YAML, to start from
    Default,
}

pub fn run(Args { what: What::Default }: Args) -> ExitCode {
    print!("{DEFAULT_YAML}");
    ExitCode::SUCCESS
}
