//! Child processes that cannot outlive their plane.
//!
//! Every process leads a process group of its own and writes both its streams to one log. Three things end it: its
//! owner ([`Process::kill`]), the owner's `Drop`, and, when the whole parent was killed, the [`Guardian`].
//! A process starts behind a gate (a shell that waits for one line) which opens only after the guardian knows its
//! group, so there is no moment in which it could be orphaned.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::guardian::Guardian;

/// How often the end of a child is looked for.
const POLL: Duration = Duration::from_millis(20);

/// What to run, kept so that it can be run again.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The component, as messages and the log file call it.
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Where it runs; the parent's directory when `None`.
    pub dir: Option<PathBuf>,
    /// Both output streams are appended here.
    pub log: PathBuf,
}

/// A child process (with its process group) that dies with its owner.
pub(crate) struct Process {
    guardian: Arc<Guardian>,
    inner: Mutex<Inner>,
}

struct Inner {
    launch: Launch,
    running: Option<Running>,
    /// How the last run ended, once it has.
    ended: Option<ExitStatus>,
    /// The end was asked for, so nobody needs to hear of it.
    expected: bool,
}

struct Running {
    child: Child,
    group: Pid,
    /// Size of the log when this run began: what came before belongs to earlier runs.
    log_start: u64,
}

// === impl Process ===

impl Process {
    /// Starts the program.
    pub fn start(launch: Launch, guardian: &Arc<Guardian>) -> Result<Self> {
        let running = spawn(&launch, guardian)?;
        let inner = Inner {
            launch,
            running: Some(running),
            ended: None,
            expected: false,
        };
        Ok(Self {
            guardian: Arc::clone(guardian),
            inner: Mutex::new(inner),
        })
    }

    pub fn name(&self) -> String {
        self.lock().launch.name.clone()
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut inner = self.lock();
        inner.reap(&self.guardian);
        inner.running.as_ref().map(|running| running.child.id())
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&self) -> Option<ExitStatus> {
        let mut inner = self.lock();
        inner.reap(&self.guardian);
        if inner.running.is_some() { None } else { inner.ended }
    }

    /// The end, if nobody asked for it, and only the first time that it is looked at.
    pub fn take_unexpected_end(&self) -> Option<ExitStatus> {
        let mut inner = self.lock();
        inner.reap(&self.guardian);
        if inner.running.is_some() || std::mem::replace(&mut inner.expected, true) {
            return None;
        }
        inner.ended
    }

    /// Sends a signal to the whole process group; an ended process is left alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let mut inner = self.lock();
        inner.reap(&self.guardian);
        let Some(running) = &inner.running else { return Ok(()) };
        let group = running.group;
        if matches!(signal, Signal::SIGKILL | Signal::SIGTERM) {
            inner.expected = true;
        }
        killpg(group, signal).with_context(|| format!("cannot send {signal} to {}", inner.launch.name))
    }

    /// Kills the group and waits until the process is reaped.
    pub fn kill(&self) {
        let mut inner = self.lock();
        inner.expected = true;
        inner.kill(&self.guardian);
    }

    /// Asks the process to end, and kills it when it has not within `patience`.
    pub async fn terminate(&self, patience: Duration) -> Option<ExitStatus> {
        // A stopped process could not hear SIGTERM before it goes on.
        let asked = self.signal(Signal::SIGTERM).and_then(|()| self.signal(Signal::SIGCONT));
        let until = Instant::now() + patience;
        while asked.is_ok() && Instant::now() < until {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            tokio::time::sleep(POLL).await;
        }
        self.kill();
        self.ended()
    }

    /// Waits for the process to end by itself.
    pub async fn wait(&self) -> Option<ExitStatus> {
        loop {
            let ended = self.ended();
            if ended.is_some() || self.pid().is_none() {
                return ended;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills it if it runs, and starts it again after `change` has had its way with what is run.
    pub fn restart(&self, change: impl FnOnce(&mut Launch)) -> Result<()> {
        let mut inner = self.lock();
        inner.expected = true;
        inner.kill(&self.guardian);
        change(&mut inner.launch);
        inner.running = Some(spawn(&inner.launch, &self.guardian)?);
        inner.ended = None;
        inner.expected = false;
        Ok(())
    }

    /// What this run has written so far.
    pub fn output(&self) -> String {
        let inner = self.lock();
        let start = inner.running.as_ref().map_or(0, |running| running.log_start);
        read_from(&inner.launch.log, start).unwrap_or_default()
    }

    /// Fails with the log's last lines when the process is no longer running.
    pub fn check(&self) -> Result<()> {
        let Some(status) = self.ended() else { return Ok(()) };
        let inner = self.lock();
        bail!(
            "{} ended early ({status}){}",
            inner.launch.name,
            last_lines(&inner.launch.log)
        );
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

// === impl Inner ===

impl Inner {
    /// Collects the child if it has ended. Children are collected here and in `kill` only, under the lock, so that no
    /// signal can reach a process that was given the same number.
    fn reap(&mut self, guardian: &Guardian) {
        let Some(running) = &mut self.running else { return };
        if let Ok(Some(status)) = running.child.try_wait() {
            // What the leader left behind in its group goes with it.
            let _ = killpg(running.group, Signal::SIGKILL);
            guardian.forget(running.group);
            self.ended = Some(status);
            self.running = None;
        }
    }

    fn kill(&mut self, guardian: &Guardian) {
        let Some(mut running) = self.running.take() else { return };
        let _ = killpg(running.group, Signal::SIGKILL);
        self.ended = running
            .child
            .wait()
            .ok()
            .or(Some(ExitStatus::from_raw(Signal::SIGKILL as i32)));
        guardian.forget(running.group);
    }
}

fn spawn(launch: &Launch, guardian: &Guardian) -> Result<Running> {
    let Launch {
        name,
        program,
        args,
        env,
        dir,
        log,
    } = launch;
    let failed = || format!("cannot start {name} ({})", program.display());
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(failed)?;
    let log_start = output.metadata().map_or(0, |metadata| metadata.len());
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"read -r go && exec "$0" "$@" </dev/null"#])
        .arg(program)
        .args(args)
        .envs(env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(output.try_clone().with_context(failed)?)
        .stderr(output)
        .process_group(0);
    if let Some(dir) = dir {
        command.current_dir(dir);
    }
    let mut child = command.spawn().with_context(failed)?;
    let group = i32::try_from(child.id()).map(Pid::from_raw).with_context(failed)?;
    let opened = guardian.watch(group).and_then(|()| {
        let gate = child.stdin.take();
        Ok(gate.map(|mut gate| gate.write_all(b"go\n")).transpose()?)
    });
    if let Err(error) = opened {
        let _ = killpg(group, Signal::SIGKILL);
        let _ = child.wait();
        return Err(error.context(failed()));
    }
    Ok(Running {
        child,
        group,
        log_start,
    })
}

// === logs ===

/// The end of a log, indented, with its path: for an error message.
pub(crate) fn last_lines(log: &Path) -> String {
    /// Enough for a stack of Go's wrapped errors, little enough for one screen.
    const LINES: usize = 12;
    let end = File::open(log)
        .and_then(|file| file.metadata())
        .map_or(0, |metadata| metadata.len());
    let text = read_from(log, end.saturating_sub(64 * 1024)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut said = format!("; its log {} ", log.display());
    if lines.is_empty() {
        said.push_str("is empty");
        return said;
    }
    said.push_str("ends with:");
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        said.push_str("\n    ");
        said.push_str(line);
    }
    said
}

fn read_from(log: &Path, start: u64) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
