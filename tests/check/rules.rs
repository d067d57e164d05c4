//! One fault for each rule, and the line at which it is told.

use std::collections::BTreeSet;

use curfew::{policy::Rule, rules::RULES};

use super::{findings, report};

const SOUND: &str = "\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata:
  name: web
  namespace: shop
  annotations:
    team: shop
spec:
  provider: istio
  targetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: web
  progressDeadlineSeconds: 180
  service:
    port: 8080
  analysis:
    interval: 30s
    threshold: 5
    maxWeight: 50
    stepWeight: 10
    webhooks:
    - name: load
      url: http://loadtester.tools/
      timeout: 5s
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    spec:
      containers:
      - name: web
        readinessProbe: {periodSeconds: 5}
        livenessProbe: {}
---
";

/// What is written in place of what, and what is found then.
type Case = (Rule, (&'static str, &'static str), &'static [&'static str]);

const CASES: [Case; 24] = [
    (
        Rule::UNDECODABLE,
        ("Seconds: 180", "Seconds: 180.5"),
        &["14 Enforce undecodable spec.progressDeadlineSeconds"],
    ),
    (
        Rule::DEADLINE_REQUIRED,
        ("  progressDeadlineSeconds: 180\n", ""),
        // What is not there is told at its nearest parent.
        &["8 Enforce deadline-required spec.progressDeadlineSeconds"],
    ),
    (
        Rule::DEADLINE_BOUNDS,
        ("Seconds: 180", "Seconds: 59"),
        &["14 Enforce deadline-bounds spec.progressDeadlineSeconds"],
    ),
    (
        Rule::INTERVAL,
        ("interval: 30s", "interval: 1m30"),
        &["18 Enforce interval spec.analysis.interval"],
    ),
    (
        Rule::ANALYSIS_NEVER_ADVANCES,
        ("stepWeight: 10", "stepWeight: 0"),
        &["21 Enforce analysis-never-advances spec.analysis.stepWeight"],
    ),
    (
        Rule::WEIGHTS,
        ("stepWeight: 10", "stepWeights: [10, 30, 20]"),
        &["21 Enforce weights spec.analysis.stepWeights[2]"],
    ),
    (
        Rule::THRESHOLDS,
        ("threshold: 5", "canaryReadyThreshold: 150"),
        &["19 Enforce thresholds spec.analysis.canaryReadyThreshold"],
    ),
    (
        Rule::SERVICE_PORT,
        ("port: 8080", "port: 80800"),
        &["16 Enforce service-port spec.service.port"],
    ),
    (
        Rule::APEX_SERVICE,
        (
            "---\n",
            "---\n{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {name: old, namespace: shop}, spec: {provider: istio,\n\
             targetRef: {kind: Deployment, name: old}, progressDeadlineSeconds: 60,\n\
             service: {name: web,\n\
             port: 80}, analysis: {interval: 15s, threshold: 5, iterations: 5}}}\n---\n",
        ),
        &[
            "13 Enforce apex-service spec.targetRef.name",
            "29 Enforce apex-service spec.service.name",
        ],
    ),
    (
        Rule::KUBERNETES_PROVIDER,
        ("provider: istio", "provider: kubernetes"),
        &["21 Warn kubernetes-provider spec.analysis.stepWeight"],
    ),
    (
        Rule::AB_ITERATIONS,
        (
            "stepWeight: 10",
            "stepWeight: 10\n    match:\n    - headers: {x-beta: {exact: always}}",
        ),
        &["22 Warn ab-iterations spec.analysis.match"],
    ),
    (
        Rule::WEBHOOK_TIMEOUT,
        ("timeout: 5s", "timeout: 5 seconds"),
        &["25 Enforce webhook-timeout spec.analysis.webhooks[0].timeout"],
    ),
    (
        Rule::DUPLICATE_TARGET,
        (
            "---\n",
            "---\n{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {name: old, namespace: shop}, spec: {provider: istio,\n\
             targetRef: {kind: DaemonSet, name: web}, progressDeadlineSeconds: 60,\n\
             service: {name: old,\n\
             port: 80}, analysis: {interval: 15s, threshold: 5, iterations: 5}}}\n---\n",
        ),
        &[
            "13 Enforce duplicate-target spec.targetRef.name",
            "28 Enforce duplicate-target spec.targetRef.name",
        ],
    ),
    (
        Rule::TARGET_SELECTOR,
        ("matchLabels: {app: web}", "matchLabels: {application: web}"),
        &["10 Warn target-selector spec.targetRef"],
    ),
    (
        // What was not given may well be in the cluster.
        Rule::TARGET_MISSING,
        ("metadata: {name: web, ", "metadata: {name: other, "),
        &[],
    ),
    (
        Rule::TARGET_DEADLINE,
        ("replicas: 2", "progressDeadlineSeconds: 2147483647"),
        &["10 Enforce target-deadline spec.targetRef"],
    ),
    (
        Rule::SCALER_MISSING,
        (
            "  service:\n",
            "  autoscalerRef: {kind: HorizontalPodAutoscaler, name: web}\n  service:\n",
        ),
        &[],
    ),
    (
        Rule::INTERVAL_ABOVE_DEADLINE,
        ("interval: 30s", "interval: 5m"),
        &["18 Warn interval-above-deadline spec.analysis.interval"],
    ),
    (
        Rule::DEADLINE_BELOW_STARTUP,
        ("{periodSeconds: 5}", "{initialDelaySeconds: 300}"),
        &["14 Warn deadline-below-startup spec.progressDeadlineSeconds"],
    ),
    (
        Rule::DEADLINE_FIT,
        ("team: shop", "curfew.dev/ready-after: 170s 38s"),
        &["14 Warn deadline-fit spec.progressDeadlineSeconds"],
    ),
    (
        Rule::PARTIAL_AVAILABILITY,
        ("replicas: 2", "replicas: 4"),
        &["10 Audit partial-availability spec.targetRef"],
    ),
    (
        Rule::GATE_WITHOUT_DEADLINE,
        ("timeout: 5s", "timeout: 5s\n      type: confirm-promotion"),
        &["26 Audit gate-without-deadline spec.analysis.webhooks[0].type"],
    ),
    (
        Rule::PROBES,
        ("        readinessProbe: {periodSeconds: 5}\n", ""),
        &["10 Warn probes spec.targetRef"],
    ),
    (
        Rule::ROLLOUT_DEADLINE,
        ("team: shop", "curfew.dev/rollout-deadline: 2m"),
        &["7 Enforce rollout-deadline metadata.annotations[curfew.dev/rollout-deadline]"],
    ),
];

