//! What the enforcer counts.

use std::{fmt, sync::Arc};

use jiff::SignedDuration;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};

use super::rollouts::Rollouts;
use crate::{
    cluster::api_health::ApiHealth,
    rollout::{
        Clock,
        verdict::{Outcome, RemedyName},
    },
};

/// The enforcer's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    breaches: Family<BreachLabels, Counter>,
    actions: Family<ActionLabels, Counter>,
    lag: Histogram,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BreachLabels {
    clock: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ActionLabels {
    clock: &'static str,
    remedy: &'static str,
    result: &'static str,
}

/// How many of the deadlines that come next are told: each is a series.
const NEAREST: usize = 100;

/// What is read when somebody asks, and not counted.
#[derive(Debug)]
struct Moment {
    api_health: ApiHealth,
    rollouts: Arc<Rollouts>,
}

// === impl Metrics ===

impl Metrics {
    /// Registers the metrics.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            breaches: Family::default(),
            actions: Family::default(),
            lag: Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
        };
        registry.register("breaches", "Deadlines that passed, by clock", metrics.breaches.clone());
        registry.register(
            "actions",
            "What was done about them, and what came of it",
            metrics.actions.clone(),
        );
        registry.register(
            "enforcement_lag_seconds",
            "Time from a deadline to the first lever that hands Flagger the verdict",
            metrics.lag.clone(),
        );
        metrics
    }

    /// Has the state of the API server and of the rollouts told too.
    pub fn tell(registry: &mut Registry, api_health: ApiHealth, rollouts: Arc<Rollouts>) {
        registry.register_collector(Box::new(Moment { api_health, rollouts }));
    }

    /// Counts a deadline that passed.
    pub fn breached(&self, clock: Clock) {
        self.breaches.get_or_create(&BreachLabels { clock: clock.name() }).inc();
    }

    /// Counts what came of a remedy.
    pub fn acted(&self, clock: Clock, remedy: RemedyName, result: Outcome) {
        let labels = ActionLabels {
            clock: clock.name(),
            remedy: remedy.name(),
            result: result.name(),
        };
        self.actions.get_or_create(&labels).inc();
    }

    /// Records how long after its deadline a verdict was handed over.
    pub fn lagged(&self, lag: SignedDuration) {
        self.lag.observe(lag.as_secs_f64().max(0.0));
    }
}

// === impl Moment ===

impl Collector for Moment {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Self { api_health, rollouts } = self;
        let now = api_health.now();
        let mut gauge = |name: &str, help: &str, value: f64| -> Result<(), fmt::Error> {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        gauge(
            "breaker_open",
            "Whether a breaker holds rollbacks back (1) or not (0)",
            f64::from(u8::from(rollouts.is_breaker_open(now))),
        )?;
        gauge(
            "clock_skew_seconds",
            "How far the API server's clock is ahead of this machine's",
            api_health.skew().offset().as_secs_f64(),
        )?;
        let mut ages = encoder.encode_descriptor(
            "watch_age_seconds",
            "Time since a watch last said something, be it that nothing happened",
            None,
            MetricType::Gauge,
        )?;
        for (kind, age) in api_health.watch_ages() {
            ConstGauge::new(age.as_secs_f64()).encode(ages.encode_family(&[("kind", kind)])?)?;
        }
        let mut deadlines = encoder.encode_descriptor(
            "seconds_to_deadline",
            "Time to the deadlines that come next",
            None,
            MetricType::Gauge,
        )?;
        for (namespace, name, clock, deadline) in rollouts.nearest(NEAREST) {
            let labels = [
                ("namespace", namespace),
                ("name", name),
                ("clock", clock.name().to_owned()),
            ];
            let seconds = deadline.duration_since(now).as_secs_f64();
            ConstGauge::new(seconds).encode(deadlines.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
