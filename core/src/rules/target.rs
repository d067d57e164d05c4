//! What the target says about the Canary: `target-selector`, `target-missing`, `target-deadline`,
//! `deadline-below-startup`, `partial-availability`, `probes`, and `scaler-missing` for its autoscaler.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Finding,
    lookup::{Lookup, LookupResult},
    spec::{self, Analysis},
};
use crate::{
    flagger::{
        canary::{AutoscalerRef, whole_number},
        effective::DEFAULT_READY_THRESHOLD,
        phase::Phase,
        workload::Workload,
    },
    policy::{Mode, Rule},
    rollout::{target_ref::TargetRef, workload_kind::WorkloadKind},
};

/// What Flagger asks for when it is started without `-selector-labels`.
pub const DEFAULT_SELECTOR_LABELS: [&str; 3] = ["app", "name", "app.kubernetes.io/name"];

const FIELD: &str = "spec.targetRef";

/// Finds what the target has or lacks, as far as it can be seen.
#[must_use]
pub fn find(canary: &Value, namespace: &str, lookup: &dyn Lookup) -> Vec<Finding> {
    let reference = TargetRef::of(&canary["spec"]);
    let mut findings = match lookup.workload(namespace, &reference) {
        LookupResult::Found(target) => judge(
            canary,
            &reference,
            &target,
            replicas(namespace, &reference, &target, lookup),
            lookup,
        ),
        LookupResult::Missing => vec![missing(Rule::TargetMissing, FIELD, &named(&reference))],
        LookupResult::Unavailable(why) => vec![unseen(Rule::TargetMissing, FIELD, &named(&reference), &why)],
        LookupResult::NotTracked => Vec::new(),
    };
    if let Some(scaler) = AutoscalerRef::of(&canary["spec"]) {
        let (field, name) = ("spec.autoscalerRef", format!("{} {}", scaler.kind, scaler.name));
        match lookup.scaler(namespace, &scaler) {
            LookupResult::Missing => findings.push(missing(Rule::ScalerMissing, field, &name)),
            LookupResult::Unavailable(why) => findings.push(unseen(Rule::ScalerMissing, field, &name, &why)),
            LookupResult::Found(()) | LookupResult::NotTracked => {}
        }
    }
    findings
}

/// How many pods a rollout will have, where anything says so: at rest the target has none, and the primary has them.
#[must_use]
pub(super) fn replicas(namespace: &str, reference: &TargetRef, target: &Workload, lookup: &dyn Lookup) -> Option<i64> {
    let primary = TargetRef {
        name: format!("{}-primary", reference.name),
        ..reference.clone()
    };
    let of_primary = || match lookup.workload(namespace, &primary) {
        LookupResult::Found(primary) => Some(primary.wanted),
        LookupResult::Missing | LookupResult::Unavailable(_) | LookupResult::NotTracked => None,
    };
    Some(target.wanted)
        .filter(|wanted| *wanted > 0)
        .or_else(of_primary)
        .filter(|wanted| *wanted > 0)
}

fn judge(
    canary: &Value,
    reference: &TargetRef,
    target: &Arc<Workload>,
    replicas: Option<i64>,
    lookup: &dyn Lookup,
) -> Vec<Finding> {
    let name = named(reference);
    let mut findings = Vec::new();
    findings.extend(selector(&name, target, lookup.selector_labels()));
    findings.extend(own_deadline(canary, &name, target));
    findings.extend(below_startup(canary, &name, target));
    findings.extend(partial(canary, &name, target, replicas));
    findings.extend(probes(&name, target));
    findings
}

fn selector(name: &str, target: &Workload, labels: Option<&[String]>) -> Option<Finding> {
    let known: Vec<&str> = match labels {
        Some(labels) => labels.iter().map(String::as_str).collect(),
        None => DEFAULT_SELECTOR_LABELS.to_vec(),
    };
    if known.iter().any(|label| target.selects_by(label)) {
        return None;
    }
    let list = known.join(", ");
    let (severity, matters) = match labels {
        Some(_) => (Mode::Enforce, "so that Flagger refuses it and never initializes it"),
        None => (Mode::Warn, "so that Flagger refuses it, unless it goes by others"),
    };
    Some(Finding {
        rule: Rule::TargetSelector,
        severity,
        at_most: Mode::Enforce,
        field: FIELD.to_owned(),
        value: Value::from(target.selector.as_str()).to_string(),
        message: format!("the selector of {name} has none of the labels {list}, {matters}"),
        fix: "give its spec.selector.matchLabels one of them".to_owned(),
    })
}

