//! Words about a breach: what passed, why, and why nothing is done about it. The enforcer tells them, and a replay of
//! what was recorded tells the same.

use super::{
    Clock,
    observe::{Scene, TargetSeen, is_service},
    remedy::Withheld,
    stamp::Breach,
    trouble,
};
use crate::flagger::workload::Workload;

/// What is told while Flagger waits for the primary (`docs/flagger.md#f13`).
pub const PRIMARY_NOT_READY: &str =
    "the primary is not ready: Flagger does not look at the canary, and its time does not count";

/// What is told while Flagger waits for a target that is paused (`docs/flagger.md#f17`).
pub const PAUSED: &str = "the target is paused: Flagger waits until its owner ends that, and the time does not count";

/// Which limit was reached, and why.
#[must_use]
pub fn exceeded(breach: &Breach, why: &str) -> String {
    match breach.clock {
        Clock::Crashes => format!(
            "the failed exits of one container reached the policy's limit within {} s: {why}",
            breach.limit.as_secs()
        ),
        Clock::Initialization => format!(
            "the adoption is not done, and its deadline of {} s is near or past: {why}",
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
        Clock::Crashes => trouble(scene)
            .or_else(|| trouble::failed_before(scene.pods.unwrap_or_default()))
            .unwrap_or_else(|| unready(scene)),
        Clock::Rollout if is_ready(scene) => {
            trouble(scene).unwrap_or_else(|| "the target is ready, but the rollout is not done".to_owned())
        }
        Clock::Readiness | Clock::Rollout => unready(scene),
        Clock::Gate => "an approval is waited for".to_owned(),
        Clock::Stall => "the target is ready and Flagger looks at it, but nothing advances".to_owned(),
        Clock::Silence => {
            "no sign of life from Flagger on this Canary: it is down, stuck, or does not watch it".to_owned()
        }
        Clock::Initialization | Clock::Promotion => primary(scene.primary),
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
        Withheld::Forbidden => "a permission is missing to write what Flagger reads; the log says which",
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
    if let Some(trouble) = trouble(scene) {
        return trouble;
    }
    match scene.target {
        Some(target) if target.wanted == 0 => {
            "the target wants 0 replicas, so that nothing can become ready".to_owned()
        }
        Some(target) => format!("{} of {} pods are available", target.available, target.wanted),
        None => "the target is not there".to_owned(),
    }
}

/// What is wrong with the target's pods: those that are not ready, and those that cannot even be created.
fn trouble(scene: Scene<'_>) -> Option<String> {
    let not_ready = trouble::reason(scene.pods.unwrap_or_default());
    let failure = scene
        .target
        .and_then(|target| target.replica_failure.as_ref())
        .filter(|failure| failure.status == "True")
        .map(|failure| format!("pods cannot be created: {}", trouble::shortened(&failure.message)));
    match (failure, not_ready) {
        (Some(failure), Some(not_ready)) => Some(format!("{failure}; {not_ready}")),
        (failure, not_ready) => failure.or(not_ready),
    }
}

/// Whether everything that is wanted is available; a Service always is, to Flagger.
fn is_ready(scene: Scene<'_>) -> bool {
    let available = |target: &Workload| target.wanted > 0 && target.available >= target.wanted;
    is_service(scene.canary) || scene.target.is_some_and(available)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::{
        deadline::{observe::Surroundings, pods::PodSeen, trouble::Trouble},
        flagger::canary::Canary,
    };

    #[test]
    fn the_reason_says_what_keeps_pods_from_being_created_and_what_ails_the_others() {
        let pod = |name: &str, trouble: Option<&str>| PodSeen {
            name: name.to_owned(),
            created: None,
            ready: trouble.is_none(),
            since: None,
            trouble: trouble.map(|reason| Trouble {
                container: Some("app".to_owned()),
                reason: reason.to_owned(),
                exit_code: None,
                ended: None,
                restarts: 0,
                message: None,
            }),
            containers: Vec::new(),
        };
        let said = |kind: &str, counts: (i64, i64), pods: &[PodSeen], failure: Option<&str>, clock| {
            let canary = Canary::from_json(json!({"spec": {"targetRef": {"apiVersion": "v1", "kind": kind}}}));
            let target = Workload::deployment(&json!({
                "spec": {"replicas": counts.0},
                "status": {"availableReplicas": counts.1, "conditions": failure.map(|message| vec![
                    json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message})])},
            }));
            let scene = Scene {
                canary: &canary,
                target: (kind == "Deployment").then_some(&target),
                primary: None,
                pods: Some(pods),
                last_event: None,
                surroundings: Surroundings::default(),
            };
            why(scene, clock)
        };
        let quota = Some("exceeded quota: tight");
        let denied = "pods cannot be created: exceeded quota: tight";
        let named = "1 of 2 pods not ready: web-b container app: ImagePullBackOff";
        let both = format!("{denied}; {named}");
        let (fine, mixed) = (
            [pod("web-a", None)],
            [pod("web-a", None), pod("web-b", Some("ImagePullBackOff"))],
        );
        for (counts, pods, failure, expected) in [
            ((2, 0), &[][..], quota, denied),
            // The pods that there are do well.
            ((2, 1), &fine, quota, denied),
            ((3, 1), &mixed, quota, &both),
            ((2, 1), &mixed, None, named),
            ((2, 1), &[], None, "1 of 2 pods are available"),
            (
                (0, 0),
                &[],
                None,
                "the target wants 0 replicas, so that nothing can become ready",
            ),
        ] {
            for clock in [Clock::Readiness, Clock::Crashes, Clock::Rollout] {
                assert_eq!(
                    said("Deployment", counts, pods, failure, clock),
                    expected,
                    "{clock:?} {counts:?}"
                );
            }
        }
        let late = "the target is ready, but the rollout is not done";
        assert_eq!(said("Deployment", (1, 1), &fine, None, Clock::Rollout), late);
        assert_eq!(said("Service", (0, 0), &[], None, Clock::Rollout), late);
        // It failed too often, and runs at this moment.
        let mut again = pod("web-a", Some("Running"));
        again.ready = true;
        assert_eq!(
            said("Deployment", (1, 1), &[again], None, Clock::Crashes),
            "web-a container app: Running"
        );
    }

    #[test]
    fn a_breach_is_told_with_its_clock_its_limit_and_why() {
        let said = |clock| {
            let breach = Breach {
                clock,
                deadline: Timestamp::UNIX_EPOCH,
                limit: SignedDuration::from_secs(90),
            };
            exceeded(&breach, "because")
        };
        for (clock, expected) in [
            (Clock::Readiness, "the readiness deadline of 90 s has passed: because"),
            (
                Clock::Crashes,
                "the failed exits of one container reached the policy's limit within 90 s: because",
            ),
            (
                Clock::Initialization,
                "the adoption is not done, and its deadline of 90 s is near or past: because",
            ),
        ] {
            assert_eq!(said(clock), expected);
        }
    }

    #[test]
    fn an_adoption_that_is_held_is_told_with_what_its_primary_lacks() {
        let canary = Canary::from_json(json!({}));
        let workload = Workload::deployment(&json!({"spec": {"replicas": 4}, "status": {"availableReplicas": 1}}));
        let with = |primary| Scene {
            canary: &canary,
            target: None,
            primary,
            pods: None,
            last_event: None,
            surroundings: Surroundings::default(),
        };
        assert_eq!(
            held(with(Some(&workload))),
            "1 of 4 pods of the primary are available; Flagger would give up and scale the live workload to 0"
        );
        for clock in [Clock::Initialization, Clock::Promotion] {
            assert_eq!(
                why(with(Some(&workload)), clock),
                "1 of 4 pods of the primary are available"
            );
            assert_eq!(why(with(None), clock), "the primary is not there");
        }
        assert_eq!(why(with(None), Clock::Readiness), "the target is not there");
    }

    #[test]
    fn what_is_withheld_says_what_is_waited_for() {
        let moment = Timestamp::UNIX_EPOCH;
        for (withheld_for, expected) in [
            (Withheld::Skewed(SignedDuration::from_secs(-40)), "are 40 s apart"),
            (Withheld::Stale(SignedDuration::from_secs(70)), "silent for 70 s"),
            (Withheld::Breaker(moment, None), "not every rollout has been looked at"),
            (Withheld::ControllersBehind, "kube-controller-manager does not keep up"),
            (Withheld::FixPushed(moment), "Flagger will look at the new one"),
            (Withheld::Unproven(moment), "found running"),
            (
                Withheld::NotLooking(TargetSeen::PrimaryNotReady),
                "waits for the primary",
            ),
            (Withheld::NotLooking(TargetSeen::Paused), "the target is paused"),
            (Withheld::NotLooking(TargetSeen::Missing), "cannot judge the target now"),
            (Withheld::Forbidden, "a permission is missing"),
            (Withheld::Blind, "pods cannot be looked at"),
        ] {
            let said = withheld(withheld_for);
            assert!(said.contains(expected), "{withheld_for:?}: {said}");
        }
    }
}
