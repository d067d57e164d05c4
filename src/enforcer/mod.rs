//! The enforcer: watches Canaries and their workloads, keeps the stamps, and hands Flagger the verdicts.
//!
//! Events of the three watches ([`watch`]) become names of Canaries to look at; [`mod@reconcile`] looks at one of them
//! on cached objects, with the pure functions of [`crate::deadline`]. Only when they ask for something is the
//! API server asked: [`fresh`] reads everything again, the same functions judge again, and [`levers`] writes, each
//! write with a precondition. Stamps go through [`stamps`], words to users through [`events`].
//!
//! What holds for whom is in [`policies`]; the cluster's own come from [`policy_objects`], and when one of them changes,
//! every Canary is looked at again.
//!
//! Everybody watches, and only the leader does all this: [`election`] holds the Lease, as [`lease`] decides, and
//! [`leadership`] is asked before a look and again before every write. Who begins to lead knows nothing but the stamps.

mod act_on_remedy;
pub mod annotations;
pub mod api_health;
pub mod apply;
pub mod audit;
pub mod autoscalers;
pub mod clock;
pub mod election;
pub mod events;
pub mod findings;
pub mod flagger_health;
pub mod leadership;
pub mod lease;
pub mod lookup;
pub mod metrics;
mod notified;
pub mod policies;
pub mod policy_objects;
pub mod policy_status;
pub mod reconcile;
mod relist;
pub mod rollouts;
pub mod skew;
pub mod snapshot;
pub mod state;
pub mod watch;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::{
    Client,
    runtime::{Config, applier, controller::Action, reflector::ObjectRef},
};

use self::{
    api_health::ApiHealth, events::EventPublisher, leadership::Leadership, metrics::Metrics, policies::InForce,
    reconcile::reconcile, rollouts::Rollouts, state::CanaryStates, watch::Watches,
};

/// Canaries that are worked on at the same time. Most of that time is spent waiting for the API server.
const CONCURRENCY: u16 = 64;

/// How long after a first error a Canary is looked at again; doubled with each further one.
const RETRY: Duration = Duration::from_secs(1);
/// The longest that this grows to, while the API server refuses.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
/// While it does not answer at all: when it does again, what passed meanwhile is late enough.
const LONGEST_UNANSWERED: Duration = Duration::from_secs(2);
/// After a conflict there is something new to judge.
const AT_ONCE: Duration = Duration::from_millis(20);

/// The field manager of everything that Curfew writes.
pub const FIELD_MANAGER: &str = "curfew";

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
    /// Under which name Events are reported.
    pub instance: String,
    /// What writes them.
    pub publisher: EventPublisher,
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
    #[error("cannot {0}: no answer within {1:?}")]
    Timeout(&'static str, Duration),
    /// Another Curfew leads, or none that is known.
    #[error("this Curfew does not lead")]
    NotLeader,
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
    ask_within(API_TIMEOUT, what, answer).await
}

/// Asks the API server, which may take that long.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn ask_within<T>(
    patience: Duration,
    what: &'static str,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer.map_err(|error| Error::Api(what, error)),
        Err(_) => Err(Error::Timeout(what, patience)),
    }
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

// === impl Error ===

impl Error {
    /// Whether the API server did not answer at all.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::Api(_, kube::Error::Api(_)) | Self::Gone | Self::NotLeader => false,
            Self::Api(..) | Self::Timeout(..) => true,
        }
    }

    /// How long to wait after so many failures in a row.
    pub(crate) fn wait(&self, failures: u32) -> Duration {
        let longest = if self.is_unanswered() {
            LONGEST_UNANSWERED
        } else {
            LONGEST_RETRY
        };
        RETRY
            .saturating_mul(1 << failures.saturating_sub(1).min(6))
            .min(longest)
    }

    /// Whether the API server understood, and refused something that is there.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.status().is_some() && !self.is_conflict() && !self.is_not_found()
    }

    /// Whether somebody else changed the object in between.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// Whether a permission is missing.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(403)
    }

    /// Whether there is no such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The HTTP status, if the API server answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(_, kube::Error::Api(status)) => Some(status.code),
            Self::Api(..) | Self::Gone | Self::Timeout(..) | Self::NotLeader => None,
        }
    }
}

/// Runs until `stop`, and finishes what is under way then.
pub async fn run(context: Arc<Context>, queue: watch::Queue, stop: impl Future<Output = ()> + Send + 'static) {
    let store = context.watches.canaries.clone();
    let all = store.clone();
    let occasions = stream::select(context.leadership.beginnings(), context.policies.changes());
    let everybody = occasions.flat_map(move |()| {
        let canaries = all.state();
        stream::iter(canaries.into_iter().map(|canary| Ok(ObjectRef::from_obj(&*canary))))
    });
    let queue = stream::select(queue, everybody).take_until(Box::pin(stop));
    // Everything that is stored is looked at once more when all of it is there: what a Canary needs may have come
    // after it.
    let looking_after = applier(
        |canary, context| Box::pin(reconcile(canary, context)),
        |canary, error: &Error, context| {
            let (namespace, name) = (canary.namespace(), canary.name());
            if matches!(error, Error::NotLeader) {
                tracing::debug!(namespace, name, "left to the one that leads");
                return Action::await_change();
            }
            let failures = context.states.failures(&canary);
            if error.is_conflict() && failures < 3 {
                tracing::debug!(namespace, name, %error, "somebody else was faster; judging again");
                return Action::requeue(AT_ONCE);
            }
            let wait = error.wait(failures);
            tracing::warn!(namespace, name, %error, ?wait, "cannot look after a Canary; trying again");
            Action::requeue(wait)
        },
        Arc::clone(&context),
        store,
        queue,
        Config::default().concurrency(CONCURRENCY),
    )
    .for_each(|done| {
        if let Err(error) = done {
            tracing::debug!(%error, "a Canary was not looked at");
        }
        futures::future::ready(())
    });
    tokio::select! {
        () = looking_after => {}
        () = apply::clear_up(&context) => {}
    }
    context.publisher.finish().await;
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn one_that_refuses_is_asked_more_and_more_seldom_and_one_that_does_not_answer_goes_on_being_asked() {
        let refused = || {
            Error::Api(
                "read the Canary",
                kube::Error::Api(Status::failure("no", "Forbidden").boxed()),
            )
        };
        let unanswered = || Error::Timeout("read the Canary", API_TIMEOUT);
        for (failures, refusing, silent) in [(1, 1, 1), (2, 2, 2), (3, 4, 2), (7, 60, 2), (u32::MAX, 60, 2)] {
            assert_eq!(refused().wait(failures), Duration::from_secs(refusing), "{failures}");
            assert_eq!(unanswered().wait(failures), Duration::from_secs(silent), "{failures}");
        }
    }
}
