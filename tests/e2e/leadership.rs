//! Several Curfews, of which one leads: it may be killed, asked to end, or stopped where it stands, and every rollout is
//! failed at its deadline, once, by one of them.

use curfew::cluster::clock;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        events::v1::Event,
        rbac::v1::Role,
    },
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use testbed::{
    Component, CurfewOptions, Instance, Options, Plane, Signal,
    audit::{self, Entry},
};

use crate::{
    curfew_says::{Metrics, assert_verdict},
    idle::CURFEW,
    kubectl::Kubectl,
    planes::{self, OwnPlane},
    stage::{App, STAMPED, Seen, Stage},
};

/// How long the others wait for a leader that is silent, and look every two seconds.
const TAKEN_OVER: u64 = 15 + 2;
const LEASE: i64 = 15;
/// What a busy machine may need on top of a time that is given.
const SLACK: u64 = 15;

/// A Curfew by the name of its pod.
fn named(name: &str) -> CurfewOptions {
    CurfewOptions {
        env: vec![("HOSTNAME".to_owned(), name.to_owned())],
        // Two processes cannot be one webhook.
        unregistered: name != "first",
        ..CurfewOptions::default()
    }
}

/// A plane with two Curfews, of which the first leads; none on a machine that cannot start planes.
async fn two() -> Option<(OwnPlane, Instance)> {
    let options = Options {
        curfew: Some(named("first")),
        ..Options::default()
    };
    let plane = planes::own(options).await?;
    let second = plane.start_another_curfew(&named("second")).await.unwrap();
    Some((plane, second))
}

async fn lease(stage: &Stage) -> LeaseSpec {
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), "curfew-system");
    leases.get("curfew").await.unwrap().spec.unwrap()
}

/// Who holds the Lease.
async fn leader(stage: &Stage) -> String {
    let holder = lease(stage).await.holder_identity.unwrap_or_default();
    holder.split('_').next().unwrap().to_owned()
}

async fn leads(stage: &Stage, name: &str, patience: u64) {
    stage
        .eventually(&format!("{name} leads"), patience, async || {
            (leader(stage).await == name).then_some(())
        })
        .await;
}

/// A rollout that hangs, with its first stamp.
async fn hanging(plane: &Plane, story: &str) -> (Stage, Seen) {
    let stage = Stage::open(plane, story).await;
    let app = App {
        pods: 4,
        ..App::default()
    };
    stage.install(&app).await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 40).await;
    let stamped = stage
        .until("its deadline is stamped", STAMPED, |seen| {
            // What stands there of the initialization is of no interest.
            (seen.stamp("progressed-at").is_some() && seen.stamp("deadline").is_some()).then(|| seen.clone())
        })
        .await;
    (stage, stamped)
}

