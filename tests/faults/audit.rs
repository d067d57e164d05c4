//! The audit: what it cannot read or write is tried again although nothing else happens, and what happens while it
//! reads is not lost.

use curfew::{
    audit::{
        auditor::{Audit, DirtySet},
        findings::FindingStore,
    },
    cluster::policy_objects,
    policy::Rule,
};
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::{
    app::{self, APP, NAMESPACE},
    script::{self, Gate, on},
    stage::{A_WHILE, Stage},
    world::World,
};

const POLICY: &str = "cluster";

/// An audit at work beside the enforcer.
struct Audited {
    stage: Stage,
    marks: DirtySet,
    finding_store: FindingStore,
    task: tokio::task::JoinHandle<()>,
}

// === impl Audited ===

impl Audited {
    async fn new(install: impl FnOnce(&mut World), script: Option<script::Rule>) -> Self {
        let stage = Stage::with(|world| {
            install(world);
            world.create(
                "canarypolicies",
                json!({"apiVersion": "curfew.dev/v1alpha1", "kind": "CanaryPolicy",
                    "metadata": {"name": POLICY, "generation": 1}, "spec": {"precedence": 10}}),
            );
        })
        .await;
        if let Some(rule) = script {
            stage.server.script(rule);
        }
        let context = stage.context();
        let cluster = context.cluster.clone();
        let objects = policy_objects::watch(&cluster.client, Vec::new(), cluster.policies.clone());
        let (marks, finding_store) = (DirtySet::default(), FindingStore::default());
        let audit = Audit {
            cluster,
            leadership: context.leadership.clone(),
            publisher: context.publisher.clone(),
            lookup: stage.lookup().clone(),
            marks: marks.clone(),
            finding_store: finding_store.clone(),
        };
        let both = async move {
            tokio::join!(objects.for_each(|_| std::future::ready(())), audit.run());
        };
        Self {
            stage,
            marks,
            finding_store,
            task: tokio::spawn(both),
        }
    }

    /// Waits until the policy of this generation has a status, and answers it.
    async fn status(&self, generation: i64) -> Value {
        let told = |world: &World| {
            let status = &world.get("canarypolicies", "", POLICY)?["status"];
            (status["observedGeneration"] == generation).then(|| status.clone())
        };
        let what = format!("the status of generation {generation}");
        self.stage.server.until(&what, |world, _| told(world)).await
    }

    /// Waits until everything that makes it try at the beginning has happened, and fixes what was broken.
    async fn mended_later(&self, verb: &str, resource: &str) {
        let server = &self.stage.server;
        let before = server.count(verb, resource);
        server
            .until("a try", |_, log| {
                let tries = log.iter().filter(|request| request.is(verb, resource)).count();
                (tries > before).then_some(())
            })
            .await;
        tokio::time::sleep(A_WHILE).await;
        let tries = server.count(verb, resource) - before;
        assert!(tries <= 3, "{tries} tries");
        server.end_of_script();
    }

    /// Waits for the Event that tells of the interval.
    async fn told_of_interval(&self) {
        let event = self.stage.told("PolicyFinding").await;
        let note = event.body["note"].as_str().unwrap_or_default();
        assert!(note.contains("[interval]"), "{note}");
    }

    /// Somebody edits the policy.
    fn change_policy(&self, generation: i64, admission: Value) {
        self.stage.server.change(|world| {
            world.change("canarypolicies", "", POLICY, |policy| {
                policy["metadata"]["generation"] = json!(generation);
                policy["spec"]["admission"] = admission;
            });
        });
    }

    /// Somebody edits a Canary, and the audit hears of it.
    async fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        self.stage
            .server
            .change(|world| world.change("canaries", NAMESPACE, name, edited(edit)));
        // The enforcer's watch brings it here as well.
        tokio::time::sleep(A_WHILE / 5).await;
        self.marks.mark([(NAMESPACE.to_owned(), name.to_owned())]);
    }
}

