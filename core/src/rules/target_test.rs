use serde_json::json;

use super::*;
use crate::rules::lookup::fixed::FixedLookup;

/// A Deployment against which nothing can be said.
fn sound() -> Value {
    json!({
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [{"readinessProbe": {}, "livenessProbe": {}}]}},
        },
    })
}

/// The sound Deployment with one field set.
fn with(pointer: &str, value: Value) -> Value {
    let mut deployment = sound();
    let (parent, key) = pointer.rsplit_once('/').expect("a path");
    deployment.pointer_mut(parent).expect("its parent")[key] = value;
    deployment
}

fn canary(deadline: i64) -> Value {
    json!({"spec": {"targetRef": {"kind": "Deployment", "name": "web"}, "progressDeadlineSeconds": deadline,
        "analysis": {"interval": "30s", "threshold": 5, "iterations": 3}}})
}

fn lookup(deployment: &Value) -> FixedLookup {
    FixedLookup {
        workloads: Some(vec![("web".to_owned(), Workload::deployment(deployment))]),
        ..FixedLookup::default()
    }
}

/// What the rules of this family find, in their order.
fn find(canary: &Value, lookup: &FixedLookup) -> Vec<Finding> {
    let policy = crate::policy::CanaryPolicySpec::default();
    let input = RuleInput {
        canary,
        namespace: "shop",
        policy: &policy,
        lookup,
    };
    [
        TARGET_SELECTOR,
        TARGET_MISSING,
        TARGET_DEADLINE,
        SCALER_MISSING,
        DEADLINE_BELOW_STARTUP,
        PARTIAL_AVAILABILITY,
        PROBES,
    ]
    .iter()
    .flat_map(|definition| (definition.check)(&input))
    .collect()
}

fn found(canary: &Value, lookup: &FixedLookup) -> Vec<(Rule, Mode, String)> {
    find(canary, lookup)
        .into_iter()
        .map(|finding| (finding.rule, finding.severity, finding.message))
        .collect()
}

