//! Why a clock ran out, as the objects of a Canary tell it.

use super::{
    objects::{Objects, is_service},
    phase::Phase,
    workload::Workload,
};
use crate::{
    deadline::clocks::{self, spec::Why},
    rollout::{Clock, pod_failure, unready_pods},
};

/// Why a clock ran out, in one line.
#[must_use]
pub fn why(objects: Objects<'_>, clock: Clock) -> String {
    match clocks::spec(clock).map_or(Why::Target, |spec| spec.why) {
        Why::Always(reason) => reason.to_owned(),
        Why::Failures => failure(objects)
            .or_else(|| unready_pods::failed_before(objects.pods.unwrap_or_default()))
            .unwrap_or_else(|| unready(objects)),
        Why::TargetOr(reason) if is_ready(objects) => failure(objects).unwrap_or_else(|| reason.to_owned()),
        Why::Target | Why::TargetOr(_) => unready(objects),
        Why::Primary => primary(objects.primary),
        Why::Blocked => blocked(objects).to_owned(),
    }
}

/// Why an initialization is held.
#[must_use]
pub fn held(objects: Objects<'_>) -> String {
    let why = primary(objects.primary);
    format!("{why}; Flagger would give up and scale the live workload to 0")
}

fn primary(primary: Option<&Workload>) -> String {
    match primary {
        Some(primary) => format!(
            "{} of {} pods of the primary are available",
            primary.available, primary.wanted
        ),
        None => "the primary is not there".to_owned(),
    }
}

/// What keeps a rollout from going on, in the order in which Flagger would find out.
fn blocked(objects: Objects<'_>) -> &'static str {
    match &objects.canary.status.phase {
        Phase::Other(_) => return "Flagger is in a phase that Curfew does not know, and does not leave it",
        Phase::Failed => return "Flagger failed the rollout and left traffic on the canary",
        _ => {}
    }
    match objects.target {
        None => "the target is not there: create it again, or delete the Canary",
        Some(target) if target.paused => {
            "the target is paused: Flagger waits until its owner sets spec.paused to false"
        }
        Some(target) if target.unobserved() => {
            "the target's controller has not looked at its spec: see kube-controller-manager"
        }
        Some(_) if objects.primary.is_none() => "the primary is not there: Flagger does not look at the canary",
        Some(_) => "the primary is not ready: Flagger does not look at the canary until it is",
    }
}

/// Why the target is not ready.
fn unready(objects: Objects<'_>) -> String {
    if let Some(failure) = failure(objects) {
        return failure;
    }
    match objects.target {
        Some(target) if target.wanted == 0 => {
            "the target wants 0 replicas, so that nothing can become ready".to_owned()
        }
        Some(target) => format!("{} of {} pods are available", target.available, target.wanted),
        None => "the target is not there".to_owned(),
    }
}

/// What is wrong with the target's pods: those that are not ready, and those that cannot even be created.
fn failure(objects: Objects<'_>) -> Option<String> {
    let not_ready = unready_pods::reason(objects.pods.unwrap_or_default());
    let failure = objects
        .target
        .and_then(|target| target.replica_failure.as_ref())
        .filter(|failure| failure.status == "True")
        .map(|failure| format!("pods cannot be created: {}", pod_failure::shortened(&failure.message)));
    match (failure, not_ready) {
        (Some(failure), Some(not_ready)) => Some(format!("{failure}; {not_ready}")),
        (failure, not_ready) => failure.or(not_ready),
    }
}

/// Whether everything that is wanted is available; a Service always is, to Flagger.
fn is_ready(objects: Objects<'_>) -> bool {
    let available = |target: &Workload| target.wanted > 0 && target.available >= target.wanted;
    is_service(objects.canary) || objects.target.is_some_and(available)
}

#[cfg(test)]
#[path = "reasons_test.rs"]
mod tests;
