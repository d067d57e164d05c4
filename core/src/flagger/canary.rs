//! A Canary as it comes from the API server, read leniently.
//!
//! The CRD lets through what Flagger cannot read (`docs/flagger.md#f7`), and a later Flagger adds fields, so nothing
//! here fails: a field of the wrong type is as good as absent, a field that nobody here needs is dropped (ten
//! thousand Canaries are held in memory). Whether a spec *is* readable is the business of [`super::decode`].

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{decode, phase::Phase};
use crate::{duration, rollout::target_ref::TargetRef};

/// What Flagger gives a hook that sets no `timeout`.
const DEFAULT_HOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// A `flagger.app/v1beta1` Canary: what Curfew needs of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Canary {
    /// The object's metadata, without its managed fields.
    pub metadata: ObjectMeta,
    /// What the user wrote.
    pub spec: Spec,
    /// What Flagger wrote.
    pub status: Status,
}

/// The parts of `spec` that decide how Flagger treats a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// `provider`, if the Canary overrides Flagger's own.
    pub provider: Option<String>,
    /// `targetRef`.
    pub target: TargetRef,
    /// `autoscalerRef`, if there is one.
    pub autoscaler: Option<AutoscalerRef>,
    /// `service.name`, if it differs from the target's.
    pub service_name: Option<String>,
    /// `analysis`, else the deprecated `canaryAnalysis`.
    pub analysis: Option<Analysis>,
    /// `progressDeadlineSeconds` as stored, when it is a whole number.
    pub progress_deadline_seconds: Option<i64>,
    /// `skipAnalysis`.
    pub skip_analysis: bool,
    /// `suspend`.
    pub suspend: bool,
}

/// `spec.autoscalerRef`: what else sets the target's replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AutoscalerRef {
    /// `kind`: `HorizontalPodAutoscaler` or `ScaledObject`.
    pub kind: String,
    /// `name`, in the Canary's namespace.
    pub name: String,
}

/// The parts of `spec.analysis` that decide how fast a rollout goes and when it stops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Analysis {
    /// `interval`, as written.
    pub interval: String,
    /// `threshold`.
    pub threshold: i64,
    /// `iterations`.
    pub iterations: i64,
    /// Whether `match` has conditions (an A/B test).
    pub matches: bool,
    /// `primaryReadyThreshold`, per cent.
    pub primary_ready_threshold: Option<i64>,
    /// `canaryReadyThreshold`, per cent.
    pub canary_ready_threshold: Option<i64>,
    /// `webhooks`: what Flagger calls on its way.
    pub hooks: Vec<Hook>,
}

/// A hook: what Flagger calls, and how long that may keep it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hook {
    /// `type`; empty means `rollout`.
    pub kind: String,
    /// `timeout`, or the 10 s that Flagger uses instead (`CallWebhook` in its `pkg/controller/webhook.go`).
    pub timeout: Duration,
    /// `retries`.
    pub retries: i64,
}

/// `status`, all of it written by Flagger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `phase`.
    pub phase: Phase,
    /// `failedChecks`.
    pub failed_checks: i64,
    /// `canaryWeight`, per cent.
    pub canary_weight: i64,
    /// `iterations`.
    pub iterations: i64,
    /// `lastAppliedSpec`: Flagger's hash of the target's template, which nobody else can compute.
    pub last_applied_spec: String,
    /// `trackedConfigs`: the checksums of the `ConfigMaps` and Secrets that the target uses.
    pub tracked_configs: BTreeMap<String, String>,
    /// `lastTransitionTime`: the last time that Flagger wrote any part of the status.
    pub last_transition_time: Option<Timestamp>,
    /// `conditions[type=Promoted]`.
    pub promoted: Option<Promoted>,
}

/// The `Promoted` condition. While its status is `Unknown` a rollout runs, or the Canary is being initialized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// `status`: `True`, `False` or `Unknown`.
    pub status: String,
    /// `message`.
    pub message: String,
    /// `lastTransitionTime`: the start of the rollout.
    pub rollout_started: Option<Timestamp>,
    /// `lastUpdateTime`: the start of the phase.
    pub phase_started: Option<Timestamp>,
}

// === impl Canary ===

