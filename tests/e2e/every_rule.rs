//! Every rule, as users meet it: at `kubectl apply`, in the audit of what was stored before Curfew came, and in `curfew check`.
//! The words are those of `tests/corpus/every_rule.txt` (`CURFEW_UPDATE_GOLDEN=1` writes them anew).

use std::{collections::BTreeMap, path::Path, process::Stdio};

use futures::StreamExt as _;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams},
};
use serde_json::{Value, json};
use testbed::{CurfewOptions, Handle};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::{
    curfew_says::Metrics,
    kubectl::Kubectl,
    planes,
    stage::{APP, App},
};

/// The plane's bounds, and a warning where there would only be a record.
const POLICY: &str = "
apiVersion: curfew.dev/v1alpha1
kind: CanaryPolicy
metadata: {name: loud}
spec:
  admission:
    deadline: {min: 10s, max: 1h}
    rules: {partial-availability: Warn, gate-without-deadline: Warn}
";

/// A Canary with one thing wrong with it, and what there is beside it.
struct Case {
    rule: &'static str,
    beside: Vec<Value>,
    canary: Value,
}

/// A Canary of which nothing bad can be said, with one field of its spec set, or taken away.
fn canary(field: &str, value: Value) -> Value {
    let mut canary = App::default().canary();
    match value {
        Value::Null => drop(canary["spec"].as_object_mut().expect("a spec").remove(field)),
        value => canary["spec"][field] = value,
    }
    canary
}

fn analysis(more: &Value) -> Value {
    let mut analysis = json!({"interval": "10s", "threshold": 3});
    for (field, value) in more.as_object().expect("fields") {
        analysis[field] = value.clone();
    }
    canary("analysis", analysis)
}

fn annotated(key: &str, value: &str) -> Value {
    let mut canary = App::default().canary();
    canary["metadata"]["annotations"] = json!({key: value});
    canary
}

/// The application's Deployment with one field set.
fn deployment(pointer: &str, value: Value) -> Value {
    let mut deployment = App::default().deployment();
    if let Some(there) = deployment.pointer_mut(pointer) {
        *there = value;
    } else {
        let (parent, key) = pointer.rsplit_once('/').expect("a path");
        deployment.pointer_mut(parent).expect("its parent")[key] = value;
    }
    deployment
}

/// Another Canary of the namespace.
fn other(target: &str, service: &str) -> Value {
    let mut other = App::default().canary();
    other["metadata"]["name"] = json!("other");
    other["spec"]["targetRef"]["name"] = json!(target);
    other["spec"]["service"]["name"] = json!(service);
    other
}

/// What is wrong with the Canary itself.
fn of_spec() -> Vec<(&'static str, Value)> {
    let hook = |kind: &str, timeout: &str| {
        analysis(&json!({"iterations": 1, "webhooks": [
            {"name": "gate", "type": kind, "url": "http://gate.shop/", "timeout": timeout},
        ]}))
    };
    let mut without_a_step = analysis(&json!({"stepWeights": [0]}));
    without_a_step["spec"]["provider"] = json!("istio");
    let mut without_traffic = analysis(&json!({"stepWeight": 10}));
    without_traffic["spec"]["provider"] = json!("kubernetes");
    let insiders = json!([{"headers": {"x-user": {"exact": "insider"}}}]);
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"});
    vec![
        ("undecodable", canary("progressDeadlineSeconds", json!(180.5))),
        ("deadline-required", canary("progressDeadlineSeconds", Value::Null)),
        ("deadline-bounds", canary("progressDeadlineSeconds", json!(5))),
        ("interval", analysis(&json!({"interval": "5m30", "iterations": 1}))),
        ("analysis-never-advances", without_a_step),
        ("weights", analysis(&json!({"stepWeight": 60, "maxWeight": 50}))),
        (
            "thresholds",
            analysis(&json!({"iterations": 1, "canaryReadyThreshold": 150})),
        ),
        ("service-port", canary("service", Value::Null)),
        ("ab-iterations", analysis(&json!({"stepWeight": 10, "match": insiders}))),
        ("kubernetes-provider", without_traffic),
        ("webhook-timeout", hook("rollout", "5m30")),
        ("scaler-missing", canary("autoscalerRef", scaler)),
        (
            "interval-above-deadline",
            analysis(&json!({"interval": "1m", "iterations": 1})),
        ),
        ("deadline-fit", annotated("curfew.dev/ready-after", "25s 29s")),
        ("gate-without-deadline", hook("confirm-rollout", "5s")),
        (
            "rollout-deadline",
            annotated("curfew.dev/rollout-deadline", "5 minutes"),
        ),
    ]
}

