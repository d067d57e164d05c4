//! What the enforcer counts.

use jiff::SignedDuration;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::deadline::{
    Clock,
    verdict::{Outcome, RemedyName},
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
