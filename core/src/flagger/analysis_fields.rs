//! The analysis of a Canary as it is written, field by field, beside what Flagger makes of it.

use serde_json::Value;

use super::{canary::whole_number, effective::Effective};

/// The analysis, by the key under which Flagger finds it.
#[derive(Clone, Debug)]
pub struct AnalysisFields<'a> {
    /// `analysis`, or the deprecated `canaryAnalysis`.
    key: &'static str,
    value: &'a Value,
    /// What Flagger makes of the spec.
    pub effective: Effective,
}

// === impl AnalysisFields ===

impl<'a> AnalysisFields<'a> {
    /// The analysis of a Canary, if it has one.
    #[must_use]
    pub fn of(canary: &'a Value) -> Option<Self> {
        let spec = &canary["spec"];
        let key = ["analysis", "canaryAnalysis"]
            .into_iter()
            .find(|key| spec[*key].is_object())?;
        Some(Self {
            key,
            value: &spec[key],
            effective: Effective::of_spec(spec),
        })
    }

    /// The path of one of its fields.
    #[must_use]
    pub fn path(&self, field: &str) -> String {
        format!("spec.{}.{field}", self.key)
    }

    /// A field as it is written.
    #[must_use]
    pub fn get(&self, field: &str) -> &'a Value {
        &self.value[field]
    }

    /// A field that holds a whole number. What Flagger's types cannot hold is `undecodable`, which is enough to say about it.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<i64> {
        whole_number(self.get(field))
    }

    /// The steps of a list of weights, with the place of each. Go reads a `null` in a list as 0.
    pub fn step_weights(&self) -> impl Iterator<Item = (usize, i64)> + use<'a> {
        let steps = self.get("stepWeights").as_array();
        steps.into_iter().flatten().enumerate().filter_map(|(index, step)| {
            let step = if step.is_null() { Some(0) } else { whole_number(step) };
            Some((index, step?))
        })
    }

    /// Its hooks, with the place of each.
    pub fn hooks(&self) -> impl Iterator<Item = (usize, &'a Value)> + use<'a> {
        self.get("webhooks").as_array().into_iter().flatten().enumerate()
    }
}

/// The provider that moves the traffic: the Canary's own, else Flagger's where that is known.
#[must_use]
pub fn provider<'a>(canary: &'a Value, flaggers: Option<&'a str>) -> Option<&'a str> {
    let own = canary["spec"]["provider"].as_str().filter(|own| !own.is_empty());
    own.or(flaggers)
}
