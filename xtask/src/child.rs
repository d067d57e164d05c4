//! A command that ends when we are asked to end.

use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use plane::Signal;

use crate::ends::Ends;

/// Runs a command to its end, in a process group of its own, which is killed when we are asked to end.
///
/// # Errors
/// When the command cannot be run, or we are asked to end.
pub fn run(command: Command) -> Result<ExitStatus> {
    let program = command.get_program().display().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut ends = Ends::listen()?;
        let mut child = tokio::process::Command::from(command)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let signal = tokio::select! {
            status = child.wait() => return Ok(status?),
            signal = ends.next() => signal,
        };
        // A group that has ended meanwhile is as well.
        let _ = group.map(|group| killpg(group, Signal::SIGKILL));
        child.wait().await?;
        bail!("{program} was ended by {signal}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_cannot_be_run_is_named() {
        let error = run(Command::new("no-such-program")).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("cannot run no-such-program: "),
            "{error:#}"
        );
    }

    #[test]
    fn its_exit_code_is_answered() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 7"]);
        assert_eq!(run(command).unwrap().code(), Some(7));
    }
}
