//! `cargo xtask test --repeat N [--load] [--at-once N] [NAME…]`: the hunt for tests that fail now and then.
//!
//! What every run prints goes to a file, and what failed is shown at the end. All runs happen even when one fails, since
//! how often something fails is what is wanted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::{
    binaries::{Binaries, Binary, Kind, obstacle},
    load::Load,
};
use crate::child;

/// What a test's line ends with when it failed.
const FAILED: &str = " ... FAILED";

/// Tests of one program that are repeated.
struct Chosen<'a> {
    binary: &'a Binary,
    tests: Vec<String>,
}

/// How often, and under what load.
pub struct Repetitions {
    /// How often.
    pub times: NonZeroUsize,
    /// Whether something else computes meanwhile.
    pub load: bool,
    /// How many of them at the same time.
    pub at_once: NonZeroUsize,
}

// === impl Repetitions ===

impl Repetitions {
    /// Repeats the tests whose path contains one of the names in `only`; without any, all that play on planes or a scripted API server.
    ///
    /// # Errors
    /// When nothing has that in its path, or something cannot be run.
    pub fn run(&self, only: &[String]) -> Result<ExitCode> {
        let Some(binaries) = Binaries::build()? else {
            return Ok(ExitCode::FAILURE);
        };
        let chosen = choose(&binaries, only)?;
        if chosen.iter().any(|chosen| chosen.binary.kind.has_planes())
            && let Some(obstacle) = obstacle()?
        {
            bail!("the tests start planes, and none can start here: {obstacle}");
        }
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/repeat"));
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let count: usize = chosen.iter().map(|chosen| chosen.tests.len()).sum();
        eprintln!(
            "{count} tests, {} times; what they print is in {}",
            self.times,
            folder.display()
        );
        let _load = self.load.then(Load::start);
        let next = AtomicUsize::new(1);
        let failures = Mutex::new(BTreeMap::<String, Vec<usize>>::new());
        let work = || -> Result<()> {
            loop {
                let repetition = next.fetch_add(1, Ordering::Relaxed);
                if repetition > self.times.get() {
                    return Ok(());
                }
                let begun = Instant::now();
                let failed = run_all(&chosen, &binaries, &folder, repetition)?;
                let took = begun.elapsed().as_secs();
                eprintln!("{repetition:>3} of {}: {took:>4} s  {}", self.times, said(&failed));
                let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                for name in failed {
                    failures.entry(name).or_default().push(repetition);
                }
            }
        };
        let done = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.at_once.get()).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a repetition panicked")))
        });
        let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (name, times) in &failures {
            eprintln!("{name} failed {} of {} times, in {times:?}", times.len(), self.times);
        }
        done?;
        Ok(if failures.is_empty() {
            eprintln!("all passed {} times", self.times);
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Runs everything that was chosen once; answers what failed.
fn run_all(chosen: &[Chosen<'_>], binaries: &Binaries, folder: &Path, repetition: usize) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    for Chosen { binary, tests } in chosen {
        let log = folder.join(format!("{repetition:02}-{}-{:?}.log", binary.name, binary.kind));
        if !run_binary(binary, tests, binaries, &log)? {
            failed.extend(failed_tests(&log, binary)?);
        }
    }
    Ok(failed)
}

fn said(failed: &[String]) -> String {
    if failed.is_empty() {
        "passed".to_owned()
    } else {
        format!("FAILED: {}", failed.join(", "))
    }
}

fn choose<'a>(binaries: &'a Binaries, only: &[String]) -> Result<Vec<Chosen<'a>>> {
    let mut all = Vec::new();
    for binary in &binaries.tests {
        if only.is_empty() && !binary.kind.has_planes() && binary.kind != Kind::Faults {
            continue;
        }
        let mut tests = list(binary, binaries)?;
        if !only.is_empty() {
            tests.retain(|test| {
                let path = format!("{}::{test}", binary.name);
                only.iter().any(|name| path.contains(name))
            });
        }
        if !tests.is_empty() {
            all.push(Chosen { binary, tests });
        }
    }
    if all.is_empty() {
        bail!("no test has `{}` in its path", only.join("` or `"));
    }
    Ok(all)
}

/// The paths of all tests of a program.
fn list(binary: &Binary, binaries: &Binaries) -> Result<Vec<String>> {
    let mut command = binary.command(binaries);
    command.args(["--list", "--format", "terse"]);
    let (status, text) = child::read(command)?;
    if !status.success() {
        bail!("{} does not list its tests", binary.name);
    }
    Ok(text
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect())
}

/// Runs some tests of a program once; answers whether all passed.
fn run_binary(binary: &Binary, tests: &[String], binaries: &Binaries, log: &Path) -> Result<bool> {
    let mut command: Command = binary.command(binaries);
    let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    command
        .args(["--exact", "--show-output"])
        .args(tests)
        .stdout(file.try_clone()?)
        .stderr(file);
    Ok(child::run(command)?.success())
}

/// The tests that failed, as their program said; the program itself when it ended before it could.
fn failed_tests(log: &Path, binary: &Binary) -> Result<Vec<String>> {
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let mut failed: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(FAILED))
        .map(|test| format!("{}::{test}", binary.name))
        .collect();
    if failed.is_empty() {
        failed.push(binary.name.clone());
    }
    Ok(failed)
}
