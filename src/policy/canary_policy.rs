//! The `CanaryPolicy` resource, `curfew.dev/v1alpha1`.
//!
//! Every field has a default, together they are the built-in policy; unknown fields are refused, so that a
//! misspelt one is never silently without effect.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde::{Deserialize, Deserializer};

use super::{Exemption, Mode, Rule};
use crate::flagger::duration;

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

/// `spec` of a `CanaryPolicy`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct CanaryPolicySpec {
    /// Of the policies that match a Canary the one with the lowest precedence applies.
    pub precedence: i32,
    /// Namespaces that it covers, by label.
    #[serde(deserialize_with = "strict_selector")]
    pub namespace_selector: LabelSelector,
    /// Canaries that it covers, by label.
    #[serde(deserialize_with = "strict_selector")]
    pub canary_selector: LabelSelector,
    /// What is demanded of specs.
    pub admission: AdmissionPolicy,
    /// What is done about rollouts.
    pub enforcement: EnforcementPolicy,
    /// Who is let off, and until when.
    pub exemptions: Vec<Exemption>,
}

/// What is demanded of Canary specs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AdmissionPolicy {
    /// No rule is applied more strictly than this.
    pub mode: Mode,
    /// The mode of single rules, where it is not the rule's own default.
    pub rules: BTreeMap<Rule, Mode>,
    /// Bounds of `progressDeadlineSeconds`.
    pub deadline: DeadlineBounds,
    /// Bounds of the analysis interval.
    pub interval: IntervalBounds,
}

/// Bounds of `progressDeadlineSeconds`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct DeadlineBounds {
    /// The shortest that is admitted.
    #[serde(deserialize_with = "go_duration")]
    pub min: Duration,
    /// The longest that is admitted.
    #[serde(deserialize_with = "go_duration")]
    pub max: Duration,
}

/// Bounds of the analysis interval; outside them is a warning.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct IntervalBounds {
    /// The shortest that needs no word.
    #[serde(deserialize_with = "go_duration")]
    pub min: Duration,
    /// The longest that needs no word.
    #[serde(deserialize_with = "go_duration")]
    pub max: Duration,
}

/// What is done about rollouts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct EnforcementPolicy {
    /// Whether deadlines are enforced, only reported, or not looked at.
    pub mode: Enforcement,
    /// `DeadlineApproaching` is reported when this much of a limit is used.
    pub warn_at_percent: u8,
    /// Each clock's limit and what happens at its deadline.
    pub clocks: Clocks,
    /// Whether Curfew may itself end a rollout when Flagger is down.
    pub last_resort: bool,
    /// When many breaches at once are only reported.
    pub breaker: Breaker,
}

/// Whether deadlines are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Enforcement {
    /// Each clock's action is taken.
    Enforce,
    /// Every breach is reported and nothing is done.
    Report,
    /// Nothing is watched.
    Off,
}

/// What happens when a clock's deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Action {
    /// Flagger is made to roll back.
    RollBack,
    /// The adoption is held (the initialization clock alone).
    Hold,
    /// An Event, a metric and a log line.
    Report,
    /// Nothing; the clock does not run.
    Off,
}

/// The clocks' settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Clocks {
    /// Adoption of a workload.
    pub initialization: ClockPolicy,
    /// Unready time of the canary.
    pub readiness: ClockPolicy,
    /// Crashes of one container.
    pub crashes: CrashesPolicy,
    /// Waiting for an approval.
    pub gate: LimitedClockPolicy,
    /// Ready, but not advancing.
    pub stall: LimitedClockPolicy,
    /// No sign of life from Flagger.
    pub silence: ClockPolicy,
    /// Promotion of the primary.
    pub promotion: LimitedClockPolicy,
    /// The whole rollout.
    pub rollout: RolloutPolicy,
    /// Suspended in mid-rollout.
    pub suspended: LimitedClockPolicy,
}

/// A clock whose limit is not the policy's to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClockPolicy {
    /// What happens at the deadline.
    pub action: Action,
}

/// A clock with a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LimitedClockPolicy {
    /// What happens at the deadline.
    pub action: Action,
    /// How long it may take; absent: the clock's own rule.
    #[serde(default, deserialize_with = "some_go_duration")]
    pub limit: Option<Duration>,
}

/// The crash clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct CrashesPolicy {
    /// What happens at the limit.
    pub action: Action,
    /// Failed exits of one container.
    pub restarts: u32,
    /// Within this time.
    #[serde(deserialize_with = "go_duration")]
    pub window: Duration,
}

/// The clock of the whole rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RolloutPolicy {
    /// What happens at the deadline.
    pub action: Action,
    /// The limit; absent: only where the annotation sets one.
    #[serde(deserialize_with = "some_go_duration")]
    pub limit: Option<Duration>,
    /// The longest that the annotation may set.
    #[serde(deserialize_with = "go_duration")]
    pub max_limit: Duration,
}

