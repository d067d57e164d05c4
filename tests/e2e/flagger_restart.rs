//! Flagger is restarted, and while it is down its stored times are moved back by hours: nothing is rolled back for it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testbed::{Component, Options};

use crate::{
    curfew_says::Metrics,
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
async fn times_moved_back_by_hours_fail_nothing() {
    let Some(plane) = planes::own(Options::with_curfew()).await else {
        return;
    };
    let (healthy, unready) = tokio::join!(Stage::open(&plane, "healthy"), Stage::open(&plane, "unready"));
    let app = |deadline, iterations: i64| App {
        pods: 4,
        deadline,
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": iterations}),
        ..App::default()
    };
    let apps = [app(30, 50), app(300, 1)];
    tokio::join!(healthy.install(&apps[0]), unready.install(&apps[1]));
    tokio::join!(healthy.push("ready"), unready.push("crash-one"));
    tokio::join!(healthy.phase("Progressing", 40), unready.phase("Progressing", 40));
    healthy.replicas(APP, 4).await;
    plane.kill(Component::Flagger).unwrap();
    tokio::join!(move_back(&healthy), move_back(&unready));
    plane.restart_flagger().await.unwrap();
    tokio::join!(
        healthy.never("it was touched", 20, is_touched),
        unready.never("it was touched", 20, is_touched),
    );
    // A Curfew that remembers nothing finds the same. It gives up its Lease, so that it leads again at once.
    plane.terminate(Component::Curfew).await.unwrap();
    plane.restart(Component::Curfew).await.unwrap();
    healthy
        .eventually("it leads", 10, async || {
            (Metrics::of(&plane).await.value("curfew_leader") > 0.5).then_some(())
        })
        .await;
    tokio::join!(
        healthy.never("it was touched", 15, is_touched),
        unready.never("it was touched", 15, is_touched),
    );
}
