//! The limits of a Canary's clocks.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{canary::Canary, effective::Effective};
use crate::{
    deadline::limits::{Limits, Timing},
    duration,
    policy::{EnforcementPolicy, ExemptionScope, Policies, ROLLOUT_DEADLINE, Subject},
};

// === impl Limits ===

impl Limits {
    /// The limits of a Canary under a policy.
    #[must_use]
    pub fn of(canary: &Canary, policy: &EnforcementPolicy) -> Self {
        let effective = Effective::of(canary);
        let timing = Timing {
            deadline: SignedDuration::from_secs(effective.progress_deadline_seconds.max(0)),
            interval: signed(effective.interval),
            hook_time: signed(effective.hook_time),
            rollout_deadline: rollout_deadline(canary),
        };
        Self::under(policy, &timing)
    }

    /// The limits of a Canary under whichever policy is in force for it now; none while it is exempt.
    #[must_use]
    pub fn in_force(
        canary: &Canary,
        namespace_labels: &BTreeMap<String, String>,
        policies: &Policies,
        now: Timestamp,
    ) -> Self {
        let labels = canary.metadata.labels.clone().unwrap_or_default();
        let subject = Subject {
            namespace: canary.namespace(),
            namespace_labels,
            name: canary.name(),
            labels: &labels,
        };
        let policy = policies.applying(subject);
        let limits = Self::of(canary, &policy.spec.enforcement);
        if policy.exemption(subject, ExemptionScope::Enforcement, now).is_some() {
            limits.off()
        } else {
            limits
        }
    }
}

/// What the user's annotation asks for. One that does not parse is as good as none; admission refuses it.
fn rollout_deadline(canary: &Canary) -> Option<Duration> {
    let text = canary.annotation(ROLLOUT_DEADLINE)?;
    duration::parse(text).ok()?.try_into().ok()
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
