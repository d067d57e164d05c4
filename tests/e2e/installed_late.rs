//! Curfew comes to a cluster where rollouts run already: those that hang are ended, those that are well are left alone,
//! and old Canaries that Curfew would have refused can be looked after.

use serde_json::{Value, json};
use testbed::{CurfewOptions, Options, Plane};

use crate::{
    curfew_says::assert_verdict,
    kubectl::Kubectl,
    planes,
    stage::{APP, App, Stage},
};

async fn hanging(plane: &Plane) -> Stage {
    let stage = Stage::open(plane, "late-hang").await;
    stage
        .install(&App {
            pods: 4,
            deadline: 30,
            ..App::default()
        })
        .await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    stage
        .never("Flagger ended it by itself", 35, |seen| seen.phase() != "Progressing")
        .await;
    stage
}

async fn healthy(plane: &Plane) -> Stage {
    let stage = Stage::open(plane, "late-healthy").await;
    stage
        .install(&App {
            deadline: 30,
            analysis: json!({"interval": "10s", "threshold": 3, "iterations": 20}),
            ..App::default()
        })
        .await;
    stage.push("ready").await;
    stage.phase("Progressing", 30).await;
    stage
        .until("its deadline has passed", 60, |seen| {
            (seen.iterations() >= 4).then_some(())
        })
        .await;
    stage
}

/// A Canary that Curfew would have refused.
async fn careless(plane: &Plane) -> Stage {
    let stage = Stage::open(plane, "late-careless").await;
    let mut canary = App::default().canary();
    canary["spec"]["progressDeadlineSeconds"] = Value::Null;
    canary["spec"]["analysis"]["interval"] = "5m30".into();
    stage.create(&App::default().deployment()).await;
    stage.create(&canary).await;
    stage
}

#[tokio::test]
async fn curfew_takes_over_what_it_finds() {
    let Some(plane) = planes::own(Options::default()).await else {
        return;
    };
    let (hanging, healthy, careless) = tokio::join!(hanging(&plane), healthy(&plane), careless(&plane));
    plane.restart_curfew_with(&CurfewOptions::default()).await.unwrap();
    tokio::join!(
        async {
            // Flagger may look once more, so that it is sure which template it took up.
            let verdict = hanging
                .until("Flagger is handed the verdict", 20, |seen| {
                    seen.verdict_with("requested")
                })
                .await;
            let reason = assert_verdict(&verdict, "rollback", "requested");
            assert!(reason.starts_with("1 of 4 pods not ready: "), "{reason}");
            hanging.phase("Failed", 20).await;
            hanging
                .until("the rollback is confirmed", 10, |seen| seen.verdict_with("confirmed"))
                .await;
            hanging.replicas(APP, 0).await;
        },
        async {
            healthy
                .until("it is stamped", 10, |seen| {
                    seen.stamp("revision").is_some().then_some(())
                })
                .await;
            healthy
                .never("it was touched", 20, |seen| {
                    seen.phase() != "Progressing" || seen.verdict().is_some() || seen.failed_checks() > 0
                })
                .await;
        },
        can_be_looked_after(&careless),
    );
}

async fn can_be_looked_after(stage: &Stage) {
    let kubectl = Kubectl {
        plane: &stage.plane,
        user: "admin",
        namespace: &stage.namespace,
    };
    let patch = async |patch: &Value| {
        let patch = patch.to_string();
        kubectl
            .run(&["patch", "canary", APP, "--type=merge", "--patch", &patch])
            .await
    };
    kubectl.run(&["label", "canary", APP, "team=shop"]).await.done();
    kubectl.run(&["annotate", "canary", APP, "team=shop"]).await.done();
    patch(&json!({"metadata": {"finalizers": ["example.com/hold"]}}))
        .await
        .done();
    patch(&json!({"metadata": {"finalizers": null}})).await.done();
    // What was wrong before is told and may stay; what is new is refused.
    let edited = patch(&json!({"spec": {"analysis": {"threshold": 4}}})).await;
    let warnings = edited.err.lines().filter(|line| line.starts_with("Warning: ")).count();
    assert_eq!(warnings, 2, "{edited:?}");
    edited.done();
    let refused = patch(&json!({"spec": {"progressDeadlineSeconds": 0}})).await.refused();
    assert!(
        refused.contains("[deadline-bounds]") && !refused.contains("is invalid: [spec.analysis"),
        "{refused}"
    );
    patch(&json!({"spec": {"progressDeadlineSeconds": 60}})).await.done();
    kubectl.run(&["delete", "canary", APP]).await.done();
}