/// What is wrong with the target.
fn of_target() -> Vec<(&'static str, Value)> {
    let app = "/spec/template/spec/containers/1";
    let mut unlabelled = deployment("/spec/selector", json!({"matchLabels": {"component": "web"}}));
    unlabelled["spec"]["template"]["metadata"]["labels"] = json!({"component": "web"});
    let slow = json!({"tcpSocket": {"port": 80}, "failureThreshold": 6});
    vec![
        ("target-selector", unlabelled),
        (
            "target-deadline",
            deployment("/spec/progressDeadlineSeconds", json!(i32::MAX)),
        ),
        (
            "deadline-below-startup",
            deployment(&format!("{app}/startupProbe"), slow),
        ),
        ("partial-availability", deployment("/spec/replicas", json!(4))),
        ("probes", deployment(app, json!({"name": "app", "image": "app:1"}))),
    ]
}

fn cases() -> Vec<Case> {
    let sound = || App::default().deployment();
    let of_spec = of_spec().into_iter().map(|(rule, canary)| Case {
        rule,
        beside: vec![sound()],
        canary,
    });
    let of_target = of_target().into_iter().map(|(rule, target)| Case {
        rule,
        beside: vec![target],
        canary: App::default().canary(),
    });
    let beside = [
        ("apex-service", vec![sound(), other("other", APP)]),
        ("duplicate-target", vec![sound(), other(APP, "other")]),
        ("target-missing", Vec::new()),
    ];
    let of_others = beside.into_iter().map(|(rule, beside)| Case {
        rule,
        beside,
        canary: App::default().canary(),
    });
    of_spec.chain(of_target).chain(of_others).collect()
}

async fn create(client: &Client, namespace: &str, object: &Value) {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap());
    let api = match namespace {
        "" => Api::<DynamicObject>::all_with(client.clone(), &resource),
        _ => Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource),
    };
    api.create(&PostParams::default(), &object).await.unwrap();
}

/// What kubectl said of a rule, without what kubectl puts around it, and whether it was refused for it.
fn asked(rule: &str, said: &str) -> (&'static str, String) {
    let ends = format!("[{rule}]");
    let line = said.lines().find(|line| line.contains(&ends));
    let line = line.unwrap_or_else(|| panic!("nothing of {rule} in {said}"));
    let (line, _) = line.split_once(&ends).expect("the rule");
    // What is around a Canary and not in it is forbidden, and told by the message.
    if let Some((_, told)) = line.split_once(" is refused by Curfew: ") {
        assert!(line.starts_with("Error from server (Forbidden): "), "{line}");
        let last = told.rsplit(" | ").next().expect("a finding");
        return ("forbidden", last.trim().to_owned());
    }
    let (how, line) = match (line.split_once("is invalid: "), line.strip_prefix("Warning: ")) {
        (Some((_, line)), _) => ("refused", line.trim_start_matches('[')),
        (None, Some(line)) => ("warned", line),
        (None, None) => ("refused", line.trim_start_matches("* ")),
    };
    (how, line.trim().to_owned())
}

