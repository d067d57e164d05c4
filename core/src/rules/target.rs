//! What the target says about the Canary: `target-selector`, `target-missing`, `target-deadline`,
//! `deadline-below-startup`, `partial-availability`, `probes`, and `scaler-missing` for its autoscaler.

use serde_json::Value;

use super::{
    Finding,
    lookup::{Lookup, LookupResult},
    rule_def::{RuleDef, RuleInput},
};
use crate::{
    flagger::{
        canary::{AutoscalerRef, whole_number},
        effective::{DEFAULT_READY_THRESHOLD, Effective},
        phase::Phase,
        workload::Workload,
    },
    policy::{Mode, Rule},
    rollout::{target_ref::TargetRef, workload_kind::WorkloadKind},
};

impl Rule {
    /// A target whose selector has none of Flagger's labels.
    pub const TARGET_SELECTOR: Self = Self::named("target-selector");
}

pub(super) const TARGET_SELECTOR: RuleDef = RuleDef {
    rule: Rule::TARGET_SELECTOR,
    looks_around: true,
    modes: &[
        (Mode::Enforce, ""),
        (Mode::Warn, "where `--flagger-selector-labels` is not set"),
    ],
    finds: "A target whose `selector.matchLabels` has none of the labels that Flagger goes by (`app`, `name`, \
                    `app.kubernetes.io/name`, or its `-selector-labels`).",
    why: "Flagger refuses the target and never initializes it.",
    fix: "Give the target's selector and its pods one of the labels.",
    check: |input| {
        on_target(input, |name, target| {
            selector(name, target, input.lookup.selector_labels())
        })
    },
};

impl Rule {
    /// A target that is not there.
    pub const TARGET_MISSING: Self = Self::named("target-missing");
}

pub(super) const TARGET_MISSING: RuleDef = RuleDef {
    rule: Rule::TARGET_MISSING,
    looks_around: true,
    modes: &[(Mode::Warn, "")],
    finds: "A target that does not exist (yet). `curfew check`, which sees only what it is given, stays silent.",
    why: "Flagger waits until it does; a misspelt name is waited for without end.",
    fix: "Create it, or correct `targetRef`.",
    check: missing_target,
};

impl Rule {
    /// A target whose own deadline does away with the Canary's.
    pub const TARGET_DEADLINE: Self = Self::named("target-deadline");
}

pub(super) const TARGET_DEADLINE: RuleDef = RuleDef {
    rule: Rule::TARGET_DEADLINE,
    looks_around: true,
    modes: &[(Mode::Enforce, "for 2147483647"), (Mode::Warn, "")],
    finds: "A Deployment with a `progressDeadlineSeconds` of 2147483647, or one shorter than the Canary's.",
    why: "With the first Kubernetes reports no progress at all, so that neither Flagger's deadline nor Curfew's can hold \
                  ([L10](flagger.md#l10)). The second ends a version that is pushed in mid-rollout earlier than the Canary says \
                  ([F2](flagger.md#f2)).",
    fix: "Leave it out of the Deployment (600 s), or write the Canary's or more.",
    check: |input| on_target(input, |name, target| own_deadline(input.canary, name, target)),
};

impl Rule {
    /// An autoscaler that is not there.
    pub const SCALER_MISSING: Self = Self::named("scaler-missing");
}

pub(super) const SCALER_MISSING: RuleDef = RuleDef {
    rule: Rule::SCALER_MISSING,
    looks_around: true,
    modes: &[(Mode::Warn, "")],
    finds: "An `autoscalerRef` to a HorizontalPodAutoscaler or ScaledObject that does not exist (yet).",
    why: "Flagger cannot make the primary's autoscaler, and the initialization waits for it.",
    fix: "Create it, or correct `autoscalerRef`.",
    check: missing_scaler,
};

impl Rule {
    /// A deadline shorter than the pods' own probes allow.
    pub const DEADLINE_BELOW_STARTUP: Self = Self::named("deadline-below-startup");
}

pub(super) const DEADLINE_BELOW_STARTUP: RuleDef = RuleDef {
    rule: Rule::DEADLINE_BELOW_STARTUP,
    looks_around: false,
    modes: &[(Mode::Warn, "")],
    finds: "A deadline shorter than `minReadySeconds` and the time that the slowest container's own probes allow it.",
    why: "A healthy version can fail. While a workload is initialized, Flagger scales its serving pods to 0 at the deadline \
                  ([F8](flagger.md#f8)), unless Curfew holds the initialization.",
    fix: "Lengthen the deadline, or shorten the probes' budget.",
    check: |input| on_target(input, |name, target| below_startup(input.canary, name, target)),
};

impl Rule {
    /// A target that counts as available with pods missing.
    pub const PARTIAL_AVAILABILITY: Self = Self::named("partial-availability");
}

