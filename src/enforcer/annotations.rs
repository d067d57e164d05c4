//! Writing stamps: the Canary's annotations follow what is remembered, seldom enough to cost nothing.

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{context::Context, state::CanaryState};
use crate::{
    cluster::{Error, FIELD_MANAGER},
    flagger::canary::Canary,
    rollout::{Clock, stamp::VERDICT},
};

/// When to try again after the Canary turned out to be newer than it was thought.
const BEHIND: Duration = Duration::from_secs(1);

/// Notes that a stamp was refused, and answers how long to wait. Deadlines hold whether or not they can be written down,
/// so that nothing else waits for it.
fn refused(error: &Error, canary: &Canary, state: &mut CanaryState, now: Timestamp) -> Duration {
    let wait = state.stamping.refused(error, now);
    let (namespace, name) = (canary.namespace(), canary.name());
    tracing::warn!(namespace, name, %error, ?wait, "what is known of a rollout is not written down; trying again");
    wait
}

/// Makes the Canary's annotations say what is remembered, if they do not and it is time. Answers how long to wait
/// if it is not. A verdict does not wait.
///
/// # Errors
/// The API server did not answer, the Canary is gone, or another leads.
pub async fn write(
    context: &Context,
    canary: &Canary,
    state: &mut CanaryState,
    pending: Option<(Clock, Timestamp)>,
    now: Timestamp,
) -> Result<Option<Duration>, Error> {
    let wanted = state.stamp.annotations(pending);
    let changes: serde_json::Map<String, Value> = wanted
        .iter()
        .filter(|(key, value)| canary.annotation(key) != value.as_deref())
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    if changes.is_empty() {
        return Ok(None);
    }
    let urgent = changes.contains_key(VERDICT);
    if let Some(wait) = state.stamping.wait(&wanted, urgent, now) {
        return Ok(Some(wait));
    }
    let canaries: Api<Canary> = Api::namespaced(context.cluster.client.clone(), canary.namespace());
    let patch = Patch::Merge(json!({"metadata": {
        "uid": canary.metadata.uid,
        "resourceVersion": canary.metadata.resource_version,
        "annotations": changes,
    }}));
    let params = PatchParams::apply(FIELD_MANAGER);
    let answer = canaries.patch(canary.name(), &params, &patch);
    match context.cluster.write("write the Canary's stamp", answer).await {
        Ok(after) => state.saw(&after),
        // The watch is behind; what it shows next is written on.
        Err(error) if error.is_conflict() => return Ok(Some(BEHIND)),
        Err(error) if error.is_refusal() => return Ok(Some(refused(&error, canary, state, now))),
        Err(error) => return Err(error),
    }
    state.stamping.wrote(wanted, now);
    Ok(None)
}
