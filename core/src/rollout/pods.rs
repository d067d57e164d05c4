//! Pods, as far as a deadline is concerned: which are not ready, since when, and why.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

use super::pod_failure::PodFailure;

/// One pod of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodSeen {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// Whether its `Ready` condition is true.
    pub ready: bool,
    /// The last change of its `Ready` condition.
    pub since: Option<Timestamp>,
    /// What keeps it from being ready, if it says so; of a ready pod, how a container failed before.
    pub failure: Option<PodFailure>,
    /// Its containers, for the crash clock.
    pub containers: Vec<ContainerSeen>,
}

/// One container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerSeen {
    /// Its name.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// The ends of its runs that its status still holds: two at most.
    pub exits: Vec<Exit>,
}

/// The end of a container's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exit {
    /// When.
    pub at: Timestamp,
    /// Whether it failed: any exit code but 0, kills for memory or liveness included.
    pub failed: bool,
}

/// Whether a pod is one of those that its `ReplicaSet` counts: not on its way out, and not done with.
#[must_use]
pub fn counts(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
}

// === impl PodSeen ===

impl From<&Pod> for PodSeen {
    fn from(pod: &Pod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let condition = |kind: &str| conditions.iter().find(|condition| condition.type_ == kind);
        let ready = condition("Ready");
        let is_ready = ready.is_some_and(|condition| condition.status == "True");
        let containers = status.container_statuses.unwrap_or_default();
        let inits = status.init_container_statuses.unwrap_or_default();
        let unscheduled = condition("PodScheduled").filter(|condition| condition.status == "False");
        let failure = if is_ready {
            containers
                .iter()
                .filter_map(PodFailure::before)
                .max_by_key(PodFailure::rank)
        } else {
            let inits = inits.iter().filter(|init| holds_up(init));
            inits
                .map(|init| PodFailure::of_init(init, is_sidecar(pod, &init.name)))
                .chain(
                    containers
                        .iter()
                        .filter(|container| !container.ready)
                        .map(PodFailure::of_unready),
                )
                .max_by_key(PodFailure::rank)
                .or_else(|| unscheduled.map(|condition| PodFailure::of_condition(condition, "Unscheduled")))
                // A readiness gate, for one.
                .or_else(|| {
                    ready
                        .filter(|it| it.reason.is_some())
                        .map(|it| PodFailure::of_condition(it, ""))
                })
                .or_else(|| status.reason.map(|reason| PodFailure::of_pod(&reason, status.message)))
        };
        Self {
            containers: containers
                .iter()
                .chain(inits.iter().filter(|init| is_sidecar(pod, &init.name)))
                .map(ContainerSeen::of)
                .collect(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            ready: is_ready,
            since: ready
                .and_then(|condition| condition.last_transition_time.as_ref())
                .map(|time| time.0),
            failure,
        }
    }
}

/// Whether it is this init container that the pod waits for: it fails, or it runs and is not ready.
fn holds_up(init: &ContainerStatus) -> bool {
    let state = init.state.as_ref();
    state.is_some_and(is_failing) || (!init.ready && state.is_some_and(|state| state.running.is_some()))
}

/// Whether an init container is one that goes on running beside the others.
fn is_sidecar(pod: &Pod, name: &str) -> bool {
    let inits = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_ref());
    inits
        .into_iter()
        .flatten()
        .any(|container| container.name == name && container.restart_policy.as_deref() == Some("Always"))
}

fn is_failing(state: &ContainerState) -> bool {
    state
        .waiting
        .as_ref()
        .is_some_and(|waiting| waiting.reason.as_deref() != Some("PodInitializing"))
        || state
            .terminated
            .as_ref()
            .is_some_and(|terminated| terminated.exit_code != 0)
}

// === impl ContainerSeen ===

impl ContainerSeen {
    fn of(status: &ContainerStatus) -> Self {
        let exits = [&status.last_state, &status.state]
            .into_iter()
            .flatten()
            .filter_map(|state| {
                let terminated = state.terminated.as_ref()?;
                Some(Exit {
                    at: terminated.finished_at.as_ref()?.0,
                    failed: terminated.exit_code != 0,
                })
            });
        Self {
            name: status.name.clone(),
            ready: status.ready,
            exits: exits.collect(),
        }
    }
}

/// When the target certainly became unready, going by the pods' own `Ready` conditions: `needed` of them must
/// be ready at once. Nothing if they do not tell.
#[must_use]
pub fn unready_since(pods: &[PodSeen], needed: usize) -> Option<Timestamp> {
    // With n pods, fewer than `needed` are ready while at least n - needed + 1 are not: the moment when that
    // many of those that are unready now were so already.
    let must_fail = pods.len().checked_sub(needed)?;
    let mut since: Vec<Timestamp> = pods
        .iter()
        .filter(|pod| !pod.ready)
        .map(|pod| pod.since.or(pod.created))
        .collect::<Option<_>>()?;
    since.sort_unstable();
    since.get(must_fail).copied()
}

