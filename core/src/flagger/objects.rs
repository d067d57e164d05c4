//! What is looked at: a Canary, its workloads and its pods, and what is known beyond them.

use jiff::Timestamp;

use super::{canary::Canary, workload::Workload};
use crate::rollout::{observation::Lifecycle, pods::PodSeen};

/// A Canary and what belongs to it, from the caches or freshly read.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    /// The Canary.
    pub canary: &'a Canary,
    /// The workload that it targets; none if it is not there or is no Deployment or `DaemonSet`.
    pub target: Option<&'a Workload>,
    /// The workload that serves meanwhile.
    pub primary: Option<&'a Workload>,
    /// The target's pods, if they were looked at.
    pub pods: Option<&'a [PodSeen]>,
    /// The last Event that Flagger wrote about the Canary, if one was seen.
    pub last_event: Option<Timestamp>,
    /// How many Canaries Flagger looks after, as far as that is known.
    pub canaries: usize,
}

// === impl Objects ===

impl Objects<'_> {
    /// The last time that Flagger wrote the status or an Event. One from the future is some other machine's clock, or a
    /// forgery.
    #[must_use]
    pub fn sign_of_life(&self, now: Timestamp) -> Option<Timestamp> {
        let signs = [self.canary.status.last_transition_time, self.last_event];
        signs.into_iter().flatten().filter(|sign| *sign <= now).max()
    }
}

/// Whether the target is a Service of Kubernetes' own; Knative's have the same kind.
#[must_use]
pub fn is_service(canary: &Canary) -> bool {
    canary.spec.target.kind == "Service" && canary.spec.target.api_version == "v1"
}

pub(super) fn lifecycle(canary: &Canary) -> Lifecycle {
    if canary.metadata.deletion_timestamp.is_some() {
        Lifecycle::Deleted
    } else if canary.spec.suspend {
        Lifecycle::Suspended
    } else {
        Lifecycle::Live
    }
}
