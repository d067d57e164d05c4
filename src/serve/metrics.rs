//! What is counted, and how it is told to Prometheus.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use kube::runtime::reflector::Store;
use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram, info::Info},
    registry,
};

use crate::{
    flagger::canary::Canary,
    leader::leadership::Leadership,
    policy::{Mode, Rule},
};

/// All metrics.
#[derive(Debug)]
pub struct Registry(registry::Registry);

/// All metrics, complete and shared.
pub type Shared = Arc<Mutex<Registry>>;

/// What the webhook counts.
#[derive(Clone, Debug)]
pub struct AdmissionMetrics {
    requests: Family<RequestLabels, Counter>,
    duration: Family<WebhookLabels, Histogram>,
    findings: Family<FindingLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    webhook: &'static str,
    operation: &'static str,
    decision: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WebhookLabels {
    webhook: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FindingLabels {
    rule: &'static str,
    mode: &'static str,
}

/// Counts the running rollouts when it is asked, from the cache.
struct Rollouts(Store<Canary>);

/// Looks whether this one leads when it is asked: leadership ends by itself.
#[derive(Debug)]
struct Leads(Leadership);

// === impl Registry ===

impl Registry {
    /// The registry, with what is always the same in it.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = registry::Registry::with_prefix("curfew");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of Curfew that runs", version);
        Self(registry)
    }

    /// Where others register theirs.
    pub fn inner(&mut self) -> &mut registry::Registry {
        &mut self.0
    }

    /// Counts running rollouts, by phase.
    pub fn count_rollouts(&mut self, canaries: Store<Canary>) {
        self.0.register_collector(Box::new(Rollouts(canaries)));
    }

    /// Tells whether this one leads.
    pub fn tell_leader(&mut self, leadership: Leadership) {
        self.0.register_collector(Box::new(Leads(leadership)));
    }

    /// Everything, in the text format of `OpenMetrics`.
    ///
    /// # Errors
    /// A metric cannot be written.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

// === impl AdmissionMetrics ===

impl AdmissionMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn new(registry: &mut registry::Registry) -> Self {
        let buckets = || Histogram::new([0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0]);
        let metrics = Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(buckets),
            findings: Family::default(),
        };
        registry.register(
            "admission_requests",
            "Reviews answered, by decision",
            metrics.requests.clone(),
        );
        registry.register(
            "admission_duration_seconds",
            "Time to answer a review",
            metrics.duration.clone(),
        );
        registry.register(
            "findings",
            "Findings of admission rules, by mode",
            metrics.findings.clone(),
        );
        metrics
    }

    /// Counts an answered review.
    pub fn answered(&self, webhook: &'static str, operation: &'static str, decision: &'static str, took: Duration) {
        self.requests
            .get_or_create(&RequestLabels {
                webhook,
                operation,
                decision,
            })
            .inc();
        self.duration
            .get_or_create(&WebhookLabels { webhook })
            .observe(took.as_secs_f64());
    }

    /// Counts a finding.
    pub fn found(&self, rule: Rule, mode: Mode) {
        let mode = match mode {
            Mode::Disabled => "Disabled",
            Mode::Audit => "Audit",
            Mode::Warn => "Warn",
            Mode::Enforce => "Enforce",
        };
        self.findings
            .get_or_create(&FindingLabels {
                rule: rule.name(),
                mode,
            })
            .inc();
    }
}

// === impl Rollouts ===

impl fmt::Debug for Rollouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rollouts").field(&self.0.len()).finish()
    }
}

impl Collector for Rollouts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut phases = BTreeMap::<String, i64>::new();
        for canary in self.0.state() {
            if canary.status.phase.rank().is_some() {
                *phases.entry(canary.status.phase.to_string()).or_default() += 1;
            }
        }
        let mut family =
            encoder.encode_descriptor("rollouts", "Rollouts that run, by phase", None, MetricType::Gauge)?;
        for (phase, count) in phases {
            ConstGauge::new(count).encode(family.encode_family(&[("phase", phase)])?)?;
        }
        Ok(())
    }
}

// === impl Leads ===

impl Collector for Leads {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let leads = ConstGauge::new(i64::from(self.0.is_leader()));
        let encoder = encoder.encode_descriptor(
            "leader",
            "Whether this one looks after the Canaries",
            None,
            MetricType::Gauge,
        )?;
        leads.encode(encoder)
    }
}
