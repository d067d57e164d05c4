//! `curfew policy`: the built-in policy, to start from, and what a cluster must know to hold policies.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{
    policy::{canary_policy::DEFAULT_YAML, crd},
    rules,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the built-in policy as YAML, to start from
    Default,
    /// Print the definition of the custom resource as YAML, for `kubectl apply -f -`
    Crd,
}

pub fn run(Args { what }: Args) -> ExitCode {
    match what {
        What::Default => print!("{DEFAULT_YAML}"),
        What::Crd => match serde_saphyr::to_string(&crd::crd(&rules::vocabulary())) {
            Ok(yaml) => print!("{yaml}"),
            Err(error) => {
                eprintln!("curfew: the definition cannot be written: {error}");
                return ExitCode::FAILURE;
            }
        },
    }
    ExitCode::SUCCESS
}
