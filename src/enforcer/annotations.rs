//! Writing stamps: the Canary's annotations follow what is remembered, seldom enough to cost nothing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    context::Context,
    request::{Error, FIELD_MANAGER},
    state::{CanaryState, STAMP_EVERY},
};
use crate::{
    flagger::canary::Canary,
    rollout::{Clock, stamp::VERDICT},
};

/// When to try again after the Canary turned out to be newer than it was thought.
const BEHIND: Duration = Duration::from_secs(1);

/// Notes that a stamp was refused, and answers how long to wait. Deadlines hold whether or not they can be written down,
/// so that nothing else waits for it.
fn refused(error: &Error, canary: &Canary, state: &mut CanaryState, now: Timestamp) -> Duration {
    state.refused_stamps = state.refused_stamps.saturating_add(1);
    let wait = error.wait(state.refused_stamps);
    state.stamp_again_at = SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| now.checked_add(wait).ok());
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
    // What was just written, the watch may not show yet.
    let just_written = state.written == wanted;
    if let Some(wait) = state
        .written_at
        .map(|written| STAMP_EVERY - now.duration_since(written))
        && wait.is_positive()
        && (!urgent || just_written)
    {
        return Ok(Some(wait.unsigned_abs()));
    }
    if let Some(until) = state.stamp_again_at.filter(|until| now < *until) {
        return Ok(Some(until.duration_since(now).unsigned_abs()));
    }
    let canaries: Api<Canary> = Api::namespaced(context.client.clone(), canary.namespace());
    let patch = Patch::Merge(json!({"metadata": {
        "uid": canary.metadata.uid,
        "resourceVersion": canary.metadata.resource_version,
        "annotations": changes,
    }}));
    let params = PatchParams::apply(FIELD_MANAGER);
    let answer = canaries.patch(canary.name(), &params, &patch);
    match context.write("write the Canary's stamp", answer).await {
        Ok(after) => state.saw(&after),
        // The watch is behind; what it shows next is written on.
        Err(error) if error.is_conflict() => return Ok(Some(BEHIND)),
        Err(error) if error.is_refusal() => return Ok(Some(refused(&error, canary, state, now))),
        Err(error) => return Err(error),
    }
    state.refused_stamps = 0;
    state.written = wanted;
    state.written_at = Some(now);
    Ok(None)
}
