//! The API server's truth: the Canary, its target and the primary, each as small as the clocks allow, and the
//! Deployment controller.
//!
//! Time goes in steps of one interval. What the pure functions are given is made of this by [`objects`]: real Canaries
//! and Workloads with real times.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use curfew_core::{
    flagger::{
        canary::{Analysis, Canary, Hook, Promoted, Spec, Status},
        objects::Objects,
        observe,
        phase::Phase,
        startup::Startup,
        workload::{Condition, Workload},
    },
    rollout::{
        observation::Observation, pods::PodSeen, revision::TemplateHash, stamp::Stamp, target_ref::TargetRef,
        workload_kind::WorkloadKind,
    },
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

/// The length of a step, and Flagger's interval, in seconds.
pub const STEP: i64 = 30;
/// When the model begins, in seconds since 1970.
const BEGIN: i64 = 1_800_000_000;
/// Failed checks that make Flagger roll back.
pub const THRESHOLD: u8 = 2;
/// Pods that the target wants while it is scaled up.
const PODS: i64 = 2;

/// A Canary, as the API server has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanaryState {
    pub phase: Phase,
    /// The template that Flagger last took up.
    pub applied: u8,
    /// Steps of traffic.
    pub weight: u8,
    pub failed: u8,
    /// The step at which the rollout began, the phase, and the last write of the status.
    pub began: u8,
    pub phase_began: u8,
    pub written: u8,
    pub suspended: bool,
    pub deleted: bool,
    /// In steps.
    pub deadline: u8,
    /// What Curfew keeps on it.
    pub notes: Arc<BTreeMap<&'static str, String>>,
}

/// The target Deployment, as the API server has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub struct TargetState {
    pub template: u8,
    /// Whether it wants pods, or was scaled to zero.
    pub up: bool,
    /// Whether its controller has looked at its spec.
    pub observed: bool,
    /// Whether both of its pods are ready; if not, one of them never is, so that Flagger's own deadline does not run
    /// (`docs/flagger.md#f1`).
    pub ready: bool,
    /// Since which step that is so.
    pub since: u8,
    /// Whether it carries the condition that makes Flagger roll back (`docs/flagger.md#l1`).
    pub exceeded: bool,
}

// === impl CanaryState ===

impl CanaryState {
    /// Whether a lever may be pulled on it.
    pub fn may_act(&self) -> bool {
        self.phase.can_roll_back() && !self.suspended && !self.deleted
    }

    /// A write of Flagger's: another phase, with the conditions that go with it (`MakeStatusConditions`).
    pub fn enter(&mut self, phase: Phase, now: u8) {
        let runs = |phase: &Phase| phase.rank().is_some() || *phase == Phase::Initializing;
        if !runs(&self.phase) || !runs(&phase) {
            self.began = now;
        }
        if self.phase != phase {
            self.phase_began = now;
        }
        self.phase = phase;
        self.written = now;
    }
}

/// The time of a step.
pub fn at(step: u8) -> Timestamp {
    Timestamp::from_second(BEGIN).expect("a time") + SignedDuration::from_secs(STEP * i64::from(step))
}

/// Looks at these states as Curfew does, with its own function.
pub fn look(
    canary: &CanaryState,
    target: &TargetState,
    primary_ready: bool,
    shape: Shape,
    before: &Stamp,
    now: u8,
) -> (Canary, Observation, Stamp) {
    let object = canary_object(canary, shape);
    let target_object = target_object(target);
    let primary = primary_object(primary_ready);
    let pods = pods(target);
    let objects = Objects {
        canary: &object,
        target: Some(&target_object),
        primary: Some(&primary),
        pods: Some(&pods),
        last_event: Some(at(now)),
        canaries: 0,
    };
    let (seen, mut stamp) = observe(objects, before, at(now));
    // How long earlier revisions took decides nothing, and would keep equal states apart.
    stamp.ready_after.clear();
    (object, seen, stamp)
}

fn hook() -> Hook {
    Hook {
        kind: "rollout".to_owned(),
        timeout: Duration::from_secs(STEP.unsigned_abs()),
        retries: 0,
    }
}

