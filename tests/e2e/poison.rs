//! One tenant's Canary that Flagger cannot decode (`docs/flagger.md#f7`): Flagger alone sees no new Canary any more, of
//! anybody; Curfew does not let it in, and lets it go.

use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
    core::Status,
};
use serde_json::{Value, json};
use testbed::{CurfewOptions, Options, Plane};

use crate::{
    curfew_says::Metrics,
    kubectl::Kubectl,
    planes,
    stage::{APP, App, Stage},
};

const EFFECT: &str = "and while one such Canary exists it sees no new Canary in the whole cluster";

/// The bounds of the plane's policy.
const DEADLINE: &str = "a whole number from 10 to 3600";

/// Every poison that was found, where it is, and what to write instead.
fn poisons() -> Vec<(Value, &'static str, &'static str, &'static str)> {
    let spec = |change: fn(&mut Value)| {
        let mut canary = App::default().canary();
        change(&mut canary["spec"]);
        canary
    };
    vec![
        (
            spec(|spec| spec["progressDeadlineSeconds"] = json!(180.5)),
            "spec.progressDeadlineSeconds",
            "180.5",
            DEADLINE,
        ),
        (
            spec(|spec| spec["progressDeadlineSeconds"] = json!(2_147_483_648_u32)),
            "spec.progressDeadlineSeconds",
            "2147483648",
            DEADLINE,
        ),
        (
            spec(|spec| spec["analysis"]["threshold"] = json!(2.5)),
            "spec.analysis.threshold",
            "2.5",
            "a whole number",
        ),
        (
            spec(|spec| spec["service"]["match"] = json!([{"port": -1}])),
            "spec.service.match[0].port",
            "-1",
            "a whole number from 0 to 4294967295",
        ),
        (
            spec(|spec| spec["service"]["targetPort"] = json!(3_000_000_000_u32)),
            "spec.service.targetPort",
            "3000000000",
            "a string or a whole number from -2147483648 to 2147483647",
        ),
    ]
}

#[tokio::test]
async fn a_canary_that_stops_flagger_for_everyone_is_refused() {
    let Some(plane) = planes::own(Options::default()).await else {
        return;
    };
    let tenant = Kubectl {
        plane: &plane,
        user: "tenant",
        namespace: "tenant",
    };
    let (poison, ..) = poisons().swap_remove(0);
    tenant.apply(&poison, &[]).await.done();
    let newcomer = Stage::open(&plane, "newcomer").await;
    newcomer.create(&App::default().deployment()).await;
    newcomer.create(&App::default().canary()).await;
    newcomer
        .never("Flagger saw it for all that", 15, |seen| !seen.phase().is_empty())
        .await;
    let log = std::fs::read_to_string(plane.log("flagger")).unwrap();
    assert!(
        log.contains("cannot unmarshal number 180.5"),
        "it is the poison that stops Flagger"
    );

    // Curfew comes to a cluster that is poisoned: it serves, and does not keep the poison.
    plane.restart_curfew_with(&CurfewOptions::default()).await.unwrap();
    found_at_once(&plane).await;
    tenant.run(&["label", "canary", APP, "team=shop"]).await.done();
    let finalizer =
        |add: bool| json!({"metadata": {"finalizers": if add { json!(["example.com/hold"]) } else { Value::Null }}});
    for add in [true, false] {
        let patch = finalizer(add).to_string();
        tenant
            .run(&["patch", "canary", APP, "--type=merge", "--patch", &patch])
            .await
            .done();
    }
    let spec = json!({"spec": {"analysis": {"threshold": 4}}}).to_string();
    let edited = tenant
        .run(&["patch", "canary", APP, "--type=merge", "--patch", &spec])
        .await;
    assert!(
        edited.err.contains("Warning: ") && edited.err.contains("180.5"),
        "{edited:?}"
    );
    edited.done();
    tenant.run(&["delete", "canary", APP]).await.done();

    refuses_every_poison(&plane).await;
    let printed = tenant.apply(&poison, &[]).await.refused();
    let expected =
        format!("spec.progressDeadlineSeconds: Flagger cannot decode 180.5, {EFFECT}; write {DEADLINE} [undecodable]");
    assert!(printed.contains("The Canary \"web\" is invalid"), "{printed}");
    assert!(printed.contains(&expected), "{printed}");

    let later = Stage::open(&plane, "later").await;
    let app = App::default();
    tokio::join!(newcomer.phase("Initialized", 90), later.install(&app));
}

/// The audit finds what is stored already, and does not whisper.
async fn found_at_once(plane: &Plane) {
    let series = "curfew_audit_findings{rule=\"undecodable\",policy=\"plane\"}";
    planes::eventually("the audit finds it", 20, async || {
        (Metrics::of(plane).await.value(series) >= 1.0).then_some(())
    })
    .await;
    let log = std::fs::read_to_string(plane.log("curfew")).unwrap();
    assert!(
        log.contains("Flagger cannot decode these Canaries") && log.contains("tenant/web"),
        "{log}"
    );
}

async fn refuses_every_poison(plane: &Plane) {
    let client = plane.client("tenant").await.unwrap();
    let kind = GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary");
    let canaries: Api<DynamicObject> = Api::namespaced_with(client, "tenant", &ApiResource::from_gvk(&kind));
    for (canary, field, value, fix) in poisons() {
        let canary: DynamicObject = serde_json::from_value(canary).unwrap();
        let Err(kube::Error::Api(status)) = canaries.create(&PostParams::default(), &canary).await else {
            panic!("{field}: {value} was accepted");
        };
        let Status {
            code,
            reason,
            message,
            details,
            ..
        } = *status;
        assert_eq!((code, reason.as_str()), (422, "Invalid"), "{field}: {message}");
        let complaint = format!("Flagger cannot decode {value}, {EFFECT}; write {fix} [undecodable]");
        assert!(
            message.starts_with(&format!(
                "admission webhook \"validate.curfew.dev\" denied the request: Canary tenant/web is refused by Curfew: \
                 {field}: {complaint}"
            )),
            "{message}"
        );
        let causes = details.unwrap().causes;
        assert!(causes.iter().all(|cause| cause.field == field), "{causes:?}");
        assert_eq!(causes[0].message, complaint);
    }
}