/// When many breaches at once are only reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Breaker {
    /// Whether there is a breaker.
    pub enabled: bool,
    /// Fewer breaches than this never open it.
    pub min: u32,
    /// Nor does a smaller share of the running rollouts.
    pub percent: u8,
    /// The time over which breaches are counted.
    #[serde(deserialize_with = "go_duration")]
    pub window: Duration,
}

// === impl Default ===

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl Default for CanaryPolicySpec {
    fn default() -> Self {
        Self {
            precedence: 1000,
            namespace_selector: LabelSelector::default(),
            canary_selector: LabelSelector::default(),
            admission: AdmissionPolicy::default(),
            enforcement: EnforcementPolicy::default(),
            exemptions: Vec::new(),
        }
    }
}

impl Default for AdmissionPolicy {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            rules: BTreeMap::new(),
            deadline: DeadlineBounds::default(),
            interval: IntervalBounds::default(),
        }
    }
}

impl Default for DeadlineBounds {
    fn default() -> Self {
        Self {
            min: Duration::from_mins(1),
            max: HOUR,
        }
    }
}

impl Default for IntervalBounds {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(10),
            max: HOUR,
        }
    }
}

impl Default for EnforcementPolicy {
    fn default() -> Self {
        Self {
            mode: Enforcement::Enforce,
            warn_at_percent: 80,
            clocks: Clocks::default(),
            last_resort: true,
            breaker: Breaker::default(),
        }
    }
}

impl Default for Clocks {
    fn default() -> Self {
        let report = LimitedClockPolicy {
            action: Action::Report,
            limit: None,
        };
        Self {
            initialization: ClockPolicy { action: Action::Hold },
            readiness: ClockPolicy {
                action: Action::RollBack,
            },
            crashes: CrashesPolicy::default(),
            gate: report,
            stall: report,
            silence: ClockPolicy { action: Action::Report },
            promotion: report,
            rollout: RolloutPolicy::default(),
            suspended: LimitedClockPolicy {
                action: Action::Report,
                limit: Some(DAY),
            },
        }
    }
}

impl Default for CrashesPolicy {
    fn default() -> Self {
        Self {
            action: Action::RollBack,
            restarts: 3,
            window: HOUR,
        }
    }
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            action: Action::RollBack,
            limit: None,
            max_limit: DAY,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            enabled: true,
            min: 20,
            percent: 50,
            window: Duration::from_mins(5),
        }
    }
}

// === impl CanaryPolicySpec ===

impl CanaryPolicySpec {
    /// What the shape of the fields does not say: bounds that contradict each other, actions that a clock refuses.
    pub(super) fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let Self {
            admission,
            enforcement,
            exemptions,
            ..
        } = self;
        if admission.deadline.min > admission.deadline.max {
            found.push("spec.admission.deadline: min is above max, so no deadline would be admitted".to_owned());
        }
        if admission.interval.min > admission.interval.max {
            found.push("spec.admission.interval: min is above max".to_owned());
        }
        if enforcement.warn_at_percent > 100 {
            found.push("spec.enforcement.warnAtPercent: a percentage, 0 to 100".to_owned());
        }
        let clocks = &enforcement.clocks;
        for (clock, action) in [
            ("initialization", clocks.initialization.action),
            ("silence", clocks.silence.action),
            ("promotion", clocks.promotion.action),
            ("suspended", clocks.suspended.action),
        ] {
            if action == Action::RollBack {
                found.push(format!(
                    "spec.enforcement.clocks.{clock}.action: RollBack would do harm in this phase; use Report"
                ));
            }
        }
        for (clock, action) in [
            ("readiness", clocks.readiness.action),
            ("crashes", clocks.crashes.action),
            ("gate", clocks.gate.action),
            ("stall", clocks.stall.action),
            ("silence", clocks.silence.action),
            ("promotion", clocks.promotion.action),
            ("rollout", clocks.rollout.action),
            ("suspended", clocks.suspended.action),
        ] {
            if action == Action::Hold {
                found.push(format!(
                    "spec.enforcement.clocks.{clock}.action: Hold belongs to the initialization clock alone"
                ));
            }
        }
        for (index, exemption) in exemptions.iter().enumerate() {
            if exemption.reason.trim().is_empty() {
                found.push(format!(
                    "spec.exemptions[{index}].reason: say why, for those who find it later"
                ));
            }
        }
        found
    }
}

/// A selector with a misspelt field would select everything.
fn strict_selector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LabelSelector, D::Error> {
    #[derive(Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
    #[derive(Default)]
    struct Strict {
        match_labels: Option<BTreeMap<String, String>>,
        match_expressions: Option<Vec<LabelSelectorRequirement>>,
    }
    let Strict {
        match_labels,
        match_expressions,
    } = Strict::deserialize(deserializer)?;
    Ok(LabelSelector {
        match_labels,
        match_expressions,
    })
}

fn go_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = duration::parse(&text).map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))?;
    Duration::try_from(parsed).map_err(|_| serde::de::Error::custom(format!("{text:?}: a duration below zero")))
}

fn some_go_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    go_duration(deserializer).map(Some)
}
