//! `spec.suspend` in mid-rollout, with traffic on the canary: every clock stands still and nothing is done, but somebody
//! should know. Resumed, the rollout has the time that it had left.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    curfew_says::{reported, rolled_back, seconds_between},
    planes,
    stage::{APP, App, STAMPED, Stage},
};

const DEADLINE: i64 = 30;

async fn suspend(stage: &Stage, suspend: bool) {
    let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
    let canaries = stage.canaries();
    canaries.patch(APP, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_suspended_rollout_is_told_of_and_has_the_rest_of_its_time_afterwards() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "suspended").await;
    stage
        .install(&App {
            pods: 4,
            deadline: DEADLINE,
            analysis: json!({"interval": "10s", "threshold": 3, "stepWeight": 20, "maxWeight": 60}),
            provider: "gatewayapi:v1",
            labels: json!({"plane.curfew.dev/suspended": "soon"}),
        })
        .await;
    stage.push("ready").await;
    stage
        .until("20 % of the traffic go to the canary", 60, |seen| {
            (seen.weight() == 20).then_some(())
        })
        .await;
    let pod = stage.target_pods().await.swap_remove(0);
    stage.turn(&pod, "unready").await;
    stage
        .until("the readiness clock runs", STAMPED, |seen| {
            seen.stamp("unready")?.contains("unready since").then_some(())
        })
        .await;

    suspend(&stage, true).await;
    let frozen = stage
        .until("the readiness clock stands still", STAMPED, |seen| {
            let unready = seen
                .stamp("unready")
                .filter(|_| seen.canary["spec"]["suspend"] == true)?;
            (!unready.contains("unready since")).then(|| unready.to_owned())
        })
        .await;
    let spent: i64 = frozen.split_once("s, ").unwrap().0.parse().unwrap();
    let verdict = reported(&stage, "suspended", 40).await;
    assert_eq!(
        verdict["reason"],
        "the rollout is suspended with traffic or pods on the canary"
    );
    // On a busy machine Flagger may have made one more step before the pod broke, and another one in a check that was under way.
    let weight = stage.now().weight();
    stage
        .never("something was done to a suspended rollout", 12, |seen| {
            (seen.phase(), seen.weight(), seen.failed_checks()) != ("Progressing", weight, 0)
        })
        .await;
    assert_eq!(stage.weights().await, (100 - weight, weight));
    assert_eq!(stage.now().stamp("unready"), Some(frozen.as_str()), "no time counts");

    let resumed = curfew::cluster::clock::now().to_string();
    suspend(&stage, false).await;
    let verdict = rolled_back(&stage, "readiness", 70).await;
    let left = seconds_between(&resumed, verdict["deadline"].as_str().unwrap());
    let rest = DEADLINE - spent;
    assert!((rest - 2..=rest + 10).contains(&left), "{left} s instead of {rest} s");
    assert_eq!(stage.weights().await, (100, 0));
}