impl Canary {
    /// Reads a Canary; every JSON value gives one.
    #[must_use]
    pub fn from_json(mut canary: Value) -> Self {
        let metadata = canary.get_mut("metadata").map(Value::take).unwrap_or_default();
        Self {
            metadata: slim(metadata),
            spec: Spec::from_json(&canary["spec"]),
            status: Status::from_json(&canary["status"]),
        }
    }

    /// `metadata.namespace`, or nothing.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.name`, or nothing.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// One of the Canary's annotations.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        Some(self.metadata.annotations.as_ref()?.get(key)?.as_str())
    }

    /// The name of the Service that users call: the target's, unless the Canary names another.
    #[must_use]
    pub fn apex_name(&self) -> &str {
        self.spec.service_name.as_deref().unwrap_or(&self.spec.target.name)
    }

    /// The name of the workload that serves while the target rolls out, as Flagger names it.
    #[must_use]
    pub fn primary_name(&self) -> String {
        format!("{}-primary", self.spec.target.name)
    }
}

impl<'de> Deserialize<'de> for Canary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_json(Value::deserialize(deserializer)?))
    }
}

impl kube_core::Resource for Canary {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Canary".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "flagger.app".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1beta1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "canaries".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Spec {
    pub(super) fn from_json(spec: &Value) -> Self {
        let analysis = [&spec["analysis"], &spec["canaryAnalysis"]]
            .into_iter()
            .find(|analysis| analysis.is_object());
        Self {
            provider: non_empty(&spec["provider"]),
            target: TargetRef::of(spec),
            autoscaler: AutoscalerRef::of(spec),
            service_name: non_empty(&spec["service"]["name"]),
            analysis: analysis.map(Analysis::from_json),
            progress_deadline_seconds: whole_number(&spec["progressDeadlineSeconds"]),
            skip_analysis: spec["skipAnalysis"].as_bool().unwrap_or_default(),
            suspend: spec["suspend"].as_bool().unwrap_or_default(),
        }
    }
}

impl TargetRef {
    /// The `targetRef` of a Canary's `spec`.
    #[must_use]
    pub fn of(spec: &Value) -> Self {
        let target = &spec["targetRef"];
        Self {
            api_version: text(&target["apiVersion"]),
            kind: text(&target["kind"]),
            name: text(&target["name"]),
        }
    }
}

impl AutoscalerRef {
    /// The `autoscalerRef` of a Canary's `spec`, if there is one.
    #[must_use]
    pub fn of(spec: &Value) -> Option<Self> {
        let scaler = &spec["autoscalerRef"];
        scaler.is_object().then(|| Self {
            kind: text(&scaler["kind"]),
            name: text(&scaler["name"]),
        })
    }
}

impl Analysis {
    fn from_json(analysis: &Value) -> Self {
        Self {
            interval: text(&analysis["interval"]),
            threshold: whole_number(&analysis["threshold"]).unwrap_or_default(),
            iterations: whole_number(&analysis["iterations"]).unwrap_or_default(),
            matches: analysis["match"]
                .as_array()
                .is_some_and(|conditions| !conditions.is_empty()),
            primary_ready_threshold: whole_number(&analysis["primaryReadyThreshold"]),
            canary_ready_threshold: whole_number(&analysis["canaryReadyThreshold"]),
            hooks: analysis["webhooks"]
                .as_array()
                .into_iter()
                .flatten()
                .map(Hook::from_json)
                .collect(),
        }
    }

    /// Whether there is a hook of this type.
    #[must_use]
    pub fn has_hook(&self, kind: &str) -> bool {
        self.hooks.iter().any(|hook| hook.kind == kind)
    }
}

impl Hook {
    fn from_json(hook: &Value) -> Self {
        let written = hook["timeout"].as_str().and_then(|text| duration::parse(text).ok());
        Self {
            kind: text(&hook["type"]),
            timeout: written
                .and_then(|written| written.try_into().ok())
                .unwrap_or(DEFAULT_HOOK_TIMEOUT),
            retries: whole_number(&hook["retries"]).unwrap_or_default(),
        }
    }
}

