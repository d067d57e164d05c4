//! The workloads that Flagger rolls out, distilled.
//!
//! A cluster has more Deployments than Canaries, and every one of them is held in memory: what is kept of an
//! object is what the clocks need, and its pod template only as a hash.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    canary::whole_number,
    startup::{MaxUnavailable, Startup},
};
use crate::rollout::{revision::TemplateHash, workload_kind::WorkloadKind};

/// The node selector by which Flagger parks a `DaemonSet` (`daemonSetScaleDownNodeSelector` in its
/// `pkg/canary/daemonset_controller.go`). It comes and goes with a rollout and is not part of the user's template.
pub const SCALE_TO_ZERO_SELECTOR: &str = "flagger.app/scale-to-zero";

/// A Deployment or `DaemonSet`, as far as Flagger's readiness and Curfew's levers are concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its metadata, without labels, annotations and managed fields.
    pub metadata: ObjectMeta,
    /// Which of the two it is.
    pub kind: WorkloadKind,
    /// `spec.selector` as a label selector for a list of its pods.
    pub selector: String,
    /// The hash of `spec.template`.
    pub template: TemplateHash,
    /// `spec.paused` (Deployments only).
    pub paused: bool,
    /// `spec.progressDeadlineSeconds` (Deployments only).
    pub progress_deadline: Option<i64>,
    /// `spec.minReadySeconds`: how long a pod is ready before it counts as available.
    pub min_ready: i64,
    /// Pods wanted: `spec.replicas` (1 if absent), or `status.desiredNumberScheduled`.
    pub wanted: i64,
    /// `status.observedGeneration`.
    pub observed_generation: i64,
    /// Pods of any version: `status.replicas`, or `status.currentNumberScheduled`.
    pub total: i64,
    /// Pods of the current template: `status.updatedReplicas`, or `status.updatedNumberScheduled`.
    pub updated: i64,
    /// Available pods: `status.availableReplicas`, or `status.numberAvailable`.
    pub available: i64,
    /// What the template says about how its pods become ready.
    pub startup: Startup,
    /// How many pods a rolling update may leave unavailable (Deployments only).
    pub max_unavailable: Option<MaxUnavailable>,
    /// The `Progressing` condition (Deployments only).
    pub progressing: Option<Condition>,
    /// The `Available` condition (Deployments only).
    pub availability: Option<Condition>,
    /// The `ReplicaFailure` condition: pods that could not even be created (Deployments only).
    pub replica_failure: Option<Condition>,
}

/// One condition of a Deployment's status.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// `status`: `True`, `False` or `Unknown`.
    pub status: String,
    /// `reason`.
    pub reason: String,
    /// `message`.
    pub message: String,
    /// `lastUpdateTime`.
    pub updated: Option<Timestamp>,
    /// `lastTransitionTime`.
    pub transitioned: Option<Timestamp>,
}

// === impl Workload ===

impl Workload {
    /// Reads a Deployment; every JSON value gives one.
    #[must_use]
    pub fn deployment(object: &Value) -> Self {
        let (spec, status) = (&object["spec"], &object["status"]);
        Self {
            metadata: metadata(object),
            kind: WorkloadKind::Deployment,
            selector: selector(&spec["selector"]),
            template: TemplateHash::of(&spec["template"]),
            paused: spec["paused"].as_bool().unwrap_or_default(),
            progress_deadline: whole_number(&spec["progressDeadlineSeconds"]),
            min_ready: count(&spec["minReadySeconds"]),
            wanted: whole_number(&spec["replicas"]).unwrap_or(1),
            observed_generation: count(&status["observedGeneration"]),
            total: count(&status["replicas"]),
            updated: count(&status["updatedReplicas"]),
            available: count(&status["availableReplicas"]),
            startup: Startup::of(&spec["template"]),
            max_unavailable: MaxUnavailable::of(&spec["strategy"]),
            progressing: condition(status, "Progressing"),
            availability: condition(status, "Available"),
            replica_failure: condition(status, "ReplicaFailure"),
        }
    }

    /// Reads a `DaemonSet`; every JSON value gives one.
    #[must_use]
    pub fn daemon_set(object: &Value) -> Self {
        let (spec, status) = (&object["spec"], &object["status"]);
        Self {
            metadata: metadata(object),
            kind: WorkloadKind::DaemonSet,
            selector: selector(&spec["selector"]),
            template: TemplateHash::of(&spec["template"]),
            paused: false,
            progress_deadline: None,
            min_ready: count(&spec["minReadySeconds"]),
            wanted: count(&status["desiredNumberScheduled"]),
            observed_generation: count(&status["observedGeneration"]),
            total: count(&status["currentNumberScheduled"]),
            updated: count(&status["updatedNumberScheduled"]),
            available: count(&status["numberAvailable"]),
            startup: Startup::of(&spec["template"]),
            max_unavailable: None,
            progressing: None,
            availability: None,
            replica_failure: None,
        }
    }

