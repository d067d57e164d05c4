//! A pod's status as a kubelet would write it. Pure.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodSpec, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::life::{Exit, Life, Stage};

/// The address of every node: from the block for documentation, so that nobody can be reached there.
const HOST: &str = "192.0.2.1";

/// What the pod's status is at `now`. `complaint` is why it cannot be scheduled, if there is more to say.
pub(super) fn status(pod: &Pod, life: &Life, now: Timestamp, complaint: Option<&str>) -> PodStatus {
    let Some(spec) = &pod.spec else {
        return PodStatus::default();
    };
    if !life.scheduled() {
        return unschedulable(life, complaint);
    }
    let last = spec.containers.len().saturating_sub(1);
    let containers: Vec<ContainerStatus> = spec
        .containers
        .iter()
        .enumerate()
        .map(|(index, container)| {
            if index == last {
                afflicted(pod, container, life, now)
            } else {
                sound(pod, container, life.began)
            }
        })
        .collect();
    let unready: Vec<&str> = containers
        .iter()
        .filter(|status| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    let ready = |kind| {
        if unready.is_empty() {
            return condition(kind, true, life.ready_changed, None);
        }
        let message = format!("containers with unready status: [{}]", unready.join(" "));
        condition(kind, false, life.ready_changed, Some(("ContainersNotReady", message)))
    };
    let began = |kind| condition(kind, true, life.began, None);
    // A pod is Pending until each of its containers has run once.
    let has_run = !matches!(life.stage, Stage::Pulling { .. } | Stage::Unconfigured) || life.last.is_some();
    let ip = ip(pod);
    PodStatus {
        phase: Some(if has_run { "Running" } else { "Pending" }.to_owned()),
        conditions: Some(vec![
            began("PodReadyToStartContainers"),
            began("Initialized"),
            ready("Ready"),
            ready("ContainersReady"),
            began("PodScheduled"),
        ]),
        init_container_statuses: init_containers(pod, spec, life.began),
        container_statuses: Some(containers),
        host_ip: Some(HOST.to_owned()),
        host_ips: Some(vec![HostIP { ip: HOST.to_owned() }]),
        pod_ips: Some(vec![PodIP { ip: ip.clone() }]),
        pod_ip: Some(ip),
        start_time: Some(time(life.began)),
        ..PodStatus::default()
    }
}

fn unschedulable(life: &Life, complaint: Option<&str>) -> PodStatus {
    let message = complaint.unwrap_or(
        "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
    );
    PodStatus {
        phase: Some("Pending".to_owned()),
        conditions: Some(vec![condition(
            "PodScheduled",
            false,
            life.began,
            Some(("Unschedulable", message.to_owned())),
        )]),
        ..PodStatus::default()
    }
}

/// The status of the container that the outcome is about.
fn afflicted(pod: &Pod, container: &Container, life: &Life, now: Timestamp) -> ContainerStatus {
    let name = &container.name;
    let image = container.image.as_deref().unwrap_or_default();
    let (mut last, mut last_run) = (life.last.as_ref(), life.restarts - 1);
    let mut running = false;
    let state = match &life.stage {
        Stage::Running { since } => {
            running = true;
            ContainerState {
                running: Some(ContainerStateRunning {
                    started_at: Some(time(*since)),
                }),
                ..ContainerState::default()
            }
        }
        Stage::Exited { exit, .. } if now < Life::noticed(exit.finished) => {
            terminated(pod, container, exit, life.restarts)
        }
        Stage::Exited { exit, resume } => {
            (last, last_run) = (Some(exit), life.restarts);
            let wait = go_duration(resume.duration_since(exit.finished).unsigned_abs());
            let place = format!(
                "{}_{}({})",
                pod.name_any(),
                pod.namespace().unwrap_or_default(),
                pod.uid().unwrap_or_default()
            );
            waiting(
                "CrashLoopBackOff",
                format!("back-off {wait} restarting failed container={name} pod={place}"),
            )
        }
        Stage::Pulling { failed, .. } if now < Life::noticed(*failed) => waiting(
            "ErrImagePull",
            format!("failed to pull and unpack image \"{image}\": {image}: not found"),
        ),
        Stage::Pulling { .. } => waiting("ImagePullBackOff", format!("Back-off pulling image \"{image}\"")),
        Stage::Unconfigured => waiting("CreateContainerConfigError", format!("configmap \"{name}\" not found")),
        // `status` has no containers for such a pod.
        Stage::Unscheduled => ContainerState::default(),
    };
    ContainerStatus {
        name: name.clone(),
        image: image.to_owned(),
        image_id: if matches!(life.stage, Stage::Pulling { .. }) {
            String::new()
        } else {
            image_id(image)
        },
        container_id: (life.last.is_some() || !matches!(life.stage, Stage::Pulling { .. } | Stage::Unconfigured))
            .then(|| container_id(pod, name, life.restarts)),
        ready: life.ready,
        started: Some(running),
        restart_count: life.restarts,
        last_state: last.map(|exit| terminated(pod, container, exit, last_run)),
        state: Some(state),
        ..ContainerStatus::default()
    }
}

/// A container that runs and has always run.
fn sound(pod: &Pod, container: &Container, since: Timestamp) -> ContainerStatus {
    let image = container.image.as_deref().unwrap_or_default();
    let running = ContainerStateRunning {
        started_at: Some(time(since)),
    };
    ContainerStatus {
        name: container.name.clone(),
        image: image.to_owned(),
        image_id: image_id(image),
        container_id: Some(container_id(pod, &container.name, 0)),
        ready: true,
        started: Some(true),
        state: Some(ContainerState {
            running: Some(running),
            ..ContainerState::default()
        }),
        ..ContainerStatus::default()
    }
}

/// Init containers have done their work; those that restart always are sidecars and run.
fn init_containers(pod: &Pod, spec: &PodSpec, since: Timestamp) -> Option<Vec<ContainerStatus>> {
    let containers = spec.init_containers.as_ref()?;
    let status = |container: &Container| {
        let mut status = sound(pod, container, since);
        if container.restart_policy.as_deref() != Some("Always") {
            let exit = Exit {
                started: since,
                finished: since,
                code: 0,
            };
            status.state = Some(terminated(pod, container, &exit, 0));
            status.started = Some(false);
        }
        status
    };
    Some(containers.iter().map(status).collect())
}

/// An end of the container's run number `run`.
fn terminated(pod: &Pod, container: &Container, exit: &Exit, run: i32) -> ContainerState {
    let (reason, message) = match exit.code {
        0 => ("Completed", None),
        // The kernel leaves no last words.
        137 => ("OOMKilled", None),
        code => (
            "Error",
            Some(format!(
                "fatal: {} cannot go on (exit {code}, as {} asks)",
                container.name,
                super::ANNOTATION
            )),
        ),
    };
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            container_id: Some(container_id(pod, &container.name, run)),
            exit_code: exit.code,
            finished_at: Some(time(exit.finished)),
            message,
            reason: Some(reason.to_owned()),
            signal: None,
            started_at: Some(time(exit.started)),
        }),
        ..ContainerState::default()
    }
}

