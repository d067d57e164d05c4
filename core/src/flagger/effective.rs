//! The values that Flagger will really use.
//!
//! One function per value, mirroring the getters of Flagger's `pkg/apis/flagger/v1beta1/canary.go`; rules, clocks and
//! commands all ask here. `core/tests/flagger_codec` compares them with the getters themselves.

use std::time::Duration;

use serde_json::Value;

use super::canary::{Analysis, Canary, Spec};
use crate::duration;

/// What Flagger uses for a missing `progressDeadlineSeconds` (its constant `ProgressDeadlineSeconds`).
pub const DEFAULT_PROGRESS_DEADLINE_SECONDS: i64 = 600;
/// What Flagger uses for a missing or unparseable interval (its constant `AnalysisInterval`).
pub const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);
/// What Flagger uses for a shorter interval (`GetAnalysisInterval`).
pub const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// What Flagger uses for missing ready thresholds, per cent.
pub const DEFAULT_READY_THRESHOLD: i64 = 100;

/// How Flagger shifts traffic, after its `DeploymentStrategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Progressive traffic shifting by weights.
    Canary,
    /// A number of checks, then all traffic at once.
    BlueGreen,
    /// A number of checks with traffic chosen by match conditions.
    AbTesting,
}

/// The values in force for one Canary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Effective {
    /// Seconds that an unready target is given.
    pub progress_deadline_seconds: i64,
    /// Time between two of Flagger's checks.
    pub interval: Duration,
    /// Failed checks before a rollback.
    pub threshold: i64,
    /// Per cent of the primary's pods that must be available.
    pub primary_ready_threshold: i64,
    /// Per cent of the canary's pods that must be available.
    pub canary_ready_threshold: i64,
    /// Whether the target is promoted as soon as it is ready.
    pub skip_analysis: bool,
    /// How traffic is shifted.
    pub strategy: Strategy,
    /// How long its hooks may keep Flagger from its next check: each its timeout, once more for every retry.
    pub hook_time: Duration,
}

// === impl Effective ===

impl Effective {
    /// The values that Flagger will use for `canary`.
    #[must_use]
    pub fn of(canary: &Canary) -> Self {
        Self::in_force(&canary.spec)
    }

    /// The values that Flagger will use for a Canary with this `spec`.
    #[must_use]
    pub fn of_spec(spec: &Value) -> Self {
        Self::in_force(&Spec::from_json(spec))
    }

    fn in_force(spec: &Spec) -> Self {
        let analysis = spec.analysis.as_ref();
        Self {
            progress_deadline_seconds: spec
                .progress_deadline_seconds
                .unwrap_or(DEFAULT_PROGRESS_DEADLINE_SECONDS),
            interval: analysis.map_or(DEFAULT_INTERVAL, |analysis| interval(&analysis.interval)),
            threshold: analysis
                .map(|analysis| analysis.threshold)
                .filter(|threshold| *threshold > 0)
                .unwrap_or(1),
            primary_ready_threshold: analysis
                .and_then(|analysis| analysis.primary_ready_threshold)
                .unwrap_or(DEFAULT_READY_THRESHOLD),
            canary_ready_threshold: analysis
                .and_then(|analysis| analysis.canary_ready_threshold)
                .unwrap_or(DEFAULT_READY_THRESHOLD),
            skip_analysis: analysis.is_none() || spec.skip_analysis,
            strategy: analysis.map_or(Strategy::Canary, strategy),
            hook_time: analysis.map_or(Duration::ZERO, hook_time),
        }
    }
}

/// The interval that Flagger makes of `text`: 60 s if it does not parse, 10 s if it is less (`docs/flagger.md#f11`).
#[must_use]
pub fn interval(text: &str) -> Duration {
    match duration::parse(text) {
        Err(_) => DEFAULT_INTERVAL,
        Ok(interval) => Duration::try_from(interval).map_or(MIN_INTERVAL, |interval| interval.max(MIN_INTERVAL)),
    }
}

fn hook_time(analysis: &Analysis) -> Duration {
    analysis.hooks.iter().fold(Duration::ZERO, |sum, hook| {
        let tries = u32::try_from(hook.retries.max(0)).unwrap_or(u32::MAX).saturating_add(1);
        sum.saturating_add(hook.timeout.saturating_mul(tries))
    })
}

fn strategy(analysis: &Analysis) -> Strategy {
    match (analysis.iterations > 0, analysis.matches) {
        (true, true) => Strategy::AbTesting,
        (true, false) => Strategy::BlueGreen,
        (false, _) => Strategy::Canary,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_takes_flaggers_default() {
        let effective = Effective::of(&Canary::from_json(json!({"spec": {"analysis": {}}})));
        assert_eq!(
            effective,
            Effective {
                progress_deadline_seconds: 600,
                interval: Duration::from_mins(1),
                threshold: 1,
                primary_ready_threshold: 100,
                canary_ready_threshold: 100,
                skip_analysis: false,
                strategy: Strategy::Canary,
                hook_time: Duration::ZERO,
            }
        );
    }

    #[test]
    fn an_interval_that_flagger_does_not_take_is_replaced_silently() {
        for (written, used) in [
            ("5m30", 60),
            ("1m", 60),
            ("30s", 30),
            ("3s", 10),
            ("0s", 10),
            ("-5m", 10),
            ("", 60),
        ] {
            assert_eq!(interval(written), Duration::from_secs(used), "{written:?}");
        }
    }

    #[test]
    fn no_analysis_means_that_it_is_skipped() {
        assert!(Effective::of(&Canary::from_json(json!({"spec": {}}))).skip_analysis);
        let skipped = json!({"spec": {"analysis": {"interval": "1m"}, "skipAnalysis": true}});
        assert!(Effective::of(&Canary::from_json(skipped)).skip_analysis);
    }
}
