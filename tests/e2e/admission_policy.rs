//! The `ValidatingAdmissionPolicy` in `deploy/admission-policy` refuses what the webhook's rules refuse, as far as CEL can
//! state them, on the oldest and on the newest Kubernetes, and lets an update off from what was wrong before.

use std::collections::BTreeSet;

use curfew::{
    policy::{CanaryPolicySpec, Mode, Rule},
    rules::{self, lookup::NoLookup},
};
use futures::StreamExt as _;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use testbed::{Handle, Kubernetes, Options};

use crate::{
    corpus::{self, Case},
    hostile,
    kubectl::Kubectl,
    planes,
};

/// The rules that the policy states. Those that need to know more than the Canary, and those that only warn, are the
/// webhook's alone.
pub const STATED: [Rule; 11] = [
    Rule::UNDECODABLE,
    Rule::DEADLINE_REQUIRED,
    Rule::DEADLINE_BOUNDS,
    Rule::INTERVAL,
    Rule::ANALYSIS_NEVER_ADVANCES,
    Rule::WEIGHTS,
    Rule::THRESHOLDS,
    Rule::SERVICE_PORT,
    Rule::WEBHOOK_TIMEOUT,
    Rule::INTERVAL_ABOVE_DEADLINE,
    Rule::ROLLOUT_DEADLINE,
];

const NAMESPACE: &str = "tenant";

const SEED: u64 = 20_261_124;
const GENERATED: usize = 300;

#[tokio::test]
async fn webhook_and_policy_agree_on_the_corpus() {
    agree(Kubernetes::NEWEST).await;
}

#[tokio::test]
async fn they_agree_on_the_oldest_kubernetes_too() {
    agree(Kubernetes::OLDEST).await;
}

async fn agree(kubernetes: Kubernetes) {
    let options = Options {
        kubernetes,
        ..planes::bare(None)
    };
    let Some(plane) = planes::own(options).await else {
        return;
    };
    let canaries = canaries(&plane).await;
    let refused = corpus::canaries("refused");
    // What was there before the policy.
    let store = async |case: &Case| {
        let object = serde_json::from_value(case.canary.clone()).unwrap();
        let stored = canaries.create(&PostParams::default(), &object).await;
        assert!(stored.is_ok(), "{} does not even pass the CRD: {stored:?}", case.name());
    };
    for_each(&refused, store).await;
    install(&plane).await;
    in_force(&canaries).await;

    for cases in [&refused, &corpus::canaries("valid"), &generated()] {
        for_each(cases, async |case| agree_on(&canaries, case).await).await;
    }
    for_each(&refused, async |case| is_let_off(&canaries, case).await).await;
    is_not_let_off_from_what_is_new(&canaries).await;
}

/// Asks about many cases at the same time.
async fn for_each(cases: &[Case], ask: impl AsyncFn(&Case)) {
    const AT_ONCE: usize = 16;
    futures::stream::iter(cases)
        .for_each_concurrent(AT_ONCE, async |case| ask(case).await)
        .await;
}

/// Canaries with several faults at once. What Kubernetes' own types cannot even read is nobody's to judge.
fn generated() -> Vec<Case> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let canaries = (0..GENERATED).map(|number| {
        let mut canary = hostile::canary(&format!("generated-{number}"), &mut random);
        // The CRD does not know it: it is dropped before anybody is asked.
        canary["spec"].as_object_mut().expect("a spec").remove("canaryAnalysis");
        canary
    });
    canaries
        .filter(|canary| serde_json::from_value::<DynamicObject>(canary.clone()).is_ok())
        .map(|canary| Case {
            file: "generated".to_owned(),
            canary,
        })
        .collect()
}

/// Installs the manifests as the documentation says.
pub async fn install(plane: &Handle) {
    let kubectl = Kubectl {
        plane,
        user: "admin",
        namespace: NAMESPACE,
    };
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/admission-policy");
    kubectl.run(&["apply", "-k", manifests]).await.done();
}

/// Waits until the API server judges by the policy: it looks for new ones about once in a second.
pub async fn in_force(canaries: &Api<DynamicObject>) {
    let case = corpus::canaries("refused").swap_remove(0);
    planes::eventually("the policy is in force", 20, async || {
        // The webhook, where there is one, refuses it as well.
        let said = refusal(canaries, &case.canary).await.unwrap_or_default();
        said.contains("ValidatingAdmissionPolicy 'curfew'").then_some(())
    })
    .await;
}

