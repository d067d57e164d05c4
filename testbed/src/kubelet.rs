//! A stand-in for the kubelet: it gives every pod the status that its annotation asks for.
//!
//! One watch sees all pods. Each pod has a task of its own, which brings the pod's [`Life`] up to the present, writes
//! the status if it has changed, and sleeps until something happens: the next event of that life, a change of the pod,
//! or the end of a pause. Pods of a DaemonSet are bound to the node that they ask for, and removed when they are
//! deleted; all others stay without a node, since the API server then removes them by itself.

mod life;
mod outcome;
mod status;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;

use life::Life;
pub use outcome::{ANNOTATION, Outcome};

/// After a failure: of the watch, or of a write.
const RETRY: Duration = Duration::from_millis(200);

/// The running stand-in. It ends with the runtime that it was started in.
pub(crate) struct Kubelet {
    paused: watch::Sender<bool>,
}

/// A pod as its task sees it.
#[derive(Clone)]
struct Seen {
    pod: Arc<Pod>,
    /// No pod of its owner is older.
    oldest: bool,
}

/// All pods that exist.
#[derive(Default)]
struct Pods {
    tasks: HashMap<String, watch::Sender<Seen>>,
}

// === impl Kubelet ===

impl Kubelet {
    pub fn start(client: Client) -> Self {
        let paused = watch::Sender::new(false);
        tokio::spawn(watch_pods(client, paused.subscribe()));
        Self { paused }
    }

    /// While paused nothing is written; the containers live on.
    pub fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }
}

async fn watch_pods(client: Client, paused: watch::Receiver<bool>) {
    let events = watcher::watcher(Api::<Pod>::all(client.clone()), watcher::Config::default()).backoff(Steady);
    let mut events = pin!(events);
    let mut pods = Pods::default();
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(pod)) => pods.see(pod, &client, &paused),
            Ok(Event::Delete(pod)) => pods.forget(&pod.uid().unwrap_or_default()),
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => listed.push(pod),
            Ok(Event::InitDone) => pods.replace(std::mem::take(&mut listed), &client, &paused),
            // The watch is begun again after `RETRY`.
            Err(_) => {}
        }
    }
}

// === impl Pods ===

impl Pods {
    fn see(&mut self, pod: Pod, client: &Client, paused: &watch::Receiver<bool>) {
        let uid = pod.uid().unwrap_or_default();
        let owner = owner(&pod);
        let leaving = pod.metadata.deletion_timestamp.is_some();
        let seen = Seen {
            pod: Arc::new(pod),
            oldest: false,
        };
        let known = self
            .tasks
            .get(&uid)
            .map(|task| task.send_modify(|old| old.pod = Arc::clone(&seen.pod)));
        let task = self
            .tasks
            .entry(uid)
            .or_insert_with(|| watch::Sender::new(seen))
            .subscribe();
        // A change of a living pod changes nobody's age.
        if known.is_none() || leaving {
            self.elect(owner.as_deref());
        }
        // A task begins when it is known which pod is the oldest.
        if known.is_none() {
            tokio::spawn(mind(client.clone(), task, paused.clone()));
        }
    }

    fn forget(&mut self, uid: &str) {
        // The task ends when its sender is gone.
        if let Some(task) = self.tasks.remove(uid) {
            let owner = owner(&task.borrow().pod);
            self.elect(owner.as_deref());
        }
    }

    fn replace(&mut self, mut pods: Vec<Pod>, client: &Client, paused: &watch::Receiver<bool>) {
        let gone: Vec<String> = self
            .tasks
            .keys()
            .filter(|uid| !pods.iter().any(|pod| pod.uid().as_ref() == Some(uid)))
            .cloned()
            .collect();
        for uid in gone {
            self.forget(&uid);
        }
        pods.sort_by_key(age);
        for pod in pods {
            self.see(pod, client, paused);
        }
    }

    /// Tells every pod of an owner whether it is the oldest that lives.
    fn elect(&self, owned_by: Option<&str>) {
        let Some(owned_by) = owned_by else { return };
        let siblings: Vec<_> = self
            .tasks
            .values()
            .filter(|task| owner(&task.borrow().pod).as_deref() == Some(owned_by))
            .collect();
        let alive = siblings
            .iter()
            .filter(|task| task.borrow().pod.metadata.deletion_timestamp.is_none());
        let oldest = alive
            .min_by_key(|task| age(&task.borrow().pod))
            .and_then(|task| task.borrow().pod.uid());
        for task in siblings {
            task.send_if_modified(|seen| {
                let oldest = seen.pod.uid() == oldest;
                std::mem::replace(&mut seen.oldest, oldest) != oldest
            });
        }
    }
}

