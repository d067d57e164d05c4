//! The command: what it is given, and what it exits with.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{ValueEnum, builder::NonEmptyStringValueParser};

use super::{
    github,
    input::{Broken, add_policies, policies, read},
    judge::{Report, judge},
    lookup::Given,
    print, sarif,
};
use crate::{
    cli::exit_code::BAD_START,
    cluster::clock,
    policy::{Mode, Policies},
};

/// What the exit code says, and how it is used.
const AFTER_HELP: &str = "\
Exit code:
  0  nothing that would be refused
  1  findings that would be refused; with --strict, any
  2  wrong usage, or something could not be read (the rest is checked nevertheless)

Examples:
  curfew check deploy/
  helm template ./chart | curfew check -
  kustomize build overlays/production | curfew check --policy policy.yaml -";

/// Check Canaries in files by the rules that the webhook applies
///
/// Files are YAML or JSON of any number of objects, as Helm and kustomize print them. Deployments, DaemonSets,
/// autoscalers, Namespaces and policies of Curfew among them serve the rules that look beyond a Canary; of what is not
/// among them nothing is said. Other objects are not looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// What to check; of a folder every *.yaml, *.yml and *.json below it; - is standard input
    #[arg(value_name = "FILE|DIR|-", required = true)]
    paths: Vec<PathBuf>,
    /// Judge by the policies of this file, together with those among the objects, instead of the built-in one
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Show what is only audited too, and fail on any finding
    #[arg(long)]
    strict: bool,
    /// The provider that Flagger was started with (its -mesh-provider), for Canaries that name none
    #[arg(long, value_name = "PROVIDER")]
    flagger_mesh_provider: Option<String>,
    /// The labels of which a target's selector must have one (Flagger's -selector-labels), separated by commas
    #[arg(long, value_name = "LABELS", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    flagger_selector_labels: Option<Vec<String>>,
    /// How the findings are written
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// How the findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line each, for people
    Text,
    /// A report for programs
    Json,
    /// SARIF 2.1.0, for code scanners
    Sarif,
    /// Annotations of a GitHub workflow
    Github,
}

/// Checks what is named and prints what was found.
pub fn run(args: Args) -> ExitCode {
    let Args {
        paths,
        policy,
        strict,
        flagger_mesh_provider,
        flagger_selector_labels,
        output,
    } = args;
    let (objects, mut broken) = read(&paths);
    let policies = policies(policy.as_deref()).map(|mut policies| {
        broken.extend(add_policies(&mut policies, &objects));
        Policies::new(policies)
    });
    let policies = match policies {
        Ok(policies) => policies,
        Err(error) => {
            eprintln!("curfew: {error}");
            return ExitCode::from(BAD_START);
        }
    };
    let lookup = Given::new(&objects, flagger_mesh_provider, flagger_selector_labels);
    let report = judge(&objects, &policies, &lookup, clock::now());
    let text = match output {
        Format::Text => print::text(&report, strict),
        Format::Json => print::json(&report),
        Format::Sarif => sarif::sarif(&report, &broken, strict),
        Format::Github => github::github(&report, &broken, strict),
    };
    // Whoever reads may have seen enough.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    for broken in &broken {
        eprintln!("{broken}");
    }
    for line in print::unlabelled(&report) {
        eprintln!("{line}");
    }
    match output {
        Format::Text | Format::Github => eprintln!("{}", print::summary(&report, strict)),
        Format::Json | Format::Sarif => {}
    }
    exit_code(&report, &broken, strict)
}

fn exit_code(report: &Report, broken: &[Broken], strict: bool) -> ExitCode {
    if !broken.is_empty() {
        ExitCode::from(BAD_START)
    } else if report.count(Mode::Enforce) > 0 || (strict && !report.findings.is_empty()) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
