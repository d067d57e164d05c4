//! The watches: Canaries, the workloads that they target, and namespaces for their labels.
//!
//! Watched objects are distilled as they are read, and an object that does not parse is one object less, never
//! the end of a watch.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Debug,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment},
        core::v1::{Event, Namespace},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource,
    api::PartialObjectMeta,
    runtime::{
        WatchStreamExt, reflector,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use parking_lot::Mutex;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{api_health::JUDGED_BY, relist::FixedBackoff};
use crate::{
    flagger::{canary::Canary, workload::Workload},
    policy::NAMESPACE_NAME,
    rollout::target_ref::TargetRef,
};

/// Names of Canaries that should be looked at.
pub type Queue = Pin<Box<dyn Stream<Item = Result<ObjectRef<Canary>, watcher::Error>> + Send>>;

/// What the watches have seen.
#[derive(Clone)]
pub struct Watches {
    /// All Canaries.
    pub canaries: Store<Canary>,
    /// All Deployments.
    pub deployments: Store<Watched<Deployment>>,
    /// All `DaemonSets`.
    pub daemon_sets: Store<Watched<DaemonSet>>,
    /// All namespaces.
    pub namespaces: Namespaces,
    /// Flagger's Events about Canaries.
    pub signs: Signs,
    unlisted: Arc<Mutex<BTreeMap<&'static str, String>>>,
    index: Index,
}

/// The pause before a watch that failed is begun again. It never grows: when the API server is back, nobody may be blind
/// to new rollouts for half a minute more, and a handful of watches is no burden.
const BEGIN_AGAIN: Duration = Duration::from_secs(2);

/// Signs of life are kept of so many Canaries at the most.
const MOST_SIGNS: usize = 100_000;

/// When Flagger last wrote an Event about each Canary: a sign of life.
#[derive(Clone, Default)]
pub struct Signs(Arc<Mutex<HashMap<(String, String), Timestamp>>>);

/// The namespaces, for their labels.
#[derive(Clone)]
pub struct Namespaces(pub Store<PartialObjectMeta<Namespace>>);

/// A workload under the name of the kind that it is watched as.
#[derive(Clone, Debug)]
pub struct Watched<K> {
    /// What is kept of the object.
    pub workload: Arc<Workload>,
    kind: PhantomData<K>,
}

/// A kind of workload that Flagger rolls out.
pub trait Target: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Debug + Clone {
    /// Distils an object of this kind.
    fn distil(object: &Value) -> Workload;
}

/// Hears which watch has seen everything that there is, and which one fails and why.
///
/// Stores can be waited for as well, but of several who wait for one store kube wakes only the last.
type News = Arc<dyn Fn(&'static str, Result<(), String>) + Send + Sync>;

/// Which Canaries a workload or a Service matters to.
type Index = Arc<Mutex<HashMap<(String, String), BTreeSet<String>>>>;

// === impl Watches ===

impl Watches {
    /// Starts the watches. The queue names every Canary of which something changed, and must be polled for the
    /// stores to fill. `forget` hears of Canaries that are gone, `news` which watch has seen everything that there is,
    /// and which one fails and why.
    #[must_use]
    pub fn start(
        client: &Client,
        forget: impl Fn(&Canary) + Send + Sync + 'static,
        news: impl Fn(&'static str, Result<(), String>) + Send + Sync + 'static,
    ) -> (Self, Queue) {
        let index = Index::default();
        let waiting = JUDGED_BY.map(|what| (what, "not listed yet".to_owned()));
        let unlisted = Arc::new(Mutex::new(BTreeMap::from(waiting)));
        let news: News = {
            let unlisted = Arc::clone(&unlisted);
            Arc::new(move |what, state: Result<(), String>| {
                match &state {
                    Ok(()) => {
                        unlisted.lock().remove(what);
                    }
                    Err(why) => {
                        unlisted.lock().entry(what).and_modify(|reason| why.clone_into(reason));
                    }
                }
                news(what, state);
            })
        };
        let signs = Signs::default();
        let forget = {
            let signs = signs.clone();
            move |canary: &Canary| {
                signs.forget(canary);
                forget(canary);
            }
        };
        let (canaries, canary_events) = canaries(client, Arc::clone(&index), forget, Arc::clone(&news));
        let (deployments, deployment_events) =
            workloads::<Deployment>(client, "deployments", Arc::clone(&index), Arc::clone(&news));
        let (daemon_sets, daemon_set_events) =
            workloads::<DaemonSet>(client, "daemonsets", Arc::clone(&index), Arc::clone(&news));
        let (namespaces, namespace_events) = namespaces(client, Arc::clone(&news));
        let event_events = events(client, signs.clone(), Arc::clone(&news));
        let queue = stream::select_all([
            event_events,
            canary_events,
            deployment_events,
            daemon_set_events,
            namespace_events,
        ]);
        let watches = Self {
            canaries,
            deployments,
            daemon_sets,
            namespaces: Namespaces(namespaces),
            signs,
            unlisted,
            index,
        };
        (watches, Box::pin(queue))
    }

    /// Whether everything that there is was seen once. Before that a cache may lack what an evaluation needs.
    #[must_use]
    pub fn all_listed(&self) -> bool {
        self.unlisted.lock().is_empty()
    }

    /// Why a watch has not seen everything that there is, if it has not.
    #[must_use]
    pub fn unlisted(&self, what: &str) -> Option<String> {
        self.unlisted.lock().get(what).cloned()
    }

    /// A Canary.
    #[must_use]
    pub fn canary(&self, namespace: &str, name: &str) -> Option<Arc<Canary>> {
        self.canaries.get(&ObjectRef::new(name).within(namespace))
    }

    /// The Canaries that have to do with a workload or Service of this name.
    #[must_use]
    pub fn canaries_about(&self, namespace: &str, name: &str) -> Vec<Arc<Canary>> {
        let key = (namespace.to_owned(), name.to_owned());
        let names = self.index.lock().get(&key).cloned().unwrap_or_default();
        let found = names
            .iter()
            .filter_map(|canary| self.canaries.get(&ObjectRef::new(canary).within(namespace)));
        found.collect()
    }

    /// The workload of this kind and name, if it is a kind that Flagger scales and it is there.
    #[must_use]
    pub fn workload(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<Workload>> {
        match kind {
            "Deployment" => {
                let found = self.deployments.get(&ObjectRef::new(name).within(namespace))?;
                Some(Arc::clone(&found.workload))
            }
            "DaemonSet" => {
                let found = self.daemon_sets.get(&ObjectRef::new(name).within(namespace))?;
                Some(Arc::clone(&found.workload))
            }
            _ => None,
        }
    }
}

// === impl Signs ===

impl Signs {
    /// The last Event that Flagger wrote about a Canary.
    #[must_use]
    pub fn last(&self, canary: &Canary) -> Option<Timestamp> {
        self.0.lock().get(&key(canary)).copied()
    }

    /// Forgets a Canary that is gone.
    pub fn forget(&self, canary: &Canary) {
        self.0.lock().remove(&key(canary));
    }

    fn note(&self, event: &Event) {
        if let Some((canary, at)) = sign_of_life(event) {
            let mut signs = self.0.lock();
            // Anybody may write Events, about Canaries that there are not too.
            if signs.len() >= MOST_SIGNS && !signs.contains_key(&canary) {
                return;
            }
            let last = signs.entry(canary).or_insert(at);
            *last = at.max(*last);
        }
    }
}

/// Which Canary an Event of Flagger's is about, by namespace and name, and when it was last written; nothing of
/// anybody else's.
#[must_use]
pub fn sign_of_life(event: &Event) -> Option<((String, String), Timestamp)> {
    let by_flagger = event.source.as_ref().and_then(|source| source.component.as_deref()) == Some("flagger");
    let about = by_flagger.then_some(&event.involved_object)?;
    let times = [
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        event
            .series
            .as_ref()
            .and_then(|series| series.last_observed_time.as_ref())
            .map(|time| time.0),
    ];
    let canary = (about.namespace.clone()?, about.name.clone()?);
    Some((canary, times.into_iter().flatten().max()?))
}

// === impl Namespaces ===

impl Namespaces {
    /// Whether a namespace was seen yet: one that was just made may not have been.
    #[must_use]
    pub fn has_seen(&self, namespace: &str) -> bool {
        self.0.get(&ObjectRef::new(namespace)).is_some()
    }

    /// A namespace's labels. Of one that is not known yet, at least the one that every namespace has.
    #[must_use]
    pub fn labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.0
            .get(&ObjectRef::new(namespace))
            .and_then(|namespace| namespace.metadata.labels.clone())
            .unwrap_or_else(|| BTreeMap::from([(NAMESPACE_NAME.to_owned(), namespace.to_owned())]))
    }
}

fn canaries(
    client: &Client,
    index: Index,
    forget: impl Fn(&Canary) + Send + Sync + 'static,
    news: News,
) -> (Store<Canary>, Queue) {
    let (reader, writer) = reflector::store();
    // What goes away while the watch is down is in no event: what another list does not have any more is gone.
    let (mut known, mut listing) = (BTreeMap::new(), BTreeMap::new());
    let events = watcher(Api::<Canary>::all(client.clone()), watcher::Config::default())
        .backoff(FixedBackoff(BEGIN_AGAIN))
        .reflect(writer)
        .filter_map(move |event| {
            let gone = |canary: &Canary| {
                forget(canary);
                unindex_canary(&index, canary);
            };
            futures::future::ready(match event {
                Ok(watcher::Event::InitApply(canary)) => {
                    index_canary(&index, &canary);
                    listing.insert(key(&canary), canary.spec.target.clone());
                    Some(Ok(ObjectRef::from_obj(&canary)))
                }
                Ok(watcher::Event::Apply(canary)) => {
                    index_canary(&index, &canary);
                    known.insert(key(&canary), canary.spec.target.clone());
                    Some(Ok(ObjectRef::from_obj(&canary)))
                }
                Ok(watcher::Event::Delete(canary)) => {
                    known.remove(&key(&canary));
                    gone(&canary);
                    None
                }
                Ok(watcher::Event::Init) => {
                    listing.clear();
                    None
                }
                Ok(watcher::Event::InitDone) => {
                    known.retain(|key, _| !listing.contains_key(key));
                    for (key, target) in &known {
                        gone(&named(key, target));
                    }
                    known = std::mem::take(&mut listing);
                    listed("canaries", &news)
                }
                Err(error) => failed("canaries", &error, &news),
            })
        });
    (reader, Box::pin(events))
}

fn key(canary: &Canary) -> (String, String) {
    (canary.namespace().to_owned(), canary.name().to_owned())
}

/// A Canary of which no more is known than what it is called and what it targets, to be forgotten by.
fn named((namespace, name): &(String, String), target: &TargetRef) -> Canary {
    let mut canary = Canary::default();
    canary.metadata.namespace = Some(namespace.clone());
    canary.metadata.name = Some(name.clone());
    canary.spec.target = target.clone();
    canary
}

fn workloads<K: Target + Send + Sync + 'static>(
    client: &Client,
    what: &'static str,
    index: Index,
    news: News,
) -> (Store<Watched<K>>, Queue) {
    let (reader, writer) = reflector::store();
    let events = watcher(Api::<Watched<K>>::all(client.clone()), watcher::Config::default())
        .backoff(FixedBackoff(BEGIN_AGAIN))
        .reflect(writer)
        .map(move |event| {
            let names: Vec<Result<ObjectRef<Canary>, watcher::Error>> = match event {
                Ok(
                    watcher::Event::Apply(workload)
                    | watcher::Event::InitApply(workload)
                    | watcher::Event::Delete(workload),
                ) => indexed(&index, &workload.workload.metadata)
                    .into_iter()
                    .map(Ok)
                    .collect(),
                Ok(watcher::Event::Init) => Vec::new(),
                Ok(watcher::Event::InitDone) => listed(what, &news).into_iter().collect(),
                Err(error) => failed(what, &error, &news).into_iter().collect(),
            };
            stream::iter(names)
        })
        .flatten();
    (reader, Box::pin(events))
}

fn namespaces(client: &Client, news: News) -> (Store<PartialObjectMeta<Namespace>>, Queue) {
    let (reader, writer) = reflector::store();
    let slim = |mut namespace: PartialObjectMeta<Namespace>| {
        namespace.metadata.managed_fields = None;
        namespace.metadata.annotations = None;
        namespace
    };
    let events = watcher(
        Api::<PartialObjectMeta<Namespace>>::all(client.clone()),
        watcher::Config::default(),
    )
    .backoff(FixedBackoff(BEGIN_AGAIN))
    .map(move |event| event.map(|event| event.modify(|namespace| *namespace = slim(namespace.clone()))))
    .reflect(writer)
    .filter_map(move |event| {
        futures::future::ready(match event {
            Ok(watcher::Event::InitDone) => listed("namespaces", &news),
            Ok(_) => None,
            Err(error) => failed("namespaces", &error, &news),
        })
    });
    (reader, Box::pin(events))
}

/// Flagger's Events about Canaries, of which only the times are kept.
fn events(client: &Client, signs: Signs, news: News) -> Queue {
    let config = watcher::Config::default().fields("involvedObject.kind=Canary");
    let events = watcher(Api::<Event>::all(client.clone()), config)
        .backoff(FixedBackoff(BEGIN_AGAIN))
        .filter_map(move |event| {
            futures::future::ready(match event {
                Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) => {
                    signs.note(&event);
                    None
                }
                Ok(watcher::Event::InitDone) => listed("events", &news),
                Ok(watcher::Event::Init | watcher::Event::Delete(_)) => None,
                Err(error) => failed("events", &error, &news),
            })
        });
    Box::pin(events)
}

fn listed<T>(what: &'static str, news: &News) -> Option<T> {
    news(what, Ok(()));
    None
}

/// A watch that fails is tried again by itself, after a pause; all that is left to do is to say so.
fn failed<T>(what: &'static str, error: &watcher::Error, news: &News) -> Option<T> {
    tracing::warn!(what, %error, "a watch failed; trying again");
    news(what, Err(error.to_string()));
    None
}

fn index_canary(index: &Index, canary: &Canary) {
    let mut index = index.lock();
    let keys = workload_names(canary).map(|name| (canary.namespace().to_owned(), name));
    // A Canary that changed its target keeps its old entry: one look too many is harmless.
    for key in keys {
        index.entry(key).or_default().insert(canary.name().to_owned());
    }
}

fn unindex_canary(index: &Index, canary: &Canary) {
    let mut index = index.lock();
    for name in workload_names(canary) {
        let key = (canary.namespace().to_owned(), name);
        if let Some(canaries) = index.get_mut(&key) {
            canaries.remove(canary.name());
            if canaries.is_empty() {
                index.remove(&key);
            }
        }
    }
}

fn workload_names(canary: &Canary) -> impl Iterator<Item = String> {
    let apex = canary.apex_name().to_owned();
    [canary.spec.target.name.clone(), canary.primary_name(), apex].into_iter()
}

fn indexed(index: &Index, workload: &ObjectMeta) -> Vec<ObjectRef<Canary>> {
    let namespace = workload.namespace.clone().unwrap_or_default();
    let key = (namespace, workload.name.clone().unwrap_or_default());
    let index = index.lock();
    let canaries = index.get(&key).into_iter().flatten();
    canaries.map(|canary| ObjectRef::new(canary).within(&key.0)).collect()
}

// === impl Watched ===

impl Target for Deployment {
    fn distil(object: &Value) -> Workload {
        Workload::deployment(object)
    }
}

impl Target for DaemonSet {
    fn distil(object: &Value) -> Workload {
        Workload::daemon_set(object)
    }
}

impl<'de, K: Target> Deserialize<'de> for Watched<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let workload = Arc::new(K::distil(&Value::deserialize(deserializer)?));
        Ok(Self {
            workload,
            kind: PhantomData,
        })
    }
}

impl<K: Target> Resource for Watched<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.workload.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut Arc::make_mut(&mut self.workload).metadata
    }
}