fn waiting(reason: &str, message: String) -> ContainerState {
    let waiting = ContainerStateWaiting {
        reason: Some(reason.to_owned()),
        message: Some(message),
    };
    ContainerState {
        waiting: Some(waiting),
        ..ContainerState::default()
    }
}

fn condition(kind: &str, is: bool, since: Timestamp, why: Option<(&str, String)>) -> PodCondition {
    let (reason, message) = why.map(|(reason, message)| (reason.to_owned(), message)).unzip();
    PodCondition {
        type_: kind.to_owned(),
        status: if is { "True" } else { "False" }.to_owned(),
        last_transition_time: Some(time(since)),
        reason,
        message,
        ..PodCondition::default()
    }
}

/// Kubernetes keeps whole seconds.
fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Seconds as Go writes durations: `40s`, `1m20s`, `5m0s`.
fn go_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}

fn image_id(image: &str) -> String {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    format!("{image}@sha256:{:064x}", hasher.finish())
}

fn container_id(pod: &Pod, container: &str, restarts: i32) -> String {
    let mut hasher = DefaultHasher::new();
    (pod.uid(), container, restarts).hash(&mut hasher);
    format!("plane://{:064x}", hasher.finish())
}

/// An address of the pod's own, from the range that clusters use for pods.
fn ip(pod: &Pod) -> String {
    let mut hasher = DefaultHasher::new();
    pod.uid().hash(&mut hasher);
    let [.., high, low] = hasher.finish().to_be_bytes();
    format!("10.244.{high}.{}", low.max(2))
}

#[cfg(test)]
#[path = "status_test.rs"]
mod tests;
