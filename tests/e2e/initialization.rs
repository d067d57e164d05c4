//! The first initialization of a live workload (`docs/flagger.md#f8`): when the primary takes longer than the deadline,
//! Flagger declares the canary failed and scales the workload that serves to 0. Curfew gives it more time before that.

use serde_json::Value;
use testbed::{Handle, OUTCOME};

use crate::{
    planes,
    stage::{APP, App, Stage},
};

const DEADLINE: i64 = 30;
/// How long the primary's pods take, which is longer than the deadline: so long that Curfew has to hold, and that no check
/// of a late Flagger's finds them ready.
const HELD: &str = "ready-after:50";
const NEVER_IN_TIME: &str = "ready-after:120";

/// A workload that serves, and then its Canary, whose primary's pods do that.
async fn initialize(stage: &Stage, primary: &str) {
    let app = App {
        deadline: DEADLINE,
        ..App::default()
    };
    let mut deployment = app.deployment();
    deployment["spec"]["template"]["metadata"]["annotations"][OUTCOME] = primary.into();
    stage.create(&deployment).await;
    stage
        .eventually("its pods are there", 30, async || {
            (stage.target_pods().await.len() == usize::try_from(app.pods).unwrap()).then_some(())
        })
        .await;
    for pod in stage.target_pods().await {
        stage.turn(&pod, "ready").await;
    }
    stage.replicas_available(APP, app.pods).await;
    stage.create(&app.canary()).await;
}

async fn serving(stage: &Stage) -> i32 {
    let deployments = stage.deployments();
    let available = async |name: &str| {
        let deployment = deployments.get_opt(name).await.unwrap();
        deployment
            .and_then(|it| it.status?.available_replicas)
            .unwrap_or_default()
    };
    available(APP).await + available(&format!("{APP}-primary")).await
}

async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "initialization").await;
    initialize(&stage, NEVER_IN_TIME).await;
    stage.phase("Failed", 60).await;
    stage.replicas(APP, 0).await;
    assert_eq!(serving(&stage).await, 0, "nothing serves any more");
}

#[tokio::test]
async fn a_live_workload_goes_on_serving_until_its_primary_is_ready() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(alone(&plane), async {
        let stage = Stage::open(&plane, "initialization").await;
        initialize(&stage, HELD).await;
        let initialized = stage.phase("Initialized", 90);
        let watched = async {
            loop {
                assert!(serving(&stage).await > 0, "nothing served at a moment");
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
        };
        tokio::select! {
            _ = initialized => {}
            () = watched => {}
        }
        assert!(!stage.ever(|seen| seen.phase() == "Failed"));
        let held = stage.event("InitializationExtended").await;
        assert!(
            held.contains("gave the initialization more time: 0 of 2 pods of the primary are available"),
            "{held}"
        );
        let is_held = |verdict: Value| {
            (&verdict["clock"], &verdict["remedy"], &verdict["result"])
                == (&"initialization".into(), &"hold".into(), &"held".into())
        };
        assert!(stage.ever(|seen| seen.verdict().is_some_and(is_held)));
    });
}
