//! The real kubectl, as a user has it.

use std::process::Stdio;

use serde_json::Value;
use testbed::Handle;
use tokio::{io::AsyncWriteExt as _, process::Command};

/// A user at a terminal, in a namespace.
pub struct Kubectl<'a> {
    /// The plane.
    pub plane: &'a Handle,
    /// `admin`, `tenant` …
    pub user: &'a str,
    /// The namespace.
    pub namespace: &'a str,
}

/// What kubectl said.
#[derive(Debug)]
pub struct Said {
    /// Whether it was done.
    pub done: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

// === impl Kubectl ===

impl Kubectl<'_> {
    /// Runs it.
    pub async fn run(&self, args: &[&str]) -> Said {
        self.input(args, "").await
    }

    /// `kubectl apply -f -` of an object, with further arguments.
    pub async fn apply(&self, object: &Value, args: &[&str]) -> Said {
        self.on(object, &[&["apply"], args].concat()).await
    }

    /// A command on an object, with `-f -`.
    pub async fn on(&self, object: &Value, args: &[&str]) -> Said {
        self.input(&[args, &["-f", "-"]].concat(), &object.to_string()).await
    }

    /// Runs it with something to read.
    pub async fn input(&self, args: &[&str], input: &str) -> Said {
        let mut child = Command::new(self.plane.dir().join("bin/kubectl"))
            .env("KUBECONFIG", self.plane.kubeconfig(self.user))
            .args(["--namespace", self.namespace])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // Dropped at the end of the statement, which ends kubectl's input.
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Said {
            done: output.status.success(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

// === impl Said ===

impl Said {
    /// Asserts that it was done, and answers what was printed.
    pub fn done(self) -> String {
        assert!(self.done, "{self:?}");
        self.out
    }

    /// Asserts that it was refused, and answers what was printed.
    pub fn refused(self) -> String {
        assert!(!self.done, "{self:?}");
        self.err
    }
}
