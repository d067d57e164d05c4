//! Canaries whose status nobody can make sense of do not keep Curfew from looking after the others.

use kube::api::{Patch, PatchParams};
use plane::{Options, audit};
use serde_json::{Value, json};

use crate::{
    curfew_says::assert_verdict,
    idle::CURFEW,
    planes,
    stage::{APP, App, Stage},
};

/// Statuses that the CRD lets an admin write.
fn weird() -> [Value; 5] {
    let promoted = json!({"type": "Promoted", "status": "Unknown", "reason": "Progressing"});
    let ages = |time: &str| {
        let mut promoted = promoted.clone();
        promoted["lastUpdateTime"] = time.into();
        promoted["lastTransitionTime"] = time.into();
        promoted
    };
    [
        json!({"phase": "Progressing"}),
        json!({"phase": "Progressing", "conditions": [promoted]}),
        json!({"phase": "Terminated", "conditions": [ages("9999-12-31T23:59:59Z")]}),
        json!({"phase": "Progressing", "conditions": [ages("0001-01-01T00:00:00Z"), ages("9999-12-31T23:59:59Z")],
            "failedChecks": 2.5, "canaryWeight": -1e300, "iterations": 1e300, "lastTransitionTime": "0001-01-01T00:00:00Z"}),
        json!({"phase": "", "conditions": [{"type": "", "status": "", "reason": ""}], "trackedConfigs": {"": ""},
            "lastAppliedSpec": "x".repeat(100_000)}),
    ]
}

#[tokio::test]
async fn weird_canaries_do_not_stop_the_others() {
    let Some(plane) = planes::own(Options::with_curfew()).await else {
        return;
    };
    let good = Stage::open(&plane, "good").await;
    good.install(&App {
        pods: 4,
        deadline: 15,
        ..App::default()
    })
    .await;
    good.push("crash-one").await;
    good.phase("Progressing", 30).await;

    let odd = Stage::open(&plane, "odd").await;
    for (index, status) in weird().into_iter().enumerate() {
        let name = format!("{APP}-{index}");
        let mut canary = App::default().canary();
        canary["metadata"]["name"] = name.as_str().into();
        canary["spec"]["targetRef"]["name"] = name.as_str().into();
        odd.create(&canary).await;
        let patch = Patch::Merge(json!({ "status": status }));
        odd.canaries()
            .patch_status(&name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    let verdict = good
        .until("Flagger is handed the verdict", 30, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    assert_verdict(&verdict, "rollback", "requested");
    good.phase("Failed", 20).await;
    good.until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
        .await;

    let log = std::fs::read_to_string(plane.log("curfew")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
    let asked = audit::read(&plane.audit_log()).unwrap();
    let about_odd = asked
        .iter()
        .filter(|entry| entry.user == CURFEW && entry.namespace == odd.namespace);
    let count = about_odd.count();
    assert!(count <= 30, "{count} requests about five odd Canaries in half a minute");
}
