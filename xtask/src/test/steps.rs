//! The steps of the gate, in their order: what is quick to fail comes first.

use std::process::Command;

use anyhow::Result;

use super::{
    binaries::{Binaries, Kind, obstacle},
    report::Outcome,
    times::Times,
};
use crate::{child, generate};

/// One step: its name, and what it runs.
pub struct Step {
    /// What it is called in the table, and chosen by.
    pub name: &'static str,
    run: Run,
}

enum Run {
    /// A command, from the workspace's root or a folder below it.
    Command {
        folder: &'static str,
        argv: &'static [&'static str],
    },
    /// The programs that hold tests of one kind.
    Tests(Kind),
    /// What is made from the code is what it says.
    Generated,
}

/// Everything that the gate runs.
pub const STEPS: &[Step] = &[
    cargo("format", &["cargo", "fmt", "--all", "--check"]),
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
        "dependencies",
        &["cargo", "deny", "--locked", "check", "bans", "licenses", "sources"],
    ),
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
    Step {
        name: "generated files",
        run: Run::Generated,
    },
    tests("unit tests", Kind::Unit),
    cargo("doc tests", &["cargo", "test", "--locked", "--workspace", "--doc"]),
    tests("integration tests", Kind::Integration),
    tests("model", Kind::Model),
    tests("scripted API server", Kind::Faults),
    tests("plane tests", Kind::Plane),
    tests("end-to-end tests", Kind::EndToEnd),
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
            folder: "core/tests/oracle",
            argv,
        },
    }
}

const fn tests(name: &'static str, kind: Kind) -> Step {
    Step {
        name,
        run: Run::Tests(kind),
    }
}

// === impl Step ===

impl Step {
    /// Whether it runs tests, which are compiled before.
    pub const fn needs_binaries(&self) -> bool {
        matches!(self.run, Run::Tests(_))
    }

    /// Runs it.
    ///
    /// # Errors
    /// When something cannot be run at all, or we are asked to end.
    pub fn run(&self, binaries: Option<&Binaries>, times: &Times) -> Result<Outcome> {
        match &self.run {
            Run::Command { folder, argv } => command(folder, argv),
            Run::Generated => generate::write(true).map(outcome),
            Run::Tests(kind) => binaries.map_or(Ok(Outcome::Failed), |binaries| programs(*kind, binaries, times)),
        }
    }
}

fn command(folder: &str, argv: &[&str]) -> Result<Outcome> {
    if let Some(missing) = missing(argv) {
        return Ok(Outcome::LeftOut(missing));
    }
    let mut command = Command::new(argv[0]);
    command
        .args(&argv[1..])
        .current_dir(format!("{}/../{folder}", env!("CARGO_MANIFEST_DIR")))
        .env("RUSTDOCFLAGS", "-D warnings");
    crate::curfew::without_cargos_variables(&mut command);
    Ok(outcome(child::run(command)?.success()))
}

fn programs(kind: Kind, binaries: &Binaries, times: &Times) -> Result<Outcome> {
    if kind.has_planes()
        && let Some(obstacle) = obstacle()?
    {
        return Ok(Outcome::LeftOut(obstacle));
    }
    let mut passed = binaries.of(kind).next().is_some();
    for binary in binaries.of(kind) {
        eprintln!("{}:", binary.name);
        let mut command = binary.command(binaries);
        times.ask(&mut command);
        if kind == Kind::Model {
            // What was explored is part of what the gate reports.
            command.arg("--nocapture");
        }
        passed &= child::run(command)?.success();
    }
    Ok(outcome(passed))
}

const fn outcome(passed: bool) -> Outcome {
    if passed { Outcome::Passed } else { Outcome::Failed }
}

/// Why a command cannot be run, if a tool that it needs is not there.
fn missing(argv: &[&str]) -> Option<String> {
    let answers = |argv: &[&str]| {
        Command::new(argv[0])
            .args(&argv[1..])
            .output()
            .is_ok_and(|said| said.status.success())
    };
    let (wanted, fix) = match argv {
        ["cargo", "deny", ..] => (&["cargo", "deny", "--version"][..], "cargo install --locked cargo-deny"),
        ["go" | "sh", ..] => (&["go", "version"][..], "install Go (https://go.dev/dl)"),
        _ => return None,
    };
    (!answers(wanted)).then(|| format!("`{}` does not work here: {fix}", wanted.join(" ")))
}
