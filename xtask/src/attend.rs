//! A command that runs in a plane's environment, and ends with it.
//!
//! On a terminal the command stays in our process group, so that it may read from the terminal and Ctrl-C reaches it
//! by itself. Elsewhere it has a group of its own: what ends us ends all of that group.

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{kill, killpg};
use nix::unistd::Pid;
use testbed::{Plane, Signal};
use tokio::process::{Child, Command};

use crate::ends::Ends;

/// How long the command may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who hears a signal that we pass on.
#[derive(Clone, Copy)]
enum Listener {
    /// The command alone; its terminal tells the others.
    Process(Pid),
    Group(Pid),
}

/// Runs a command as the plane's admin until it ends, or until we are asked to end.
///
/// # Errors
/// When the command cannot be run.
pub async fn attend(plane: &Plane, mut command: Command, ends: &mut Ends) -> Result<ExitStatus> {
    let on_terminal = std::io::stdin().is_terminal();
    command.envs(plane.environment()?).kill_on_drop(true);
    if !on_terminal {
        command.process_group(0);
    }
    let program = command.as_std().get_program().to_owned();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", OsStr::display(&program)))?;
    let id = child.id().context("the command has no process id")?;
    let pid = Pid::from_raw(i32::try_from(id)?);
    if on_terminal {
        return until_end(&mut child, ends, Listener::Process(pid)).await;
    }
    plane.guard(id)?;
    let status = until_end(&mut child, ends, Listener::Group(pid)).await;
    // What the command left behind in its group must not outlive the plane.
    let _ = killpg(pid, Signal::SIGKILL);
    plane.release(id);
    status
}

async fn until_end(child: &mut Child, ends: &mut Ends, listener: Listener) -> Result<ExitStatus> {
    let signal = tokio::select! {
        status = child.wait() => return Ok(status?),
        signal = ends.next() => signal,
    };
    // A command that has ended meanwhile hears nothing, which is as well.
    let _ = match listener {
        // The terminal has told the whole foreground group already.
        Listener::Process(_) if signal == Signal::SIGINT => Ok(()),
        Listener::Process(pid) => kill(pid, signal),
        Listener::Group(pid) => killpg(pid, signal),
    };
    tokio::select! {
        status = child.wait() => return Ok(status?),
        _ = ends.next() => {}
        () = tokio::time::sleep(PATIENCE) => {}
    }
    child.kill().await?;
    Ok(child.wait().await?)
}

/// The command's exit code, or 128 plus the number of the signal that ended it.
#[must_use]
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// The exit code of a process that was ended by this signal.
#[must_use]
pub fn ended_by(signal: Signal) -> ExitCode {
    exit_code(ExitStatus::from_raw(signal as i32))
}
