//! What applies to a Canary now: its limits, its breaker, and how long its exemption lasts.

use std::time::Duration;

use jiff::Timestamp;

use super::context::Context;
use crate::{
    deadline::limits::Limits,
    flagger::canary::Canary,
    policy::{CanaryPolicy, ExemptionScope, Subject, canary_policy::BreakerSettings},
};

/// The limits of its clocks.
pub(super) fn limits(context: &Context, canary: &Canary, now: Timestamp) -> Limits {
    let namespace_labels = context.watches.namespaces.labels(canary.namespace());
    Limits::in_force(canary, &namespace_labels, &context.policies.current(), now)
}

/// The name and the breaker's settings of the policy that applies to a Canary.
pub(super) fn breaker_of(context: &Context, canary: &Canary) -> (String, BreakerSettings) {
    under_policy(context, canary, |policy, _| {
        (policy.name.clone(), policy.spec.enforcement.breaker)
    })
}

/// How long it is exempt, if that ends.
pub(super) fn until_no_longer_exempt(context: &Context, canary: &Canary, now: Timestamp) -> Option<Duration> {
    let until = under_policy(context, canary, |policy, subject| {
        policy.exemption(subject, ExemptionScope::Enforcement, now)?.until
    });
    let left = until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
    // A timer may fire a little early.
    left.map(|left| left + Duration::from_millis(1))
}

fn under_policy<T>(context: &Context, canary: &Canary, look: impl FnOnce(&CanaryPolicy, Subject<'_>) -> T) -> T {
    let namespace_labels = context.watches.namespaces.labels(canary.namespace());
    let labels = canary.metadata.labels.clone().unwrap_or_default();
    let subject = Subject {
        namespace: canary.namespace(),
        namespace_labels: &namespace_labels,
        name: canary.name(),
        labels: &labels,
    };
    look(context.policies.current().applying(subject), subject)
}
