//! What is there at a moment of a recording, and what of it belongs to a Canary.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use kube::core::{Selector, SelectorExt as _};

use super::objects::{Change, Key, Kind, Name, ObjectState, workload_kind};
use crate::{
    flagger::{canary::Canary, objects::Objects, workload::Workload},
    rollout::pods::PodSeen,
};

/// Everything that is there now.
#[derive(Debug, Default)]
pub struct RecordedCluster {
    objects: BTreeMap<Key, Arc<ObjectState>>,
    /// When Flagger last wrote an Event about a Canary.
    signs: BTreeMap<Name, Timestamp>,
    /// The namespaces of which pods were recorded.
    pods_in: BTreeSet<String>,
}

/// A Canary and what belongs to it now.
#[derive(Clone, Debug)]
pub struct CanaryObjects {
    canary: Arc<ObjectState>,
    target: Option<Arc<ObjectState>>,
    primary: Option<Arc<ObjectState>>,
    pods: Option<Vec<PodSeen>>,
    last_event: Option<Timestamp>,
    /// The labels of its namespace.
    pub namespace_labels: BTreeMap<String, String>,
}

// === impl RecordedCluster ===

impl RecordedCluster {
    /// An empty cluster, in which pods of these namespaces will be seen.
    #[must_use]
    pub fn new(pods_in: BTreeSet<String>) -> Self {
        Self {
            pods_in,
            ..Self::default()
        }
    }

    /// What changed from now on; answers which Canaries that may matter to.
    pub fn apply(&mut self, change: Change) -> Vec<Name> {
        let Change {
            at: _,
            before: _,
            key,
            state,
        } = change;
        let touched = match key.kind {
            Kind::Canary => vec![(key.namespace.clone(), key.name.clone())],
            Kind::Deployment | Kind::DaemonSet | Kind::Pod => self.canaries_in(&key.namespace),
            Kind::Namespace => self.canaries_in(&key.name),
            Kind::Event => {
                let Some(ObjectState::Sign(canary, at)) = state.as_deref() else {
                    return Vec::new();
                };
                // Of Events only the last one matters.
                let last = self.signs.entry(canary.clone()).or_insert(*at);
                *last = (*last).max(*at);
                return vec![canary.clone()];
            }
        };
        match state {
            Some(state) => drop(self.objects.insert(key, state)),
            None => drop(self.objects.remove(&key)),
        }
        touched
    }

    fn canaries_in(&self, namespace: &str) -> Vec<Name> {
        let canaries = self.of_kind(Kind::Canary, namespace);
        canaries
            .map(|(key, _)| (key.namespace.clone(), key.name.clone()))
            .collect()
    }

    fn of_kind(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = (&Key, &Arc<ObjectState>)> {
        let first = key(kind, namespace, "");
        let rest = self.objects.range(first.clone()..);
        rest.take_while(move |(key, _)| (key.kind, &key.namespace) == (kind, &first.namespace))
    }

    /// A Canary and what belongs to it; nothing if it is not there.
    #[must_use]
    pub fn objects_of(&self, name: &Name) -> Option<CanaryObjects> {
        let found = |kind, name: &str, namespace: &str| self.objects.get(&key(kind, namespace, name)).cloned();
        let namespace = &name.0;
        let state = found(Kind::Canary, &name.1, namespace)?;
        let canary = state.canary()?;
        let kind = workload_kind(canary);
        let workload = |name: &str| found(kind?, name, namespace);
        let target = workload(&canary.spec.target.name);
        let namespace_labels = match found(Kind::Namespace, namespace, "").as_deref() {
            Some(ObjectState::Namespace(labels)) => labels.clone(),
            // The one that every namespace has.
            _ => BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), namespace.clone())]),
        };
        Some(CanaryObjects {
            pods: self.pods(canary, target.as_deref()),
            primary: workload(&canary.primary_name()),
            target,
            last_event: self.signs.get(name).copied(),
            namespace_labels,
            canary: state,
        })
    }

    /// The target's pods, where the enforcer would list them; none if none were recorded.
    fn pods(&self, canary: &Canary, target: Option<&ObjectState>) -> Option<Vec<PodSeen>> {
        let namespace = canary.namespace();
        if !canary.status.phase.can_roll_back() || !self.pods_in.contains(namespace) {
            return None;
        }
        let Some(ObjectState::Workload(_, Some(selector))) = target else {
            return None;
        };
        let selector = Selector::try_from(selector.clone()).ok()?;
        let pods = self.of_kind(Kind::Pod, namespace).filter_map(|(_, pod)| match &**pod {
            ObjectState::Pod(labels, Some(pod)) if selector.matches(labels) => Some((**pod).clone()),
            _ => None,
        });
        Some(pods.collect())
    }
}

// === impl CanaryObjects ===

impl CanaryObjects {
    /// The Canary.
    #[must_use]
    pub fn canary(&self) -> Option<&Canary> {
        self.canary.canary()
    }

    /// What there is to observe.
    #[must_use]
    pub fn objects(&self) -> Option<Objects<'_>> {
        Some(Objects {
            canary: self.canary()?,
            target: workload(self.target.as_deref()),
            primary: workload(self.primary.as_deref()),
            pods: self.pods.as_deref(),
            last_event: self.last_event,
            canaries: 0,
        })
    }
}

fn key(kind: Kind, namespace: &str, name: &str) -> Key {
    Key {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn workload(state: Option<&ObjectState>) -> Option<&Workload> {
    match state? {
        ObjectState::Workload(workload, _) => Some(workload),
        ObjectState::Namespace(_) | ObjectState::Canary(_) | ObjectState::Pod(..) | ObjectState::Sign(..) => None,
    }
}