#[test]
fn what_is_sound_passes_without_a_word() {
    assert_eq!(findings(&report(SOUND, &[])), [""; 0]);
}

#[test]
fn each_fault_is_found_alone_and_at_its_line() {
    let tried: BTreeSet<_> = CASES.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(tried.len(), RULES.len(), "a rule has no case");
    for (rule, (old, new), expected) in CASES {
        assert!(SOUND.contains(old), "{rule}: {old:?}");
        let found = findings(&report(&SOUND.replacen(old, new, 1), &[]));
        assert_eq!(found, expected, "{rule}");
        let is_its_own = |finding: &&str| finding.split(' ').nth(2) == Some(rule.name());
        assert!(expected.iter().all(is_its_own), "{rule}: {expected:?}");
    }
}

#[test]
fn a_fault_in_json_is_found_at_its_line_too() {
    let text = "{\n  \"apiVersion\": \"flagger.app/v1beta1\",\n  \"kind\": \"Canary\",\n  \"metadata\": {\"name\": \"web\"},\n  \"spec\": {\n    \"progressDeadlineSeconds\": 30,\n    \"service\": {\"port\": 80},\n    \"analysis\": {\n      \"interval\": \"15s\", \"threshold\": 5,\n      \"iterations\": 5\n    }\n  }\n}\n";
    assert_eq!(
        findings(&report(text, &[])),
        ["6 Enforce deadline-bounds spec.progressDeadlineSeconds"]
    );
}

#[test]
fn what_flagger_was_started_with_makes_sure_of_a_finding() {
    let other = SOUND.replace("matchLabels: {app: web}", "matchLabels: {application: web}");
    assert_eq!(
        findings(&report(&other, &["--flagger-selector-labels", "app,name"])),
        ["10 Enforce target-selector spec.targetRef"]
    );
    assert_eq!(
        findings(&report(&other, &["--flagger-selector-labels", "app,application"])),
        [""; 0]
    );
    let mirrored = SOUND
        .replace("  provider: istio\n", "")
        .replace("stepWeight: 10", "stepWeight: 10\n    mirror: true");
    for (args, expected) in [
        (&[][..], &["21 Warn analysis-never-advances spec.analysis.mirror"][..]),
        (
            &["--flagger-mesh-provider", "gatewayapi:v1"],
            &["21 Enforce analysis-never-advances spec.analysis.mirror"],
        ),
        (&["--flagger-mesh-provider", "istio"], &[]),
    ] {
        assert_eq!(findings(&report(&mirrored, args)), expected, "{args:?}");
    }
}
