//! The autoscalers that there are, by name: all that the rules ask of them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, utils::Backoff, watcher},
};
use parking_lot::Mutex;

use super::relist::relisting;
use crate::rules::lookup::LookupResult;

/// The pause before a watch that failed is begun again.
const BEGIN_AGAIN: Duration = Duration::from_secs(5);

/// The same where the cluster does not know the kind: KEDA may never come.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// A namespace and a name.
type Key = (String, String);

/// The names of all autoscalers of the kinds that Flagger knows.
#[derive(Clone, Default)]
pub struct Autoscalers {
    horizontal: Known,
    keda: Known,
}

/// All objects of one kind, as far as they are known.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Nothing before the first list is complete.
    names: Option<BTreeSet<Key>>,
    /// What a list has brought so far.
    listing: BTreeSet<Key>,
    /// Why there is no list.
    failure: Option<String>,
    /// The cluster does not know the kind.
    is_absent: bool,
}

/// How long to wait before a watch is begun again.
#[derive(Clone)]
struct Pause(Known);

// === impl Pause ===

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let is_absent = self.0.0.lock().is_absent;
        Some(if is_absent { LOOK_AGAIN } else { BEGIN_AGAIN })
    }
}

impl Backoff for Pause {
    fn reset(&mut self) {}
}

// === impl Autoscalers ===

impl Autoscalers {
    /// Starts the watches. The stream says when something changed, and must be polled.
    pub fn start(client: &Client) -> (Self, impl Stream<Item = ()> + Send + 'static) {
        let scalers = Self::default();
        let horizontal = watch(
            client,
            "autoscaling",
            "v2",
            "HorizontalPodAutoscaler",
            scalers.horizontal.clone(),
        );
        let keda = watch(client, "keda.sh", "v1alpha1", "ScaledObject", scalers.keda.clone());
        (scalers, futures::stream::select(horizontal, keda))
    }

    /// Whether there is one of this kind and name. `blind` says of a watch why what it has seen cannot be gone by, if so.
    #[must_use]
    pub fn sight(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        blind: impl Fn(&str) -> Option<String>,
    ) -> LookupResult<()> {
        match kind {
            "HorizontalPodAutoscaler" => self
                .horizontal
                .sight(namespace, name, blind("horizontalpodautoscalers")),
            "ScaledObject" => self.keda.sight(namespace, name, blind("scaledobjects")),
            _ => LookupResult::NotTracked,
        }
    }
}

// === impl Known ===

impl Known {
    fn sight(&self, namespace: &str, name: &str, blind: Option<String>) -> LookupResult<()> {
        let state = self.0.lock();
        // Nobody watches a kind that does not exist.
        if let Some(why) = blind.filter(|_| !state.is_absent) {
            return LookupResult::Unavailable(why);
        }
        match &state.names {
            Some(names) if names.contains(&(namespace.to_owned(), name.to_owned())) => LookupResult::Found(()),
            Some(_) => LookupResult::Missing,
            None => LookupResult::Unavailable(state.failure.clone().unwrap_or_else(|| "not listed yet".to_owned())),
        }
    }

    /// Whether anything changed for those who ask.
    fn take(&self, event: Result<watcher::Event<PartialObjectMeta<DynamicObject>>, watcher::Error>) -> bool {
        let key =
            |object: &PartialObjectMeta<DynamicObject>| (object.namespace().unwrap_or_default(), object.name_any());
        let mut state = self.0.lock();
        match event {
            Ok(watcher::Event::Init) => {
                state.listing.clear();
                false
            }
            Ok(watcher::Event::InitApply(object)) => {
                state.listing.insert(key(&object));
                false
            }
            Ok(watcher::Event::InitDone) => {
                state.names = Some(std::mem::take(&mut state.listing));
                state.failure = None;
                state.is_absent = false;
                true
            }
            Ok(watcher::Event::Apply(object)) => state.names.get_or_insert_default().insert(key(&object)),
            Ok(watcher::Event::Delete(object)) => state.names.get_or_insert_default().remove(&key(&object)),
            // Where the kind does not exist, there is none of it.
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) if status.code == 404 => {
                state.is_absent = true;
                state.names.replace(BTreeSet::new()) != Some(BTreeSet::new())
            }
            Err(error) => {
                state.failure = Some(error.to_string());
                false
            }
        }
    }
}

fn watch(
    client: &Client,
    group: &str,
    version: &str,
    kind: &'static str,
    known: Known,
) -> impl Stream<Item = ()> + Send + 'static {
    let resource = ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk(group, version, kind));
    let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(client.clone(), &resource);
    let pause = Pause(known.clone());
    relisting(move || watcher(api.clone(), watcher::Config::default()).backoff(pause.clone())).filter_map(
        move |event| {
            if let Err(error) = &event {
                tracing::debug!(kind, %error, "autoscalers cannot be watched; trying again");
            }
            let changed = known.take(event);
            futures::future::ready(changed.then_some(()))
        },
    )
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    fn object(name: &str) -> PartialObjectMeta<DynamicObject> {
        serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": name}})).expect("an object")
    }

    #[test]
    fn nothing_is_missing_before_all_are_listed() {
        let known = Known::default();
        assert_eq!(
            known.sight("shop", "web", None),
            LookupResult::Unavailable("not listed yet".to_owned())
        );
        known.take(Ok(watcher::Event::Init));
        known.take(Ok(watcher::Event::InitApply(object("web"))));
        assert!(matches!(known.sight("shop", "web", None), LookupResult::Unavailable(_)));
        assert!(known.take(Ok(watcher::Event::InitDone)));
        assert_eq!(known.sight("shop", "web", None), LookupResult::Found(()));
        assert_eq!(known.sight("other", "web", None), LookupResult::Missing);
        let silent = known.sight("other", "web", Some("silent".to_owned()));
        assert_eq!(silent, LookupResult::Unavailable("silent".to_owned()));
        assert!(known.take(Ok(watcher::Event::Delete(object("web")))));
        assert_eq!(known.sight("shop", "web", None), LookupResult::Missing);
    }

    #[test]
    fn a_kind_that_is_not_installed_has_no_objects_and_one_that_is_refused_is_unseen() {
        let failed = |code: u16| {
            let mut status = Status::failure("no", "Reason");
            status.code = code;
            let known = Known::default();
            known.take(Err(watcher::Error::InitialListFailed(kube::Error::Api(status.boxed()))));
            known.sight("shop", "web", Some("silent".to_owned()))
        };
        assert_eq!(failed(404), LookupResult::Missing);
        assert!(matches!(failed(403), LookupResult::Unavailable(_)));
    }

    #[test]
    fn a_kind_that_is_not_installed_is_looked_for_seldom() {
        let known = Known::default();
        let mut pause = Pause(known.clone());
        assert_eq!(pause.next(), Some(BEGIN_AGAIN));
        let mut status = Status::failure("no", "Reason");
        status.code = 404;
        known.take(Err(watcher::Error::InitialListFailed(kube::Error::Api(status.boxed()))));
        assert_eq!(pause.next(), Some(LOOK_AGAIN));
        known.take(Ok(watcher::Event::InitDone));
        assert_eq!(pause.next(), Some(BEGIN_AGAIN));
    }
}
