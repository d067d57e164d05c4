//! The rules. A new one is its family's file and a line here.

use super::{
    ab_testing::AB_ITERATIONS,
    analysis::ANALYSIS_NEVER_ADVANCES,
    conflicts::{APEX_SERVICE, DUPLICATE_TARGET},
    deadline::{DEADLINE_BOUNDS, DEADLINE_REQUIRED},
    deadline_fit::DEADLINE_FIT,
    decodable::UNDECODABLE,
    hooks::{GATE_WITHOUT_DEADLINE, WEBHOOK_TIMEOUT},
    interval::{INTERVAL, INTERVAL_ABOVE_DEADLINE},
    provider::KUBERNETES_PROVIDER,
    rollout::ROLLOUT_DEADLINE,
    rule_def::RuleDef,
    service::SERVICE_PORT,
    target::{
        DEADLINE_BELOW_STARTUP, PARTIAL_AVAILABILITY, PROBES, SCALER_MISSING, TARGET_DEADLINE, TARGET_MISSING,
        TARGET_SELECTOR,
    },
    thresholds::THRESHOLDS,
    weights::WEIGHTS,
};
use crate::{
    deadline::clocks::CLOCKS,
    policy::{Rule, Vocabulary},
};

/// Every rule, in the order in which findings are reported.
pub const RULES: [&RuleDef; 24] = [
    &UNDECODABLE,
    &DEADLINE_REQUIRED,
    &DEADLINE_BOUNDS,
    &INTERVAL,
    &ANALYSIS_NEVER_ADVANCES,
    &WEIGHTS,
    &THRESHOLDS,
    &SERVICE_PORT,
    &APEX_SERVICE,
    &AB_ITERATIONS,
    &KUBERNETES_PROVIDER,
    &WEBHOOK_TIMEOUT,
    &DUPLICATE_TARGET,
    &TARGET_SELECTOR,
    &TARGET_MISSING,
    &TARGET_DEADLINE,
    &SCALER_MISSING,
    &INTERVAL_ABOVE_DEADLINE,
    &DEADLINE_BELOW_STARTUP,
    &DEADLINE_FIT,
    &PARTIAL_AVAILABILITY,
    &GATE_WITHOUT_DEADLINE,
    &PROBES,
    &ROLLOUT_DEADLINE,
];

/// What there is to know about a rule.
#[must_use]
pub fn definition(rule: Rule) -> Option<&'static RuleDef> {
    RULES.into_iter().find(|definition| definition.rule == rule)
}

/// The rule of this name.
#[must_use]
pub fn named(name: &str) -> Option<Rule> {
    RULES
        .into_iter()
        .map(|definition| definition.rule)
        .find(|rule| rule.name() == name)
}

/// The names that a policy may use.
#[must_use]
pub fn vocabulary() -> Vocabulary {
    Vocabulary {
        clocks: CLOCKS.into_iter().map(|spec| &spec.settings).collect(),
        rules: RULES.into_iter().map(|definition| definition.rule.name()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_a_mode() {
        let names: BTreeSet<_> = RULES.map(|definition| definition.rule.name()).into();
        assert_eq!(names.len(), RULES.len());
        for definition in RULES {
            assert!(!definition.modes.is_empty(), "{}", definition.rule);
        }
    }
}
