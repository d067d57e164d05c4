//! What there is to know about a rule.

use serde_json::Value;

use super::{Finding, Lookup};
use crate::policy::{CanaryPolicySpec, Mode, Rule};

/// A rule: what it finds, how strictly that is taken, and what its page says.
pub struct RuleDef {
    /// Its name.
    pub rule: Rule,
    /// Whether it finds what is around a Canary, of which the Canary's own fields are right as they are.
    pub looks_around: bool,
    /// How strictly its findings are taken where no policy says otherwise, and which of them; empty: all others.
    pub modes: &'static [(Mode, &'static str)],
    /// What it finds.
    pub finds: &'static str,
    /// Why that matters, with the fact behind it.
    pub why: &'static str,
    /// How to fix it.
    pub fix: &'static str,
    /// Finds it.
    pub check: fn(&RuleInput<'_>) -> Vec<Finding>,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
pub struct RuleInput<'a> {
    /// The Canary's JSON.
    pub canary: &'a Value,
    /// Its namespace.
    pub namespace: &'a str,
    /// The policy in force for it.
    pub policy: &'a CanaryPolicySpec,
    /// What is around it.
    pub lookup: &'a dyn Lookup,
}