/// Since when so many of the pods have all been ready. Nothing if they are not, or do not tell.
#[must_use]
pub fn ready_since(pods: &[PodSeen], count: usize) -> Option<Timestamp> {
    let mut since: Vec<Timestamp> = pods
        .iter()
        .filter(|pod| pod.ready)
        .filter_map(|pod| pod.since)
        .collect();
    since.sort_unstable();
    since.get(count.checked_sub(1)?).copied()
}

/// Since when one of the pods has certainly been both unready and older than that. Nothing if they do not tell.
#[must_use]
pub fn old_since(pods: &[PodSeen], age: SignedDuration) -> Option<Timestamp> {
    let old_since = |pod: &PodSeen| {
        let old = pod.created?.checked_add(age).ok()?;
        Some(pod.since.or(pod.created)?.max(old))
    };
    pods.iter().filter(|pod| !pod.ready).filter_map(old_since).min()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub fn pod(name: &str, ready: Option<&str>, since: &str, containers: &Value) -> PodSeen {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": name, "creationTimestamp": "2026-11-23T14:00:00Z"},
            "status": {
                "conditions": ready.map(|ready| vec![json!({"type": "Ready", "status": ready, "lastTransitionTime": since})])
                    .unwrap_or_default(),
                "containerStatuses": containers,
            },
        }))
        .expect("a pod");
        PodSeen::from(&pod)
    }

    /// A pod with these init containers, by what their state, their last state and their restarts are.
    pub fn initializing(restart_policy: Option<&str>, init: &Value, app: &Value) -> PodSeen {
        let container = |name: &str, more: &Value| {
            let mut status = json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0});
            status
                .as_object_mut()
                .expect("an object")
                .extend(more.as_object().expect("an object").clone());
            status
        };
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-a"},
            "spec": {"containers": [{"name": "app"}], "initContainers": [{"name": "setup", "restartPolicy": restart_policy}]},
            "status": {
                "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady",
                    "message": "containers with unready status: [app]"}],
                "initContainerStatuses": [container("setup", init)],
                "containerStatuses": [container("app", app)],
            },
        }))
        .expect("a pod");
        PodSeen::from(&pod)
    }

    #[test]
    fn the_runs_of_a_container_that_are_known_are_two_and_only_code_zero_is_no_failure() {
        let run = |code: i32, end: &str| json!({"terminated": {"exitCode": code, "finishedAt": end}});
        let (first, second) = ("2026-11-23T14:00:20Z", "2026-11-23T14:00:30Z");
        let seen = pod(
            "web-a",
            Some("False"),
            "2026-11-23T14:00:10Z",
            &json!([{"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 1,
                "lastState": run(0, first), "state": run(137, second)}]),
        );
        let exit = |end: &str, failed| Exit {
            at: end.parse().expect("a time"),
            failed,
        };
        assert_eq!(seen.containers[0].exits, [exit(first, false), exit(second, true)]);
    }

    #[test]
    fn a_sidecar_that_fails_counts_and_an_init_container_does_not() {
        let failed = json!({"state": {"terminated": {"exitCode": 1, "finishedAt": "2026-11-23T14:00:20Z"}}});
        let app = json!({"state": {"running": {}}, "ready": true});
        let names = |policy| {
            let pod = initializing(policy, &failed, &app);
            pod.containers
                .into_iter()
                .map(|container| container.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(Some("Always")), ["app", "setup"]);
        assert_eq!(names(None), ["app"]);
    }

    #[test]
    fn the_certain_start_of_an_unready_time() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).ok();
        let seen = |ready: bool, since: Option<i64>| PodSeen {
            name: String::new(),
            created: at(0),
            ready,
            since: since.and_then(at),
            failure: None,
            containers: Vec::new(),
        };
        let (up, down) = (|s| seen(true, Some(s)), |s| seen(false, Some(s)));
        // All four are needed: the first that fell.
        assert_eq!(unready_since(&[up(1), down(30), down(20), up(2)], 4), at(20));
        // Three are enough: the second that fell.
        assert_eq!(unready_since(&[up(1), down(30), down(20), up(2)], 3), at(30));
        // Two are enough, and two are up: it is not unready at all.
        assert_eq!(unready_since(&[up(1), down(30), down(20), up(2)], 2), None);
        // A pod without a condition is unready since it was made.
        assert_eq!(unready_since(&[up(1), seen(false, None)], 2), at(0));
        // Fewer pods than needed: they do not tell since when.
        assert_eq!(unready_since(&[down(5)], 4), None);
    }
}
