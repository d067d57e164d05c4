//! What the audit cannot read or write: it is tried again although nothing else happens.

use curfew::enforcer::{
    audit::{Audit, Marks},
    ledger::Ledger,
    policy_objects,
};
use futures::StreamExt as _;
use serde_json::json;

use crate::{
    app::{self, APP},
    script::{Rule, on},
    stage::{A_WHILE, Stage},
    world::World,
};

const POLICY: &str = "cluster";

/// An audit at work beside the enforcer, and the script from its beginning on.
async fn audited(script: Rule) -> (Stage, tokio::task::JoinHandle<()>) {
    let stage = Stage::with(|world| {
        app::install(world, APP);
        world.create(
            "canarypolicies",
            json!({"apiVersion": "curfew.dev/v1alpha1", "kind": "CanaryPolicy",
                "metadata": {"name": POLICY, "generation": 1}, "spec": {"precedence": 10}}),
        );
    })
    .await;
    stage.server.script(script);
    let context = stage.context();
    let objects = policy_objects::watch(&context.client, Vec::new(), context.policies.clone());
    let audit = Audit {
        context,
        world: stage.surroundings().clone(),
        marks: Marks::default(),
        ledger: Ledger::default(),
    };
    let both = async move {
        tokio::join!(objects.for_each(|_| std::future::ready(())), audit.run());
    };
    (stage, tokio::spawn(both))
}

fn matched(world: &World) -> Option<u64> {
    let policy = world.get("canarypolicies", "", POLICY).expect("the policy");
    policy["status"]["matchedCanaries"].as_u64()
}

/// Waits until everything that makes it try at the beginning has happened, and mends what was broken.
async fn mended_later(stage: &Stage, verb: &str, resource: &str) {
    let before = stage.server.count(verb, resource);
    stage
        .server
        .until("a try", |_, log| {
            let tries = log.iter().filter(|request| request.is(verb, resource)).count();
            (tries > before).then_some(())
        })
        .await;
    tokio::time::sleep(A_WHILE).await;
    let tries = stage.server.count(verb, resource) - before;
    assert!(tries <= 3, "{tries} tries");
    stage.server.end_of_script();
}

#[tokio::test]
async fn a_status_that_was_refused_is_written_when_it_can_be() {
    let (stage, audit) = audited(on("patch", "canarypolicies/status").refuse(403)).await;
    mended_later(&stage, "patch", "canarypolicies/status").await;
    let told = stage
        .server
        .until("the status of the policy", |world, _| matched(world))
        .await;
    assert_eq!(told, 1);
    audit.abort();
}

#[tokio::test]
async fn canaries_that_could_not_be_listed_are_judged_when_they_can_be() {
    let (stage, audit) = audited(on("list", "canaries").refuse(500)).await;
    mended_later(&stage, "list", "canaries").await;
    let told = stage
        .server
        .until("the status of the policy", |world, _| matched(world))
        .await;
    assert_eq!(told, 1);
    audit.abort();
}
