//! The command: what it is given, and what it exits with.

use std::{
    fs::File,
    io::{Read, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;

use super::{playback, print, recording::Recorder, report::Report};
use crate::{
    cli::exit_code::BAD_START,
    cluster::clock,
    policy::{Policies, file},
    rules,
};

/// What the exit code says.
const EXIT_CODES: &str = "\
Exit code:
  0  no deadline passed
  1  Curfew would have rolled back, held or reported something
  2  the input could not be read or judged, wholly or in part";

/// Show what Curfew would have done about rollouts that were recorded, and when
///
/// A FILE holds the states of Canaries, Deployments, DaemonSets, Pods, Events and Namespaces as they followed each other:
/// what "kubectl get KIND -A -w -o json --output-watch-events --show-managed-fields" prints, one file for each kind, or
/// what "cargo xtask plane --record" writes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// The recording; several files are put in the order of time; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Judge by the policies of this file instead of the built-in one
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How the answer is written
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A timeline for people.
    Text,
    /// A report for programs.
    Json,
}

/// Replays the files and prints the report.
pub fn run(args: Args) -> ExitCode {
    let Args { files, policy, output } = args;
    let policies = match policies(policy.as_deref()) {
        Ok(policies) => policies,
        Err(error) => return bad(&error),
    };
    let now = clock::now();
    let mut recorder = Recorder::default();
    let mut unreadable = Vec::new();
    for path in &files {
        let name = path.display().to_string();
        let read = open(path).and_then(|file| recorder.read(&name, file, now).map_err(|error| error.to_string()));
        if let Err(error) = read {
            unreadable.push(format!("{name}: {error}"));
        }
    }
    let empty = recorder.empty().join(", ");
    let recording = recorder.finish(policy.is_some());
    if recording.canaries == 0 && unreadable.is_empty() {
        let empty = if empty.is_empty() {
            empty
        } else {
            format!(" (nothing at all in: {empty})")
        };
        return bad(&format!(
            "there is no Canary in what was given{empty}; record them too, with \
             kubectl get canaries -A -w -o json --output-watch-events --show-managed-fields"
        ));
    }
    let mut report = playback::replay(recording, &policies);
    report.notes.splice(0..0, unreadable.iter().cloned());
    if report.summary.canaries > 0 {
        let text = match output {
            Format::Text => print::text(&report),
            Format::Json => print::json(&report),
        };
        // Whoever reads may have seen enough.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }
    for error in &unreadable {
        eprintln!("curfew: {error}");
    }
    exit_code(&report, !unreadable.is_empty())
}

fn exit_code(report: &Report, unreadable: bool) -> ExitCode {
    if unreadable || report.summary.unjudged > 0 {
        ExitCode::from(BAD_START)
    } else if report.summary.breaches > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn bad(error: &str) -> ExitCode {
    eprintln!("curfew: {error}");
    ExitCode::from(BAD_START)
}

fn open(path: &Path) -> Result<Box<dyn Read>, String> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    Ok(Box::new(file))
}

fn policies(path: Option<&Path>) -> Result<Policies, String> {
    let Some(path) = path else {
        return Ok(Policies::default());
    };
    let bad = |why: String| format!("--policy {}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    file::parse(&text, &rules::vocabulary()).map_err(|error| bad(error.to_string()))
}
