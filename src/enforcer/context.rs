//! What the enforcer works with.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;

use super::{
    api_health::ApiHealth,
    events::EventPublisher,
    leadership::Leadership,
    metrics::Metrics,
    policies::InForce,
    request::{Error, ask},
    rollouts::Rollouts,
    state::CanaryStates,
    watch::Watches,
};

/// What the enforcer works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The policies in force.
    pub policies: InForce,
    /// What the watches have seen.
    pub watches: Watches,
    /// What is remembered of each Canary.
    pub states: Arc<CanaryStates>,
    /// What the way to the API server tells. The client must be built with it.
    pub api_health: ApiHealth,
    /// The running rollouts at a glance.
    pub rollouts: Arc<Rollouts>,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether this one may do anything.
    pub leadership: Leadership,
    /// What writes them.
    pub publisher: EventPublisher,
}

// === impl Context ===

impl Context {
    /// What time it is at the API server: deadlines are compared with what the cluster wrote.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.api_health.now()
    }

    /// Fails unless this one leads.
    ///
    /// # Errors
    /// It does not.
    pub fn must_lead(&self) -> Result<(), Error> {
        if self.leadership.is_leader() {
            Ok(())
        } else {
            Err(Error::NotLeader)
        }
    }

    /// Asks the API server to change something, which only the leader does: everything that is written goes through here.
    pub(crate) async fn write<T>(
        &self,
        what: &'static str,
        answer: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        self.must_lead()?;
        ask(what, answer).await
    }
}
