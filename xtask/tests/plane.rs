//! `cargo xtask plane` as a shell sees it: exit codes, signals, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "what cannot be had here fails the test")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Whether planes can start here. Without Go the test is left out, which a CI must not do.
fn possible() -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let Some(obstacle) = runtime.block_on(testbed::obstacle()) else {
        return true;
    };
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{obstacle}");
    println!("left out: {obstacle}");
    false
}

fn xtask(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["plane", "--no-flagger", "--no-curfew", "--", "sh", "-c", script])
        .stdin(Stdio::null());
    command
}

/// Starts a plane around a command that does not end by itself. Returns the process ids of the plane's components, of
/// the command, and of a child of the command; and the plane's directory.
fn start() -> (Child, Vec<u32>, PathBuf) {
    let script = r#"sleep 600 & echo "$PLANE_DIR $! $$" $(tr -dc '0-9\n' <"$PLANE_DIR/pids"); wait"#;
    let script = format!(r#"sed -n '/"pids"/,$p' "$PLANE_DIR/plane.json" >"$PLANE_DIR/pids"; {script}"#);
    let mut child = xtask(&script).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let (dir, pids) = line.split_once(' ').unwrap();
    let pids: Vec<u32> = pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(
        pids.len(),
        5,
        "etcd, API server, controllers, the command and its child: {line}"
    );
    assert!(pids.iter().all(|pid| runs(*pid)));
    (child, pids, PathBuf::from(dir))
}

fn id(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap())
}

fn runs(pid: u32) -> bool {
    kill(id(pid), None).is_ok()
}

fn assert_gone(pids: &[u32]) {
    let started = Instant::now();
    while let Some(left) = pids.iter().find(|pid| runs(**pid)) {
        assert!(started.elapsed() < Duration::from_secs(10), "process {left} is left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_commands_exit_code_is_ours() {
    if !possible() {
        return;
    }
    let output = xtask(r#"kubectl get nodes -o name && echo "$0 $PLANE_DIR" && exit 7"#)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        output.status.code(),
        Some(7),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.starts_with("node/node-1\nnode/node-2\nnode/node-3\n"), "{said}");
    let dir = said.split_whitespace().last().unwrap();
    assert!(!Path::new(dir).exists(), "{dir}");
}

#[test]
fn a_command_ended_by_a_signal_counts_as_in_a_shell() {
    if !possible() {
        return;
    }
    assert_eq!(xtask("kill -TERM $$").output().unwrap().status.code(), Some(143));
}

#[test]
fn sigterm_ends_the_command_and_the_plane() {
    if !possible() {
        return;
    }
    let (mut child, pids, dir) = start();
    kill(id(child.id()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_gone(&pids);
    assert!(!dir.exists());
}

#[test]
fn a_killed_parent_leaves_nothing() {
    if !possible() {
        return;
    }
    let (mut child, pids, dir) = start();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_gone(&pids);
    // The logs of what was killed are all that can tell what happened.
    assert!(dir.join("logs/etcd.log").exists());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_command_that_does_not_exist_is_one_error() {
    if !possible() {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command
        .args(["plane", "--no-flagger", "--no-curfew", "--", "no-such-program"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("error: cannot run no-such-program: "), "{said}");
}
