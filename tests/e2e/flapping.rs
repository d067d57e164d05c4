//! Pods that flap (`docs/flagger.md#f5`): each flap restarts Flagger's clock, so that Flagger alone waits for ever;
//! Curfew counts the unready time, and flapping does not buy any.

use serde_json::{Value, json};
use testbed::Handle;

use crate::{
    curfew_says::{assert_prompt, assert_verdict, seconds_between},
    planes,
    stage::{APP, App, Stage},
};

const DEADLINE: i64 = 30;

async fn flapping(stage: &Stage, labels: Value) {
    stage
        .install(&App {
            labels,
            deadline: DEADLINE,
            // More iterations than the story is long: Flagger counts one whenever it looks in a good moment.
            analysis: json!({"interval": "20s", "threshold": 3, "iterations": 20}),
            ..App::default()
        })
        .await;
    stage.push("flap:3:6").await;
    stage.phase("Progressing", 50).await;
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "flapping").await;
    flapping(&stage, json!({})).await;
    stage
        .never("Flagger ended it by itself", 60, |seen| seen.phase() != "Progressing")
        .await;
}

#[tokio::test]
async fn pods_that_flap_cannot_buy_time() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(alone(&plane), async {
        let stage = Stage::open(&plane, "flapping").await;
        // Each flap is a failed exit too; here the crash clock is off.
        flapping(&stage, json!({"plane.curfew.dev/crashes": "off"})).await;
        stage.phase("Failed", 120).await;
        let verdict = stage
            .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
            .await;
        let reason = assert_verdict(&verdict, "rollback", "confirmed");
        // Which pods, if one is down in the moment of the verdict.
        assert!(reason.contains(" of 2 pods "), "{reason}");
        // The good moments paid something back, and no more than a quarter of their length.
        let since = stage.now().stamp("progressed-at").unwrap().to_owned();
        let judged = seconds_between(&since, verdict["deadline"].as_str().unwrap());
        assert!(
            (DEADLINE + 3..=DEADLINE * 2).contains(&judged),
            "judged after {judged} s"
        );
        stage.replicas(APP, 0).await;
        assert_prompt(&verdict);
    });
}
