//! What applies to a Canary now: its limits, its breaker, and how long its exemption lasts.

use std::time::Duration;

use jiff::Timestamp;

use super::cluster_api::Cluster;
use crate::{
    deadline::limits::Limits,
    flagger::canary::Canary,
    policy::{CanaryPolicy, ExemptionScope, Subject, canary_policy::BreakerSettings},
};

/// The limits of its clocks.
#[must_use]
pub fn limits(cluster: &Cluster, canary: &Canary, now: Timestamp) -> Limits {
    let namespace_labels = cluster.watches.namespaces.labels(canary.namespace());
    Limits::in_force(canary, &namespace_labels, &cluster.policies.current(), now)
}

/// The name and the breaker's settings of the policy that applies to a Canary.
#[must_use]
pub fn breaker_of(cluster: &Cluster, canary: &Canary) -> (String, BreakerSettings) {
    under_policy(cluster, canary, |policy, _| {
        (policy.name.clone(), policy.spec.enforcement.breaker)
    })
}

/// How long it is exempt, if that ends.
#[must_use]
pub fn until_no_longer_exempt(cluster: &Cluster, canary: &Canary, now: Timestamp) -> Option<Duration> {
    let until = under_policy(cluster, canary, |policy, subject| {
        policy.exemption(subject, ExemptionScope::Enforcement, now)?.until
    });
    let left = until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
    // A timer may fire a little early.
    left.map(|left| left + Duration::from_millis(1))
}

fn under_policy<T>(cluster: &Cluster, canary: &Canary, look: impl FnOnce(&CanaryPolicy, Subject<'_>) -> T) -> T {
    let namespace_labels = cluster.watches.namespaces.labels(canary.namespace());
    let labels = canary.metadata.labels.clone().unwrap_or_default();
    let subject = Subject {
        namespace: canary.namespace(),
        namespace_labels: &namespace_labels,
        name: canary.name(),
        labels: &labels,
    };
    look(cluster.policies.current().applying(subject), subject)
}
