//! Flagger is down in mid-rollout (`docs/flagger.md#l4`): it is handed the verdict, and when it does not react, and there
//! is evidence that it is down, Curfew ends the rollout in its place; but only where no traffic was moved, nothing else
//! scales the target up again, and the policy allows it.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use testbed::{
    Component, OUTCOME, Options, Plane,
    audit::{self, Entry},
};

use crate::{
    curfew_says::assert_verdict,
    idle::CURFEW,
    planes,
    stage::{APP, App, Seen, Stage},
};

/// It is far away until Flagger is gone.
const FAR: i64 = 300;
const DEADLINE: i64 = 15;

/// A policy for Canaries whose admins do not want the last resort.
const WITHOUT: &str = r#"
apiVersion: curfew.dev/v1alpha1
kind: CanaryPolicy
metadata: {name: without-last-resort}
spec:
  precedence: 5
  canarySelector:
    matchLabels: {last-resort: "off"}
  admission:
    deadline: {min: 10s, max: 1h}
  enforcement:
    lastResort: false
    breaker: {enabled: false}
"#;

/// The rollouts that Flagger leaves behind.
struct Cast {
    /// Its pods never get ready, and no traffic was moved.
    plain: Stage,
    /// The same with a `DaemonSet`.
    daemons: Stage,
    /// Traffic is on the canary.
    moved: Stage,
    /// A `ScaledObject` sets its replicas.
    scaled: Stage,
    /// Its policy forbids the last resort.
    forbidden: Stage,
    /// Nothing is wrong with it.
    quiet: Stage,
}

fn app() -> App {
    App {
        pods: 4,
        deadline: FAR,
        ..App::default()
    }
}

async fn install_daemons(stage: &Stage) {
    let mut target = app().deployment();
    target["kind"] = "DaemonSet".into();
    target["spec"].as_object_mut().unwrap().remove("replicas");
    let mut canary = app().canary();
    canary["spec"]["targetRef"]["kind"] = "DaemonSet".into();
    stage.create(&target).await;
    stage.initialize(&canary).await;
}

fn daemon_sets(stage: &Stage) -> Api<DaemonSet> {
    Api::namespaced(stage.client.clone(), &stage.namespace)
}

async fn push_broken(stage: &Stage) {
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
}

/// Every rollout is on its way, then Flagger is killed.
async fn left_behind(plane: &Plane) -> Cast {
    let (plain, daemons, moved, scaled, forbidden, quiet) = tokio::join!(
        Stage::open(plane, "plain"),
        Stage::open(plane, "daemons"),
        Stage::open(plane, "moved"),
        Stage::open(plane, "scaled"),
        Stage::open(plane, "forbidden"),
        Stage::open(plane, "quiet"),
    );
    let in_steps = App {
        analysis: json!({"interval": "10s", "threshold": 3, "stepWeight": 20, "maxWeight": 60}),
        provider: "gatewayapi:v1",
        ..app()
    };
    let without = App {
        labels: json!({"last-resort": "off"}),
        ..app()
    };
    let long = App {
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": 50}),
        ..app()
    };
    let plain_app = app();
    tokio::join!(
        plain.install(&plain_app),
        install_daemons(&daemons),
        moved.install(&in_steps),
        scaled.install(&plain_app),
        forbidden.install(&without),
        quiet.install(&long),
    );
    moved.push("ready").await;
    quiet.push("ready").await;
    moved
        .until("20 % of the traffic go to the canary", 60, |seen| {
            (seen.weight() == 20).then_some(())
        })
        .await;
    tokio::join!(
        push_broken(&plain),
        push_broken(&scaled),
        push_broken(&forbidden),
        async {
            let template = json!({"metadata": {"annotations": {OUTCOME: "crash-one"}}});
            let patch = Patch::Strategic(json!({"spec": {"template": template}}));
            daemon_sets(&daemons)
                .patch(APP, &PatchParams::default(), &patch)
                .await
                .unwrap();
            daemons.phase("Progressing", 30).await;
        },
    );
    plane.kill(Component::Flagger).unwrap();
    tokio::join!(
        plain.set_deadline(DEADLINE),
        daemons.set_deadline(DEADLINE),
        moved.set_deadline(DEADLINE),
        scaled.set_deadline(DEADLINE),
        forbidden.set_deadline(DEADLINE),
    );
    let pod = moved.target_pods().await.swap_remove(0);
    moved.turn(&pod, "unready").await;
    let autoscaler = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": APP});
    let patch = Patch::Merge(json!({"spec": {"autoscalerRef": autoscaler}}));
    scaled
        .canaries()
        .patch(APP, &PatchParams::default(), &patch)
        .await
        .unwrap();
    Cast {
        plain,
        daemons,
        moved,
        scaled,
        forbidden,
        quiet,
    }
}

async fn requested(stage: &Stage) {
    let verdict = stage
        .until("the verdict is handed over", 60, |seen| seen.verdict_with("requested"))
        .await;
    assert_verdict(&verdict, "rollback", "requested");
}

/// The entries of the audit log that Curfew is the author of.
fn curfews(plane: &Plane, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let all = audit::read(&plane.audit_log()).unwrap();
    all.into_iter()
        .filter(|entry| entry.user == CURFEW && wanted(entry))
        .collect()
}

