//! `cargo xtask test`: everything that the gate runs.
//!
//! Steps run one after another, since most of them are Cargo and Cargo uses every core by itself; the end-to-end tests
//! run side by side in one shared plane, and the soak beside them on a plane of its own, since both mostly wait. A step whose tool is missing is left out and named; with `CI=true` that is a
//! failure. All steps run even when one fails, so that one run tells everything.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use plane::{CurfewOptions, Options, Plane};

use crate::attend::attend;
use crate::ends::Ends;

/// The files of stories that have planes of their own, as the names of their tests begin.
const WITH_OWN_PLANES: [&str; 12] = [
    "api_server::",
    "controllers::",
    "flagger_restart::",
    "installed_late::",
    "last_resort::",
    "leadership::",
    "network::",
    "nonsense::",
    "permissions::",
    "poison::",
    "restart::",
    "weird::",
];

/// Those of them that are about what the API server asks and not about time: they work much, and others would be late.
const OF_THE_WEBHOOK: [&str; 7] = [
    "admission_policy::",
    "api_objects::",
    "audit::",
    "bypass::",
    "every_rule::",
    "policies::",
    "recorded_reviews::",
];

/// The one that makes a storm, which must be written down before it breaks.
const ALONE: [&str; 1] = ["breaker::"];

/// The soak begins when most of the stories in the shared plane are told: two processors are not enough for all at once.
const SOAK_LATER: Duration = Duration::from_mins(4);

/// How many end-to-end tests run at the same time in one plane: most of what they do is wait.
const THREADS: &str = "64";

/// How many planes of their own there are at the same time. What a busy machine does late, a test takes for late.
const PLANES: &str = "5";

/// How the end-to-end tests are built and run.
const END_TO_END: [&str; 6] = ["test", "--locked", "--package", "canary-curfew", "--test", "e2e"];

/// Run everything that the gate runs; say what was left out and why.
#[derive(Args)]
pub struct Arguments {
    /// Only the steps whose name contains this.
    #[arg(value_name = "NAME")]
    only: Option<String>,
}

/// One step: its name, and what it runs.
struct Step {
    name: &'static str,
    run: Run,
}

enum Run {
    /// A command, from the workspace's root or a folder below it.
    Command {
        folder: &'static str,
        argv: &'static [&'static str],
    },
    /// The end-to-end tests in a shared plane.
    EndToEnd,
    /// A short soak on a plane of its own, beside the step before it.
    Soak,
}

/// What a step has before it runs.
enum Prepared {
    Nothing,
    /// The built Curfew.
    Binary(PathBuf),
    /// Why it cannot run.
    Obstacle(String),
    Failed,
}

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    LeftOut(String),
}

