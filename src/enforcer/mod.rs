//! The enforcer: watches Canaries and their workloads, keeps the stamps, and hands Flagger the verdicts.
//!
//! Events of the three watches ([`watch`]) become names of Canaries to look at; [`mod@reconcile`] looks at one of them
//! on cached objects, with the pure functions of [`crate::deadline`]. Only when they ask for something is the
//! API server asked: [`fresh`] reads everything again, the same functions judge again, and [`levers`] writes, each
//! write with a precondition. Stamps go through [`stamps`], words to users through [`events`].

mod act;
pub mod clock;
pub mod events;
pub mod evidence;
pub mod fresh;
pub mod levers;
pub mod link;
pub mod memory;
pub mod metrics;
pub mod reconcile;
pub mod rollouts;
pub mod skew;
pub mod stamps;
pub mod watch;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use kube::{
    Client,
    runtime::{Config, applier, controller::Action},
};

use self::{link::Link, memory::Memories, metrics::Metrics, reconcile::reconcile, rollouts::Rollouts, watch::Watches};
use crate::policy::Policies;

/// Canaries that are worked on at the same time. Most of that time is spent waiting for the API server.
const CONCURRENCY: u16 = 64;

/// How long after a first error a Canary is looked at again; doubled with each further one.
const RETRY: Duration = Duration::from_secs(1);
/// The longest that this grows to.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
/// After a conflict there is something new to judge.
const AT_ONCE: Duration = Duration::from_millis(20);

/// The field manager of everything that Curfew writes.
pub const FIELD_MANAGER: &str = "curfew";

/// What the enforcer works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The policies in force.
    pub policies: Arc<Policies>,
    /// What the watches have seen.
    pub watches: Watches,
    /// What is remembered of each Canary.
    pub memories: Arc<Memories>,
    /// What the way to the API server tells. The client must be built with it.
    pub link: Link,
    /// The running rollouts at a glance.
    pub rollouts: Arc<Rollouts>,
    /// What is counted.
    pub metrics: Metrics,
    /// Under which name Events are reported.
    pub instance: String,
}

/// What can go wrong while a Canary is worked on. None of it is a verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not do what was asked.
    #[error("cannot {0}: {1}")]
    Api(&'static str, #[source] kube::Error),
    /// The Canary is not there any more, or another one has its name.
    #[error("the Canary is gone")]
    Gone,
    /// The API server did not answer in time.
    #[error("cannot {0}: no answer within {API_TIMEOUT:?}")]
    Timeout(&'static str),
}

/// How long the API server may take for one request.
pub const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the API server, within bounds.
///
/// # Errors
/// It refused or did not answer; `what` says what was asked, to follow "cannot".
pub(crate) async fn ask<T>(
    what: &'static str,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(API_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|error| Error::Api(what, error)),
        Err(_) => Err(Error::Timeout(what)),
    }
}

// === impl Context ===

impl Context {
    /// What time it is at the API server: deadlines are compared with what the cluster wrote.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.link.now()
    }
}

// === impl Error ===

impl Error {
    /// Whether somebody else changed the object in between.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(_, kube::Error::Api(status)) if status.code == 409)
    }
}

/// Runs until `queue` ends.
pub async fn run(context: Arc<Context>, queue: watch::Queue) {
    let store = context.watches.canaries.clone();
    // Everything that is stored is looked at once more when all of it is there: what a Canary needs may have come
    // after it.
    applier(
        |canary, context| Box::pin(reconcile(canary, context)),
        |canary, error: &Error, context| {
            let (namespace, name) = (canary.namespace(), canary.name());
            let failures = context.memories.failures(&canary);
            if error.is_conflict() && failures < 3 {
                tracing::debug!(namespace, name, %error, "somebody else was faster; judging again");
                return Action::requeue(AT_ONCE);
            }
            let wait = RETRY
                .saturating_mul(1 << failures.saturating_sub(1).min(6))
                .min(LONGEST_RETRY);
            tracing::warn!(namespace, name, %error, ?wait, "cannot look after a Canary; trying again");
            Action::requeue(wait)
        },
        context,
        store,
        queue,
        Config::default().concurrency(CONCURRENCY),
    )
    .for_each(|done| {
        if let Err(error) = done {
            tracing::debug!(%error, "a Canary was not looked at");
        }
        futures::future::ready(())
    })
    .await;
}
