//! The `CanaryPolicy` resource, `curfew.dev/v1alpha1`.
//!
//! Every field has a default (`built_in.rs`), together they are the built-in policy; unknown fields are refused, so
//! that a misspelt one is never silently without effect. The same types describe the custom resource to the API server
//! ([`super::crd`]).

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Exemption, Mode,
    clock_policy::Clocks,
    sizes::MOST_EXEMPTIONS,
    written::{duration, optional_duration, selector},
};

/// The built-in policy as YAML: what `curfew policy default` prints.
pub const DEFAULT_YAML: &str = include_str!("default.yaml");

/// One policy: whom it covers and what it demands of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CanaryPolicy {
    /// `metadata.name`.
    pub name: String,
    /// `spec`.
    pub spec: CanaryPolicySpec,
}

/// Whom a policy covers and what it demands of them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct CanaryPolicySpec {
    /// Of the policies that match a Canary the one with the lowest precedence applies.
    #[schemars(range(min = i32::MIN, max = i32::MAX))]
    pub precedence: i32,
    /// Namespaces that it covers, by label.
    #[serde(with = "selector")]
    #[schemars(schema_with = "selector::schema")]
    pub namespace_selector: LabelSelector,
    /// Canaries that it covers, by label.
    #[serde(with = "selector")]
    #[schemars(schema_with = "selector::schema")]
    pub canary_selector: LabelSelector,
    /// What is demanded of specs.
    pub admission: AdmissionPolicy,
    /// What is done about rollouts.
    pub enforcement: EnforcementPolicy,
    /// Who is let off, and until when.
    #[schemars(length(max = MOST_EXEMPTIONS))]
    pub exemptions: Vec<Exemption>,
}

/// What is demanded of Canary specs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AdmissionPolicy {
    /// No rule is applied more strictly than this.
    pub mode: Mode,
    /// The mode of single rules, where it is not the rule's own default.
    pub rules: BTreeMap<String, Mode>,
    /// Bounds of `progressDeadlineSeconds`.
    pub deadline: DeadlineBounds,
    /// Bounds of the analysis interval.
    pub interval: IntervalBounds,
}

/// Bounds of `progressDeadlineSeconds`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct DeadlineBounds {
    /// The shortest that is admitted.
    #[serde(with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub min: Duration,
    /// The longest that is admitted.
    #[serde(with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub max: Duration,
    /// What is filled in where none is set; absent: nothing, and a Canary without one is refused.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "duration::schema")]
    pub default: Option<Duration>,
}

/// Bounds of the analysis interval; outside them is a warning.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct IntervalBounds {
    /// The shortest that needs no word.
    #[serde(with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub min: Duration,
    /// The longest that needs no word.
    #[serde(with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub max: Duration,
}

/// What is done about rollouts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct EnforcementPolicy {
    /// Whether deadlines are enforced, only reported, or not looked at.
    pub mode: Enforcement,
    /// `DeadlineApproaching` is reported when this much of a limit is used.
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub warn_at_percent: u8,
    /// Each clock's limit and what happens at its deadline.
    #[schemars(with = "BTreeMap<String, String>")]
    pub clocks: Clocks,
    /// Whether Curfew may itself end a rollout when Flagger is down.
    pub last_resort: bool,
    /// When many breaches at once are only reported.
    pub breaker: BreakerSettings,
}

/// Whether deadlines are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum Enforcement {
    /// Each clock's action is taken.
    Enforce,
    /// Every breach is reported and nothing is done.
    Report,
    /// Nothing is watched.
    Disabled,
}

/// When many breaches at once are only reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct BreakerSettings {
    /// Whether there is a breaker.
    pub enabled: bool,
    /// Fewer breaches than this never open it.
    #[schemars(with = "i64", range(min = 0, max = u32::MAX))]
    pub min: u32,
    /// Nor does a smaller share of the running rollouts.
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub percent: u8,
    /// The time over which breaches are counted.
    #[serde(with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub window: Duration,
}
