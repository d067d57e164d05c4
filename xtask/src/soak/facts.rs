//! What the plane showed, distilled to what the checker reckons with. Pure.
//!
//! Every fact has the moment at which it was received straight from the API server, in seconds since the soak began.
//! Nothing here is Curfew's code: the checker must not share its mistakes.

use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

/// Seconds: a length, or a moment counted from the beginning of the soak.
pub type Seconds = f64;

/// What begins the message of a condition that Curfew wrote.
const CURFEWS: &str = "Curfew: ";

/// The container that fails where something fails: the plane's pods have their trouble in the last one.
pub const CONTAINER: &str = "app";

/// Something that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub at: Seconds,
    pub fact: Fact,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Canary(Canary),
    CanaryGone,
    Target(Workload),
    TargetGone,
    Primary(Workload),
    PrimaryGone,
    Pod(String, TargetPod),
    PodGone(String),
}

/// A Canary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Canary {
    pub uid: String,
    pub phase: String,
    /// The `lastTransitionTime` of the Promoted condition, which stays the same for a rollout.
    pub rollout: String,
    /// `status.lastAppliedSpec`.
    pub applied: String,
    pub weight: i64,
    pub iterations: i64,
    pub failed_checks: i64,
    /// `analysis.threshold`.
    pub threshold: i64,
    /// `progressDeadlineSeconds`.
    pub deadline: Seconds,
    pub suspended: bool,
    pub leaving: bool,
    /// Clock, remedy and result of Curfew's last verdict.
    pub verdict: String,
}

/// A Deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    pub wanted: i64,
    pub total: i64,
    pub updated: i64,
    pub available: i64,
    /// The controller has looked at this spec.
    pub observed: bool,
    /// The image by which the soak tells versions apart.
    pub image: String,
    /// Its `Progressing` condition says `ProgressDeadlineExceeded`.
    pub exceeded: bool,
    /// Curfew wrote that.
    pub by_curfew: bool,
}

/// A pod of the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetPod {
    pub created: Seconds,
    pub ready: bool,
    pub image: String,
    /// Whether its container is ready.
    pub up: bool,
    /// When its container failed, as far as the status still holds it.
    pub exits: Vec<Seconds>,
}

// === impl Canary ===

