//! Flagger is killed between the verdict and its next look, and restarted; and while it is down its stored times are moved
//! back by hours: rolled back is what has to be, once, and nothing else.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plane::{Component, Options};
use serde_json::{Value, json};

use crate::{
    curfew_says::assert_verdict,
    planes,
    stage::{APP, App, Seen, Stage},
};

const HOURS: SignedDuration = SignedDuration::from_hours(5);

/// Moves every time that Flagger keeps back.
async fn move_back(stage: &Stage) {
    let mut status = stage.now().canary["status"].clone();
    let earlier = |time: &Value| {
        let time: Timestamp = time.as_str().unwrap().parse().unwrap();
        json!((time - HOURS).to_string())
    };
    status["lastTransitionTime"] = earlier(&status["lastTransitionTime"]);
    for condition in status["conditions"].as_array_mut().unwrap() {
        for key in ["lastTransitionTime", "lastUpdateTime"] {
            condition[key] = earlier(&condition[key]);
        }
    }
    stage
        .set_status(&json!({"lastTransitionTime": status["lastTransitionTime"], "conditions": status["conditions"]}))
        .await;
}

fn is_touched(seen: &Seen) -> bool {
    seen.phase() != "Progressing" || seen.verdict().is_some() || seen.failed_checks() > 0
}

#[tokio::test]
async fn what_was_handed_over_survives_flagger_and_times_moved_back_by_hours_fail_nothing() {
    let Some(plane) = planes::own(Options::with_curfew()).await else {
        return;
    };
    let (handed, healthy, unready) = tokio::join!(
        Stage::open(&plane, "handed"),
        Stage::open(&plane, "healthy"),
        Stage::open(&plane, "unready"),
    );
    let app = |deadline, interval: &str, iterations: i64| App {
        pods: 4,
        deadline,
        analysis: json!({"interval": interval, "threshold": 3, "iterations": iterations}),
        ..App::default()
    };
    let apps = [app(10, "30s", 1), app(15, "10s", 50), app(200, "10s", 1)];
    tokio::join!(
        handed.install(&apps[0]),
        healthy.install(&apps[1]),
        unready.install(&apps[2])
    );
    tokio::join!(
        handed.push("crash-one"),
        healthy.push("ready"),
        unready.push("crash-one")
    );
    tokio::join!(healthy.phase("Progressing", 40), unready.phase("Progressing", 40));
    handed
        .until("Flagger is handed the verdict", 60, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    plane.kill(Component::Flagger).unwrap();
    assert_eq!(handed.now().phase(), "Progressing", "Flagger has not looked yet");
    tokio::join!(move_back(&healthy), move_back(&unready));
    plane.restart_flagger().await.unwrap();

    tokio::join!(
        async {
            handed.phase("Failed", 50).await;
            let verdict = handed
                .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
                .await;
            assert_verdict(&verdict, "rollback", "confirmed");
            handed.replicas(APP, 0).await;
            // Words come after what they tell of.
            handed.event("RollbackConfirmed").await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(handed.told("RollbackRequested").await, 1);
            assert_eq!(handed.told("RollbackConfirmed").await, 1);
        },
        healthy.never("it was touched", 35, is_touched),
        unready.never("it was touched", 35, is_touched),
    );
    // A Curfew that remembers nothing finds the same.
    plane.restart(Component::Curfew).await.unwrap();
    tokio::join!(
        healthy.never("it was touched", 25, is_touched),
        unready.never("it was touched", 25, is_touched),
    );
}
