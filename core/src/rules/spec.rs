//! The parts of a Canary's JSON that several rules look at.

use serde_json::Value;

use crate::flagger::{canary::whole_number, effective::DEFAULT_PROGRESS_DEADLINE_SECONDS};

/// The analysis, by the key under which Flagger finds it.
#[derive(Clone, Copy)]
pub(super) struct Analysis<'a> {
    /// `analysis`, or the deprecated `canaryAnalysis`.
    key: &'static str,
    value: &'a Value,
}

/// How Flagger moves traffic to a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// By weights, step by step.
    Steps,
    /// By a number of checks.
    Iterations,
}

// === impl Analysis ===

impl<'a> Analysis<'a> {
    pub(super) fn of(canary: &'a Value) -> Option<Self> {
        let found = |key| Some(&canary["spec"][key]).filter(|value| value.is_object());
        ["analysis", "canaryAnalysis"].into_iter().find_map(|key| {
            Some(Self {
                key,
                value: found(key)?,
            })
        })
    }

    /// The path of one of its fields.
    pub(super) fn path(&self, field: &str) -> String {
        format!("spec.{}.{field}", self.key)
    }

    pub(super) fn get(&self, field: &str) -> &'a Value {
        &self.value[field]
    }

    /// A field that holds a whole number. What Flagger's types cannot hold is `undecodable`, which is enough to say about it.
    pub(super) fn number(&self, field: &str) -> Option<i64> {
        whole_number(self.get(field))
    }

    /// The steps of a list of weights, with the place of each.
    pub(super) fn step_weights(&self) -> impl Iterator<Item = (usize, i64)> {
        let steps = self.get("stepWeights").as_array();
        steps
            .into_iter()
            .flatten()
            .enumerate()
            .filter_map(|(index, step)| Some((index, whole_number(step)?)))
    }

    /// Flagger's `DeploymentStrategy`, but for the conditions of an A/B test.
    pub(super) fn moves(&self) -> Moves {
        if self.number("iterations").is_some_and(|iterations| iterations > 0) {
            Moves::Iterations
        } else {
            Moves::Steps
        }
    }

    /// Its hooks, with the place of each.
    pub(super) fn hooks(&self) -> impl Iterator<Item = (usize, &'a Value)> {
        self.get("webhooks").as_array().into_iter().flatten().enumerate()
    }
}

/// The provider that moves the traffic: the Canary's own, else Flagger's where that is known.
pub(super) fn provider<'a>(canary: &'a Value, flaggers: Option<&'a str>) -> Option<&'a str> {
    let own = canary["spec"]["provider"].as_str().filter(|own| !own.is_empty());
    own.or(flaggers)
}

/// `spec.skipAnalysis`, or nothing to analyse.
pub(super) fn skips_analysis(canary: &Value) -> bool {
    Analysis::of(canary).is_none() || canary["spec"]["skipAnalysis"] == true
}

/// The deadline in force, in seconds.
pub(super) fn deadline(canary: &Value) -> i64 {
    whole_number(&canary["spec"]["progressDeadlineSeconds"]).unwrap_or(DEFAULT_PROGRESS_DEADLINE_SECONDS)
}