impl From<&DynamicObject> for Canary {
    fn from(object: &DynamicObject) -> Self {
        let (spec, status) = (&object.data["spec"], &object.data["status"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conditions = status["conditions"].as_array();
        let promoted = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Promoted"));
        let verdict = object
            .annotations()
            .get("curfew.dev/verdict")
            .and_then(|verdict| serde_json::from_str::<Value>(verdict).ok())
            .map(|verdict| ["clock", "remedy", "result"].map(|part| text(&verdict[part])).join(" "));
        Self {
            uid: object.uid().unwrap_or_default(),
            phase: text(&status["phase"]),
            rollout: promoted
                .map(|promoted| text(&promoted["lastTransitionTime"]))
                .unwrap_or_default(),
            applied: text(&status["lastAppliedSpec"]),
            weight: status["canaryWeight"].as_i64().unwrap_or(0),
            iterations: status["iterations"].as_i64().unwrap_or(0),
            failed_checks: status["failedChecks"].as_i64().unwrap_or(0),
            threshold: spec["analysis"]["threshold"].as_i64().unwrap_or(1),
            deadline: spec["progressDeadlineSeconds"].as_f64().unwrap_or(600.0),
            suspended: spec["suspend"].as_bool().unwrap_or(false),
            leaving: object.metadata.deletion_timestamp.is_some(),
            verdict: verdict.unwrap_or_default(),
        }
    }
}

impl Canary {
    /// Whether Flagger can roll back in this phase.
    pub fn can_fail(&self) -> bool {
        matches!(self.phase.as_str(), "Progressing" | "WaitingPromotion")
    }

    /// Whether its failed checks make Flagger roll back. No analysis of the soak has anything that could fail, so it is
    /// Curfew that raised them.
    pub fn is_failed_by_count(&self) -> bool {
        self.failed_checks >= self.threshold
    }
}

// === impl Workload ===

impl From<&Deployment> for Workload {
    fn from(object: &Deployment) -> Self {
        let spec = object.spec.clone().unwrap_or_default();
        let status = object.status.clone().unwrap_or_default();
        let progressing = status.conditions.unwrap_or_default();
        let exceeded = progressing.iter().find(|condition| {
            condition.type_ == "Progressing" && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
        });
        let containers = spec.template.spec.map(|pod| pod.containers).unwrap_or_default();
        Self {
            wanted: spec.replicas.unwrap_or(1).into(),
            total: status.replicas.unwrap_or(0).into(),
            updated: status.updated_replicas.unwrap_or(0).into(),
            available: status.available_replicas.unwrap_or(0).into(),
            observed: status.observed_generation >= object.metadata.generation,
            image: containers
                .last()
                .and_then(|container| container.image.clone())
                .unwrap_or_default(),
            exceeded: exceeded.is_some(),
            by_curfew: exceeded
                .and_then(|condition| condition.message.as_deref())
                .is_some_and(|message| message.starts_with(CURFEWS)),
        }
    }
}

impl Workload {
    /// Whether Flagger would go on, at a threshold of 100 %.
    pub fn is_ready(&self) -> bool {
        self.updated >= self.wanted && self.total <= self.updated && self.available >= self.updated
    }
}

// === impl TargetPod ===

impl TargetPod {
    pub fn of(object: &Pod, began: Timestamp) -> Self {
        let since = |at: Timestamp| at.duration_since(began).as_secs_f64();
        let status = object.status.clone().unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let afflicted = containers.iter().find(|container| container.name == CONTAINER);
        let runs = afflicted.map(|container| [container.last_state.clone(), container.state.clone()]);
        let ends = runs
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|state| state.terminated);
        let image = object
            .spec
            .as_ref()
            .and_then(|spec| spec.containers.last()?.image.clone());
        Self {
            created: object.creation_timestamp().map_or(0.0, |time| since(time.0)),
            ready: status
                .conditions
                .unwrap_or_default()
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            image: image.unwrap_or_default(),
            up: afflicted.is_some_and(|container| container.ready),
            exits: ends
                .filter(|end| end.exit_code != 0)
                .filter_map(|end| Some(since(end.finished_at?.0)))
                .collect(),
        }
    }
}

// === as a timeline shows them ===

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.2}  ", self.at)?;
        match &self.fact {
            Fact::Canary(canary) => write!(f, "canary   {canary}"),
            Fact::CanaryGone => f.write_str("canary   gone"),
            Fact::Target(target) => write!(f, "target   {target}"),
            Fact::TargetGone => f.write_str("target   gone"),
            Fact::Primary(primary) => write!(f, "primary  {primary}"),
            Fact::PrimaryGone => f.write_str("primary  gone"),
            Fact::Pod(name, pod) => write!(f, "pod      {name} {pod}"),
            Fact::PodGone(name) => write!(f, "pod      {name} gone"),
        }
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} at {}: iterations {}, failed checks {}/{}, deadline {} s{}{}; verdict: {}",
            self.phase,
            self.rollout,
            self.applied,
            self.iterations,
            self.failed_checks,
            self.threshold,
            self.deadline,
            if self.suspended { ", suspended" } else { "" },
            if self.leaving { ", being deleted" } else { "" },
            if self.verdict.is_empty() { "none" } else { &self.verdict },
        )
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} wanted, {} there, {} updated, {} available{}{}",
            self.image,
            self.wanted,
            self.total,
            self.updated,
            self.available,
            if self.observed { "" } else { ", not looked at" },
            match (self.exceeded, self.by_curfew) {
                (true, true) => ", deadline exceeded by Curfew's word",
                (true, false) => ", deadline exceeded",
                (false, _) => "",
            },
        )
    }
}

impl fmt::Display for TargetPod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = if self.ready { "ready" } else { "not ready" };
        write!(
            f,
            "{}: {ready}, created {:.0}, failed exits {:.0?}",
            self.image, self.created, self.exits
        )
    }
}