/// What the Canary's spec says for the whole of a world.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub skip_analysis: bool,
    /// Whether there is a hook, which may take a step of time.
    pub hook: bool,
}

/// The Canary as Curfew reads it.
pub fn canary_object(canary: &CanaryState, shape: Shape) -> Canary {
    let status = match canary.phase {
        Phase::Initialized | Phase::Succeeded => "True",
        Phase::Failed => "False",
        _ => "Unknown",
    };
    let notes = canary.notes.iter();
    Canary {
        metadata: ObjectMeta {
            name: Some("web".to_owned()),
            namespace: Some("shop".to_owned()),
            deletion_timestamp: canary.deleted.then(|| Time(at(0))),
            annotations: Some(notes.map(|(key, value)| ((*key).to_owned(), value.clone())).collect()),
            ..ObjectMeta::default()
        },
        spec: Spec {
            target: TargetRef {
                api_version: "apps/v1".to_owned(),
                kind: "Deployment".to_owned(),
                name: "web".to_owned(),
            },
            analysis: Some(Analysis {
                interval: format!("{STEP}s"),
                threshold: i64::from(THRESHOLD),
                hooks: shape.hook.then(hook).into_iter().collect(),
                ..Analysis::default()
            }),
            progress_deadline_seconds: Some(STEP * i64::from(canary.deadline)),
            skip_analysis: shape.skip_analysis,
            suspend: canary.suspended,
            ..Spec::default()
        },
        status: Status {
            phase: canary.phase.clone(),
            failed_checks: i64::from(canary.failed),
            canary_weight: i64::from(canary.weight) * 10,
            iterations: 0,
            last_applied_spec: format!("v{}", canary.applied),
            tracked_configs: BTreeMap::new(),
            last_transition_time: Some(at(canary.written)),
            promoted: Some(Promoted {
                message: String::new(),
                status: status.to_owned(),
                rollout_started: Some(at(canary.began)),
                phase_started: Some(at(canary.phase_began)),
            }),
        },
    }
}

fn target_object(target: &TargetState) -> Workload {
    let wanted = if target.up { PODS } else { 0 };
    let available = match (target.up, target.ready) {
        (true, true) => PODS,
        (true, false) => PODS - 1,
        (false, _) => 0,
    };
    let (status, reason) = if target.exceeded {
        ("False", "ProgressDeadlineExceeded")
    } else {
        ("True", "NewReplicaSetAvailable")
    };
    Workload {
        template: TemplateHash([target.template; 16]),
        wanted,
        observed_generation: i64::from(target.observed),
        total: wanted,
        updated: wanted,
        available,
        progressing: Some(Condition {
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: if target.exceeded { "Curfew: " } else { "" }.to_owned(),
            updated: None,
            transitioned: None,
        }),
        ..deployment()
    }
}

fn primary_object(ready: bool) -> Workload {
    Workload {
        wanted: PODS,
        observed_generation: 1,
        total: PODS,
        updated: PODS,
        available: if ready { PODS } else { 0 },
        ..deployment()
    }
}

fn deployment() -> Workload {
    Workload {
        metadata: ObjectMeta {
            generation: Some(1),
            ..ObjectMeta::default()
        },
        kind: WorkloadKind::Deployment,
        selector: String::new(),
        template: TemplateHash::default(),
        paused: false,
        progress_deadline: Some(600),
        min_ready: 0,
        wanted: 0,
        observed_generation: 0,
        total: 0,
        updated: 0,
        available: 0,
        startup: Startup::default(),
        max_unavailable: None,
        progressing: None,
        availability: None,
        replica_failure: None,
    }
}

fn pods(target: &TargetState) -> Vec<PodSeen> {
    let pod = |name: &str, ready| PodSeen {
        name: name.to_owned(),
        created: None,
        ready,
        since: Some(at(target.since)),
        failure: None,
        containers: Vec::new(),
    };
    if target.up {
        vec![pod("web-a", true), pod("web-b", target.ready)]
    } else {
        Vec::new()
    }
}
