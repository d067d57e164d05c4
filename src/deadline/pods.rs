//! Pods, as far as a deadline is concerned: which are not ready, since when, and why.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodCondition};

/// How much of a container's or scheduler's message a reason quotes, in characters.
const LONGEST_MESSAGE: usize = 160;
/// How many different troubles a reason names.
const MOST_TROUBLES: usize = 3;

/// What is said of a container that runs and keeps its pod from being ready.
const UNREADY: (&str, &str) = ("NotReady", "running, but its readiness probe does not pass");
/// What is said of an init container that runs.
const INITIALIZING: (&str, &str) = ("Initializing", "the init container has not finished");
/// What is said of a container that failed and runs again.
const AGAIN: (&str, &str) = ("Running", "failed, and runs again");

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
    pub trouble: Option<Trouble>,
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

/// What keeps a pod from being ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Trouble {
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
        let trouble = if is_ready {
            containers.iter().filter_map(Trouble::before).max_by_key(Trouble::rank)
        } else {
            let inits = inits.iter().filter(|init| holds_up(init));
            inits
                .map(|init| Trouble::of_init(init, is_sidecar(pod, &init.name)))
                .chain(
                    containers
                        .iter()
                        .filter(|container| !container.ready)
                        .map(|container| Trouble::of_container(container, UNREADY)),
                )
                .max_by_key(Trouble::rank)
                .or_else(|| unscheduled.map(|condition| Trouble::of_condition(condition, "Unscheduled")))
                // A readiness gate, for one.
                .or_else(|| {
                    ready
                        .filter(|it| it.reason.is_some())
                        .map(|it| Trouble::of_condition(it, ""))
                })
                .or_else(|| status.reason.map(|reason| Trouble::of_pod(&reason, status.message)))
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
            trouble,
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

// === impl Trouble ===

impl Trouble {
    fn of_pod(reason: &str, message: Option<String>) -> Self {
        Self {
            container: None,
            reason: reason.to_owned(),
            exit_code: None,
            ended: None,
            restarts: 0,
            message,
        }
    }

    fn of_condition(condition: &PodCondition, reason: &str) -> Self {
        Self::of_pod(condition.reason.as_deref().unwrap_or(reason), condition.message.clone())
    }

    fn of_init(status: &ContainerStatus, is_sidecar: bool) -> Self {
        Self::of_container(status, if is_sidecar { UNREADY } else { INITIALIZING })
    }

    /// How a container failed that runs again.
    fn before(status: &ContainerStatus) -> Option<Self> {
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

    /// Which of a pod's troubles is told.
    fn rank(&self) -> (u8, i32) {
        (self.weight(), self.restarts)
    }

    /// Which of several troubles is told: one that names a failure before one that only waits.
    fn weight(&self) -> u8 {
        match self.reason.as_str() {
            "PodInitializing" | "ContainerCreating" => 0,
            "NotReady" | "Initializing" | "Completed" => 1,
            _ => 2,
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// Why a target is not ready, in one line: its unready pods, those with the same trouble together.
#[must_use]
pub fn reason(pods: &[PodSeen]) -> Option<String> {
    let unready: Vec<_> = pods.iter().filter(|pod| !pod.ready).collect();
    if unready.is_empty() {
        return None;
    }
    // Together are those who say the same of the same container, whatever their restarts.
    let mut groups: BTreeMap<(Option<&str>, &str), Vec<&PodSeen>> = BTreeMap::new();
    for pod in &unready {
        let key = pod
            .trouble
            .as_ref()
            .map_or((None, "not ready"), |it| (it.container.as_deref(), it.reason.as_str()));
        groups.entry(key).or_default().push(pod);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|pods| std::cmp::Reverse((pods[0].trouble.as_ref().map(Trouble::weight), pods.len())));

    let mut text = format!("{} of {} pods not ready: ", unready.len(), pods.len());
    for (index, group) in groups.iter().take(MOST_TROUBLES).enumerate() {
        let worst = group
            .iter()
            .max_by_key(|pod| pod.trouble.as_ref().map(|trouble| trouble.restarts));
        let Some(worst) = worst else { continue };
        if index > 0 {
            text.push_str("; ");
        }
        text.push_str(&worst.name);
        if group.len() > 1 {
            let _ = write!(text, " and {} more", group.len() - 1);
        }
        match &worst.trouble {
            Some(trouble) => {
                let _ = write!(text, " {trouble}");
            }
            None => text.push_str(" not ready"),
        }
    }
    if groups.len() > MOST_TROUBLES {
        let _ = write!(text, "; and {} more kinds", groups.len() - MOST_TROUBLES);
    }
    Some(text)
}

/// Which container failed, where every pod is ready again at this moment.
#[must_use]
pub fn failed_before(pods: &[PodSeen]) -> Option<String> {
    let failed = pods.iter().filter_map(|pod| Some((pod, pod.trouble.as_ref()?)));
    let (worst, trouble) = failed.max_by_key(|(_, trouble)| trouble.rank())?;
    Some(format!("{} {trouble}", worst.name))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, ready: Option<&str>, since: &str, containers: &Value) -> PodSeen {
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

    fn crashing(name: &str, restarts: i32) -> PodSeen {
        pod(
            name,
            Some("False"),
            "2026-11-23T14:00:10Z",
            &json!([
                {"name": "proxy", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}},
                {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": restarts,
                 "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
                 "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no database\n at db:5432"}}},
            ]),
        )
    }

    fn fine(name: &str) -> PodSeen {
        pod(name, Some("True"), "2026-11-23T14:00:05Z", &json!([]))
    }

    #[test]
    fn the_reason_names_pod_container_and_what_it_said_last() {
        assert_eq!(
            reason(&[fine("web-a"), crashing("web-b", 4)]).expect("a reason"),
            "1 of 2 pods not ready: web-b container app: CrashLoopBackOff, exit code 1, 4 restarts, \
             \"no database at db:5432\""
        );
    }

    #[test]
    fn many_pods_with_one_reason_are_one_line_with_a_count() {
        assert_eq!(
            reason(&[
                crashing("web-a", 1),
                crashing("web-b", 3),
                crashing("web-c", 2),
                fine("web-d")
            ])
            .expect("a reason"),
            "3 of 4 pods not ready: web-b and 2 more container app: CrashLoopBackOff, exit code 1, 3 restarts, \
             \"no database at db:5432\""
        );
    }

    #[test]
    fn troubles_of_different_kinds_are_told_apart_the_worst_and_most_frequent_first() {
        let waiting = |name: &str, reason: &str| {
            pod(
                name,
                Some("False"),
                "2026-11-23T14:00:10Z",
                &json!([{"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"waiting": {"reason": reason}}}]),
            )
        };
        let mut pods = vec![
            waiting("web-a", "ContainerCreating"),
            waiting("web-b", "ErrImagePull"),
            waiting("web-c", "ImagePullBackOff"),
            waiting("web-d", "ImagePullBackOff"),
        ];
        assert_eq!(
            reason(&pods).expect("a reason"),
            "4 of 4 pods not ready: web-d and 1 more container app: ImagePullBackOff; web-b container app: ErrImagePull; \
             web-a container app: ContainerCreating"
        );
        pods.push(waiting("web-e", "PodInitializing"));
        assert!(reason(&pods).expect("a reason").ends_with("; and 1 more kinds"));
    }

    #[test]
    fn an_out_of_memory_kill_is_told() {
        let killed = pod(
            "web-a",
            Some("False"),
            "2026-11-23T14:00:10Z",
            &json!([
            {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 2,
             "state": {"waiting": {"reason": "CrashLoopBackOff",
                "message": "back-off 20s restarting failed container=app pod=web-a_shop(0c7f)"}},
             "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]),
        );
        assert_eq!(
            reason(&[killed]).expect("a reason"),
            "1 of 1 pods not ready: web-a container app: CrashLoopBackOff (OOMKilled), exit code 137, 2 restarts"
        );
    }

    #[test]
    fn a_failing_probe_an_image_and_a_scheduler_are_told() {
        let probe = pod(
            "web-a",
            Some("False"),
            "2026-11-23T14:00:10Z",
            &json!([
            {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {}}}]),
        );
        assert_eq!(
            reason(&[probe]).expect("a reason"),
            "1 of 1 pods not ready: web-a container app: NotReady, \"running, but its readiness probe does not pass\""
        );
        let image = pod(
            "web-a",
            Some("False"),
            "2026-11-23T14:00:10Z",
            &json!([
            {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
             "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"app:2\""}}}]),
        );
        assert!(
            reason(&[image])
                .expect("a reason")
                .contains("app: ImagePullBackOff, \"Back-off pulling")
        );
        let pending: Pod = serde_json::from_value(json!({"metadata": {"name": "web-a"}, "status": {"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}]}}))
        .expect("a pod");
        assert_eq!(
            reason(&[PodSeen::from(&pending)]).expect("a reason"),
            "1 of 1 pods not ready: web-a Unschedulable, \"0/3 nodes are available\""
        );
    }

    /// A pod with these init containers, by what their state, their last state and their restarts are.
    fn initializing(restart_policy: Option<&str>, init: &Value, app: &Value) -> PodSeen {
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
    fn init_containers_and_sidecars_are_told_when_the_pod_waits_for_them() {
        let (running, waits) = (
            json!({"running": {}}),
            json!({"waiting": {"reason": "PodInitializing"}}),
        );
        let app_waits = json!({"state": waits});
        let app_runs = json!({"state": running, "ready": true});
        let crashed = json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3,
            "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": "no such host"}}});
        let done = json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}, "ready": true});
        for (policy, init, app, expected) in [
            // It hangs.
            (
                None,
                json!({"state": running}),
                &app_waits,
                "container setup: Initializing, \"the init container has not finished\"",
            ),
            // It failed before and hangs now.
            (
                None,
                json!({"state": running, "restartCount": 1, "lastState": crashed["lastState"]}),
                &app_waits,
                "container setup: Initializing, exit code 2, 1 restart, \"no such host\"",
            ),
            (
                None,
                crashed.clone(),
                &app_waits,
                "container setup: CrashLoopBackOff, exit code 2, 3 restarts, \"no such host\"",
            ),
            (
                Some("Always"),
                crashed,
                &app_runs,
                "container setup: CrashLoopBackOff, exit code 2, 3 restarts, \"no such host\"",
            ),
            (
                Some("Always"),
                json!({"state": running}),
                &app_runs,
                "container setup: NotReady, \"running, but its readiness probe does not pass\"",
            ),
            // It did its work, and the image of the other is not there.
            (
                None,
                done.clone(),
                &json!({"state": {"waiting": {"reason": "ImagePullBackOff"}}}),
                "container app: ImagePullBackOff",
            ),
            // It failed a moment ago.
            (
                None,
                json!({"state": {"terminated": {"exitCode": 3, "reason": "Error"}}}),
                &app_waits,
                "container setup: Error, exit code 3",
            ),
            // It did its work, and nothing is wrong yet.
            (
                None,
                done,
                &json!({"state": {"waiting": {"reason": "ContainerCreating"}}}),
                "container app: ContainerCreating",
            ),
            // A sidecar that was restarted once does its work.
            (
                Some("Always"),
                json!({"state": running, "ready": true, "restartCount": 1}),
                &json!({"state": running}),
                "container app: NotReady, \"running, but its readiness probe does not pass\"",
            ),
            // One that only is not ready tells less than one that fails, however often it was restarted.
            (
                Some("Always"),
                json!({"state": running, "restartCount": 5}),
                &json!({"state": {"waiting": {"reason": "ImagePullBackOff"}}}),
                "container app: ImagePullBackOff",
            ),
        ] {
            let said = reason(&[initializing(policy, &init, app)]).expect("a reason");
            assert_eq!(said, format!("1 of 1 pods not ready: web-a {expected}"), "{init} {app}");
        }
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
    fn what_only_the_pod_itself_says_is_told() {
        let said = |status: Value| {
            let pod = json!({"metadata": {"name": "web-a"}, "status": status});
            let pod: Pod = serde_json::from_value(pod).expect("a pod");
            reason(&[PodSeen::from(&pod)]).expect("a reason")
        };
        let running = json!([{"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}]);
        assert_eq!(
            said(
                json!({"containerStatuses": running, "conditions": [{"type": "Ready", "status": "False",
                "reason": "ReadinessGatesNotReady", "message": "the status of pod readiness gate \"lb\" is not \"True\""}]})
            ),
            "1 of 1 pods not ready: web-a ReadinessGatesNotReady, \
             \"the status of pod readiness gate \\\"lb\\\" is not \\\"True\\\"\""
        );
        assert_eq!(
            said(json!({"phase": "Pending", "reason": "NodeAffinity", "message": "no node fits"})),
            "1 of 1 pods not ready: web-a NodeAffinity, \"no node fits\""
        );
        let missing = json!([{"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "configmap \"app\" not found"}}}]);
        assert_eq!(
            said(json!({"containerStatuses": missing})),
            "1 of 1 pods not ready: web-a container app: CreateContainerConfigError, \"configmap \\\"app\\\" not found\""
        );
        assert_eq!(said(json!({})), "1 of 1 pods not ready: web-a not ready");
    }

    #[test]
    fn a_container_that_failed_and_runs_again_is_named() {
        let again = |name: &str, restarts: i32| {
            pod(
                name,
                Some("True"),
                "2026-11-23T14:00:10Z",
                &json!([
                {"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": restarts, "state": {"running": {}},
                 "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no database"}}}]),
            )
        };
        let pods = [fine("web-a"), again("web-b", 3), again("web-c", 1)];
        assert_eq!(reason(&pods), None);
        assert_eq!(
            failed_before(&pods).expect("a failure"),
            "web-b container app: Running, exit code 1, 3 restarts, \"no database\""
        );
        assert_eq!(failed_before(&[fine("web-a")]), None);
    }

    #[test]
    fn ready_pods_give_no_reason() {
        assert_eq!(reason(&[fine("web-a")]), None);
        assert_eq!(reason(&[]), None);
    }

    #[test]
    fn the_certain_start_of_an_unready_time() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).ok();
        let seen = |ready: bool, since: Option<i64>| PodSeen {
            name: String::new(),
            created: at(0),
            ready,
            since: since.and_then(at),
            trouble: None,
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
