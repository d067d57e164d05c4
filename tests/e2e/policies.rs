//! Policies as objects of the cluster: which one holds for whom, from when on, and what is refused.

use std::time::{Duration, Instant};

use curfew::{
    cluster::clock,
    policy::{CanaryPolicySpec, GROUP, crd},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use testbed::{Component, CurfewOptions, Handle};

use crate::{
    curfew_says::reported,
    planes,
    stage::{App, Stage},
};

/// How soon a change takes effect.
const SOON: Duration = Duration::from_secs(1);

/// A deadline below the least that the plane's policy admits.
const SHORT: i64 = 5;

/// Policies that hold in one namespace only.
pub struct Here<'a> {
    stage: &'a Stage,
    policies: Api<DynamicObject>,
}

// === impl Here ===

impl<'a> Here<'a> {
    pub fn on(stage: &'a Stage) -> Self {
        Self {
            stage,
            policies: policies(&stage.client),
        }
    }

    /// Writes a policy for this namespace, named after it, in which the plane's bounds hold where nothing else is said.
    pub async fn write(&self, name: &str, spec: &Value) -> Instant {
        let mut policy = policy(&self.name(name), spec);
        let namespace = json!({"kubernetes.io/metadata.name": self.stage.namespace});
        policy["spec"]["namespaceSelector"] = json!({"matchLabels": namespace});
        policy["spec"]["enforcement"]["breaker"] = json!({"enabled": false});
        let apply = PatchParams::apply("story").force();
        let written = self
            .policies
            .patch(&self.name(name), &apply, &Patch::Apply(policy))
            .await;
        written.unwrap();
        Instant::now()
    }

    async fn delete(&self, name: &str) -> Instant {
        let deleted = self.policies.delete(&self.name(name), &DeleteParams::default()).await;
        deleted.unwrap();
        Instant::now()
    }

    fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.stage.namespace)
    }

    /// What the webhook says to a Canary with a deadline that is too short: the refusal, or nothing.
    async fn refusal(&self) -> Option<String> {
        refusal(&self.stage.client, &self.stage.namespace).await
    }

    /// Waits until the webhook says that, to a request that was sent within a second of a change.
    async fn says_soon(&self, changed: Instant, what: &str, wanted: impl Fn(Option<&str>) -> bool) {
        loop {
            let sent = changed.elapsed();
            let said = self.refusal().await;
            if wanted(said.as_deref()) {
                return;
            }
            assert!(sent < SOON * 5, "{what}: {sent:?} after the change: {said:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn policies(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("curfew.dev", "v1alpha1", "CanaryPolicy");
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

fn policy(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "curfew.dev/v1alpha1", "kind": "CanaryPolicy", "metadata": {"name": name}, "spec": spec})
}

/// What is said to a Canary with a deadline that is too short, in a dry run.
async fn refusal(client: &Client, namespace: &str) -> Option<String> {
    let kind = GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary");
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind));
    let mut canary = App::default().canary();
    canary["metadata"]["name"] = "short".into();
    canary["spec"]["progressDeadlineSeconds"] = SHORT.into();
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let created = api.create(&dry_run, &serde_json::from_value(canary).unwrap()).await;
    created.err().map(|error| error.to_string())
}

fn from(seconds: i64) -> Value {
    json!({"precedence": 5, "admission": {"deadline": {"min": format!("{seconds}s")}}})
}

fn asks_for(seconds: i64) -> impl Fn(Option<&str>) -> bool {
    move |said| said.is_some_and(|said| said.contains(&format!("at least {seconds} s")))
}

#[tokio::test]
async fn a_change_of_mode_takes_effect_within_a_second() {
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::open(&plane, "policy-mode").await;
    let here = Here::on(&stage);
    assert!(asks_for(10)(here.refusal().await.as_deref()), "the plane's policy");
    for (mode, is_refused) in [
        ("Warn", false),
        ("Enforce", true),
        ("Disabled", false),
        ("Audit", false),
    ] {
        let spec = json!({"precedence": 5, "admission": {"mode": mode}});
        let changed = here.write("mode", &spec).await;
        here.says_soon(changed, mode, |said| said.is_some() == is_refused).await;
    }
    let changed = here.delete("mode").await;
    here.says_soon(changed, "without it", asks_for(10)).await;
}

