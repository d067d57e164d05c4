//! The last line against orphans: a shell that outlives its parent by a moment.
//!
//! The guardian reads process groups from a pipe. The pipe ends when its parent does, however that came about
//! (`kill -9` included); it then kills every group that it still knows, removes a directory if it was told to, and ends
//! itself.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use nix::unistd::Pid;

/// `+ N` remembers a group, `- N` forgets it; `d DIR` remembers what to remove, `k` forgets that. Signals meant for the
/// parent's terminal do not end the guardian.
const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT
groups=
dir=
while read -r act group; do
  case $act in
    d) dir=$group ;;
    k) dir= ;;
    +) groups="$groups $group" ;;
    -) rest=
       for other in $groups; do [ "$other" = "$group" ] || rest="$rest $other"; done
       groups=$rest ;;
  esac
done
for group in $groups; do kill -9 "-$group" 2>/dev/null; done
# Who was just killed may still be ending a write.
for attempt in 1 2 3 4 5; do
  if [ -z "$dir" ] || rm -rf "$dir" 2>/dev/null; then break; fi
  sleep 0.2
done
exit 0
"#;

/// A child that kills the watched process groups when this process is gone.
pub(crate) struct Guardian {
    inner: Mutex<Inner>,
}

struct Inner {
    child: Child,
    pipe: Option<ChildStdin>,
}

// === impl Guardian ===

impl Guardian {
    pub fn start() -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start a shell (`sh`) to guard the plane's processes")?;
        let pipe = child.stdin.take();
        Ok(Self {
            inner: Mutex::new(Inner { child, pipe }),
        })
    }

    /// From now on the group dies with this process.
    pub fn watch(&self, group: Pid) -> Result<()> {
        self.tell(&format!("+ {group}")).context("the plane's guardian is gone")
    }

    /// From now on the directory is removed when this process is gone.
    pub fn remove_at_end(&self, dir: &Path) -> Result<()> {
        self.tell(&format!("d {}", dir.display()))
            .context("the plane's guardian is gone")
    }

    /// The directory is to stay.
    pub fn keep(&self) {
        let _ = self.tell("k");
    }

    /// The group has ended; its number may be given to somebody else.
    pub fn forget(&self, group: Pid) {
        // Without a guardian there is nobody who could remember it.
        let _ = self.tell(&format!("- {group}"));
    }

    fn tell(&self, line: &str) -> std::io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut inner.pipe {
            Some(pipe) => pipe.write_all(format!("{line}\n").as_bytes()),
            None => Ok(()),
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        inner.pipe = None;
        let _ = inner.child.wait();
    }
}
