//! What the enforcer works with.

use std::sync::Arc;

use super::{metrics::Metrics, rollouts::Rollouts, state::CanaryStates};
use crate::{
    cluster::{Cluster, events::EventPublisher},
    leader::leadership::Leadership,
};

/// What the enforcer works with.
pub struct Context {
    /// The cluster.
    pub cluster: Cluster,
    /// Whether this one leads.
    pub leadership: Leadership,
    /// What is remembered of each Canary.
    pub states: Arc<CanaryStates>,
    /// The running rollouts at a glance.
    pub rollouts: Arc<Rollouts>,
    /// What is counted.
    pub metrics: Metrics,
    /// What writes Events.
    pub publisher: EventPublisher,
}
