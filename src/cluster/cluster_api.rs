//! The cluster as everything that looks after it sees it.

use jiff::Timestamp;
use kube::Client;

use super::{api_health::ApiHealth, policies::InForce, request::Error, watch::Watches, write_gate::WriteGate};

/// The cluster: who asks it, what is known of it, and whether it may be written to. Clones see the same.
#[derive(Clone)]
pub struct Cluster {
    /// The API server.
    pub client: Client,
    /// What the watches have seen.
    pub watches: Watches,
    /// The policies in force.
    pub policies: InForce,
    /// What the way to the API server tells. The client must be built with it.
    pub api_health: ApiHealth,
    /// Whether anything may be written.
    pub gate: WriteGate,
}

// === impl Cluster ===

impl Cluster {
    /// What time it is at the API server: deadlines are compared with what the cluster wrote.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.api_health.now()
    }

    /// Asks the API server to change something, which only the leader does: everything that is written goes through here.
    ///
    /// # Errors
    /// Nothing may be written now, or the API server refused or did not answer.
    pub(crate) async fn write<T>(
        &self,
        what: &'static str,
        answer: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        self.gate.write(what, answer).await
    }
}
