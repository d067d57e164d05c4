//! What the rules ask about a Canary's surroundings, answered from the caches of the watches.

use std::{sync::Arc, time::Duration};

use super::{api_health::ApiHealth, autoscalers::Autoscalers, watch::Watches};
use crate::{
    flagger::{
        canary::{AutoscalerRef, Canary},
        workload::Workload,
    },
    rollout::target_ref::TargetRef,
    rules::lookup::{Lookup, LookupResult},
};

/// What the watches have seen, and what Curfew was told about Flagger.
#[derive(Clone)]
pub struct CachedLookup {
    /// The watches.
    pub watches: Watches,
    /// The way to the API server, which knows which watches are silent.
    pub api_health: ApiHealth,
    /// The autoscalers.
    pub scalers: Autoscalers,
    /// Flagger's `-mesh-provider`, if it was told.
    pub mesh_provider: Option<String>,
    /// Flagger's `-selector-labels`, if they were told.
    pub selector_labels: Option<Vec<String>>,
}

// === impl CachedLookup ===

impl CachedLookup {
    /// Why what a watch has seen cannot be gone by.
    fn blind(&self, watch: &str) -> Option<String> {
        self.watches.unlisted(watch).or_else(|| self.silent(watch))
    }

    fn silent(&self, watch: &str) -> Option<String> {
        let silent = |age: Duration| format!("its watch has been silent for {} s", age.as_secs());
        self.api_health.stale(watch).map(silent)
    }

    /// Other Canaries are looked up by a name that they have to do with, and then asked.
    fn others(
        &self,
        namespace: &str,
        name: &str,
        except: &str,
        shares: impl Fn(&Canary) -> bool,
    ) -> LookupResult<Vec<String>> {
        if let Some(why) = self.blind("canaries") {
            return LookupResult::Unavailable(why);
        }
        let mut others: Vec<_> = self
            .watches
            .canaries_about(namespace, name)
            .iter()
            .filter(|canary| canary.name() != except && canary.metadata.deletion_timestamp.is_none() && shares(canary))
            .map(|canary| canary.name().to_owned())
            .collect();
        others.sort_unstable();
        LookupResult::Found(others)
    }
}

impl Lookup for CachedLookup {
    fn provider(&self) -> Option<&str> {
        self.mesh_provider.as_deref()
    }

    fn selector_labels(&self) -> Option<&[String]> {
        self.selector_labels.as_deref()
    }

    fn workload(&self, namespace: &str, target: &TargetRef) -> LookupResult<Arc<Workload>> {
        let watch = match target.kind.as_str() {
            "Deployment" => "deployments",
            "DaemonSet" => "daemonsets",
            _ => return LookupResult::NotTracked,
        };
        if let Some(why) = self.blind(watch) {
            return LookupResult::Unavailable(why);
        }
        self.watches
            .workload(&target.kind, namespace, &target.name)
            .map_or(LookupResult::Missing, LookupResult::Found)
    }

    fn scaler(&self, namespace: &str, scaler: &AutoscalerRef) -> LookupResult<()> {
        let silent = |watch: &str| self.silent(watch);
        self.scalers.sight(&scaler.kind, namespace, &scaler.name, silent)
    }

    fn others_on_target(&self, namespace: &str, target: &str, except: &str) -> LookupResult<Vec<String>> {
        self.others(namespace, target, except, |canary| canary.spec.target.name == target)
    }

    fn others_at_apex(&self, namespace: &str, apex: &str, except: &str) -> LookupResult<Vec<String>> {
        self.others(namespace, apex, except, |canary| canary.apex_name() == apex)
    }
}