fn owner(pod: &Pod) -> Option<String> {
    pod.owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true))
        .map(|owner| owner.uid.clone())
}

/// The smallest is the oldest. Names break ties, since creation times are whole seconds.
fn age(pod: &Pod) -> (Option<Timestamp>, String) {
    (pod.creation_timestamp().map(|time| time.0), pod.name_any())
}

/// One pod from its first sight to its end.
async fn mind(client: Client, mut seen: watch::Receiver<Seen>, mut paused: watch::Receiver<bool>) {
    let mut life: Option<Life> = None;
    let mut written: Option<PodStatus> = None;
    loop {
        if paused.wait_for(|paused| !paused).await.is_err() {
            return;
        }
        let Seen { pod, oldest } = seen.borrow_and_update().clone();
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let (asked, complaint) = asked(&pod);
        let now = Timestamp::now();
        let outcome = asked.of_pod(oldest);
        let life = life.get_or_insert_with(|| Life::new(outcome, now));
        life.change(outcome, now);
        let mut next = life.advance(now);
        if let Err(error) = act(&api, &pod, life, now, complaint.as_deref(), &mut written).await {
            match error {
                // It is gone; the watch will say so.
                kube::Error::Api(status) if status.code == 404 => next = None,
                _ => next = Some(Timestamp::now() + RETRY),
            }
        }
        let until = next.map(|at| at.duration_since(Timestamp::now()));
        // What is overdue has a negative time left.
        let sleep = until.map(|time| Duration::try_from(time).unwrap_or_default());
        tokio::select! {
            changed = seen.changed() => if changed.is_err() { return },
            changed = paused.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => {}
        }
    }
}

/// Does what a scheduler and a kubelet would do for the pod now.
async fn act(
    api: &Api<Pod>,
    pod: &Pod,
    life: &Life,
    now: Timestamp,
    complaint: Option<&str>,
    written: &mut Option<PodStatus>,
) -> kube::Result<()> {
    let name = pod.name_any();
    let preconditions = Preconditions {
        uid: pod.uid(),
        resource_version: None,
    };
    if pod.metadata.deletion_timestamp.is_some() {
        let force = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        return api.delete(&name, &force.grace_period(0)).await.map(drop);
    }
    let bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    if let Some(node) = wanted_node(pod).filter(|_| life.scheduled() && !bound) {
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "uid": pod.uid()},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        match api
            .create_subresource::<Value, Value>("binding", &name, &PostParams::default(), &binding)
            .await
        {
            Ok(_) => {}
            // Bound before; the watch is behind.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error),
        }
    }
    let status = status::status(pod, life, now, complaint);
    if written.as_ref() == Some(&status) {
        return Ok(());
    }
    let mut patch = serde_json::to_value(&status).map_err(kube::Error::SerdeError)?;
    if let Value::Object(fields) = &mut patch {
        // A merge leaves alone what it does not name, and a pod can lose its node.
        for field in [
            "containerStatuses",
            "initContainerStatuses",
            "hostIP",
            "hostIPs",
            "podIP",
            "podIPs",
            "startTime",
        ] {
            fields.entry(field).or_insert(Value::Null);
        }
    }
    let patch = Patch::Merge(json!({"metadata": {"uid": pod.uid()}, "status": patch}));
    api.patch_status(&name, &PatchParams::default(), &patch).await?;
    *written = Some(status);
    Ok(())
}

/// What the pod asks for; one that asks for nonsense stays unscheduled and says why.
fn asked(pod: &Pod) -> (Outcome, Option<String>) {
    match pod.annotations().get(ANNOTATION).map(|text| text.parse()) {
        None => (Outcome::default(), None),
        Some(Ok(outcome)) => (outcome, None),
        Some(Err(complaint)) => (Outcome::Pending, Some(complaint)),
    }
}

/// The node that the DaemonSet controller wants for its pod.
fn wanted_node(pod: &Pod) -> Option<String> {
    let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity
        .required_during_scheduling_ignored_during_execution
        .as_ref()?
        .node_selector_terms;
    let fields = terms.iter().filter_map(|term| term.match_fields.as_ref()).flatten();
    fields
        .filter(|field| field.key == "metadata.name" && field.operator == "In")
        .find_map(|field| field.values.as_ref()?.first().cloned())
}

/// Tries again after the same time, always.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(RETRY)
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}
