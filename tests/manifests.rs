//! The manifests in `deploy/` say what the code says.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]

use std::{fs, path::Path};

use curfew::serve::register::{WebhookKind, configuration};
use serde_json::{Value, json};

const SERVICE_ACCOUNT: &str = "system:serviceaccount:curfew-system:curfew";

fn documents(path: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the file should hold: the same configurations as `--register` writes, but for the Service.
fn expected() -> Vec<Value> {
    [(WebhookKind::Validate, "/validate"), (WebhookKind::Mutate, "/mutate")]
        .into_iter()
        .map(|(half, path)| {
            let service = json!({"service":
                {"name": "curfew-webhook", "namespace": "curfew-system", "path": path, "port": 443}});
            let mut configuration = configuration(half, &service, SERVICE_ACCOUNT);
            configuration["metadata"]["annotations"] =
                json!({"cert-manager.io/inject-ca-from": "curfew-system/curfew-webhook"});
            configuration
        })
        .collect()
}

#[test]
fn the_webhook_configurations_are_those_of_the_code() {
    let written = serde_saphyr::to_string_multiple(&expected()).expect("yaml");
    assert_eq!(
        documents("kustomize/webhooks.yaml"),
        expected(),
        "the file should hold:\n{written}"
    );
}

/// A text without the line breaks by which a file keeps its lines short.
fn folded(value: &Value) -> String {
    value
        .as_str()
        .expect("a text")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_admission_policy_judges_what_the_webhook_judges() {
    let policy = documents("admission-policy/policy.yaml").remove(0);
    let configuration = configuration(WebhookKind::Validate, &json!({}), SERVICE_ACCOUNT);
    let conditions = |conditions: &Value| -> Vec<(String, String)> {
        let all = conditions.as_array().expect("conditions").iter();
        all.map(|condition| (folded(&condition["name"]), folded(&condition["expression"])))
            .collect()
    };
    let webhook = &configuration["webhooks"][0];
    assert_eq!(
        conditions(&policy["spec"]["matchConditions"]),
        conditions(&webhook["matchConditions"])
    );
    assert_eq!(policy["spec"]["matchConstraints"]["resourceRules"], webhook["rules"]);
}

#[test]
fn every_manifest_is_listed_and_there() {
    for folder in ["crds", "kustomize"] {
        let kustomization = documents(&format!("{folder}/kustomization.yaml")).remove(0);
        let mut listed: Vec<_> = kustomization["resources"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|name| name.as_str().expect("a name").to_owned())
            .collect();
        // A folder beside this one, which lists its own.
        listed.retain(|name| name != "../crds");
        let mut there: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .filter(|name| name != "kustomization.yaml")
            .collect();
        listed.sort();
        there.sort();
        assert_eq!(listed, there);
        for file in there {
            assert!(!documents(&format!("{folder}/{file}")).is_empty(), "{file}");
        }
    }
}

/// What a role of this kind allows: verbs, resources, and the name that they are limited to.
fn allowed(kind: &str) -> Vec<String> {
    let role = documents("kustomize/rbac.yaml")
        .into_iter()
        .find(|document| document["kind"] == kind);
    let mut allowed: Vec<String> = Vec::new();
    for rule in role.expect("a role")["rules"].as_array().expect("rules") {
        let limited = rule["resourceNames"][0].as_str();
        for (resource, verb) in rule["resources"]
            .as_array()
            .expect("resources")
            .iter()
            .flat_map(|resource| {
                rule["verbs"]
                    .as_array()
                    .expect("verbs")
                    .iter()
                    .map(move |verb| (resource, verb))
            })
        {
            allowed.push(format!(
                "{} {}{}",
                verb.as_str().expect("a verb"),
                resource.as_str().expect("a resource"),
                limited.map(|name| format!(" {name}")).unwrap_or_default()
            ));
        }
    }
    allowed.sort();
    allowed
}

#[test]
fn nothing_may_be_done_that_the_code_does_not_do() {
    let lease = |verb: &str| format!("{verb} leases {}", curfew::leader::election::NAME);
    assert_eq!(
        allowed("Role"),
        ["create leases".to_owned(), lease("get"), lease("patch")]
    );
    assert_eq!(
        allowed("ClusterRole"),
        [
            "create events",
            "get canaries",
            "get canarypolicies",
            "get daemonsets",
            "get deployments",
            "get httproutes",
            "get leases flagger-leader-election",
            "get services",
            "get virtualservices",
            "list canaries",
            "list canarypolicies",
            "list daemonsets",
            "list deployments",
            "list events",
            "list horizontalpodautoscalers",
            "list namespaces",
            "list pods",
            "list scaledobjects",
            "patch canaries",
            "patch canaries/status",
            "patch canarypolicies/status",
            "patch daemonsets",
            "patch deployments/scale",
            "patch deployments/status",
            "watch canaries",
            "watch canarypolicies",
            "watch daemonsets",
            "watch deployments",
            "watch events",
            "watch horizontalpodautoscalers",
            "watch namespaces",
            "watch scaledobjects",
        ]
    );
}
