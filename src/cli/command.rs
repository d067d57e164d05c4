//! The commands of `curfew`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{check, exit_code::BAD_START, policy, replay};
use crate::serve;

/// Deadlines that hold for Flagger canaries.
#[derive(Debug, Parser)]
#[command(name = "curfew", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the admission webhook and the enforcer
    Serve(serve::Args),
    Check(check::Args),
    /// Show the policy that holds where no other does, or the definition of the custom resource
    Policy(policy::Args),
    Replay(replay::Args),
}

/// Does what the command line says.
#[must_use]
pub fn run(Cli { command }: Cli) -> ExitCode {
    match command {
        Command::Serve(args) => run_serve(args),
        Command::Check(args) => check::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Replay(args) => replay::run(args),
    }
}

fn run_serve(args: serve::Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(serve::run(args)),
        Err(error) => Err(serve::StartError::Runtime(error).into()),
    };
    let Err(error) = served else { return ExitCode::SUCCESS };
    eprintln!("curfew: {error}");
    match error {
        serve::Error::CannotStart(_) => ExitCode::from(BAD_START),
        serve::Error::TaskEnded(_) => ExitCode::FAILURE,
    }
}