const STEPS: &[Step] = &[
    cargo("format", &["cargo", "fmt", "--all", "--check"]),
    cargo(
        "lints",
        &[
            "cargo",
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ),
    cargo(
        "docs",
        &[
            "cargo",
            "doc",
            "--locked",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ],
    ),
    cargo(
        "dependencies",
        &["cargo", "deny", "--locked", "check", "bans", "licenses", "sources"],
    ),
    go(
        "oracle format",
        &[
            "sh",
            "-c",
            "unformatted=$(gofmt -l .) && test -z \"$unformatted\" || { gofmt -d .; exit 1; }",
        ],
    ),
    go("oracle lints", &["go", "vet", "./..."]),
    cargo(
        "unit tests",
        &["cargo", "test", "--locked", "--workspace", "--lib", "--bins"],
    ),
    cargo("doc tests", &["cargo", "test", "--locked", "--workspace", "--doc"]),
    cargo(
        "integration tests",
        &[
            "cargo",
            "test",
            "--locked",
            "--package",
            "canary-curfew",
            "--test",
            "architecture",
            "--test",
            "canaries",
            "--test",
            "check",
            "--test",
            "command_line",
            "--test",
            "flagger_codec",
            "--test",
            "manifests",
            "--test",
            "properties",
            "--test",
            "replay",
            "--test",
            "reviews",
            "--test",
            "clocks",
            "--test",
            "faults",
            "--test",
            "webhook",
        ],
    ),
    cargo(
        "model",
        &[
            "cargo",
            "test",
            "--locked",
            "--package",
            "canary-curfew",
            "--test",
            "model",
            "--",
            "--nocapture",
        ],
    ),
    Step {
        name: "end-to-end tests",
        run: Run::EndToEnd,
    },
    Step {
        name: "soak",
        run: Run::Soak,
    },
    cargo(
        "plane tests",
        &["cargo", "test", "--locked", "--package", "plane", "--tests"],
    ),
];

const fn cargo(name: &'static str, argv: &'static [&'static str]) -> Step {
    Step {
        name,
        run: Run::Command { folder: ".", argv },
    }
}

const fn go(name: &'static str, argv: &'static [&'static str]) -> Step {
    Step {
        name,
        run: Run::Command {
            folder: "tests/oracle",
            argv,
        },
    }
}

/// Runs the steps; fails if one of them does.
///
/// # Errors
/// A step could not be run at all.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { only } = arguments;
    let wanted = |step: &&Step| only.as_ref().is_none_or(|only| step.name.contains(only.as_str()));
    if !STEPS.iter().any(|step| wanted(&step)) {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        anyhow::bail!("no step has that in its name; the steps are: {}", names.join(", "));
    }
    let mut results = Vec::new();
    let mut steps = STEPS.iter().filter(wanted).peekable();
    while let Some(step) = steps.next() {
        let beside = steps.next_if(|next| step.has_beside(next));
        let all: Vec<_> = std::iter::once(step).chain(beside).collect();
        let names: Vec<_> = all.iter().map(|step| step.name).collect();
        eprintln!("\n── {} ──", names.join(", and beside them the "));
        let ready = all.iter().map(|step| step.prepare()).collect::<Result<Vec<_>>>()?;
        std::thread::scope(|scope| {
            let running: Vec<_> = std::iter::zip(&all, ready)
                .map(|(step, ready)| scope.spawn(|| step.timed(ready)))
                .collect();
            for (step, running) in std::iter::zip(&all, running) {
                let (outcome, took) = running
                    .join()
                    .map_err(|_| anyhow::anyhow!("{} panicked", step.name))??;
                results.push((step.name, outcome, took));
            }
            anyhow::Ok(())
        })?;
    }
    let strict = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    eprint!("\n{}", summary(&results));
    Ok(if passes(&results, strict) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

// === impl Step ===

impl Step {
    /// Whether another step runs at the same time as this one.
    fn has_beside(&self, next: &Self) -> bool {
        matches!((&self.run, &next.run), (Run::EndToEnd, Run::Soak))
    }

    /// Builds what the step needs, so that nothing competes with planes for the processors.
    fn prepare(&self) -> Result<Prepared> {
        match &self.run {
            Run::Command { .. } => Ok(Prepared::Nothing),
            Run::EndToEnd | Run::Soak => {
                let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
                if let Some(obstacle) = runtime.block_on(plane::obstacle()) {
                    return Ok(Prepared::Obstacle(obstacle));
                }
                let binary = crate::curfew::build()?;
                if matches!(self.run, Run::EndToEnd) {
                    let mut cargo = Command::new("cargo");
                    let built = cargo
                        .args(END_TO_END)
                        .arg("--no-run")
                        .status()
                        .context("cannot run cargo")?;
                    if !built.success() {
                        return Ok(Prepared::Failed);
                    }
                }
                Ok(Prepared::Binary(binary))
            }
        }
    }

    fn timed(&self, prepared: Prepared) -> Result<(Outcome, Duration)> {
        let begun = Instant::now();
        Ok((self.run(prepared)?, begun.elapsed()))
    }

    fn run(&self, prepared: Prepared) -> Result<Outcome> {
        match &self.run {
            Run::Command { folder, argv } => {
                if let Some(missing) = missing(argv) {
                    return Ok(Outcome::LeftOut(missing));
                }
                let status = Command::new(argv[0])
                    .args(&argv[1..])
                    .current_dir(format!("{}/../{folder}", env!("CARGO_MANIFEST_DIR")))
                    .env("RUSTDOCFLAGS", "-D warnings")
                    .status()
                    .with_context(|| format!("cannot run {}", argv.join(" ")))?;
                Ok(if status.success() {
                    Outcome::Passed
                } else {
                    Outcome::Failed
                })
            }
            Run::EndToEnd => end_to_end(prepared),
            Run::Soak => soak(prepared),
        }
    }
}

// === impl Prepared ===

impl Prepared {
    /// What comes of a step that has nothing to run with.
    fn outcome(self) -> Outcome {
        match self {
            Self::Obstacle(obstacle) => Outcome::LeftOut(obstacle),
            Self::Nothing | Self::Binary(_) | Self::Failed => Outcome::Failed,
        }
    }
}

/// Why a command cannot be run, if a tool that it needs is not there.
fn missing(argv: &[&str]) -> Option<String> {
    let answers = |argv: &[&str]| {
        Command::new(argv[0])
            .args(&argv[1..])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let (wanted, mend) = match argv {
        ["cargo", "deny", ..] => (&["cargo", "deny", "--version"][..], "cargo install --locked cargo-deny"),
        ["go" | "sh", ..] => (&["go", "version"][..], "install Go (https://go.dev/dl)"),
        _ => return None,
    };
    (!answers(wanted)).then(|| format!("`{}` does not work here: {mend}", wanted.join(" ")))
}

fn soak(prepared: Prepared) -> Result<Outcome> {
    let binary = match prepared {
        Prepared::Binary(binary) => binary,
        other => return Ok(other.outcome()),
    };
    std::thread::sleep(SOAK_LATER);
    let passed = crate::soak::soak(&crate::soak::Arguments::GATE, binary)?;
    Ok(if passed { Outcome::Passed } else { Outcome::Failed })
}

fn end_to_end(prepared: Prepared) -> Result<Outcome> {
    let binary = match prepared {
        Prepared::Binary(binary) => binary,
        other => return Ok(other.outcome()),
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    runtime.block_on(async {
        let mut ends = Ends::listen()?;
        let curfew = CurfewOptions {
            binary: Some(binary),
            ..CurfewOptions::default()
        };
        let options = Options {
            curfew: Some(curfew),
            announce: true,
            ..Options::default()
        };
        let plane = tokio::select! {
            plane = Plane::start(options) => plane?,
            _ = ends.next() => return Ok(Outcome::Failed),
        };
        // First the stories in the shared plane, then those that have planes of their own: two processors are not
        // enough for all at once.
        let later = WITH_OWN_PLANES.iter().chain(&OF_THE_WEBHOOK).chain(&ALONE);
        let shared: Vec<_> = later.flat_map(|story| ["--skip", story]).collect();
        let mut all = Vec::new();
        for (threads, chosen) in [
            (THREADS, shared.as_slice()),
            (PLANES, &WITH_OWN_PLANES),
            (PLANES, &OF_THE_WEBHOOK),
            (PLANES, &ALONE),
        ] {
            all.push(tell(&plane, threads, chosen, &mut ends).await);
            if ends.asked() {
                break;
            }
        }
        let passed = all.iter().all(|told| matches!(told, Ok(true)));
        if !passed {
            plane.keep_logs();
        }
        plane.stop().await;
        all.into_iter().collect::<Result<Vec<_>>>()?;
        anyhow::ensure!(!ends.asked(), "ended before all stories were told");
        Ok(if passed { Outcome::Passed } else { Outcome::Failed })
    })
}

/// Tells the stories that these arguments of the test's choose, so many at the same time.
async fn tell(plane: &Plane, threads: &str, chosen: &[&str], ends: &mut Ends) -> Result<bool> {
    let mut command = tokio::process::Command::new("cargo");
    command
        .args(END_TO_END)
        .args(["--", "--test-threads", threads])
        .args(chosen)
        .env(plane::SHARED_PLANE, plane.dir());
    Ok(attend(plane, command, ends).await?.success())
}

fn passes(results: &[(&str, Outcome, Duration)], strict: bool) -> bool {
    results.iter().all(|(_, outcome, _)| match outcome {
        Outcome::Passed => true,
        Outcome::Failed => false,
        Outcome::LeftOut(_) => !strict,
    })
}

fn summary(results: &[(&str, Outcome, Duration)]) -> String {
    let line = |(name, outcome, took): &(&str, Outcome, Duration)| {
        let said = match outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Failed => "FAILED".to_owned(),
            Outcome::LeftOut(why) => format!("left out: {why}"),
        };
        format!("{name:<20} {:>4} s  {said}\n", took.as_secs())
    };
    results.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_named_and_fails_only_in_ci() {
        let results = [
            ("lints", Outcome::Passed, Duration::ZERO),
            ("tests", Outcome::LeftOut("no go".to_owned()), Duration::ZERO),
        ];
        assert!(passes(&results, false));
        assert!(!passes(&results, true));
        assert!(summary(&results).contains("left out: no go"));
    }

    #[test]
    fn one_failure_fails() {
        let results = [
            ("lints", Outcome::Passed, Duration::ZERO),
            ("tests", Outcome::Failed, Duration::ZERO),
        ];
        assert!(!passes(&results, false));
    }

    #[test]
    fn the_soak_runs_beside_the_end_to_end_tests_and_nothing_else_does() {
        let beside: Vec<_> = STEPS
            .windows(2)
            .filter(|steps| steps[0].has_beside(&steps[1]))
            .map(|steps| (steps[0].name, steps[1].name))
            .collect();
        assert_eq!(beside, [("end-to-end tests", "soak")]);
    }

    #[test]
    fn every_test_file_is_run_by_a_step() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
        let run: Vec<_> = STEPS
            .iter()
            .filter_map(|step| match &step.run {
                Run::Command { argv, .. } => Some(argv.iter().copied()),
                Run::EndToEnd | Run::Soak => None,
            })
            .flatten()
            .chain(["e2e", "oracle", "corpus"])
            .collect();
        for entry in std::fs::read_dir(folder).expect("the tests") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            let test = name.trim_end_matches(".rs");
            assert!(run.contains(&test), "no step runs tests/{name}");
        }
    }

    #[test]
    fn every_story_with_a_plane_of_its_own_waits_for_the_others() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).expect("the stories") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a story");
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if ["planes::own(", "planes::with_policies("]
                .iter()
                .any(|call| text.contains(call))
            {
                found.push(format!("{name}::"));
            }
        }
        found.sort();
        let mut told = [&WITH_OWN_PLANES[..], &OF_THE_WEBHOOK, &ALONE].concat();
        told.sort_unstable();
        assert_eq!(found, told);
    }
}