/// The one finding about a Deployment.
fn only(canary: &Value, deployment: &Value) -> (Rule, Mode, String) {
    let mut found = found(canary, &lookup(deployment));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_sound_target_gives_no_cause_for_words() {
    assert_eq!(found(&canary(180), &lookup(&sound())), []);
    // Of what nobody looks at, nothing is said.
    assert_eq!(found(&canary(180), &FixedLookup::default()), []);
}

#[test]
fn a_target_that_is_not_there_is_warned_of() {
    let nothing = FixedLookup {
        workloads: Some(Vec::new()),
        ..FixedLookup::default()
    };
    let (rule, mode, message) = &found(&canary(180), &nothing)[0];
    assert_eq!((*rule, *mode), (Rule::TARGET_MISSING, Mode::Warn));
    assert!(message.starts_with("Deployment web does not exist (yet)"), "{message}");
}

#[test]
fn a_target_that_cannot_be_seen_is_a_warning_whatever_the_policy_says() {
    let blind = FixedLookup {
        unseen: Some("forbidden".to_owned()),
        ..FixedLookup::default()
    };
    let mut canary = canary(180);
    canary["spec"]["autoscalerRef"] = json!({"kind": "HorizontalPodAutoscaler", "name": "web"});
    let found = find(&canary, &blind);
    let rules: Vec<_> = found.iter().map(|finding| (finding.rule, finding.at_most)).collect();
    assert_eq!(
        rules,
        [(Rule::TARGET_MISSING, Mode::Warn), (Rule::SCALER_MISSING, Mode::Warn)]
    );
    assert!(
        found[0]
            .message
            .contains("Curfew cannot see Deployment web, so that nothing was judged that depends on it: forbidden"),
        "{found:?}"
    );
}

#[test]
fn a_selector_without_flaggers_labels_is_refused_where_they_are_known() {
    let deployment = with("/spec/selector", json!({"matchLabels": {"component": "web"}}));
    let (rule, mode, message) = only(&canary(180), &deployment);
    assert_eq!((rule, mode), (Rule::TARGET_SELECTOR, Mode::Warn));
    assert!(
        message.contains("none of the labels app, name, app.kubernetes.io/name"),
        "{message}"
    );

    let mut known = lookup(&deployment);
    known.selector_labels = Some(vec!["app".to_owned()]);
    assert_eq!(found(&canary(180), &known)[0].1, Mode::Enforce);
    known.selector_labels = Some(vec!["component".to_owned()]);
    assert_eq!(found(&canary(180), &known), []);
}

#[test]
fn the_targets_own_deadline_must_leave_room_for_the_canarys() {
    let own = |deadline: i64| with("/spec/progressDeadlineSeconds", json!(deadline));
    assert_eq!(found(&canary(180), &lookup(&own(180))), []);
    let (rule, mode, message) = only(&canary(180), &own(179));
    assert_eq!((rule, mode), (Rule::TARGET_DEADLINE, Mode::Warn));
    assert!(message.contains("failed by Kubernetes after 179 s"), "{message}");
    let (rule, mode, _) = only(&canary(180), &own(2_147_483_647));
    assert_eq!((rule, mode), (Rule::TARGET_DEADLINE, Mode::Enforce));
}

#[test]
fn a_deadline_below_what_the_probes_allow_is_warned_of_and_on_initialization_more_so() {
    let slow = with(
        "/spec/template/spec/containers",
        json!([{"readinessProbe": {}, "livenessProbe": {}, "startupProbe": {"failureThreshold": 16}}]),
    );
    // 160 s by the startup probe and 10 s by the readiness probe.
    assert_eq!(found(&canary(170), &lookup(&slow)), []);
    let (rule, mode, message) = only(&canary(169), &slow);
    assert_eq!((rule, mode), (Rule::DEADLINE_BELOW_STARTUP, Mode::Warn));
    assert!(
        message.contains("may take 170 s") && message.contains("serving pods to 0"),
        "{message}"
    );
    let mut initialized = canary(169);
    initialized["status"] = json!({"phase": "Succeeded"});
    let (_, _, message) = only(&initialized, &slow);
    assert!(!message.contains("serving pods"), "{message}");
    // Nobody knows what that would be.
    let mut undecodable = canary(169);
    undecodable["spec"]["progressDeadlineSeconds"] = json!(169.5);
    assert_eq!(found(&undecodable, &lookup(&slow)), []);
    let held = with("/spec/minReadySeconds", json!(171));
    assert_eq!(only(&canary(180), &held).0, Rule::DEADLINE_BELOW_STARTUP);
}

#[test]
fn pods_that_may_be_missing_without_flaggers_clock_running_are_recorded() {
    assert_eq!(found(&canary(180), &lookup(&with("/spec/replicas", json!(3)))), []);
    let four = with("/spec/replicas", json!(4));
    let (rule, mode, message) = only(&canary(180), &four);
    assert_eq!((rule, mode), (Rule::PARTIAL_AVAILABILITY, Mode::Audit));
    assert!(message.contains("with 1 of 4 pods missing"), "{message}");
    let mut lenient = canary(180);
    lenient["spec"]["analysis"]["canaryReadyThreshold"] = json!(75);
    assert_eq!(found(&lenient, &lookup(&four)), []);
    // At rest the target has no pods, and the primary has them.
    let mut resting = lookup(&with("/spec/replicas", json!(0)));
    assert_eq!(found(&canary(180), &resting), []);
    let primary = ("web-primary".to_owned(), Workload::deployment(&four));
    resting.workloads.get_or_insert_default().push(primary);
    assert_eq!(found(&canary(180), &resting)[0].0, Rule::PARTIAL_AVAILABILITY);
}

#[test]
fn a_target_without_probes_is_told() {
    for (container, mode, words) in [
        (json!({}), Mode::Warn, "readiness"),
        (json!({"livenessProbe": {}}), Mode::Warn, "readiness"),
        (json!({"readinessProbe": {}}), Mode::Audit, "liveness"),
    ] {
        let deployment = with("/spec/template/spec/containers", json!([container]));
        let (rule, found, message) = only(&canary(180), &deployment);
        assert_eq!((rule, found), (Rule::PROBES, mode), "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn an_autoscaler_that_is_not_there_is_warned_of() {
    let mut canary = canary(180);
    canary["spec"]["autoscalerRef"] = json!({"kind": "HorizontalPodAutoscaler", "name": "web"});
    let mut known = lookup(&sound());
    assert_eq!(found(&canary, &known), []);
    known.scalers = Some(vec!["web".to_owned()]);
    assert_eq!(found(&canary, &known), []);
    known.scalers = Some(Vec::new());
    let (rule, mode, message) = &found(&canary, &known)[0];
    assert_eq!((*rule, *mode), (Rule::SCALER_MISSING, Mode::Warn));
    assert!(
        message.starts_with("HorizontalPodAutoscaler web does not exist"),
        "{message}"
    );
}
