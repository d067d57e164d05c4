//! The names of the rules and how strictly each is applied.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How strictly a rule is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Not at all.
    Disabled,
    /// Findings are recorded, and nobody is told at admission.
    Audit,
    /// Findings are returned as warnings.
    Warn,
    /// Findings refuse the request.
    Enforce,
}

/// An admission rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A value that Flagger's types cannot hold.
    Undecodable,
    /// No `progressDeadlineSeconds`.
    DeadlineRequired,
    /// A `progressDeadlineSeconds` out of the policy's bounds.
    DeadlineBounds,
    /// An analysis interval that Flagger does not take as written, or out of the policy's bounds.
    Interval,
    /// An analysis that nothing ends.
    AnalysisNeverAdvances,
    /// Weights that are no share of the traffic, or do not rise.
    Weights,
    /// Ready thresholds that no pods can meet, or that promote what cannot be promoted.
    Thresholds,
    /// No port for the Services that Flagger makes.
    ServicePort,
    /// Two Canaries whose users call one Service.
    ApexService,
    /// Match conditions without an A/B test.
    AbIterations,
    /// A hook's timeout that Flagger cannot use.
    WebhookTimeout,
    /// Two Canaries on targets of one name.
    DuplicateTarget,
    /// A target whose selector has none of Flagger's labels.
    TargetSelector,
    /// A target that is not there.
    TargetMissing,
    /// A target whose own deadline does away with the Canary's.
    TargetDeadline,
    /// An autoscaler that is not there.
    ScalerMissing,
    /// An interval longer than the deadline.
    IntervalAboveDeadline,
    /// A deadline shorter than the pods' own probes allow.
    DeadlineBelowStartup,
    /// A deadline far from what the last rollouts needed.
    DeadlineFit,
    /// A target that counts as available with pods missing.
    PartialAvailability,
    /// A gate that may be waited for without a limit.
    GateWithoutDeadline,
    /// A target whose containers have no probes.
    Probes,
    /// A deadline for the whole rollout that cannot hold.
    RolloutDeadline,
}

// === impl Rule ===

impl Rule {
    /// Whether it finds what is around a Canary, of which the Canary's own fields are right as they are.
    #[must_use]
    pub const fn looks_around(self) -> bool {
        match self {
            Self::ApexService
            | Self::DuplicateTarget
            | Self::TargetSelector
            | Self::TargetMissing
            | Self::TargetDeadline
            | Self::ScalerMissing
            | Self::PartialAvailability
            | Self::Probes => true,
            Self::Undecodable
            | Self::DeadlineRequired
            | Self::DeadlineBounds
            | Self::Interval
            | Self::AnalysisNeverAdvances
            | Self::Weights
            | Self::Thresholds
            | Self::ServicePort
            | Self::AbIterations
            | Self::WebhookTimeout
            | Self::IntervalAboveDeadline
            | Self::DeadlineBelowStartup
            | Self::DeadlineFit
            | Self::GateWithoutDeadline
            | Self::RolloutDeadline => false,
        }
    }

    /// Every rule, in the order in which findings are reported.
    pub const ALL: [Self; 23] = [
        Self::Undecodable,
        Self::DeadlineRequired,
        Self::DeadlineBounds,
        Self::Interval,
        Self::AnalysisNeverAdvances,
        Self::Weights,
        Self::Thresholds,
        Self::ServicePort,
        Self::ApexService,
        Self::AbIterations,
        Self::WebhookTimeout,
        Self::DuplicateTarget,
        Self::TargetSelector,
        Self::TargetMissing,
        Self::TargetDeadline,
        Self::ScalerMissing,
        Self::IntervalAboveDeadline,
        Self::DeadlineBelowStartup,
        Self::DeadlineFit,
        Self::PartialAvailability,
        Self::GateWithoutDeadline,
        Self::Probes,
        Self::RolloutDeadline,
    ];

    /// The rule's name, as policies and messages write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::DeadlineRequired => "deadline-required",
            Self::DeadlineBounds => "deadline-bounds",
            Self::Interval => "interval",
            Self::AnalysisNeverAdvances => "analysis-never-advances",
            Self::Weights => "weights",
            Self::Thresholds => "thresholds",
            Self::ServicePort => "service-port",
            Self::ApexService => "apex-service",
            Self::AbIterations => "ab-iterations",
            Self::WebhookTimeout => "webhook-timeout",
            Self::DuplicateTarget => "duplicate-target",
            Self::TargetSelector => "target-selector",
            Self::TargetMissing => "target-missing",
            Self::TargetDeadline => "target-deadline",
            Self::ScalerMissing => "scaler-missing",
            Self::IntervalAboveDeadline => "interval-above-deadline",
            Self::DeadlineBelowStartup => "deadline-below-startup",
            Self::DeadlineFit => "deadline-fit",
            Self::PartialAvailability => "partial-availability",
            Self::GateWithoutDeadline => "gate-without-deadline",
            Self::Probes => "probes",
            Self::RolloutDeadline => "rollout-deadline",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(name: &str) -> Result<Self, UnknownRule> {
        Self::ALL
            .into_iter()
            .find(|rule| rule.name() == name)
            .ok_or_else(|| UnknownRule(name.to_owned()))
    }
}

impl Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A policy names a rule that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRule(String);

impl fmt::Display for UnknownRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        write!(f, "there is no rule {:?}; the rules are {}", self.0, known.join(", "))
    }
}

impl std::error::Error for UnknownRule {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for rule in Rule::ALL {
            assert_eq!(rule.name().parse(), Ok(rule));
        }
    }

    #[test]
    fn an_unknown_rule_is_answered_with_the_known_ones() {
        let error = "deadline".parse::<Rule>().expect_err("no such rule");
        let known =
            "there is no rule \"deadline\"; the rules are undecodable, deadline-required, deadline-bounds, interval";
        assert!(error.to_string().starts_with(known), "{error}");
    }

    #[test]
    fn modes_are_ordered_by_strictness() {
        assert!(Mode::Disabled < Mode::Audit && Mode::Audit < Mode::Warn && Mode::Warn < Mode::Enforce);
    }
}
