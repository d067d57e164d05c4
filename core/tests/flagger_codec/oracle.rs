//! Builds the Go program in `core/tests/oracle` and asks it.

use std::{
    io::{BufRead, BufReader, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Decode,
    Duration,
    Shape,
    Schema,
}

/// What Flagger makes of a Canary; core/tests/oracle/decode.go says what the fields mean.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    pub ok: bool,
    #[serde(default)]
    pub refused: bool,
    #[serde(default)]
    pub error: String,
    /// Why a getter gave no answer.
    #[serde(default)]
    pub panic: String,
    pub stored: Option<Value>,
    #[serde(flatten)]
    pub getters: Getters,
}

/// What Flagger's getters return.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Getters {
    pub deadline: Option<i64>,
    pub interval_nanos: Option<i64>,
    pub threshold: Option<i64>,
    pub primary_ready_threshold: Option<i64>,
    pub canary_ready_threshold: Option<i64>,
    pub skip_analysis: Option<bool>,
    pub strategy: Option<String>,
    pub apex_name: Option<String>,
    pub suspend: Option<bool>,
    /// The analysis field by field; nothing where there is none.
    #[serde(flatten)]
    pub fields: Fields,
}

/// Fields of the analysis as Flagger decodes them, for which it has no getters.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fields {
    pub iterations: Option<i64>,
    pub mirror: Option<bool>,
    pub max_weight: Option<i64>,
    pub step_weight: Option<i64>,
    pub step_weights: Option<Vec<i64>>,
    pub step_weight_promotion: Option<i64>,
}

/// What Go makes of a text.
#[derive(Debug, serde::Deserialize)]
pub struct Duration {
    pub ok: bool,
    pub nanos: i64,
    pub text: String,
}

/// One answer a line, or nothing where there is no Go.
pub fn ask<T: DeserializeOwned>(mode: Mode, lines: &[String]) -> Option<Vec<T>> {
    let answers = run(mode, lines)?;
    let answers: Vec<_> = answers
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert_eq!(answers.len(), lines.len(), "the oracle owes answers");
    Some(answers)
}

/// What the oracle prints without being asked anything, or nothing where there is no Go.
pub fn print(mode: Mode) -> Option<String> {
    run(mode, &[])
}

fn run(mode: Mode, lines: &[String]) -> Option<String> {
    let mut child = Command::new(oracle()?)
        .arg(mode.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the oracle starts");
    let input = child.stdin.take().expect("a pipe");
    let output = child.stdout.take().expect("a pipe");
    let answers = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut input = BufWriter::new(input);
            for line in lines {
                writeln!(input, "{line}").expect("the oracle reads");
            }
        });
        BufReader::new(output)
            .lines()
            .map(|line| line.expect("the oracle writes UTF-8") + "\n")
            .collect()
    });
    assert!(
        child.wait().expect("the oracle ends").success(),
        "the oracle failed; its message is above"
    );
    Some(answers)
}

/// The built program. Where there is no Go, what is left out is said; under `CI=true` that is a failure.
fn oracle() -> Option<&'static Path> {
    static ORACLE: OnceLock<Option<PathBuf>> = OnceLock::new();
    ORACLE.get_or_init(build).as_deref()
}

/// Where its source is: the end-to-end tests, which are of another package, ask it too.
fn folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let core = if package.ends_with("core") {
        package.to_owned()
    } else {
        package.join("core")
    };
    core.join("tests/oracle")
}

fn build() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
    say("building core/tests/oracle with Go: a minute the first time");
    let outcome = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(folder())
        .output();
    match outcome {
        Ok(built) => {
            assert!(
                built.status.success(),
                "go build in core/tests/oracle: {}",
                String::from_utf8_lossy(&built.stderr)
            );
            Some(program)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(
                !ci,
                "Go is not installed: the comparison with Flagger's codec cannot be left out in CI"
            );
            say(
                "LEFT OUT: the comparison with Flagger's own codec and with Go's durations, for lack of Go (`go` is not on PATH)",
            );
            None
        }
        Err(error) => panic!("go build in core/tests/oracle: {error}"),
    }
}

/// Past the test harness, which swallows what passing tests print.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "flagger_codec: {line}");
}

impl Getters {
    /// These, and `other` where there are none.
    pub fn or(self, other: &Self) -> Self {
        Self {
            deadline: self.deadline.or(other.deadline),
            interval_nanos: self.interval_nanos.or(other.interval_nanos),
            threshold: self.threshold.or(other.threshold),
            primary_ready_threshold: self.primary_ready_threshold.or(other.primary_ready_threshold),
            canary_ready_threshold: self.canary_ready_threshold.or(other.canary_ready_threshold),
            skip_analysis: self.skip_analysis.or(other.skip_analysis),
            strategy: self.strategy.or_else(|| other.strategy.clone()),
            apex_name: self.apex_name.or_else(|| other.apex_name.clone()),
            suspend: self.suspend.or(other.suspend),
            fields: self.fields,
        }
    }
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Duration => "duration",
            Self::Shape => "shape",
            Self::Schema => "schema",
        }
    }
}
