//! What is kept of the objects of a recording, and which are told apart by what.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, Pod},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::core::Selector;
use serde_json::Value;

use crate::{
    cluster::watch::sign_of_life,
    flagger::{canary::Canary, workload::Workload},
    policy::ROLLOUT_DEADLINE,
    rollout::{
        pods::{PodSeen, counts},
        stamp::PREFIX,
    },
};

/// A Canary by namespace and name.
pub type Name = (String, String);

/// What objects are told apart by. The order is that in which states of the same second from different files are
/// taken: what a Canary refers to comes before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The kinds that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// For its labels, by which policies tell namespaces apart.
    Namespace,
    /// A target or a primary.
    Deployment,
    /// A target or a primary.
    DaemonSet,
    /// One of theirs.
    Pod,
    /// A sign of life, if Flagger wrote it.
    Event,
    /// What it is all about.
    Canary,
}

/// What is kept of an object.
#[derive(Debug, PartialEq)]
pub enum ObjectState {
    /// A namespace's labels.
    Namespace(BTreeMap<String, String>),
    /// A Deployment or `DaemonSet`, and which pods are its own.
    Workload(Box<Workload>, Option<LabelSelector>),
    /// A pod with its labels; none that is on its way out.
    Pod(BTreeMap<String, String>, Option<Box<PodSeen>>),
    /// Flagger wrote about a Canary (namespace and name), then.
    Sign((String, String), Timestamp),
    /// A Canary, without what Curfew wrote on it.
    Canary(Box<Canary>),
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Whether it was so before the recording began.
    pub before: bool,
    /// Of what.
    pub key: Key,
    /// What it is since; none: it is gone.
    pub state: Option<Arc<ObjectState>>,
}

// === impl ObjectState ===

impl ObjectState {
    /// The Canary, if it is one.
    #[must_use]
    pub fn canary(&self) -> Option<&Canary> {
        match self {
            Self::Canary(canary) => Some(canary),
            Self::Namespace(_) | Self::Workload(..) | Self::Pod(..) | Self::Sign(..) => None,
        }
    }
}

/// The kind of a Canary's target and primary, if it is one that is recorded.
#[must_use]
pub fn workload_kind(canary: &Canary) -> Option<Kind> {
    match canary.spec.target.kind.as_str() {
        "Deployment" => Some(Kind::Deployment),
        "DaemonSet" => Some(Kind::DaemonSet),
        _ => None,
    }
}

/// Whether an annotation is one that Curfew writes.
pub fn is_curfews(annotation: &str) -> bool {
    annotation.starts_with(PREFIX) && annotation != ROLLOUT_DEADLINE
}

/// What matters of an object; nothing if its kind does not.
pub fn distilled(object: &Value) -> Option<(Key, ObjectState)> {
    let group = object["apiVersion"].as_str()?;
    let (kind, state) = match (group, object["kind"].as_str()?) {
        ("v1", "Namespace") => (Kind::Namespace, ObjectState::Namespace(labels(object))),
        ("apps/v1", "Deployment") => (Kind::Deployment, workload(Workload::deployment(object), object)),
        ("apps/v1", "DaemonSet") => (Kind::DaemonSet, workload(Workload::daemon_set(object), object)),
        ("v1", "Pod") => (Kind::Pod, pod(object)?),
        ("v1", "Event") => {
            let event: Event = serde_json::from_value(object.clone()).ok()?;
            let (canary, at) =
                sign_of_life(&event).filter(|_| event.involved_object.kind.as_deref() == Some("Canary"))?;
            (Kind::Event, ObjectState::Sign(canary, at))
        }
        (group, "Canary") if group.starts_with("flagger.app/") => {
            let mut canary = Canary::from_json(object.clone());
            canary.metadata.resource_version = None;
            if let Some(annotations) = &mut canary.metadata.annotations {
                annotations.retain(|key, _| !is_curfews(key));
            }
            (Kind::Canary, ObjectState::Canary(Box::new(canary)))
        }
        _ => return None,
    };
    let metadata = &object["metadata"];
    let key = Key {
        kind,
        namespace: metadata["namespace"].as_str().unwrap_or_default().to_owned(),
        name: metadata["name"].as_str()?.to_owned(),
    };
    Some((key, state))
}

fn workload(mut workload: Workload, object: &Value) -> ObjectState {
    workload.metadata.resource_version = None;
    let selector = serde_json::from_value(object["spec"]["selector"].clone()).ok();
    // One that no API server takes selects nothing.
    let selector = selector.filter(|selector: &LabelSelector| Selector::try_from(selector.clone()).is_ok());
    ObjectState::Workload(Box::new(workload), selector)
}

fn pod(object: &Value) -> Option<ObjectState> {
    let pod: Pod = serde_json::from_value(object.clone()).ok()?;
    let seen = counts(&pod).then(|| Box::new(PodSeen::from(&pod)));
    Some(ObjectState::Pod(pod.metadata.labels.unwrap_or_default(), seen))
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