fn own_deadline(canary: &Value, name: &str, target: &Workload) -> Option<Finding> {
    let own = target.progress_deadline?;
    let (severity, message, fix) = if target.has_no_deadline() {
        (
            Mode::Enforce,
            format!(
                "{name} has progressDeadlineSeconds {own}, with which Kubernetes reports no progress at all: neither Flagger's \
                 deadline nor Curfew's can hold"
            ),
            "leave it out of the Deployment, or write 600".to_owned(),
        )
    } else {
        let deadline = spec::deadline(canary);
        if own >= deadline {
            return None;
        }
        (
            Mode::Warn,
            format!(
                "{name} has progressDeadlineSeconds {own}, less than the {deadline} s of the Canary: a version that is pushed while \
                 another rolls out is failed by Kubernetes after {own} s"
            ),
            format!("give the Deployment {deadline} or more"),
        )
    };
    Some(Finding {
        rule: Rule::TargetDeadline,
        severity,
        at_most: Mode::Enforce,
        field: FIELD.to_owned(),
        value: own.to_string(),
        message,
        fix,
    })
}

fn below_startup(canary: &Value, name: &str, target: &Workload) -> Option<Finding> {
    // Of what Flagger cannot decode, `undecodable` says enough.
    let written = &canary["spec"]["progressDeadlineSeconds"];
    if !written.is_null() && whole_number(written).is_none() {
        return None;
    }
    let deadline = spec::deadline(canary);
    let least = target.startup.seconds.saturating_add(target.min_ready);
    if deadline >= least {
        return None;
    }
    let initializes = match Phase::parse(canary["status"]["phase"].as_str().unwrap_or_default()) {
        Phase::None | Phase::Initializing => ", and an initialization that fails scales the serving pods to 0",
        _ => "",
    };
    Some(Finding {
        rule: Rule::DeadlineBelowStartup,
        severity: Mode::Warn,
        at_most: Mode::Enforce,
        field: "spec.progressDeadlineSeconds".to_owned(),
        value: deadline.to_string(),
        message: format!(
            "{deadline} s: by its probes and minReadySeconds a pod of {name} may take {least} s, so a healthy version can fail{initializes}"
        ),
        fix: format!("write more than {least}"),
    })
}

fn partial(canary: &Value, name: &str, target: &Workload, replicas: Option<i64>) -> Option<Finding> {
    let threshold = Analysis::of(canary)
        .and_then(|analysis| analysis.number("canaryReadyThreshold"))
        .unwrap_or(DEFAULT_READY_THRESHOLD);
    let replicas =
        replicas.filter(|_| target.kind == WorkloadKind::Deployment && threshold == DEFAULT_READY_THRESHOLD)?;
    let missing = target.max_unavailable?.pods(replicas).min(replicas);
    if missing < 1 {
        return None;
    }
    Some(Finding {
        rule: Rule::PartialAvailability,
        severity: Mode::Audit,
        at_most: Mode::Enforce,
        field: FIELD.to_owned(),
        value: missing.to_string(),
        message: format!(
            "Kubernetes takes {name} for available with {missing} of {replicas} pods missing, so that Flagger alone waits for \
             ever for a pod that crashes"
        ),
        fix: "set its maxUnavailable to 0, or leave it to Curfew".to_owned(),
    })
}

fn probes(name: &str, target: &Workload) -> Option<Finding> {
    let (severity, value, message, fix) = if !target.startup.has_readiness_probe {
        (
            Mode::Warn,
            "readiness",
            format!(
                "no container of {name} has a readiness probe, so that a pod counts as ready as soon as it runs, even one that \
                 crashes a moment later"
            ),
            "give the container that serves a readinessProbe",
        )
    } else if !target.startup.has_liveness_probe {
        (
            Mode::Audit,
            "liveness",
            format!("no container of {name} has a liveness probe, so that one that hangs is never restarted"),
            "give the container that serves a livenessProbe",
        )
    } else {
        return None;
    };
    Some(Finding {
        rule: Rule::Probes,
        severity,
        at_most: Mode::Enforce,
        field: FIELD.to_owned(),
        value: format!("\"{value}\""),
        message,
        fix: fix.to_owned(),
    })
}

fn missing(rule: Rule, field: &str, name: &str) -> Finding {
    Finding {
        rule,
        severity: Mode::Warn,
        at_most: Mode::Enforce,
        field: field.to_owned(),
        value: Value::from(name).to_string(),
        message: format!("{name} does not exist (yet), and until it does Flagger waits"),
        fix: format!("create it, or correct {field}"),
    }
}

/// What is there but could not be looked at is never held against anybody.
pub(super) fn unseen(rule: Rule, field: &str, name: &str, why: &str) -> Finding {
    Finding {
        rule,
        severity: Mode::Warn,
        at_most: Mode::Warn,
        field: field.to_owned(),
        value: Value::from(name).to_string(),
        message: format!("Curfew cannot see {name}, so that nothing was judged that depends on it: {why}"),
        fix: "tell the cluster's admins".to_owned(),
    }
}

fn named(reference: &TargetRef) -> String {
    format!("{} {}", reference.kind, reference.name)
}

#[cfg(test)]
#[path = "target_test.rs"]
mod tests;
