//! `curfew check`: the rules of the webhook on files, before anything reaches a cluster.
//!
//! [`source`] reads the texts, [`yaml`] (with [`scalar`]) makes [`document`]s with places of them, and [`object`] picks
//! what matters. [`mod@judge`] asks the rules about every Canary in its [`world`], under the policies that were given, and
//! [`print`](mod@print), [`sarif`] and [`github`] write down what came of it. What cannot be read is told, and hides nothing else.

mod document;
mod github;
mod judge;
mod lookup;
mod object;
mod print;
mod sarif;
mod scalar;
mod source;
mod yaml;

use std::{
    fmt,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{ValueEnum, builder::NonEmptyStringValueParser};

use self::{
    judge::{Report, judge},
    lookup::Given,
    object::{Kind, Object, objects},
};
use super::BAD_START;
use crate::{
    enforcer::clock,
    policy::{Checked, Mode, Policies, file},
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

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Broken {
    file: Arc<str>,
    line: Option<usize>,
    why: String,
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

/// The objects of everything that is named, and what could not be read.
fn read(paths: &[PathBuf]) -> (Vec<Object>, Vec<Broken>) {
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for source in source::read(paths, std::io::stdin().lock()) {
        let file = source.name;
        let text = match source.text {
            Ok(text) => text,
            Err(why) => {
                let line = None;
                broken.push(Broken { file, line, why });
                continue;
            }
        };
        for document in yaml::documents(&text) {
            match document {
                Ok(node) if node.text().is_some() => broken.push(Broken {
                    file: Arc::clone(&file),
                    line: Some(node.at.line),
                    why: "this is text and no object; write YAML or JSON of Kubernetes".to_owned(),
                }),
                Ok(node) => {
                    let (objects, strays) = objects(&file, node);
                    found.extend(objects);
                    broken.extend(strays.into_iter().map(|(at, why)| Broken {
                        file: Arc::clone(&file),
                        line: Some(at.line),
                        why,
                    }));
                }
                Err(error) => broken.push(Broken {
                    file: Arc::clone(&file),
                    line: Some(error.line),
                    why: error.why,
                }),
            }
        }
    }
    (found, broken)
}

fn policies(path: Option<&Path>) -> Result<Vec<Checked>, String> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let bad = |why: String| format!("--policy {}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let policies = file::read(&text).map_err(|error| bad(error.to_string()))?;
    if policies.is_empty() {
        return Err(bad(
            "there is no policy in it; `curfew policy default` prints one to start from".to_owned(),
        ));
    }
    Ok(policies)
}

/// Adds the policies among the objects, and says which cannot be used. The file of `--policy` may be among those that
/// are checked.
fn add_policies(policies: &mut Vec<Checked>, objects: &[Object]) -> Vec<Broken> {
    let mut broken = Vec::new();
    for object in objects.iter().filter(|object| object.kind == Kind::Policy) {
        let (field, why) = match file::object(object.json.clone()) {
            Err(error) => (error.field.clone(), error.to_string()),
            Ok(policy) => match policies
                .iter()
                .find(|known| known.policy().name == policy.policy().name)
            {
                None => {
                    policies.push(policy);
                    continue;
                }
                Some(known) if *known == policy => continue,
                Some(_) => {
                    let name = &policy.policy().name;
                    let why =
                        format!("CanaryPolicy {name} is there twice, and they differ; give each a name of its own");
                    (String::from("metadata.name"), why)
                }
            },
        };
        broken.push(Broken {
            file: Arc::clone(&object.file),
            line: Some(object.node.place(&field).line),
            why: format!("{why}; nothing was judged by it"),
        });
    }
    broken
}

// === impl Broken ===

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, why } = self;
        match line {
            Some(line) => write!(f, "{file}:{line}: cannot be read: {why}"),
            None => write!(f, "{file}: cannot be read: {why}"),
        }
    }
}
