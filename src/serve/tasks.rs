//! The parts that should run until they are told to stop.

use std::{collections::BTreeSet, sync::Arc};

use tokio::{sync::oneshot, task::JoinSet};

use super::{error::Error, readiness::Readiness};
use crate::{cluster::watch::Queue, enforcer, leader::election::Election};

/// The task that answers reviews.
pub(super) const WEBHOOK: &str = "the webhook";
const ENFORCER: &str = "the enforcer";
/// The task that holds the Lease.
const ELECTION: &str = "the election";

/// The parts, and which of them have ended.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<(&'static str, std::io::Result<()>)>,
    ended: BTreeSet<&'static str>,
}

// === impl Tasks ===

impl Tasks {
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = std::io::Result<()>> + Send + 'static,
    ) {
        self.running.spawn(async move { (name, task.await) });
    }

    /// Starts the enforcer and the election. When what is returned is dropped, the enforcer finishes what it does, and
    /// only then is the Lease given up: nobody writes for whom the next does already.
    pub(super) fn spawn_enforcer(
        &mut self,
        context: Arc<enforcer::Context>,
        queue: Queue,
        election: Election,
        readiness: Readiness,
    ) -> oneshot::Sender<()> {
        let (stop, stopped) = oneshot::channel();
        let (enforcer_ends, enforcer_ended) = oneshot::channel();
        let (states, rollouts) = (Arc::clone(&context.states), Arc::clone(&context.rollouts));
        self.spawn(ENFORCER, async move {
            enforcer::run(context, queue, dropped(stopped)).await;
            drop(enforcer_ends);
            Ok(())
        });
        self.spawn(ELECTION, async move {
            let forget = move |led_until| {
                states.clear(led_until);
                rollouts.clear();
            };
            let tell = move |state| readiness.tell("leader", state);
            election.run(forget, tell, dropped(enforcer_ended)).await;
            Ok(())
        });
        stop
    }

    /// Waits for one that ends unasked.
    pub(super) async fn first_to_end(&mut self) -> Error {
        match self.running.join_next().await {
            Some(Ok((name, result))) => {
                self.ended.insert(name);
                let why = result.err().map(|error| format!(" ({error})"));
                Error::TaskEnded(format!("{name}{}", why.unwrap_or_default()))
            }
            Some(Err(error)) => Error::TaskEnded(format!("a task ({error})")),
            None => Error::TaskEnded("everything".to_owned()),
        }
    }

    /// Waits until everybody was answered and the Lease given up.
    pub(super) async fn until_ended(&mut self) {
        while ![WEBHOOK, ELECTION].iter().all(|name| self.ended.contains(name))
            && let Some(ended) = self.running.join_next().await
        {
            self.ended.extend(ended.ok().map(|(name, _)| name));
        }
    }
}

/// Ends when the other half is dropped.
async fn dropped(other: oneshot::Receiver<()>) {
    let _ = other.await;
}
