//! What the rules know beyond the Canary itself: Flagger's own settings, the target, its scaler, the other Canaries.

use std::sync::Arc;

use crate::{
    flagger::{canary::AutoscalerRef, workload::Workload},
    rollout::target_ref::TargetRef,
};

/// What is known of a thing that a Canary refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupResult<T> {
    /// It is there.
    Found(T),
    /// It is not there.
    Missing,
    /// It could not be read, for this reason: a warning, never a refusal.
    Unavailable(String),
    /// Such objects are not tracked here, so nothing is said about them.
    NotTracked,
}

/// A Canary's surroundings. Nothing here waits or asks the network: it is what is known already.
pub trait Lookup {
    /// The provider that Flagger itself was started with (its `-mesh-provider`), where that is known.
    fn provider(&self) -> Option<&str>;

    /// The labels of which a target's selector must have one (Flagger's `-selector-labels`), where they are known.
    fn selector_labels(&self) -> Option<&[String]>;

    /// The workload of a reference.
    fn workload(&self, namespace: &str, target: &TargetRef) -> LookupResult<Arc<Workload>>;

    /// Whether an autoscaler is there.
    fn scaler(&self, namespace: &str, scaler: &AutoscalerRef) -> LookupResult<()>;

    /// The other Canaries of a namespace that have a target of this name, by name.
    fn others_on_target(&self, namespace: &str, target: &str, except: &str) -> LookupResult<Vec<String>>;

    /// The other Canaries of a namespace whose users call a Service of this name, by name.
    fn others_at_apex(&self, namespace: &str, apex: &str, except: &str) -> LookupResult<Vec<String>>;
}

/// A world of which nothing is known: the spec alone is judged.
#[derive(Clone, Copy, Debug)]
pub struct NoLookup;

// === impl NoLookup ===

impl Lookup for NoLookup {
    fn provider(&self) -> Option<&str> {
        None
    }

    fn selector_labels(&self) -> Option<&[String]> {
        None
    }

    fn workload(&self, _: &str, _: &TargetRef) -> LookupResult<Arc<Workload>> {
        LookupResult::NotTracked
    }

    fn scaler(&self, _: &str, _: &AutoscalerRef) -> LookupResult<()> {
        LookupResult::NotTracked
    }

    fn others_on_target(&self, _: &str, _: &str, _: &str) -> LookupResult<Vec<String>> {
        LookupResult::NotTracked
    }

    fn others_at_apex(&self, _: &str, _: &str, _: &str) -> LookupResult<Vec<String>> {
        LookupResult::NotTracked
    }
}

/// A world for tests, written out.
#[cfg(test)]
pub(crate) mod fixed {
    use super::{Arc, AutoscalerRef, Lookup, LookupResult, TargetRef, Workload};

    /// What there is of everything; what is left out is unknown.
    #[derive(Default)]
    pub(crate) struct FixedLookup {
        pub(crate) provider: Option<String>,
        pub(crate) selector_labels: Option<Vec<String>>,
        /// All workloads, by name.
        pub(crate) workloads: Option<Vec<(String, Workload)>>,
        /// All autoscalers, by name.
        pub(crate) scalers: Option<Vec<String>>,
        /// All other Canaries: name, target, apex Service.
        pub(crate) others: Option<Vec<(String, String, String)>>,
        /// Why nothing could be looked at.
        pub(crate) unseen: Option<String>,
    }

    impl FixedLookup {
        /// What is found among all there is of a kind.
        fn sight<K, T>(&self, all: Option<&K>, find: impl FnOnce(&K) -> Option<T>) -> LookupResult<T> {
            match (&self.unseen, all) {
                (Some(why), _) => LookupResult::Unavailable(why.clone()),
                (None, None) => LookupResult::NotTracked,
                (None, Some(all)) => find(all).map_or(LookupResult::Missing, LookupResult::Found),
            }
        }

        fn others(
            &self,
            except: &str,
            shares: impl Fn(&(String, String, String)) -> bool,
        ) -> LookupResult<Vec<String>> {
            self.sight(self.others.as_ref(), |all| {
                let sharing = all.iter().filter(|other| other.0 != except && shares(other));
                Some(sharing.map(|other| other.0.clone()).collect())
            })
        }
    }

    impl Lookup for FixedLookup {
        fn provider(&self) -> Option<&str> {
            self.provider.as_deref()
        }

        fn selector_labels(&self) -> Option<&[String]> {
            self.selector_labels.as_deref()
        }

        fn workload(&self, _: &str, target: &TargetRef) -> LookupResult<Arc<Workload>> {
            self.sight(self.workloads.as_ref(), |all| {
                let found = all.iter().find(|(name, _)| *name == target.name);
                found.map(|(_, workload)| Arc::new(workload.clone()))
            })
        }

        fn scaler(&self, _: &str, scaler: &AutoscalerRef) -> LookupResult<()> {
            self.sight(self.scalers.as_ref(), |all| all.contains(&scaler.name).then_some(()))
        }

        fn others_on_target(&self, _: &str, target: &str, except: &str) -> LookupResult<Vec<String>> {
            self.others(except, |other| other.1 == target)
        }

        fn others_at_apex(&self, _: &str, apex: &str, except: &str) -> LookupResult<Vec<String>> {
            self.others(except, |other| other.2 == apex)
        }
    }
}
