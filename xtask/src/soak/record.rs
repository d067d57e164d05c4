//! What the plane showed, kept for the checker while it happens, and the latest of it for the actors.
//!
//! Three watches, as the admin and straight from the API server: Canaries, Deployments, pods. What did not change anything
//! that the checker reckons with is not kept.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_all};
use kube::{Client, ResourceExt as _};
use tokio::sync::watch;

use super::facts::{Canary, Fact, Seconds, Seen, TargetPod, Workload};

/// Everything that was seen, by application.
pub struct Record {
    began: Timestamp,
    apps: BTreeMap<String, App>,
}

struct App {
    timeline: Mutex<Timeline>,
    latest: watch::Sender<Latest>,
}

#[derive(Default)]
struct Timeline {
    seen: Vec<Seen>,
    /// The last fact about each object.
    last: HashMap<String, Fact>,
}

/// What actors wait for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latest {
    pub canary: Option<Canary>,
    pub has_primary: bool,
}

// === impl Record ===

impl Record {
    pub fn new(apps: impl Iterator<Item = String>) -> Self {
        let app = |name| {
            let app = App {
                timeline: Mutex::default(),
                latest: watch::Sender::default(),
            };
            (name, app)
        };
        Self {
            began: Timestamp::now(),
            apps: apps.map(app).collect(),
        }
    }

    /// The moment.
    pub fn now(&self) -> Seconds {
        Timestamp::now().duration_since(self.began).as_secs_f64()
    }

    /// The latest of an application, to be waited on.
    pub fn latest(&self, app: &str) -> Option<watch::Receiver<Latest>> {
        self.apps.get(app).map(|app| app.latest.subscribe())
    }

    /// Everything that was seen of each application.
    pub fn timelines(&self) -> BTreeMap<String, Vec<Seen>> {
        let seen = |app: &App| app.timeline.lock().unwrap_or_else(PoisonError::into_inner).seen.clone();
        self.apps.iter().map(|(name, app)| (name.clone(), seen(app))).collect()
    }

    /// Watches a namespace for as long as the runtime lives.
    pub fn watch(self: &Arc<Self>, client: &Client, namespace: &str, canaries: &ApiResource) {
        let api = Api::namespaced_with(client.clone(), namespace, canaries);
        tokio::spawn(follow(
            Arc::clone(self),
            api,
            |record: &Self, canary: &DynamicObject, is_there| {
                let fact = if is_there {
                    Fact::Canary(canary.into())
                } else {
                    Fact::CanaryGone
                };
                record.note(&canary.name_any(), "canary", fact);
            },
        ));
        let api = Api::namespaced(client.clone(), namespace);
        tokio::spawn(follow(
            Arc::clone(self),
            api,
            |record: &Self, object: &Deployment, is_there| {
                let name = object.name_any();
                let workload = Workload::from(object);
                match (name.strip_suffix("-primary"), is_there) {
                    (Some(app), true) => record.note(app, "primary", Fact::Primary(workload)),
                    (Some(app), false) => record.note(app, "primary", Fact::PrimaryGone),
                    (None, true) => record.note(&name, "target", Fact::Target(workload)),
                    (None, false) => record.note(&name, "target", Fact::TargetGone),
                }
            },
        ));
        let api = Api::namespaced(client.clone(), namespace);
        tokio::spawn(follow(Arc::clone(self), api, |record: &Self, pod: &Pod, is_there| {
            // The pods of a primary carry another label.
            let Some(app) = pod.labels().get("app") else { return };
            let name = pod.name_any();
            let fact = if is_there && pod.metadata.deletion_timestamp.is_none() {
                Fact::Pod(name.clone(), TargetPod::of(pod, record.began))
            } else {
                Fact::PodGone(name.clone())
            };
            record.note(app, &name, fact);
        }));
    }

    fn note(&self, app: &str, object: &str, fact: Fact) {
        let Some(app) = self.apps.get(app) else { return };
        {
            let mut timeline = app.timeline.lock().unwrap_or_else(PoisonError::into_inner);
            if timeline.last.get(object) == Some(&fact) {
                return;
            }
            timeline.last.insert(object.to_owned(), fact.clone());
            let at = self.now();
            timeline.seen.push(Seen { at, fact: fact.clone() });
        }
        app.latest.send_if_modified(|latest| {
            let before = latest.clone();
            match fact {
                Fact::Canary(canary) => latest.canary = Some(canary),
                Fact::CanaryGone => latest.canary = None,
                Fact::Primary(_) => latest.has_primary = true,
                Fact::PrimaryGone => latest.has_primary = false,
                Fact::Target(_) | Fact::TargetGone | Fact::Pod(..) | Fact::PodGone(_) => {}
            }
            *latest != before
        });
    }
}

/// Follows one kind of object for as long as the runtime lives. What is gone when a watch is made anew is noted as gone.
async fn follow<K>(record: Arc<Record>, api: Api<K>, note: impl Fn(&Record, &K, bool))
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let events = watch_all(api, watcher::Config::default()).default_backoff();
    let mut events = pin!(events);
    let mut known: HashMap<String, K> = HashMap::new();
    let mut listed: HashMap<String, K> = HashMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object)) => {
                note(&record, &object, true);
                known.insert(object.name_any(), object);
            }
            Ok(Event::Delete(object)) => {
                known.remove(&object.name_any());
                note(&record, &object, false);
            }
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                note(&record, &object, true);
                listed.insert(object.name_any(), object);
            }
            Ok(Event::InitDone) => {
                let listed = std::mem::take(&mut listed);
                for (_, object) in known.iter().filter(|(name, _)| !listed.contains_key(*name)) {
                    note(&record, object, false);
                }
                known = listed;
            }
            // The watch is made anew by itself.
            Err(_) => {}
        }
    }
}