/// The rollout is failed at its deadline, by this one and once.
async fn failed_once(stage: &Stage, stamped: &Seen, by: &str) {
    let verdict = stage
        .until("Flagger is handed the verdict", 60, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    assert_verdict(&verdict, "rollback", "requested");
    assert_eq!(Some(verdict["deadline"].as_str().unwrap()), stamped.stamp("deadline"));
    stage.phase("Failed", 20).await;
    stage
        .until("the rollback is confirmed", 15, |seen| seen.verdict_with("confirmed"))
        .await;
    stage.event("RollbackConfirmed").await;
    told_once(stage, by).await;
}

/// What is told of the rollback was told by this one, and once.
async fn told_once(stage: &Stage, by: &str) {
    let told = told_by(stage).await;
    for reason in ["DeadlineExceeded", "RollbackRequested", "RollbackConfirmed"] {
        let tellers: Vec<_> = told.iter().filter(|(_, found)| found == reason).collect();
        assert_eq!(tellers, [&(by.to_owned(), reason.to_owned())], "{told:?}");
    }
}

/// What Curfews told about the Canary, and which of them did.
async fn told_by(stage: &Stage) -> Vec<(String, String)> {
    let events: Api<Event> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let all = events.list(&ListParams::default()).await.unwrap();
    let ours = all
        .into_iter()
        .filter(|event| event.reporting_controller.as_deref() == Some("curfew.dev/curfew"));
    ours.map(|event| {
        (
            event.reporting_instance.unwrap_or_default(),
            event.reason.unwrap_or_default(),
        )
    })
    .collect()
}

/// What a Curfew asked of the API server from a moment on.
fn asked(plane: &Plane, name: &str, from: Timestamp) -> Vec<Entry> {
    let agent = format!("({name})");
    let all = audit::read(&plane.audit_log()).unwrap();
    all.into_iter()
        .filter(|entry| entry.user == CURFEW && entry.at >= from && entry.user_agent.ends_with(&agent))
        .collect()
}

fn writes(entries: &[Entry]) -> Vec<&Entry> {
    let reads = ["get", "list", "watch"];
    entries
        .iter()
        .filter(|entry| !reads.contains(&entry.verb.as_str()))
        .collect()
}

#[tokio::test]
async fn when_the_leader_dies_or_ends_another_takes_over() {
    let Some((plane, second)) = two().await else {
        return;
    };
    let (stage, stamped) = hanging(&plane, "leadership").await;
    assert_eq!(leader(&stage).await, "first");
    assert!(told_by(&stage).await.iter().all(|(teller, _)| teller == "first"));
    let metrics = [Metrics::of(&plane).await, Metrics::at(&second.admin_url).await];
    let gauges = metrics.each_ref().map(|metrics| metrics.value("curfew_leader"));
    assert!(gauges[0] > 0.5 && gauges[1] < 0.5, "{gauges:?}");
    let (status, ready) = testbed::get(&format!("{}/readyz?verbose", second.admin_url))
        .await
        .unwrap();
    assert_eq!(status, 200, "{ready}");
    assert!(ready.contains("[+]leader ok: first_"), "{ready}");
    let idle = asked(&plane, "second", Timestamp::UNIX_EPOCH);
    let not_about = |resource: &str| idle.iter().all(|entry| entry.resource != resource);
    assert!(!idle.is_empty() && not_about("pods"), "{idle:?}");
    assert!(
        writes(&idle).iter().all(|entry| entry.resource == "selfsubjectreviews"),
        "{idle:?}"
    );

    // Killed in mid-rollout.
    let renewed = lease(&stage).await.renew_time.unwrap();
    plane.kill(Component::Curfew).unwrap();
    leads(&stage, "second", TAKEN_OVER + SLACK).await;
    let acquired = lease(&stage).await.acquire_time.unwrap();
    let silent = acquired.0.duration_since(renewed.0);
    assert!(silent.as_secs() >= LEASE, "taken over after {silent:#}");
    failed_once(&stage, &stamped, "second").await;
    assert!(Metrics::at(&second.admin_url).await.value("curfew_leader") > 0.5);

    // Asked to end: the Lease is given up, and nobody waits for it to expire.
    plane.restart(Component::Curfew).await.unwrap();
    assert_eq!(leader(&stage).await, "second");
    plane.signal(&second.name, Signal::SIGTERM).unwrap();
    leads(&stage, "first", 3 + SLACK).await;
    stage.push("crash-one").await;
    stage.phase("Progressing", 30).await;
    stage
        .until("the new leader hands Flagger the verdict", 60, |seen| {
            seen.verdict_with("requested")
                .filter(|verdict| verdict["deadline"].as_str() != stamped.stamp("deadline"))
        })
        .await;
    stage
        .eventually("it tells so", 10, async || {
            let wanted = ("first".to_owned(), "RollbackRequested".to_owned());
            told_by(&stage).await.contains(&wanted).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_leader_that_was_stopped_and_goes_on_writes_nothing() {
    let Some((plane, _)) = two().await else {
        return;
    };
    let (stage, stamped) = hanging(&plane, "stopped").await;
    assert_eq!(leader(&stage).await, "first");
    plane.pause(Component::Curfew).unwrap();
    leads(&stage, "second", TAKEN_OVER + SLACK).await;
    failed_once(&stage, &stamped, "second").await;

    // What it had sent when it was stopped may have arrived since.
    let resumed = clock::now();
    plane.resume(Component::Curfew).unwrap();
    stage
        .eventually("the first sees who leads", 10, async || {
            let log = std::fs::read_to_string(plane.log("curfew")).unwrap();
            let found = log
                .lines()
                .any(|line| line.contains("another leads") && line.contains("second_"));
            found.then_some(())
        })
        .await;
    // Whatever it was doing when it was stopped has an end within ten seconds.
    stage
        .never("the first went on", 12, |seen| seen.phase() != "Failed")
        .await;
    let asked = asked(&plane, "first", resumed);
    assert!(
        asked.iter().any(|entry| entry.resource == "leases"),
        "it runs: {asked:?}"
    );
    assert_eq!(writes(&asked), Vec::<&Entry>::new());
    assert!(Metrics::of(&plane).await.value("curfew_leader") < 0.5);
    told_once(&stage, "second").await;
}

#[tokio::test]
async fn one_that_may_not_use_the_lease_says_so_and_does_the_rest() {
    let Some(plane) = planes::own(planes::bare(None)).await else {
        return;
    };
    let stage = Stage::open(&plane, "forbidden").await;
    let roles: Api<Role> = Api::namespaced(stage.client.clone(), "curfew-system");
    let permit = async |rules: serde_json::Value| {
        let patch = Patch::Merge(json!({"rules": rules}));
        roles.patch("curfew", &PatchParams::default(), &patch).await.unwrap();
    };
    let all = json!(roles.get("curfew").await.unwrap().rules);
    permit(json!([])).await;
    plane.restart_curfew_with(&named("first")).await.unwrap();
    let fix = "allow it to get, create and patch leases of coordination.k8s.io in the namespace curfew-system";
    stage
        .eventually("it says what is missing", 10, async || {
            let log = std::fs::read_to_string(plane.log("curfew")).unwrap();
            log.lines()
                .any(|line| {
                    ["ERROR", "this Curfew cannot lead", "forbidden", fix]
                        .iter()
                        .all(|it| line.contains(it))
                })
                .then_some(())
        })
        .await;
    let (status, ready) = testbed::get(&format!("{}/readyz?verbose", plane.curfew_admin_url()))
        .await
        .unwrap();
    assert_eq!(status, 200, "the webhook works: {ready}");
    assert!(
        ready.contains("[!]leader cannot read the Lease") && ready.contains(fix),
        "{ready}"
    );
    stage.create(&App::default().deployment()).await;
    let mut careless = App::default().canary();
    careless["spec"]["progressDeadlineSeconds"] = json!(1);
    let kubectl = Kubectl {
        plane: &plane,
        user: "admin",
        namespace: &stage.namespace,
    };
    kubectl.apply(&careless, &[]).await.refused();
    stage.create(&App::default().canary()).await;
    // What Flagger would write.
    let began = Timestamp::from_second(clock::now().as_second()).unwrap().to_string();
    stage
        .set_status(&json!({
            "phase": "Progressing", "failedChecks": 0, "canaryWeight": 0, "iterations": 0,
            "lastAppliedSpec": "5c7d9f6b8", "lastTransitionTime": began,
            "conditions": [{"type": "Promoted", "status": "Unknown", "reason": "Progressing", "message": "",
                "lastUpdateTime": began, "lastTransitionTime": began}],
        }))
        .await;
    stage
        .never("it was looked after", 5, |seen| seen.stamp("revision").is_some())
        .await;
    assert!(Metrics::of(&plane).await.value("curfew_leader") < 0.5);

    permit(all).await;
    stage
        .until("it is looked after", 15, |seen| {
            seen.stamp("revision").is_some().then_some(())
        })
        .await;
    assert_eq!(leader(&stage).await, "first");
}
