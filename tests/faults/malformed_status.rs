//! Canaries that nobody can make sense of: nothing is done to them, and the others are looked after.

use serde_json::{Value, json};

use crate::{
    app::{self, APP, NAMESPACE},
    stage::{A_WHILE, Stage},
};

const ODD: &str = "odd";

/// What stands in `status`, whatever a CRD would say to it.
fn statuses() -> Vec<Value> {
    let promoted = |changed: &str, updated: &str| {
        json!({"type": "Promoted", "status": "Unknown", "reason": "Progressing",
            "lastTransitionTime": changed, "lastUpdateTime": updated})
    };
    let progressing = |conditions: Value| {
        json!({"phase": "Progressing", "lastAppliedSpec": "v2", "failedChecks": 0, "canaryWeight": 0, "iterations": 0,
            "lastTransitionTime": app::time(), "conditions": conditions})
    };
    let with = |field: &str, value: Value| {
        let mut status = progressing(json!([promoted(&app::time(), &app::time())]));
        status[field] = value;
        status
    };
    vec![
        json!("Progressing"),
        json!({"phase": "Progressing"}),
        json!({"phase": ["Progressing"], "conditions": {"type": "Promoted"}}),
        progressing(json!("Promoted")),
        progressing(json!([7, null, "Promoted", {"type": 3}])),
        progressing(json!([{"type": "Promoted"}])),
        progressing(json!([promoted("yesterday", "")])),
        progressing(json!([promoted("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z")])),
        progressing(json!([promoted("-009999-01-01T00:00:00Z", "9999-12-31T23:59:59Z")])),
        with("phase", json!("Progressing ")),
        with("phase", json!("Pondering")),
        with("phase", json!("Promoting")),
        with("phase", json!("Terminating")),
    ]
}

/// Statuses under which a rollout runs that may be failed, with numbers that no Flagger writes.
fn numbers() -> Vec<(&'static str, Value)> {
    vec![
        ("canaryWeight", json!(-5)),
        ("canaryWeight", json!(i64::MAX)),
        ("canaryWeight", json!("much")),
        ("iterations", json!(i64::MAX)),
        ("iterations", json!(1e300)),
        ("failedChecks", json!(i64::MIN)),
        ("failedChecks", json!({"count": 1})),
        ("trackedConfigs", json!(["web"])),
        ("lastAppliedSpec", json!(5)),
        ("lastTransitionTime", json!("9999-12-31T23:59:59Z")),
        ("lastTransitionTime", json!("-009999-01-01T00:00:00Z")),
        ("lastTransitionTime", json!(null)),
    ]
}

#[tokio::test]
async fn nothing_is_done_to_a_status_that_makes_no_sense_and_the_others_are_looked_after() {
    let count = statuses().len();
    let stage = Stage::with(|world| {
        app::install(world, APP);
        for (index, status) in statuses().into_iter().enumerate() {
            let name = format!("{ODD}-{index}");
            app::install(world, &name);
            app::begin(world, &name);
            world.change("canaries", NAMESPACE, &name, |canary| canary["status"] = status);
        }
    })
    .await;
    stage.begin();
    stage.handed_over(APP).await;
    stage
        .server
        .never("a lever on what makes no sense", A_WHILE, |_, log| {
            let odd = log.iter().find(|request| {
                request.is_write() && request.resource.ends_with("/status") && request.name.starts_with(ODD)
            })?;
            panic!("{odd:?}");
        })
        .await;
    assert!(stage.runs());
    assert!(
        stage.server.log().len() < 40 + 20 * count,
        "{} requests",
        stage.server.log().len()
    );
    stage.assert_careful();
}

#[tokio::test]
async fn numbers_that_make_no_sense_neither_stop_the_enforcer_nor_keep_others_from_their_verdict() {
    let stage = Stage::with(|world| app::install(world, APP)).await;
    stage.server.change(|world| {
        for (index, (field, value)) in numbers().into_iter().enumerate() {
            let name = format!("{ODD}-{index}");
            app::install(world, &name);
            app::begin(world, &name);
            world.change("canaries", NAMESPACE, &name, |canary| canary["status"][field] = value);
        }
        app::begin(world, APP);
    });
    stage.handed_over(APP).await;
    assert!(stage.runs());
    stage.server.change(|world| app::fail(world, APP));
    stage.result("confirmed").await;
    stage.assert_careful();
}

#[tokio::test]
async fn a_canary_that_does_not_parse_is_left_alone_and_the_others_are_looked_after() {
    let stage = Stage::with(|world| {
        app::install(world, APP);
        let odd = [
            json!({"spec": "a text"}),
            json!({"spec": {"targetRef": "web", "analysis": []}}),
            json!({"spec": {"targetRef": {"kind": "Deployment", "name": {"is": "web"}}, "progressDeadlineSeconds": -1e300}}),
            json!({"metadata": {"labels": 7, "annotations": ["a"], "deletionTimestamp": "soon"}}),
            json!({"metadata": {"ownerReferences": "nobody", "generation": "one", "creationTimestamp": 5}}),
        ];
        for (index, change) in odd.into_iter().enumerate() {
            let name = format!("{ODD}-{index}");
            app::install(world, &name);
            app::begin(world, &name);
            world.change("canaries", NAMESPACE, &name, |canary| {
                for (part, fields) in change.as_object().expect("an object") {
                    match fields {
                        Value::Object(fields) => {
                            for (field, value) in fields {
                                canary[part][field] = value.clone();
                            }
                        }
                        other => canary[part] = other.clone(),
                    }
                }
            });
        }
    })
    .await;
    stage.begin();
    stage.handed_over(APP).await;
    stage.server.change(|world| app::fail(world, APP));
    stage.result("confirmed").await;
    assert!(stage.runs());
    stage.assert_careful();
}
