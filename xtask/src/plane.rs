//! `cargo xtask plane`: a command with a fresh plane around it.
//!
//! The command runs in the plane's environment; its exit code is ours. On a terminal it stays in our process group, so
//! that Ctrl-C reaches it by itself; elsewhere it has a group of its own, and what ends us ends all of that group.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use nix::unistd::Pid;
use plane::{CurfewOptions, Options, Plane, Signal};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How long the command may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Run a command with a fresh control plane, Flagger and Curfew.
///
/// The command finds `KUBECONFIG` (an admin's), `PLANE_DIR` (kubeconfigs admin, tenant, curfew; logs; audit.log) and a
/// `PATH` that starts with the pinned kubectl and the built curfew. Without a command the plane runs until Ctrl-C.
#[derive(Args)]
pub struct Arguments {
    /// Leave out Flagger.
    #[arg(long)]
    no_flagger: bool,
    /// Leave out Curfew.
    #[arg(long)]
    no_curfew: bool,
    /// Keep the plane's directory (logs, kubeconfigs) when it ends.
    #[arg(long)]
    keep: bool,
    /// The command and its arguments.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command; its exit code, or 128 plus the signal that ended it.
///
/// # Errors
/// When the plane does not start, or the command cannot be run.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments {
        no_flagger,
        no_curfew,
        keep,
        command,
    } = arguments;
    let binary = if no_curfew { None } else { Some(crate::curfew::build()?) };
    let options = Options {
        flagger: !no_flagger,
        curfew: binary.map(|binary| CurfewOptions {
            binary: Some(binary),
            ..CurfewOptions::default()
        }),
        keep,
        announce: true,
        ..Options::default()
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    runtime.block_on(with_plane(options, &command))
}

async fn with_plane(options: Options, command: &[OsString]) -> Result<ExitCode> {
    let mut asked = requests_to_end()?;
    let plane = tokio::select! {
        plane = Plane::start(options) => plane?,
        Some(signal) = asked.recv() => return Ok(code_of(signal)),
    };
    let code = if let Some((program, args)) = command.split_first() {
        attend(&plane, program, args, &mut asked).await
    } else {
        explain(&plane);
        asked.recv().await;
        Ok(ExitCode::SUCCESS)
    };
    eprintln!("plane: stopping");
    plane.stop().await;
    code
}

/// Runs the command to its end, or to ours.
async fn attend(
    plane: &Plane,
    program: &OsString,
    args: &[OsString],
    asked: &mut mpsc::Receiver<Signal>,
) -> Result<ExitCode> {
    let on_terminal = std::io::stdin().is_terminal();
    let mut command = Command::new(program);
    command.args(args).envs(plane.environment()?).kill_on_drop(true);
    if !on_terminal {
        command.process_group(0);
    }
    // The plane's PATH is the command's, so that `kubectl` is the pinned one here too.
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let pass_on = |signal: Signal| match id {
        // A terminal has sent SIGINT to the whole foreground group already.
        Some(_) if on_terminal && signal == Signal::SIGINT => {}
        Some(id) if on_terminal => drop(nix::sys::signal::kill(id, signal)),
        Some(id) => drop(nix::sys::signal::killpg(id, signal)),
        None => {}
    };
    let status = tokio::select! {
        status = child.wait() => status?,
        Some(signal) = asked.recv() => {
            pass_on(signal);
            end(&mut child, asked).await?
        }
    };
    // What the command left behind in its group must not outlive the plane.
    if !on_terminal {
        pass_on(Signal::SIGKILL);
    }
    Ok(exit_code(status))
}

/// Waits for a command that was asked to end; a second request or too long a time kills it.
async fn end(child: &mut Child, asked: &mut mpsc::Receiver<Signal>) -> Result<ExitStatus> {
    tokio::select! {
        status = child.wait() => return Ok(status?),
        _ = asked.recv() => {}
        () = tokio::time::sleep(PATIENCE) => {}
    }
    child.kill().await?;
    Ok(child.wait().await?)
}

/// SIGINT, SIGTERM and SIGHUP, in the order in which they come.
fn requests_to_end() -> Result<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(8);
    for (kind, name) in [
        (SignalKind::interrupt(), Signal::SIGINT),
        (SignalKind::terminate(), Signal::SIGTERM),
        (SignalKind::hangup(), Signal::SIGHUP),
    ] {
        let mut signals = signal(kind).with_context(|| format!("cannot wait for {name}"))?;
        let sender = sender.clone();
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(name).await.is_ok() {} });
    }
    Ok(receiver)
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn code_of(signal: Signal) -> ExitCode {
    exit_code(ExitStatus::from_raw(signal as i32))
}

fn explain(plane: &Plane) {
    let dir = plane.dir().display();
    eprintln!(
        "plane: it runs until Ctrl-C. In another terminal:\n\
         \n    export PLANE_DIR={dir}\n    export KUBECONFIG=$PLANE_DIR/admin   # or tenant, curfew\n    export PATH=$PLANE_DIR/bin:$PATH\n    kubectl get nodes\n\
         \nLogs are in $PLANE_DIR/logs, addresses in $PLANE_DIR/plane.json. Tests use this plane with\n\
         \n    CURFEW_TEST_PLANE={dir} cargo test\n"
    );
}