pub(super) const PARTIAL_AVAILABILITY: RuleDef = RuleDef {
    rule: Rule::PARTIAL_AVAILABILITY,
    looks_around: true,
    modes: &[(Mode::Audit, "")],
    finds: "A Deployment whose `maxUnavailable` comes to a pod or more, with a `canaryReadyThreshold` of 100.",
    why: "Kubernetes takes it for available with a pod missing, and then Flagger's own deadline never begins \
                  ([F1](flagger.md#f1)). Curfew's does, so this is only recorded.",
    fix: "Set `maxUnavailable: 0`, or leave it to Curfew.",
    check: partial_availability,
};

impl Rule {
    /// A target whose containers have no probes.
    pub const PROBES: Self = Self::named("probes");
}

pub(super) const PROBES: RuleDef = RuleDef {
    rule: Rule::PROBES,
    looks_around: true,
    modes: &[
        (Mode::Warn, "without a readiness probe"),
        (Mode::Audit, "without a liveness probe"),
    ],
    finds: "A target none of whose containers has a readiness probe, or a liveness probe.",
    why: "Without a readiness probe a pod counts as ready as soon as it runs, and one that crashes a moment later is promoted \
                  ([F4](flagger.md#f4)).",
    fix: "Give the container that serves a readiness probe, and one that may hang a liveness probe.",
    check: |input| on_target(input, probes),
};

/// What Flagger asks for when it is started without `-selector-labels`.
pub const DEFAULT_SELECTOR_LABELS: [&str; 3] = ["app", "name", "app.kubernetes.io/name"];

const FIELD: &str = "spec.targetRef";

/// What one rule says of the target, as far as it can be seen.
fn on_target(input: &RuleInput<'_>, find: impl FnOnce(&str, &Workload) -> Option<Finding>) -> Vec<Finding> {
    let reference = TargetRef::of(&input.canary["spec"]);
    match input.lookup.workload(input.namespace, &reference) {
        LookupResult::Found(target) => find(&named(&reference), &target).into_iter().collect(),
        LookupResult::Missing | LookupResult::Unavailable(_) | LookupResult::NotTracked => Vec::new(),
    }
}

fn missing_target(input: &RuleInput<'_>) -> Vec<Finding> {
    let reference = TargetRef::of(&input.canary["spec"]);
    let found = match input.lookup.workload(input.namespace, &reference) {
        LookupResult::Missing => Some(missing(Rule::TARGET_MISSING, FIELD, &named(&reference))),
        LookupResult::Unavailable(why) => Some(unseen(Rule::TARGET_MISSING, FIELD, &named(&reference), &why)),
        LookupResult::Found(_) | LookupResult::NotTracked => None,
    };
    found.into_iter().collect()
}

fn missing_scaler(input: &RuleInput<'_>) -> Vec<Finding> {
    let Some(scaler) = AutoscalerRef::of(&input.canary["spec"]) else {
        return Vec::new();
    };
    let (field, name) = ("spec.autoscalerRef", format!("{} {}", scaler.kind, scaler.name));
    let found = match input.lookup.scaler(input.namespace, &scaler) {
        LookupResult::Missing => Some(missing(Rule::SCALER_MISSING, field, &name)),
        LookupResult::Unavailable(why) => Some(unseen(Rule::SCALER_MISSING, field, &name, &why)),
        LookupResult::Found(()) | LookupResult::NotTracked => None,
    };
    found.into_iter().collect()
}

fn partial_availability(input: &RuleInput<'_>) -> Vec<Finding> {
    on_target(input, |name, target| {
        let reference = TargetRef::of(&input.canary["spec"]);
        let replicas = replicas(input.namespace, &reference, target, input.lookup);
        partial(input.canary, name, target, replicas)
    })
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
        rule: Rule::TARGET_SELECTOR,
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
        let deadline = Effective::of_spec(&canary["spec"]).progress_deadline_seconds;
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
        rule: Rule::TARGET_DEADLINE,
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
    let deadline = Effective::of_spec(&canary["spec"]).progress_deadline_seconds;
    let least = target.startup.seconds.saturating_add(target.min_ready);
    if deadline >= least {
        return None;
    }
    let initializes = match Phase::parse(canary["status"]["phase"].as_str().unwrap_or_default()) {
        Phase::None | Phase::Initializing => ", and an initialization that fails scales the serving pods to 0",
        _ => "",
    };
    Some(Finding {
        rule: Rule::DEADLINE_BELOW_STARTUP,
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
    let threshold = Effective::of_spec(&canary["spec"]).canary_ready_threshold;
    let replicas =
        replicas.filter(|_| target.kind == WorkloadKind::Deployment && threshold == DEFAULT_READY_THRESHOLD)?;
    let missing = target.max_unavailable?.pods(replicas).min(replicas);
    if missing < 1 {
        return None;
    }
    Some(Finding {
        rule: Rule::PARTIAL_AVAILABILITY,
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
        rule: Rule::PROBES,
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
