//! Canaries of which no rollout runs cost no API requests.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use testbed::audit::{self, Entry};

use crate::{
    planes,
    stage::{App, Stage},
};

/// Who Curfew is to the API server.
pub const CURFEW: &str = "system:serviceaccount:curfew-system:curfew";
/// Longer than anything is polled for half a minute.
const WATCHED: Duration = Duration::from_secs(35);

/// Whether all Canaries are read.
fn is_list(entry: &Entry) -> bool {
    entry.verb == "list" && entry.resource == "canaries" && entry.namespace.is_empty()
}

#[tokio::test]
async fn idle_canaries_cost_no_requests_besides_the_watches() {
    let Some(plane) = planes::shared().await else { return };
    let initialized = Stage::open(&plane, "idle").await;
    let succeeded = Stage::open(&plane, "idle").await;
    let app = App {
        analysis: json!({"interval": "10s", "threshold": 3, "iterations": 1}),
        ..App::default()
    };
    tokio::join!(initialized.install(&app), async {
        let mut at_once = app.canary();
        at_once["spec"]["skipAnalysis"] = true.into();
        succeeded.install_with(&app.deployment(), &at_once).await;
        succeeded.push("ready").await;
        succeeded.phase("Succeeded", 120).await;
        succeeded
            .until("its last stamp is written", 15, |seen| {
                seen.stamp("deadline").is_none().then_some(())
            })
            .await;
    });
    // A stamp that had to wait for its turn may still come.
    tokio::time::sleep(Duration::from_secs(11)).await;

    let from: Timestamp = curfew::cluster::clock::now();
    let idle: BTreeSet<&str> = [&initialized, &succeeded].map(|stage| stage.namespace.as_str()).into();
    // The other stories keep Curfew busy meanwhile: what counts is what it asks about these, and about everything.
    let about_these = |entry: &Entry| {
        entry.user == CURFEW
            && entry.at >= from
            && (idle.contains(entry.namespace.as_str()) || entry.namespace.is_empty() && entry.verb != "watch")
            // The audit, which judges everything every ten minutes, and when policies change.
            && !(entry.resource.starts_with("canarypolicies") || is_list(entry))
    };
    tokio::time::sleep(WATCHED).await;
    let all = audit::read(&plane.audit_log()).unwrap();
    let asked: Vec<_> = all.iter().filter(|entry| about_these(entry)).collect();
    assert_eq!(asked, [] as [&Entry; 0], "Curfew asked about idle Canaries");
    let lists = all
        .iter()
        .filter(|entry| entry.user == CURFEW && entry.at >= from && is_list(entry));
    let changes = |entry: &&Entry| entry.resource == "canarypolicies" && entry.at >= from && entry.user != CURFEW;
    let judged = 1 + all.iter().filter(changes).count();
    assert!(
        lists.count() <= judged,
        "more lists than changes of policies and the regular one"
    );
    let begun = all
        .iter()
        .filter(|entry| entry.user == CURFEW && entry.verb == "watch" && entry.began);
    let watched: BTreeSet<_> = begun.map(|entry| entry.resource.as_str()).collect();
    assert_eq!(
        watched,
        [
            "canaries",
            "canarypolicies",
            "daemonsets",
            "deployments",
            "events",
            "horizontalpodautoscalers",
            "namespaces",
            "scaledobjects"
        ]
        .into(),
        "the audit log shows the watches"
    );
}