impl Drop for Audited {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An edit that counts as one of the spec.
fn edited(edit: impl FnOnce(&mut Value)) -> impl FnOnce(&mut Value) {
    |canary| {
        let before = canary["metadata"]["generation"].as_i64().unwrap_or_default();
        canary["metadata"]["generation"] = json!(before + 1);
        edit(canary);
    }
}

fn hasty(canary: &mut Value) {
    canary["spec"]["analysis"]["interval"] = json!("1s");
}

#[tokio::test]
async fn a_status_that_was_refused_is_written_when_it_can_be() {
    let script = on("patch", "canarypolicies/status").refuse(403);
    let audited = Audited::new(|world| app::install(world, APP), Some(script)).await;
    audited.mended_later("patch", "canarypolicies/status").await;
    assert_eq!(audited.status(1).await["matchedCanaries"], 1);
}

#[tokio::test]
async fn canaries_that_could_not_be_listed_are_judged_when_they_can_be() {
    let script = on("list", "canaries").refuse(500);
    let audited = Audited::new(|world| app::install(world, APP), Some(script)).await;
    audited.mended_later("list", "canaries").await;
    assert_eq!(audited.status(1).await["matchedCanaries"], 1);
}

#[tokio::test]
async fn nothing_is_told_of_a_policy_before_everything_is_judged_by_it() {
    let audited = Audited::new(|world| app::install(world, APP), None).await;
    let found = audited.status(1).await["findings"]["total"].clone();
    assert_ne!(found, 0);
    let server = &audited.stage.server;
    let gate = Gate::closed();
    server.script(on("list", "canaries").hold(&gate));
    let lists = server.count("list", "canaries");
    audited.change_policy(2, json!({"mode": "Disabled"}));
    let is_told = |world: &World| {
        let policy = world.get("canarypolicies", "", POLICY).expect("the policy");
        policy["status"]["observedGeneration"] == 2
    };
    server
        .never("a status of findings by what held before", A_WHILE, |world, _| {
            is_told(world).then_some(())
        })
        .await;
    assert_eq!(server.count("list", "canaries"), lists + 1, "it is being judged");
    // And changed once more before that is done.
    audited.change_policy(3, json!({}));
    tokio::time::sleep(A_WHILE / 5).await;
    gate.open();
    assert_eq!(audited.status(3).await["findings"]["total"], found);
}

#[tokio::test]
async fn what_is_new_in_a_canary_is_told_although_its_policy_changes_too() {
    let audited = Audited::new(|world| app::install(world, APP), None).await;
    audited.status(1).await;
    audited.stage.server.change(|world| {
        world.change("canaries", NAMESPACE, APP, edited(hasty));
    });
    audited.change_policy(2, json!({"interval": {"max": "2h"}}));
    tokio::time::sleep(A_WHILE / 10).await;
    audited.marks.mark([(NAMESPACE.to_owned(), APP.to_owned())]);
    audited.told_of_interval().await;
}

#[tokio::test]
async fn what_is_new_in_a_canary_is_told_although_it_could_not_be_read_at_first() {
    let audited = Audited::new(|world| app::install(world, APP), None).await;
    audited.status(1).await;
    audited.stage.server.script(on("get", "canaries").once().refuse(500));
    audited.edit(APP, hasty).await;
    audited.told_of_interval().await;
}

#[tokio::test]
async fn one_that_can_never_be_read_by_itself_is_judged_with_all() {
    let audited = Audited::new(|world| app::install(world, APP), None).await;
    let found = audited.status(1).await["findings"]["total"].clone();
    audited.stage.server.script(on("get", "canaries").refuse(403));
    audited.edit(APP, hasty).await;
    let is_more = |world: &World| {
        let policy = world.get("canarypolicies", "", POLICY).expect("the policy");
        policy["status"]["findings"]["total"] != found
    };
    audited
        .stage
        .server
        .until("what is new is counted", |world, _| is_more(world).then_some(()))
        .await;
}

#[tokio::test]
async fn who_is_pointed_elsewhere_while_it_is_read_leaves_nothing_behind() {
    let install = |world: &mut World| {
        for name in [APP, "other"] {
            app::install(world, name);
        }
        world.change("canaries", NAMESPACE, "other", |canary| {
            canary["spec"]["targetRef"]["name"] = json!(APP);
        });
    };
    let audited = Audited::new(install, None).await;
    audited.status(1).await;
    let (web, other) = [APP, "other"]
        .map(|name| (NAMESPACE.to_owned(), name.to_owned()))
        .into();
    assert!(audited.finding_store.finds(&web, Rule::DUPLICATE_TARGET));
    let elsewhere = |world: &mut World| {
        let point = edited(|canary| canary["spec"]["targetRef"]["name"] = json!("other"));
        world.change("canaries", NAMESPACE, "other", point);
    };
    audited
        .stage
        .server
        .script(on("get", "canaries").named("other").once().before(elsewhere));
    audited.edit("other", |_| {}).await;
    audited
        .stage
        .server
        .until("the one that is left is judged anew", |_, _| {
            (!audited.finding_store.finds(&web, Rule::DUPLICATE_TARGET)).then_some(())
        })
        .await;
    assert!(!audited.finding_store.finds(&other, Rule::DUPLICATE_TARGET));
}
