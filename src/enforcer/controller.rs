//! The loop: which Canaries are looked at, when, and again after what.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use kube::runtime::{Config, applier, controller::Action, reflector::ObjectRef};

use super::{apply, context::Context, reconcile::reconcile};
use crate::cluster::{Error, watch};

/// Canaries that are worked on at the same time. Most of that time is spent waiting for the API server.
const CONCURRENCY: u16 = 64;

/// After a conflict there is something new to judge.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Runs until `stop`, and finishes what is under way then.
pub async fn run(context: Arc<Context>, queue: watch::Queue, stop: impl Future<Output = ()> + Send + 'static) {
    let store = context.cluster.watches.canaries.clone();
    let all = store.clone();
    let occasions = stream::select(context.leadership.beginnings(), context.cluster.policies.changes());
    let everybody = occasions.flat_map(move |()| {
        let canaries = all.state();
        stream::iter(canaries.into_iter().map(|canary| Ok(ObjectRef::from_obj(&*canary))))
    });
    let queue = stream::select(queue, everybody).take_until(Box::pin(stop));
    // Everything that is stored is looked at once more when all of it is there: what a Canary needs may have come
    // after it.
    let reconciling = applier(
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
        () = reconciling => {}
        () = apply::clear_up(&context) => {}
    }
    context.publisher.finish().await;
}