impl Status {
    fn from_json(status: &Value) -> Self {
        let promoted = status["conditions"]
            .as_array()
            .and_then(|conditions| conditions.iter().find(|condition| condition["type"] == "Promoted"));
        Self {
            phase: Phase::parse(status["phase"].as_str().unwrap_or_default()),
            failed_checks: whole_number(&status["failedChecks"]).unwrap_or_default(),
            canary_weight: whole_number(&status["canaryWeight"]).unwrap_or_default(),
            iterations: whole_number(&status["iterations"]).unwrap_or_default(),
            last_applied_spec: text(&status["lastAppliedSpec"]),
            tracked_configs: status["trackedConfigs"]
                .as_object()
                .map(|configs| {
                    configs
                        .iter()
                        .map(|(name, checksum)| (name.clone(), text(checksum)))
                        .collect()
                })
                .unwrap_or_default(),
            last_transition_time: time(&status["lastTransitionTime"]),
            promoted: promoted.map(|promoted| Promoted {
                status: text(&promoted["status"]),
                message: text(&promoted["message"]),
                rollout_started: time(&promoted["lastTransitionTime"]),
                phase_started: time(&promoted["lastUpdateTime"]),
            }),
        }
    }
}

/// The metadata, without what costs the most memory and nobody here reads. Should it ever not parse, its names
/// still do, so that no watch ends over it.
fn slim(mut metadata: Value) -> ObjectMeta {
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove("managedFields");
        if let Some(annotations) = fields.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    let names = ObjectMeta {
        name: non_empty(&metadata["name"]),
        namespace: non_empty(&metadata["namespace"]),
        uid: non_empty(&metadata["uid"]),
        resource_version: non_empty(&metadata["resourceVersion"]),
        ..ObjectMeta::default()
    };
    serde_json::from_value(metadata).unwrap_or(names)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn non_empty(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// A whole number as the API server stores it: `180.0` is 180.
#[must_use]
pub fn whole_number(value: &Value) -> Option<i64> {
    decode::whole_number(value.as_number()?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_are_judged_as_the_api_server_stores_them() {
        for (value, expected) in [
            (json!(180), Some(180)),
            (json!(180.0), Some(180)),
            (json!(1e3), Some(1000)),
            (json!(-5), Some(-5)),
            (json!(180.5), None),
            (json!(1e20), None),
            (json!(9_223_372_036_854_775_808_u64), None),
            (json!("180"), None),
            (json!(null), None),
        ] {
            assert_eq!(whole_number(&value), expected, "{value}");
        }
    }

    #[test]
    fn any_json_gives_a_canary() {
        for value in [
            json!(null),
            json!([]),
            json!("x"),
            json!({"metadata": 7, "spec": [], "status": "?"}),
            json!({"spec": {"analysis": 3, "targetRef": null}, "status": {"conditions": [1, {"type": "Promoted"}]}}),
        ] {
            let canary = Canary::from_json(value);
            assert_eq!(canary.name(), "");
            assert_eq!(canary.status.phase, Phase::None);
        }
    }

    #[test]
    fn metadata_that_does_not_parse_keeps_its_names() {
        let odd = json!({"metadata": {"name": "web", "namespace": "shop", "labels": 3, "managedFields": "?"}});
        let canary = Canary::from_json(odd);
        assert_eq!((canary.namespace(), canary.name()), ("shop", "web"));
    }

    #[test]
    fn the_promoted_condition_gives_the_starts_of_rollout_and_phase() {
        let canary = Canary::from_json(json!({"status": {"phase": "Progressing", "conditions": [
            {"type": "Promoted", "status": "Unknown", "reason": "Progressing",
             "lastUpdateTime": "2026-11-23T14:00:05Z", "lastTransitionTime": "2026-11-23T13:59:00Z"}]}}));
        let promoted = canary.status.promoted.expect("the condition is there");
        assert_eq!(promoted.status, "Unknown");
        assert_eq!(promoted.rollout_started, "2026-11-23T13:59:00Z".parse().ok());
        assert_eq!(promoted.phase_started, "2026-11-23T14:00:05Z".parse().ok());
    }

    #[test]
    fn the_deprecated_analysis_counts_when_there_is_no_other() {
        let canary = Canary::from_json(json!({"spec": {"canaryAnalysis": {"interval": "1m", "threshold": 5}}}));
        let analysis = canary.spec.analysis.expect("an analysis");
        assert_eq!((analysis.interval.as_str(), analysis.threshold), ("1m", 5));
    }
}
