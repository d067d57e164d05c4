//! `skipAnalysis: true`: Flagger promotes as soon as the target is ready, and none of none counts as ready
//! (`docs/flagger.md#f9`). So the one thing that must never happen to a version that crashes is that somebody scales it to
//! zero: whoever does so to be on the safe side has it promoted. Curfew leaves the replicas to Flagger, and sets nothing but
//! the target's deadline, which is what Flagger still looks at.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;
use testbed::Handle;

use crate::{
    curfew_says::assert_verdict,
    planes,
    stage::{APP, App, Stage, Steadily},
};

const DEADLINE: i64 = 30;

/// A rollout without analysis, one of whose pods crashes.
async fn crashing(stage: &Stage) {
    let app = App {
        pods: 4,
        deadline: DEADLINE,
        ..App::default()
    };
    let mut canary = app.canary();
    canary["spec"]["skipAnalysis"] = true.into();
    stage.install_with(&app.deployment(), &canary).await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
}

async fn image(stage: &Stage, deployment: &str) -> String {
    let found = stage.deployments().get(deployment).await.unwrap();
    let containers = found.spec.unwrap().template.spec.unwrap().containers;
    containers.last().unwrap().image.clone().unwrap()
}

/// Somebody means well, and the broken version is what serves then.
async fn alone(plane: &Handle) {
    let stage = Stage::alone(plane, "skipped").await;
    crashing(&stage).await;
    stage.change_target(&json!({"replicas": 0})).await;
    stage.phase("Succeeded", 30).await;
    assert_eq!(image(&stage, "web-primary").await, image(&stage, APP).await);
}

#[tokio::test]
async fn a_crashing_version_is_not_promoted_where_the_analysis_is_skipped() {
    let Some(plane) = planes::shared().await else { return };
    tokio::join!(alone(&plane), async {
        let stage = Stage::open(&plane, "skipped").await;
        crashing(&stage).await;
        let served = image(&stage, "web-primary").await;
        let scaled_too_early = Arc::new(AtomicBool::new(false));
        tokio::spawn(watch_replicas(stage.deployments(), Arc::clone(&scaled_too_early)));
        let requested = stage
            .until("Flagger is handed the verdict", 40, |seen| {
                seen.verdict_with("requested")
            })
            .await;
        assert_verdict(&requested, "rollback", "requested");
        let verdict = stage.rolled_back(20).await;
        let reason = assert_verdict(&verdict, "rollback", "confirmed");
        assert!(reason.starts_with("1 of 4 pods not ready: "), "{reason}");
        assert!(
            !stage.ever(|seen| seen.failed_checks() > 0),
            "failed checks do nothing here"
        );
        assert!(!stage.ever(|seen| seen.phase() == "Succeeded"), "it was promoted");
        assert!(
            !scaled_too_early.load(Ordering::Relaxed),
            "it was scaled to zero before Flagger had been told that its deadline has passed"
        );
        assert_eq!(image(&stage, "web-primary").await, served, "the primary was changed");
        stage.replicas(APP, 0).await;
        stage.push("ready").await;
        stage.phase("Progressing", 60).await;
        stage.phase("Succeeded", 60).await;
        assert_eq!(stage.now().verdict(), Some(verdict), "the next version was judged");
        assert_eq!(image(&stage, "web-primary").await, image(&stage, APP).await);
    });
}

/// Notes when the target wants no replicas while its deadline does not count as exceeded.
async fn watch_replicas(deployments: Api<Deployment>, found: Arc<AtomicBool>) {
    let only = watcher::Config::default().fields(&format!("metadata.name={APP}"));
    let mut events = std::pin::pin!(watcher(deployments, only).backoff(Steadily));
    let mut exceeded = false;
    while let Some(event) = events.next().await {
        let Ok(watcher::Event::Apply(target) | watcher::Event::InitApply(target)) = event else {
            continue;
        };
        let conditions = target.status.and_then(|status| status.conditions).unwrap_or_default();
        exceeded |= conditions
            .iter()
            .any(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"));
        if target.spec.and_then(|spec| spec.replicas) == Some(0) && !exceeded {
            found.store(true, Ordering::Relaxed);
        }
    }
}
