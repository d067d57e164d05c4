//! Words about a breach: what passed, why, and why nothing is done about it. The enforcer tells them, and a replay of
//! what was recorded tells the same.

use super::{
    Clock,
    observe::{Scene, TargetSeen},
    pods,
    remedy::Withheld,
    stamp::Breach,
};
use crate::flagger::workload::Workload;

/// What is told while Flagger waits for the primary (`docs/flagger.md#f13`).
pub const PRIMARY_NOT_READY: &str =
    "the primary is not ready: Flagger does not look at the canary, and its time does not count";

/// Which limit was reached, and why.
#[must_use]
pub fn exceeded(breach: &Breach, why: &str) -> String {
    match breach.clock {
        Clock::Crashes => format!(
            "a container failed too often within {} s: {why}",
            breach.limit.as_secs()
        ),
        clock => format!(
            "the {} deadline of {} s has passed: {why}",
            clock.name(),
            breach.limit.as_secs()
        ),
    }
}

/// Why a clock ran out, in one line.
#[must_use]
pub fn why(scene: Scene<'_>, clock: Clock) -> String {
    match clock {
        Clock::Readiness | Clock::Crashes | Clock::Rollout | Clock::Initialization => unready(scene),
        Clock::Gate => "an approval is waited for".to_owned(),
        Clock::Stall => "the target is ready and Flagger looks at it, but nothing advances".to_owned(),
        Clock::Silence => {
            "no sign of life from Flagger on this Canary: it is down, stuck, or does not watch it".to_owned()
        }
        Clock::Promotion => primary(scene.primary),
        Clock::Suspended => "the rollout is suspended with traffic or pods on the canary".to_owned(),
    }
}

/// Why an adoption is held.
#[must_use]
pub fn held(scene: Scene<'_>) -> String {
    let why = primary(scene.primary);
    format!("{why}; Flagger would give up and scale the live workload to 0")
}

/// Why nothing is done about a breach yet.
#[must_use]
pub fn withheld(why: Withheld) -> String {
    let said = match why {
        Withheld::Skewed(offset) => {
            return format!(
                "this machine's clock and the API server's are {} s apart, so that nobody knows what time it is; \
                 set the clocks right (NTP)",
                offset.abs().as_secs()
            );
        }
        Withheld::Stale(age) => {
            return format!(
                "a watch has been silent for {} s, so that nobody knows what goes on; the log says which and why",
                age.as_secs()
            );
        }
        Withheld::Breaker(_, Some(cause)) => {
            return format!("the breaker is open: {cause}; it lets go later, one after the other, each judged again");
        }
        Withheld::Breaker(_, None) => "not every rollout has been looked at since Curfew started",
        Withheld::ControllersBehind => {
            "by its pods the target is ready, but its status has not said so for long: kube-controller-manager does \
             not keep up"
        }
        Withheld::FixPushed(_) => {
            "the pod template is not the one that this rollout began with; Flagger will look at the new one"
        }
        Withheld::Unproven(_) => {
            "the rollout was found running; waiting one interval to be sure that Flagger saw its template"
        }
        Withheld::NotLooking(TargetSeen::PrimaryNotReady) => {
            "Flagger waits for the primary, which is not ready, and does not look at the canary"
        }
        Withheld::NotLooking(TargetSeen::Paused) => "the target is paused, which only its owner should end",
        Withheld::Blind => "the target's pods cannot be looked at; the log says why",
        Withheld::NotLooking(_) => "Flagger cannot judge the target now",
    };
    said.to_owned()
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

/// Why the target is not ready.
fn unready(scene: Scene<'_>) -> String {
    if let Some(reason) = pods::reason(scene.pods.unwrap_or_default()) {
        return reason;
    }
    match scene.target {
        Some(target) if target.wanted == 0 => {
            "the target wants 0 replicas, so that nothing can become ready".to_owned()
        }
        Some(target) => match &target.replica_failure {
            Some(failure) => format!("pods cannot be created: {}", failure.message),
            None => format!("{} of {} pods are available", target.available, target.wanted),
        },
        None => "the target is not there".to_owned(),
    }
}