    /// Whether the controller has yet to look at the object's current `spec`.
    #[must_use]
    pub fn unobserved(&self) -> bool {
        self.metadata.generation.unwrap_or_default() > self.observed_generation
    }

    /// Whether Kubernetes strips the condition that Flagger's clock and Curfew's lever need (`docs/flagger.md#l10`).
    #[must_use]
    pub fn has_no_deadline(&self) -> bool {
        self.progress_deadline == Some(i64::from(i32::MAX))
    }

    /// Whether `spec.selector.matchLabels` has this label, which Flagger needs to tell its pods from others'.
    #[must_use]
    pub fn selects_by(&self, label: &str) -> bool {
        let mut terms = self.selector.split(',');
        terms.any(|term| term.split_once('=').is_some_and(|(key, _)| key == label))
    }

    /// Whether the Deployment carries the condition that makes Flagger roll back at its next check
    /// (`docs/flagger.md#l1`).
    #[must_use]
    pub fn deadline_exceeded(&self) -> bool {
        self.progressing
            .as_ref()
            .is_some_and(|condition| condition.reason == "ProgressDeadlineExceeded")
    }
}

// === impl TemplateHash ===

impl TemplateHash {
    /// The hash of a pod template, as it stands in the object's JSON.
    #[must_use]
    pub fn of(template: &Value) -> Self {
        let mut template = template.clone();
        drop_nulls(&mut template);
        if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut)
            && let Some(selector) = spec.get_mut("nodeSelector").and_then(Value::as_object_mut)
        {
            selector.remove(SCALE_TO_ZERO_SELECTOR);
            if selector.is_empty() {
                spec.remove("nodeSelector");
            }
        }
        let digest = Sha256::digest(template.to_string());
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }
}

/// API servers differ in whether they write out what is empty (`creationTimestamp: null`).
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn metadata(object: &Value) -> ObjectMeta {
    let metadata = &object["metadata"];
    let text = |key: &str| metadata[key].as_str().map(str::to_owned);
    ObjectMeta {
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        generation: metadata["generation"].as_i64(),
        ..ObjectMeta::default()
    }
}

fn count(value: &Value) -> i64 {
    whole_number(value).unwrap_or_default()
}

fn condition(status: &Value, kind: &str) -> Option<Condition> {
    let conditions = status["conditions"].as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == kind)?;
    let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    let time = |key: &str| condition[key].as_str().and_then(|time| time.parse().ok());
    Some(Condition {
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
        updated: time("lastUpdateTime"),
        transitioned: time("lastTransitionTime"),
    })
}

/// Writes a `LabelSelector` as the API server's `labelSelector` parameter reads it.
fn selector(selector: &Value) -> String {
    let mut terms: Vec<String> = Vec::new();
    if let Some(labels) = selector["matchLabels"].as_object() {
        terms.extend(
            labels
                .iter()
                .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))),
        );
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values: Vec<_> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        match expression["operator"].as_str() {
            Some("In") => terms.push(format!("{key} in ({})", values.join(","))),
            Some("NotIn") => terms.push(format!("{key} notin ({})", values.join(","))),
            Some("Exists") => terms.push(key.to_owned()),
            Some("DoesNotExist") => terms.push(format!("!{key}")),
            _ => {}
        }
    }
    terms.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_template_hash_ignores_only_flaggers_parking_selector() {
        let plain = json!({"spec": {"containers": [{"name": "app", "image": "app:1"}]}});
        let parked = json!({"spec": {"containers": [{"name": "app", "image": "app:1"}],
            "nodeSelector": {"flagger.app/scale-to-zero": "true"}}});
        let pinned = json!({"spec": {"containers": [{"name": "app", "image": "app:1"}],
            "nodeSelector": {"disk": "ssd"}}});
        let newer = json!({"spec": {"containers": [{"name": "app", "image": "app:2"}]}});
        assert_eq!(TemplateHash::of(&plain), TemplateHash::of(&parked));
        assert_ne!(TemplateHash::of(&plain), TemplateHash::of(&pinned));
        assert_ne!(TemplateHash::of(&plain), TemplateHash::of(&newer));
        let with_null = json!({"metadata": {"creationTimestamp": null}, "spec": plain["spec"]});
        let without = json!({"metadata": {}, "spec": plain["spec"]});
        assert_eq!(TemplateHash::of(&with_null), TemplateHash::of(&without));
    }

    #[test]
    fn selectors_are_written_for_the_api_server() {
        let object = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "old", "operator": "DoesNotExist"}]});
        assert_eq!(selector(&object), "app=web,tier in (a,b),!old");
        let workload = Workload::deployment(&json!({"spec": {"selector": object}}));
        assert!(workload.selects_by("app"));
        assert!(!workload.selects_by("tier") && !workload.selects_by("old") && !workload.selects_by("web"));
    }
}