/// What the audit wrote into the policy's status of a rule and the namespace that is named by it.
async fn audited(client: &Client, rules: usize) -> BTreeMap<String, String> {
    let kind = GroupVersionKind::gvk("curfew.dev", "v1alpha1", "CanaryPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "canarypolicies");
    let policies = Api::<DynamicObject>::all_with(client.clone(), &resource);
    planes::eventually("the audit found everything", 30, async || {
        let policy = policies.get("loud").await.unwrap();
        let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let items = policy.data["status"]["findings"]["items"].as_array();
        let found: BTreeMap<_, _> = items
            .into_iter()
            .flatten()
            .filter(|item| item["namespace"] == item["rule"] && item["name"] == APP)
            .map(|item| {
                (
                    text(item, "rule"),
                    format!("{}: {}", text(item, "field"), text(item, "message")),
                )
            })
            .collect();
        (found.len() == rules).then_some(found)
    })
    .await
}

/// What Events tell of what was found in a namespace.
async fn findings_told(client: &Client, namespace: &str) -> Vec<String> {
    let events = Api::<Event>::namespaced(client.clone(), namespace);
    let events = events.list(&ListParams::default()).await.unwrap().items.into_iter();
    let found = events.filter(|event| event.reason.as_deref() == Some("PolicyFinding"));
    found.filter_map(|event| event.note).collect()
}

/// What `curfew check` says of a rule about the same objects in a file.
async fn checked(case: &Case) -> Option<String> {
    let mut documents = vec![serde_saphyr::from_str(POLICY).unwrap()];
    documents.extend(case.beside.iter().chain([&case.canary]).cloned());
    let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
    let mut check = Command::new(env!("CARGO_BIN_EXE_curfew"))
        .args([
            "check",
            "--output=json",
            "--flagger-selector-labels=app,name,app.kubernetes.io/name",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = check.stdin.take().unwrap();
    input.write_all(list.to_string().as_bytes()).await.unwrap();
    drop(input);
    let output = check.wait_with_output().await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let finding = findings
        .iter()
        .find(|finding| finding["rule"] == case.rule && finding["object"]["name"] == APP)?;
    let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    Some(format!("{}: {}; {}", text("field"), text("message"), text("fix")))
}

/// How many cases are asked about at the same time.
const AT_ONCE: usize = 4;

/// Where rules speak.
struct Surfaces<'a> {
    plane: &'a Handle,
    client: &'a Client,
    metrics: &'a Metrics,
    audited: &'a BTreeMap<String, String>,
}

// === impl Surfaces ===

impl Surfaces<'_> {
    /// Asserts that a rule says the same everywhere, and answers what.
    async fn same_words(&self, case: &Case) -> String {
        let rule = case.rule;
        let kubectl = Kubectl {
            plane: self.plane,
            user: "admin",
            namespace: rule,
        };
        let mut canary = case.canary.clone();
        // What Curfew stamped belongs to the Canary that is there; all others are asked for anew.
        if rule == "deadline-fit" {
            canary["spec"]["analysis"]["threshold"] = json!(4);
        } else {
            kubectl.run(&["delete", "canary", APP, "--wait=true"]).await.done();
        }
        let said = kubectl.apply(&canary, &["--dry-run=server"]).await;
        let (how, words) = asked(rule, &said.err);
        assert_eq!(said.done, how == "warned", "{said:?}");
        assert_eq!(self.audited[rule], words, "the audit");
        // Nobody knows what there is beside what is in a file.
        let is_silent = ["target-missing", "scaler-missing"].contains(&rule);
        assert_eq!(checked(case).await, (!is_silent).then_some(words.clone()), "{rule}");
        // Of Canaries that were there before Curfew, Events tell only what stops Flagger for everybody.
        let told = findings_told(self.client, rule).await;
        assert_eq!(
            told.iter().any(|note| note.contains(&words)),
            rule == "undecodable",
            "{told:?}"
        );
        let series = format!("curfew_audit_findings{{rule=\"{rule}\",policy=\"loud\"}}");
        assert!(self.metrics.value(&series) >= 1.0, "{series}");
        format!("{rule}: {how}: {words}\n")
    }
}

#[tokio::test]
async fn every_rule_speaks_at_apply_in_the_audit_and_in_a_check_with_the_same_words() {
    // Without Flagger, which some of these would stop.
    let Some(plane) = planes::own(planes::bare(None)).await else {
        return;
    };
    let client = plane.client("admin").await.unwrap();
    let cases = cases();
    let rules: Vec<_> = curfew::rules::RULES
        .iter()
        .map(|definition| definition.rule.name())
        .collect();
    let mut told: Vec<_> = cases.iter().map(|case| case.rule).collect();
    told.sort_by_key(|rule| rules.iter().position(|known| known == rule));
    assert_eq!(told, rules, "every rule has a case");

    for case in &cases {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": case.rule}});
        create(&client, "", &namespace).await;
        for object in case.beside.iter().chain([&case.canary]) {
            create(&client, case.rule, object).await;
        }
    }
    create(&client, "", &serde_saphyr::from_str(POLICY).unwrap()).await;
    plane.restart_curfew_with(&CurfewOptions::default()).await.unwrap();
    let audited = audited(&client, rules.len()).await;
    let metrics = Metrics::of(&plane).await;

    let surfaces = Surfaces {
        plane: &plane,
        client: &client,
        metrics: &metrics,
        audited: &audited,
    };
    let lines = futures::stream::iter(&cases).map(|case| surfaces.same_words(case));
    let text: String = lines.buffered(AT_ONCE).collect().await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/every_rule.txt");
    if std::env::var_os("CURFEW_UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&golden).unwrap_or_default());
}
