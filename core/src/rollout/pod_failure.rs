//! What keeps a pod from being ready, in words that an application team can act on.

use std::fmt;

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition};

/// How much of a container's or scheduler's message a reason quotes, in characters.
const LONGEST_MESSAGE: usize = 160;

/// What is said of a container that runs and keeps its pod from being ready.
const UNREADY: (&str, &str) = ("NotReady", "running, but its readiness probe does not pass");
/// What is said of an init container that runs.
const INITIALIZING: (&str, &str) = ("Initializing", "the init container has not finished");
/// What is said of a container that failed and runs again.
const AGAIN: (&str, &str) = ("Running", "failed, and runs again");

/// What keeps a pod from being ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodFailure {
    /// The container, unless the whole pod is meant.
    pub container: Option<String>,
    /// The reason in Kubernetes' own word, such as `CrashLoopBackOff`.
    pub reason: String,
    /// The exit code of the last run.
    pub exit_code: Option<i32>,
    /// How the last run ended, where that says more than the exit code (`OOMKilled`).
    pub ended: Option<String>,
    /// How often the container was restarted.
    pub restarts: i32,
    /// The last message about it.
    pub message: Option<String>,
}

// === impl PodFailure ===

impl PodFailure {
    /// What the pod itself says.
    pub(super) fn of_pod(reason: &str, message: Option<String>) -> Self {
        Self {
            container: None,
            reason: reason.to_owned(),
            exit_code: None,
            ended: None,
            restarts: 0,
            message,
        }
    }

    /// What one of its conditions says; `reason` where that names none.
    pub(super) fn of_condition(condition: &PodCondition, reason: &str) -> Self {
        Self::of_pod(condition.reason.as_deref().unwrap_or(reason), condition.message.clone())
    }

    /// What holds an init container up.
    pub(super) fn of_init(status: &ContainerStatus, is_sidecar: bool) -> Self {
        Self::of_container(status, if is_sidecar { UNREADY } else { INITIALIZING })
    }

    /// What keeps a container from being ready.
    pub(super) fn of_unready(status: &ContainerStatus) -> Self {
        Self::of_container(status, UNREADY)
    }

    /// How a container failed that runs again.
    pub(super) fn before(status: &ContainerStatus) -> Option<Self> {
        let last = status.last_state.as_ref()?.terminated.as_ref()?;
        (last.exit_code != 0).then(|| Self::of_container(status, AGAIN))
    }

    /// `running` is the reason and the message while it runs.
    fn of_container(status: &ContainerStatus, running: (&str, &str)) -> Self {
        let state = status.state.clone().unwrap_or_default();
        let last = status.last_state.clone().and_then(|last| last.terminated);
        let ended = state.terminated.clone().or(last);
        let (reason, message) = if let Some(waiting) = state.waiting {
            let reason = waiting.reason.unwrap_or_else(|| "Waiting".to_owned());
            // The kubelet's message of a back-off names the pod and the container once more, and nothing else.
            let message = waiting.message.filter(|_| reason != "CrashLoopBackOff");
            (reason, message)
        } else if let Some(terminated) = state.terminated {
            (
                terminated.reason.unwrap_or_else(|| "Terminated".to_owned()),
                terminated.message,
            )
        } else {
            (running.0.to_owned(), Some(running.1.to_owned()))
        };
        Self {
            container: Some(status.name.clone()),
            exit_code: ended.as_ref().map(|ended| ended.exit_code),
            message: ended
                .as_ref()
                .and_then(|ended| ended.message.clone())
                .filter(|message| !message.trim().is_empty())
                .or(message),
            ended: ended
                .and_then(|ended| ended.reason)
                .filter(|ended| ended != "Error" && *ended != reason),
            reason,
            restarts: status.restart_count,
        }
    }

    /// Which of a pod's failures is told.
    pub(super) fn rank(&self) -> (u8, i32) {
        (self.weight(), self.restarts)
    }

    /// Which of several failures is told: one that names a failure before one that only waits.
    pub(super) fn weight(&self) -> u8 {
        match self.reason.as_str() {
            "PodInitializing" | "ContainerCreating" => 0,
            "NotReady" | "Initializing" | "Completed" => 1,
            _ => 2,
        }
    }
}

impl fmt::Display for PodFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            container,
            reason,
            exit_code,
            ended,
            restarts,
            message,
        } = self;
        if let Some(container) = container {
            write!(f, "container {container}: ")?;
        }
        f.write_str(reason)?;
        if let Some(ended) = ended {
            write!(f, " ({ended})")?;
        }
        if let Some(code) = exit_code {
            write!(f, ", exit code {code}")?;
        }
        if *restarts > 0 {
            write!(f, ", {restarts} restart{}", if *restarts == 1 { "" } else { "s" })?;
        }
        if let Some(message) = message {
            write!(f, ", {:?}", shortened(message))?;
        }
        Ok(())
    }
}

/// The beginning of a message, on one line.
#[must_use]
pub fn shortened(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
