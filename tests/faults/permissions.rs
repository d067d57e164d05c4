//! Every permission of the `ClusterRole` taken away, one at a time: what is done without it, what is said about it, and that
//! everything is done when it is there again.

use std::{collections::BTreeSet, path::Path, time::Duration};

use serde_json::Value;

use crate::{
    app::{self, APP},
    logs::Log,
    script::on,
    stage::{A_WHILE, Stage},
};

/// What comes of a rollout past its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything as ever: the permission is for something else.
    HandedOver,
    /// Both levers are in place and told of, and nothing is written down.
    NotWrittenDown,
    /// Both levers are in place and written down, and nobody is told.
    NotTold,
    /// The first lever is in place, and it is told why the second is not.
    HalfAndTold,
    /// Nothing is done, and that is told and written down.
    Withheld,
    /// Nothing is done at all: something is unknown that an evaluation needs. The log and the readiness say so.
    Nothing,
}

use Outcome::{HalfAndTold, HandedOver, NotTold, NotWrittenDown, Nothing, Withheld};

const TABLE: &[(&str, &str, Outcome)] = &[
    ("get", "canaries", Nothing),
    ("list", "canaries", Nothing),
    ("watch", "canaries", Nothing),
    ("patch", "canaries", NotWrittenDown),
    ("patch", "canaries/status", Withheld),
    ("get", "deployments", Nothing),
    ("list", "deployments", Nothing),
    ("watch", "deployments", HandedOver),
    ("patch", "deployments/status", HalfAndTold),
    ("get", "daemonsets", HandedOver),
    ("list", "daemonsets", Nothing),
    ("watch", "daemonsets", HandedOver),
    ("list", "pods", Withheld),
    ("list", "events", Nothing),
    ("watch", "events", HandedOver),
    ("create", "events", NotTold),
    ("list", "namespaces", Nothing),
    ("watch", "namespaces", HandedOver),
    // For what the enforcer is told by others: the policies in force, and what the rules of admission look at.
    ("get", "canarypolicies", HandedOver),
    ("list", "canarypolicies", HandedOver),
    ("watch", "canarypolicies", HandedOver),
    ("patch", "canarypolicies/status", HandedOver),
    ("list", "horizontalpodautoscalers", HandedOver),
    ("watch", "horizontalpodautoscalers", HandedOver),
    ("list", "scaledobjects", HandedOver),
    ("watch", "scaledobjects", HandedOver),
    // For the last resort alone.
    ("get", "leases", HandedOver),
    ("get", "services", HandedOver),
    ("get", "httproutes", HandedOver),
    ("get", "virtualservices", HandedOver),
    ("patch", "deployments/scale", HandedOver),
    ("patch", "daemonsets", HandedOver),
];

#[test]
fn the_table_has_every_permission_of_the_cluster_role() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kustomize/rbac.yaml");
    let text = std::fs::read_to_string(path).expect("the manifest");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let role = documents
        .iter()
        .find(|document| document["kind"] == "ClusterRole")
        .expect("the ClusterRole");
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        let all = rule[field].as_array().expect("a list");
        all.iter()
            .map(|text| text.as_str().expect("a text").to_owned())
            .collect()
    };
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().expect("rules") {
        for resource in texts(rule, "resources") {
            granted.extend(texts(rule, "verbs").into_iter().map(|verb| (verb, resource.clone())));
        }
    }
    let known: BTreeSet<_> = TABLE
        .iter()
        .map(|(verb, resource, _)| ((*verb).to_owned(), (*resource).to_owned()))
        .collect();
    assert_eq!(known, granted);
}

#[tokio::test]
async fn without_any_one_permission_what_can_be_done_is_done_and_nothing_else() {
    let tests = TABLE.iter().map(|(verb, resource, outcome)| async move {
        let mut stage = Stage::without_enforcer(|world| app::install(world, APP)).await;
        stage.server.script(on(verb, resource).refuse(403));
        stage.start_unheard();
        let what = format!("{verb} {resource}: {outcome:?}");
        let refused = |log: &[crate::request::Request]| log.iter().any(|request| request.answer == Some(403));
        // What this enforcer does not watch.
        let elsewhere = ["pods", "canarypolicies", "horizontalpodautoscalers", "scaledobjects"];
        if matches!(*verb, "list" | "watch") && !elsewhere.contains(resource) {
            stage.server.until(&what, |_, log| refused(log).then_some(())).await;
        } else {
            stage
                .server
                .until("the enforcer watches", |_, log| {
                    (log.iter().filter(|request| request.verb == "watch").count() == 5).then_some(())
                })
                .await;
        }
        stage.begin();
        let tried = |reason: &str, log: &[crate::request::Request]| {
            log.iter()
                .any(|request| request.is("create", "events") && request.body["reason"] == reason)
        };
        stage
            .server
            .until(&what, |world, log| {
                let (first, both) = (app::is_failed_checks(world, APP), app::is_handed_over(world, APP));
                let requested = app::has_result(world, APP, "requested").is_some();
                let told = tried("RollbackRequested", log);
                let withheld = tried("ActionWithheld", log);
                let seen = match outcome {
                    HandedOver | NotTold => both && requested && told,
                    NotWrittenDown => both && told && !requested,
                    HalfAndTold => first && !both && requested && withheld,
                    Withheld => !first && withheld && app::has_result(world, APP, "withheld").is_some(),
                    Nothing => true,
                };
                seen.then_some(())
            })
            .await;
        if matches!(outcome, Withheld | Nothing | HalfAndTold) {
            stage
                .server
                .never(&what, A_WHILE, |world, _| {
                    let half = app::is_failed_checks(world, APP) && *outcome != HalfAndTold;
                    (half || app::progressing(world, APP)["reason"] != "NewReplicaSetAvailable").then_some(())
                })
                .await;
        }
        assert!(stage.runs(), "{what}");
        stage.assert_careful();
        if matches!(outcome, Withheld | HalfAndTold | NotWrittenDown) {
            stage.server.end_of_script();
            stage.handed_over(APP).await;
            stage.assert_careful();
        }
    });
    futures::future::join_all(tests).await;
}

#[tokio::test]
async fn what_is_missing_is_logged() {
    for (verb, resource, says) in [
        ("list", "pods", "judging without the target's pods"),
        ("patch", "canaries", "cannot write the Canary's stamp"),
    ] {
        let (log, _guard) = Log::start();
        let stage = Stage::open().await;
        stage.server.script(on(verb, resource).refuse(403));
        stage.begin();
        let logged = async {
            while log.lines_with(&["WARN", says, "is refused by the script", APP]) == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let logged = tokio::time::timeout(Duration::from_mins(1), logged).await;
        assert!(logged.is_ok(), "{verb} {resource}: not logged: {says}");
    }
}

#[tokio::test]
async fn a_refusal_about_one_canary_does_not_keep_the_others_from_their_verdict() {
    let tests = ["canaries", "canaries/status"].map(|resource| async move {
        let stage = Stage::with(|world| {
            app::install(world, APP);
            app::install(world, "other");
        })
        .await;
        stage.server.script(on("patch", resource).named(APP).refuse(403));
        stage.server.change(|world| {
            app::begin(world, APP);
            app::begin(world, "other");
        });
        stage.handed_over("other").await;
        assert!(stage.runs());
        stage.server.end_of_script();
        stage.handed_over(APP).await;
        stage.assert_careful();
    });
    futures::future::join_all(tests).await;
}