#[tokio::test]
async fn in_a_namespace_that_was_just_made_the_policy_for_its_labels_holds() {
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::open(&plane, "policy-new").await;
    let (policies, namespaces) = (policies(&stage.client), Api::<Namespace>::all(stage.client.clone()));
    let labels = json!({"story": stage.namespace});
    let lets_in =
        json!({"precedence": 4, "namespaceSelector": {"matchLabels": labels}, "admission": {"mode": "Disabled"}});
    let lets_in = serde_json::from_value(policy(&stage.namespace, &lets_in)).unwrap();
    policies.create(&PostParams::default(), &lets_in).await.unwrap();
    // It holds as soon as it lets somebody in; after that it lets everybody in.
    let mut refused = Vec::new();
    let begun = Instant::now();
    for number in 0..20 {
        let name = format!("{}-{number}", stage.namespace);
        let namespace = serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        if number == 0 {
            while refusal(&stage.client, &name).await.is_some() {
                assert!(begun.elapsed() < SOON * 5, "the policy never held");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            continue;
        }
        refused.extend(refusal(&stage.client, &name).await);
    }
    policies
        .delete(&stage.namespace, &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(refused, [""; 0], "by a policy that does not hold there");
}

#[tokio::test]
async fn of_the_policies_that_match_the_lowest_precedence_holds_and_then_the_first_name() {
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::open(&plane, "policy-two").await;
    let here = Here::on(&stage);
    let changed = here.write("b", &from(22)).await;
    here.says_soon(changed, "one", asks_for(22)).await;
    let changed = here.write("a", &from(21)).await;
    here.says_soon(changed, "two of one precedence", asks_for(21)).await;
    let mut first = from(23);
    first["precedence"] = 4.into();
    let changed = here.write("c", &first).await;
    here.says_soon(changed, "one that goes before them", asks_for(23)).await;
    let changed = here.delete("c").await;
    here.says_soon(changed, "it is gone", asks_for(21)).await;
    // Whom none of them covers is under the plane's.
    let elsewhere = Stage::open(&plane, "policy-elsewhere").await;
    assert!(asks_for(10)(Here::on(&elsewhere).refusal().await.as_deref()));
}

#[tokio::test]
async fn an_exemption_holds_at_the_webhook_until_it_ends() {
    let Some(plane) = planes::quiet().await else { return };
    let stage = Stage::open(&plane, "policy-exempt").await;
    let here = Here::on(&stage);
    let end = clock::now() + SignedDuration::from_secs(20);
    let end = Timestamp::from_second(end.as_second()).unwrap();
    let spec = json!({"precedence": 5, "exemptions": [
        {"canaries": ["sh*"], "from": ["Admission"], "until": end.to_string(), "reason": "a story"},
    ]});
    let changed = here.write("exempt", &spec).await;
    here.says_soon(changed, "exempt", |said| said.is_none()).await;
    stage
        .eventually("the exemption has ended", 30, async || here.refusal().await)
        .await;
    assert!(clock::now() >= end, "it ended too soon");
}

/// The exemption of everything here from the enforcer, until a moment.
fn from_enforcement(until: Timestamp) -> Value {
    let until = Timestamp::from_second(until.as_second()).unwrap().to_string();
    let exemption = json!({"namespaces": ["*"], "from": ["Enforcement"], "until": until, "reason": "a story"});
    json!({"precedence": 5, "admission": {"deadline": {"min": "10s"}}, "exemptions": [exemption]})
}

fn hanging() -> App {
    App {
        pods: 4,
        deadline: 30,
        ..App::default()
    }
}

#[tokio::test]
async fn an_exemption_holds_for_the_enforcer_until_it_ends() {
    let Some(plane) = planes::shared().await else { return };
    let ending = Stage::open(&plane, "policy-ending").await;
    ending.install(&hanging()).await;
    ending.push("crash-one").await;
    ending.phase("Progressing", 30).await;
    let end = clock::now() + SignedDuration::from_secs(45);
    let here = Here::on(&ending);
    here.write("exempt", &from_enforcement(end)).await;
    let verdict = ending
        .until("Flagger is handed the verdict", 80, |seen| {
            seen.verdict_with("requested")
        })
        .await;
    let at: Timestamp = verdict["at"].as_str().unwrap().parse().unwrap();
    assert!(at.as_second() >= end.as_second(), "{verdict}: exempt until {end}");
    ending.phase("Failed", 30).await;
}

#[tokio::test]
async fn a_policy_deleted_in_mid_rollout_leaves_the_limits_that_then_hold() {
    let Some(plane) = planes::shared().await else { return };
    let stage = Stage::open(&plane, "policy-deleted").await;
    let here = Here::on(&stage);
    let report = json!({"precedence": 5, "admission": {"deadline": {"min": "10s"}}, "enforcement": {"mode": "Report"}});
    here.write("report", &report).await;
    stage.install(&hanging()).await;
    stage.push("crash-one").await;
    reported(&stage, "readiness", 60).await;
    stage
        .never("it was rolled back", 15, |seen| {
            seen.verdict_with("requested").is_some()
        })
        .await;
    here.delete("report").await;
    stage
        .until("Flagger is handed the verdict", 10, |seen| {
            seen.verdict_with("requested")
        })
        .await;
}

/// What the API server says to an object, which is not stored.
async fn dry_run(client: &Client, object: &Value) -> Result<Value, String> {
    let path = "/apis/curfew.dev/v1alpha1/canarypolicies?dryRun=All&fieldValidation=Strict";
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes())
        .unwrap();
    client
        .request::<Value>(request)
        .await
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_api_server_refuses_what_curfew_refuses_in_a_file() {
    let Some(plane) = planes::quiet().await else { return };
    let client = plane.client("admin").await.unwrap();
    let refused: Vec<Value> =
        serde_saphyr::from_str(include_str!("../corpus/policies/refused.yaml")).expect("the corpus");
    let mut wrong = Vec::new();
    for case in &refused {
        let words = case["says"].as_str().or(case["cluster"].as_str()).unwrap();
        match dry_run(&client, &policy("refused", &case["spec"])).await {
            Ok(_) => wrong.push(format!("{} is accepted", case["spec"])),
            Err(said) if said.contains(words) => {}
            Err(said) => wrong.push(format!("{}\n  lacks {words:?}: {said}", case["spec"])),
        }
    }
    let accepted: Vec<Value> =
        serde_saphyr::from_str(include_str!("../corpus/policies/accepted.yaml")).expect("the corpus");
    for spec in &accepted {
        if let Err(said) = dry_run(&client, &policy("accepted", spec)).await {
            wrong.push(format!("{spec} is refused: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is not written is filled in with what is built in.
    let stored = dry_run(&client, &policy("empty", &json!({}))).await.unwrap();
    let built_in = serde_json::to_value(curfew::rules::vocabulary().filled(CanaryPolicySpec::default())).unwrap();
    assert_eq!(stored["spec"], built_in);
}

/// The definition of policies, as an object.
fn definitions(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

/// Whether Curfew ever logged a line with all these words.
fn has_logged(plane: &Handle, words: &[&str]) -> bool {
    let log = std::fs::read_to_string(plane.log("curfew")).unwrap();
    log.lines().any(|line| words.iter().all(|word| line.contains(word)))
}

#[tokio::test]
async fn a_stored_policy_that_cannot_be_used_keeps_what_could_and_without_a_definition_the_file_holds() {
    let options = planes::bare(Some(CurfewOptions::default()));
    let Some(plane) = planes::own(options).await else {
        return;
    };
    let stage = Stage::open(&plane, "policy-stored").await;
    let definitions = definitions(&stage.client);
    let name = format!("{}.{}", crd::PLURAL, GROUP);
    // A definition from before there were conditions.
    let strict = crd::crd(&curfew::rules::vocabulary());
    let mut loose = strict.clone();
    loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let replace = async |definition: &Value| {
        let patch = json!([{"op": "replace", "path": "/spec", "value": definition["spec"]}]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).unwrap());
        definitions.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    };
    replace(&loose).await;
    let here = Here::on(&stage);
    // Every change of the definition ends the watches.
    here.write("stored", &json!({"precedence": 5, "admission": {"mode": "Warn"}}))
        .await;
    stage
        .eventually("the policy holds", 20, async || {
            here.refusal().await.is_none().then_some(())
        })
        .await;
    let broken = Patch::Merge(json!({"spec": {"admission": {"mode": "Maybe"}}}));
    stage
        .eventually("what cannot be used is stored", 20, async || {
            let (name, params) = (here.name("stored"), PatchParams::default());
            here.policies.patch(&name, &params, &broken).await.ok()
        })
        .await;
    let told = ["a CanaryPolicy cannot be used", "Maybe", "holds on until it is fixed"];
    stage
        .eventually("Curfew says so", 20, async || has_logged(&plane, &told).then_some(()))
        .await;
    stage
        .eventually("its status says so", 10, async || {
            let stored = here.policies.get(&here.name("stored")).await.ok()?;
            let condition = &stored.data["status"]["conditions"][0];
            let says_why = condition["message"].as_str()?.contains("Maybe");
            (condition["status"] == "False" && says_why).then_some(())
        })
        .await;
    replace(&strict).await;
    tokio::time::sleep(SOON).await;
    assert_eq!(here.refusal().await, None, "what it said before holds on");
    let stored = here.policies.get(&here.name("stored")).await.unwrap();
    assert_eq!(stored.data["spec"]["admission"]["mode"], "Maybe");

    // Without the definition there are no such objects, and the file holds: at once, and after a restart.
    let deleted = definitions.delete(&name, &DeleteParams::default()).await;
    deleted.unwrap();
    stage
        .eventually("the plane's policy holds", 20, async || {
            here.refusal().await.filter(|said| asks_for(10)(Some(said)))
        })
        .await;
    stage
        .eventually("the definition is gone", 20, async || {
            definitions.get_opt(&name).await.unwrap().is_none().then_some(())
        })
        .await;
    plane.restart(Component::Curfew).await.unwrap();
    assert!(asks_for(10)(here.refusal().await.as_deref()));

    // It is found when it comes.
    let definition = serde_json::from_value(strict).unwrap();
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    stage
        .eventually("a policy holds again", 20, async || {
            let patch = Patch::Apply(policy(
                "again",
                &json!({"precedence": 5, "admission": {"mode": "Warn"}}),
            ));
            let apply = PatchParams::apply("story").force();
            let written = here.policies.patch("again", &apply, &patch).await.ok()?;
            assert_eq!(written.name_any(), "again");
            here.refusal().await.is_none().then_some(())
        })
        .await;
}
