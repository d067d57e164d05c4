//! A command that ends when we are asked to end.

use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use testbed::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;

use crate::ends::Ends;

/// Runs a command to its end, in a process group of its own, which is killed when we are asked to end.
///
/// # Errors
/// When the command cannot be run, or we are asked to end.
pub fn run(command: Command) -> Result<ExitStatus> {
    supervise(command, async |child| Ok(child.wait().await?))
}

/// The same, and answers what it printed on standard output.
///
/// # Errors
/// As [`run`].
pub fn read(mut command: Command) -> Result<(ExitStatus, String)> {
    command.stdout(Stdio::piped());
    supervise(command, async |child| {
        let mut output = child.stdout.take().context("the command has no output")?;
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).await?;
        Ok((child.wait().await?, String::from_utf8_lossy(&bytes).into_owned()))
    })
}

fn supervise<T>(command: Command, until_end: impl AsyncFnOnce(&mut Child) -> Result<T>) -> Result<T> {
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
            ended = until_end(&mut child) => return ended,
            signal = ends.next() => signal,
        };
        // The group may have ended already.
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
    fn its_exit_code_and_its_words_are_answered() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        assert_eq!(run(shell("exit 7")).unwrap().code(), Some(7));
        let (status, words) = read(shell("echo one; echo two; exit 3")).unwrap();
        assert_eq!((status.code(), words.as_str()), (Some(3), "one\ntwo\n"));
    }
}