async fn canaries(plane: &Handle) -> Api<DynamicObject> {
    let client = plane.client("admin").await.unwrap();
    let kind = GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary");
    Api::namespaced_with(client, NAMESPACE, &ApiResource::from_gvk(&kind))
}

/// What the API server says against a Canary of a new name, as a dry run.
pub async fn refusal(canaries: &Api<DynamicObject>, canary: &Value) -> Option<String> {
    let mut object: DynamicObject = serde_json::from_value(canary.clone()).unwrap();
    let name = object.name_any();
    object.metadata.name = Some(format!("new-{name}"));
    object.metadata.namespace = None;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match canaries.create(&dry_run, &object).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status.message),
        Err(error) => panic!("{name}: {error}"),
    }
}

async fn agree_on(canaries: &Api<DynamicObject>, case: &Case) {
    let policy = CanaryPolicySpec::default();
    let findings = rules::findings(&case.canary, NAMESPACE, &policy, &NoLookup);
    let ours: Vec<_> = findings
        .iter()
        .filter(|finding| finding.mode(&policy.admission) == Mode::Enforce && STATED.contains(&finding.rule))
        .collect();
    let said = refusal(canaries, &case.canary).await.unwrap_or_default();
    if case.file == "generated" && !said.is_empty() && !said.contains(" denied request: ") {
        // By the CRD, which is asked first.
        return;
    }
    let rules: BTreeSet<_> = ours.iter().map(|finding| finding.rule.name()).collect();
    assert_eq!(named(&said), rules, "{}: {said}", case.name());
    for finding in ours {
        assert!(
            said.contains(&format!("{}: ", finding.field)),
            "{}: {said}",
            case.name()
        );
    }
    if !said.is_empty() {
        let begins = format!(
            "denied request: Canary {NAMESPACE}/new-{} is refused by Curfew: ",
            case.canary["metadata"]["name"].as_str().unwrap()
        );
        assert!(said.contains(&begins), "{}: {said}", case.name());
    }
}

/// The rules that a message names.
pub fn named(message: &str) -> BTreeSet<&str> {
    let ends = message.split(']').filter_map(|piece| piece.rsplit_once(" ["));
    ends.map(|(_, rule)| rule)
        .filter(|rule| rules::named(rule).is_some())
        .collect()
}

async fn change(canaries: &Api<DynamicObject>, name: &str, change: &Value) -> Result<(), String> {
    let dry_run = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    match canaries.patch(name, &dry_run, &Patch::Merge(change)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// What was wrong before blocks no other change.
async fn is_let_off(canaries: &Api<DynamicObject>, case: &Case) {
    let name = case.canary["metadata"]["name"].as_str().unwrap();
    for harmless in [
        json!({"spec": {"metricsServer": "http://prometheus"}}),
        json!({"metadata": {"labels": {"team": "shop"}}}),
    ] {
        let changed = change(canaries, name, &harmless).await;
        assert_eq!(changed, Ok(()), "{}", case.name());
    }
}

async fn is_not_let_off_from_what_is_new(canaries: &Api<DynamicObject>) {
    for (name, worse, rule) in [
        (
            "deadline-of-59",
            json!({"spec": {"progressDeadlineSeconds": 58}}),
            "deadline-bounds",
        ),
        (
            "deadline-of-59",
            json!({"spec": {"progressDeadlineSeconds": null}}),
            "deadline-required",
        ),
        (
            "deadline-with-a-fraction",
            json!({"spec": {"progressDeadlineSeconds": 180.25}}),
            "undecodable",
        ),
        (
            "interval-of-days",
            json!({"spec": {"analysis": {"interval": "1m2d"}}}),
            "interval",
        ),
        // The step was too long before, and another value is another fault.
        (
            "step-above-the-most",
            json!({"spec": {"analysis": {"stepWeight": 60}}}),
            "weights",
        ),
        (
            "step-above-the-most",
            json!({"spec": {"service": {"port": 0}}}),
            "service-port",
        ),
        // Nothing but the annotation changes.
        (
            "deadline-of-59",
            json!({"metadata": {"annotations": {"curfew.dev/rollout-deadline": "1s"}}}),
            "rollout-deadline",
        ),
    ] {
        let said = change(canaries, name, &worse).await.expect_err(name);
        assert_eq!(named(&said), BTreeSet::from([rule]), "{name}: {said}");
    }
    // Steps may move in their list, and a hook in its.
    let moved = json!({"spec": {"analysis": {"stepWeights": [5, 10, 20, 20]}}});
    assert_eq!(change(canaries, "steps-that-stay", &moved).await, Ok(()));
}
