//! The built-in policy: what every field is where nothing else is said, and so what holds where no policy is installed.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{
    AdmissionPolicy, CanaryPolicySpec, EnforcementPolicy, Mode,
    canary_policy::{BreakerSettings, DeadlineBounds, Enforcement, IntervalBounds},
    clock_policy::Clocks,
};

const HOUR: Duration = Duration::from_hours(1);

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
            default: None,
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
            breaker: BreakerSettings::default(),
        }
    }
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            min: 20,
            percent: 50,
            window: Duration::from_mins(5),
        }
    }
}