/// Waits until Curfew has looked after Flagger's pods once more.
async fn looks_after_flagger(plane: &Plane, stage: &Stage) {
    let looks = || {
        curfews(plane, |entry| {
            (entry.verb.as_str(), entry.resource.as_str(), entry.namespace.as_str())
                == ("list", "pods", "flagger-system")
        })
        .len()
    };
    let before = looks();
    stage
        .eventually("Curfew looks for Flagger's pods", 120, async || {
            (looks() > before).then_some(())
        })
        .await;
}

async fn scale_flagger(stage: &Stage, replicas: i32) {
    let flagger: Api<Deployment> = Api::namespaced(stage.client.clone(), "flagger-system");
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    flagger
        .patch_scale("flagger", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

fn is_left_alone(seen: &Seen) -> bool {
    seen.phase() == "Progressing" && seen.verdict().is_none_or(|verdict| verdict["remedy"] != "lastResort")
}

async fn stays(stage: &Stage, seconds: u64) {
    stage
        .never("it was ended in Flagger's place", seconds, |seen| !is_left_alone(seen))
        .await;
    let target = stage.deployments().get(APP).await.unwrap();
    assert_eq!(target.spec.unwrap().replicas, Some(4), "{}", stage.namespace);
}

/// Waits until Curfew has ended a rollout, and answers the verdict.
async fn ended(stage: &Stage) -> Value {
    stage.phase("Failed", 120).await;
    let verdict = stage
        .until("the last resort is confirmed", 10, |seen| {
            seen.verdict_with("confirmed")
        })
        .await;
    assert_verdict(&verdict, "lastResort", "confirmed");
    let note = stage.event("LastResort").await;
    assert!(note.contains("Flagger is down and did not react"), "{note}");
    verdict
}

/// Asserts that the phase was written before the target was taken away.
fn assert_order(plane: &Plane, stage: &Stage, scaled: (&str, &str)) {
    let written = |resource: &str| {
        curfews(plane, |entry| {
            entry.namespace == stage.namespace && entry.verb == "patch" && entry.code == 200
        })
        .iter()
        .rposition(|entry| entry.resource == resource)
    };
    let (failed, taken_away) = (written(scaled.0), written(scaled.1));
    assert!(failed.is_some() && failed < taken_away, "{failed:?} {taken_away:?}");
}

#[tokio::test]
async fn a_rollout_that_flagger_left_behind_is_ended_in_its_place_where_no_traffic_was_moved_and_only_there() {
    let Some(plane) = planes::at_once(Options::default()).await else {
        return;
    };
    planes::with_policies(&plane, WITHOUT).await;
    let cast = Box::pin(left_behind(&plane)).await;
    let Cast {
        plain,
        daemons,
        moved,
        scaled,
        forbidden,
        quiet,
    } = &cast;
    tokio::join!(
        requested(plain),
        requested(daemons),
        requested(moved),
        requested(scaled),
        requested(forbidden),
    );
    let silent = async {
        let verdict = quiet
            .until("the silence is told", 100, |seen| seen.verdict_with("reported"))
            .await;
        assert_eq!(
            (&verdict["clock"], &verdict["remedy"]),
            (&json!("silence"), &json!("report"))
        );
    };
    // Its pods seem to run: it may be busy, or on another network, and is left to its work.
    let seems_to_run = async {
        looks_after_flagger(&plane, plain).await;
        for stage in [plain, moved, scaled, forbidden] {
            assert!(is_left_alone(&stage.now()));
        }
        assert!(is_left_alone(&daemons.now()));
    };
    tokio::join!(silent, seems_to_run);

    let moved_to = moved.weights().await;
    assert!(moved_to.1 >= 20, "{moved_to:?}");
    scale_flagger(plain, 0).await;
    tokio::join!(ended(plain), ended(daemons));
    // Whatever is decided for others by the same evidence is done within seconds.
    tokio::join!(
        stays(moved, 20),
        stays(scaled, 20),
        stays(forbidden, 20),
        stays(quiet, 20),
    );
    assert_eq!(moved.weights().await, moved_to, "nobody moved the traffic");
    plain.replicas(APP, 0).await;
    let target = daemon_sets(daemons).get(APP).await.unwrap();
    let pod = target.spec.unwrap().template.spec.unwrap();
    assert_eq!(
        pod.node_selector
            .unwrap()
            .get("flagger.app/scale-to-zero")
            .map(String::as_str),
        Some("true")
    );
    assert_order(&plane, plain, ("canaries/status", "deployments/scale"));
    assert_order(&plane, daemons, ("canaries/status", "daemonsets"));

    scale_flagger(plain, 1).await;
    plane.restart_flagger().await.unwrap();
    // Those that were handed the verdict only are rolled back by Flagger itself.
    tokio::join!(
        moved.phase("Failed", 40),
        forbidden.phase("Failed", 40),
        plain.never("it did not stay failed", 20, |seen| seen.phase() != "Failed"),
        daemons.never("it did not stay failed", 20, |seen| seen.phase() != "Failed"),
    );
    assert_eq!(moved.weights().await, (100, 0));
    forbidden
        .until("the rollback is confirmed", 15, |seen| seen.verdict_with("confirmed"))
        .await;
    forbidden.event("RollbackConfirmed").await;
    assert_eq!(forbidden.told("RollbackRequested").await, 1, "across Flagger's restart");
    plain.next_version_is_analysed().await;
    assert_eq!(plain.told("LastResort").await, 1);
}
