//! Why `serve` ends, and errors on one line.

use std::{io, net::SocketAddr, path::PathBuf};

use super::tls;
use crate::policy::file::InvalidPolicy;

/// Why `serve` ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not start with what it was given.
    #[error("cannot start: {0}")]
    CannotStart(#[from] StartError),
    /// A part of it ended that should run for ever.
    #[error("{0} ended unasked")]
    TaskEnded(String),
}

/// Why `serve` could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The level of the log is none.
    #[error(
        "--log-level {level:?}: {why}; write error, warn, info, debug or trace, or MODULE=LEVEL, with commas between them"
    )]
    LogLevel {
        /// As it was given.
        level: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something else logs already.
    #[error("the log: {0}")]
    Log(String),
    /// Signals cannot be heard.
    #[error("signals: {0}")]
    Signals(#[source] io::Error),
    /// The file of policies cannot be read.
    #[error("--policy {}: {source}", path.display())]
    PolicyFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of policies has a policy that cannot be used.
    #[error("--policy {}: {source}", path.display())]
    Policy {
        /// Which.
        path: PathBuf,
        /// Why.
        source: InvalidPolicy,
    },
    /// There is no certificate to serve with.
    #[error(transparent)]
    Certificate(#[from] tls::Error),
    /// An address cannot be listened on.
    #[error("{flag} {address}: {source}")]
    Listen {
        /// The flag that gave it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There are no random numbers to make a name of.
    #[error("no random numbers: {0}")]
    Random(String),
    /// Nothing says how to get to a cluster.
    #[error("no way to the cluster: {}; run inside a cluster, or set KUBECONFIG to a kubeconfig file", one_line(.0))]
    NoCluster(#[source] Box<kube::config::InferConfigError>),
    /// What says how to get to a cluster makes no sense.
    #[error("the kubeconfig cannot be used: {}", one_line(.0))]
    Kubeconfig(#[source] Box<kube::Error>),
    /// The runtime does not start.
    #[error(transparent)]
    Runtime(io::Error),
}

/// An error with what is behind it, on one line.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
