//! A fix is pushed at the worst of moments: around the deadline of the version that it fixes, with Curfew's verdict on
//! its way or already given, and seconds before Flagger looks (`docs/flagger.md#l9`). Flagger takes up the fix when it
//! looks, and what was said of the version before must not be held against it.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use serde_json::json;
use testbed::Handle;

use crate::{
    planes,
    stage::{APP, App, Seen, Stage},
};

const DEADLINE: u64 = 30;
/// When the fix is pushed, after the look with which the rollout began. Flagger looks every ten seconds from then on: after
/// 30, when the deadline is about to pass, and after 40, with the verdict before it. Every gap between two writes of
/// Curfew's is in `tests/faults/two_writers.rs`.
const MOMENTS: [u64; 2] = [31, 39];
/// How often Flagger looks, and how often where the fix waits for the verdict.
const INTERVAL: Duration = Duration::from_secs(10);
const LONG_INTERVAL: Duration = Duration::from_secs(45);

/// When the fix is pushed.
#[derive(Clone, Copy, Debug)]
enum Pushed {
    /// So many seconds after the look with which the rollout began.
    After(u64),
    /// As soon as the verdict is given, with Flagger's next check long to come.
    AtVerdict,
}

fn applied(seen: &Seen) -> &str {
    seen.canary["status"]["lastAppliedSpec"].as_str().unwrap_or_default()
}

fn image(deployment: Deployment) -> Option<String> {
    deployment.spec?.template.spec?.containers.pop()?.image
}

/// The condition by which a Deployment's deadline is exceeded.
fn exceeded(deployment: Deployment) -> Option<DeploymentCondition> {
    let conditions = deployment
        .status
        .and_then(|status| status.conditions)
        .unwrap_or_default();
    conditions
        .into_iter()
        .find(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"))
}

async fn fixed(plane: &Handle, pushed: Pushed) {
    let (story, interval) = match pushed {
        Pushed::After(seconds) => (format!("fix-after-{seconds}"), INTERVAL),
        Pushed::AtVerdict => ("fix-at-verdict".to_owned(), LONG_INTERVAL),
    };
    let stage = Stage::open(plane, &story).await;
    let app = App {
        deadline: i64::try_from(DEADLINE).unwrap(),
        analysis: json!({"interval": format!("{}s", interval.as_secs()), "threshold": 3, "iterations": 1}),
        ..App::default()
    };
    let mut deployment = app.deployment();
    // One of two may be missing, as one of four may by default: Flagger itself waits for ever.
    deployment["spec"]["strategy"] = json!({"rollingUpdate": {"maxUnavailable": 1}});
    stage.install_with(&deployment, &app.canary()).await;
    // Flagger's first check, and the first thing that it does then.
    let look = stage.first("Initializing").at;
    stage.push("crash-one").await;
    let broken = stage.phase("Progressing", 60).await;
    match pushed {
        Pushed::After(seconds) => {
            // To the nearest: what is seen late on one side may be seen late on the other.
            let looks = (broken.at.duration_since(look) + interval / 2).as_secs() / interval.as_secs();
            let look = look + interval * u32::try_from(looks).unwrap();
            tokio::time::sleep_until((look + Duration::from_secs(seconds)).into()).await;
        }
        Pushed::AtVerdict => {
            stage
                .until("the verdict is given", 90, |seen| seen.verdict_with("requested"))
                .await;
        }
    }
    stage.push("ready").await;
    if let Pushed::AtVerdict = pushed {
        stage
            .until("the verdict is taken back", 30, |seen| seen.verdict_with("withheld"))
            .await;
        assert_eq!(stage.now().failed_checks(), 0, "the count is put back");
        let goes_on = |seen: &Seen| (applied(seen) != applied(&broken) && seen.iterations() > 0).then_some(());
        stage.until("the fix is analysed", 120, goes_on).await;
        assert!(!stage.ever(|seen| seen.phase() == "Failed"), "the fix was failed");
        return;
    }
    let mut fix = image(stage.deployments().get(APP).await.unwrap());

    // Only the version that was broken may be failed, and that only by a look that could not see the fix.
    let mut last = ("Progressing".to_owned(), applied(&broken).to_owned());
    let swallowed = stage
        .until("its rollout ends", 150, |seen| {
            let of_fix = applied(seen) != applied(&broken);
            let fails = seen.phase() == "Failed" && last.0 != "Failed" && of_fix;
            assert!(
                !fails || last.1 == applied(&broken),
                "{}: the fix was failed",
                stage.namespace
            );
            last = (seen.phase().to_owned(), applied(seen).to_owned());
            (fails || seen.phase() == "Succeeded").then_some(fails)
        })
        .await;
    if swallowed {
        // A look that took long, on a busy machine: the fix came in its midst (docs/flagger.md#swallowed).
        let told = stage.event("RollbackConfirmed").await;
        assert!(told.contains("change the template once more"), "{told}");
        stage.push("ready").await;
        fix = image(stage.deployments().get(APP).await.unwrap());
        stage.phase("Succeeded", 90).await;
    }
    let judged_fix = |seen: &Seen| {
        let verdict = seen.verdict();
        verdict.is_some_and(|verdict| !verdict["revision"].as_str().unwrap().starts_with(applied(&broken)))
    };
    assert!(!stage.ever(judged_fix), "{}: the fix was judged", stage.namespace);
    let primary = image(stage.deployments().get("web-primary").await.unwrap());
    assert_eq!(primary, fix, "{}: what was promoted is not the fix", stage.namespace);
    let target = stage.deployments().get(APP).await.unwrap();
    assert_eq!(exceeded(target), None, "{}: a verdict was left behind", stage.namespace);
}

#[tokio::test]
async fn a_fix_pushed_around_the_deadline_is_never_failed() {
    let Some(plane) = planes::shared().await else { return };
    let moments = MOMENTS.map(Pushed::After).into_iter().chain([Pushed::AtVerdict]);
    futures::future::join_all(moments.map(|pushed| fixed(&plane, pushed))).await;
}
