//! `cargo xtask test`: everything that the gate runs.
//!
//! ```text
//! steps ──► commands (cargo, go), one after another
//!      └──► binaries (every test, compiled once) ──► tests ──► times (of each story), report
//! repeat ──► binaries ──► tests, again and again, under load
//! ```
//!
//! Steps run one after another, since most of them use every processor. A step whose tool is missing is left out and
//! named; with `CI=true` that is a failure. All steps run even when one fails, so that one run reports everything.

mod binaries;
mod load;
mod repeat;
mod report;
mod steps;
mod times;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use binaries::Binaries;
use repeat::Repetitions;
use report::{Done, Outcome, passes, summary};
use steps::{STEPS, Step};
use times::Times;

/// Run everything that the gate runs; say what was left out and why.
#[derive(Args)]
pub struct Arguments {
    /// Only the steps whose name contains one of these; with --repeat, the tests whose path contains one.
    #[arg(value_name = "NAME")]
    only: Vec<String>,
    /// Run tests this many times in a row instead, to find those that fail now and then.
    #[arg(long, value_name = "N")]
    repeat: Option<NonZeroUsize>,
    /// Keep the processors busy meanwhile.
    #[arg(long, requires = "repeat")]
    load: bool,
    /// So many repetitions at the same time, which load each other too.
    #[arg(long, value_name = "N", requires = "repeat", default_value = "1")]
    at_once: NonZeroUsize,
}

/// Runs the steps; fails if one of them does.
///
/// # Errors
/// A step could not be run at all.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments {
        only,
        repeat,
        load,
        at_once,
    } = arguments;
    if let Some(times) = repeat {
        let repetitions = Repetitions { times, load, at_once };
        return repetitions.run(&only);
    }
    let wanted = |step: &&Step| only.is_empty() || only.iter().any(|name| step.name.contains(name.as_str()));
    let steps: Vec<_> = STEPS.iter().filter(wanted).collect();
    if steps.is_empty() {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        let only = only.join(" ");
        anyhow::bail!(
            "no step has `{only}` in its name; the steps are: {}; single tests: --repeat 1 {only}",
            names.join(", ")
        );
    }
    let times = Times::start()?;
    let mut all = Vec::new();
    let mut binaries = None;
    for (index, step) in steps.iter().enumerate() {
        if step.needs_binaries() && !steps[..index].iter().any(|before| before.needs_binaries()) {
            let compiled = timed("tests compiled", || {
                binaries = Binaries::build()?;
                Ok(if binaries.is_some() {
                    Outcome::Passed
                } else {
                    Outcome::Failed
                })
            });
            all.push(compiled?);
        }
        all.push(timed(step.name, || step.run(binaries.as_ref(), &times))?);
    }
    let strict = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    let stories = times
        .table()
        .unwrap_or_else(|error| format!("no times of stories: {error:#}\n"));
    eprint!("\n{stories}\n{}", summary(&all));
    Ok(if passes(&all, strict) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Does a step, and says how long it took.
fn timed(name: &'static str, step: impl FnOnce() -> Result<Outcome>) -> Result<Done> {
    eprintln!("\n── {name} ──");
    let begun = Instant::now();
    let outcome = step()?;
    Ok(Done {
        name,
        outcome,
        took: begun.elapsed(),
    })
}
