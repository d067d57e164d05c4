//! Everything about a Canary, as it was read at one moment.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    canary::Canary,
    effective::Effective,
    objects::Objects,
    ready::{Readiness, readiness},
    workload::Workload,
};
use crate::rollout::pods::PodSeen;

/// Everything about a Canary, freshly read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The Canary.
    pub canary: Canary,
    /// Its target, distilled and as it is.
    pub target: Option<(Workload, Value)>,
    /// Its primary, distilled and as it is.
    pub primary: Option<(Workload, Value)>,
    /// The Deployment that it targeted before, if a condition of ours was left there.
    pub former_target: Option<Value>,
    /// The last Event that Flagger wrote about it, as far as the watch has seen.
    pub last_event: Option<Timestamp>,
    /// How many Canaries Flagger looks after.
    pub canaries: usize,
    /// Its target's pods; none if they cannot be looked at.
    pub pods: Option<Vec<PodSeen>>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Whether the target is as ready as Flagger needs it.
    #[must_use]
    pub fn is_target_ready(&self) -> bool {
        let threshold = Effective::of(&self.canary).canary_ready_threshold;
        let target = self.target.as_ref();
        target.is_some_and(|(target, _)| readiness(target, threshold) == Readiness::Ready)
    }

    /// What there is to observe.
    #[must_use]
    pub fn objects(&self) -> Objects<'_> {
        Objects {
            canary: &self.canary,
            target: self.target.as_ref().map(|(workload, _)| workload),
            primary: self.primary.as_ref().map(|(workload, _)| workload),
            pods: self.pods.as_deref(),
            last_event: self.last_event,
            canaries: self.canaries,
        }
    }
}
