//! The names that a policy may use: it is held against them, and the definition for API servers is made from them.

use super::{CanaryPolicySpec, clock_policy::ClockSettings};

/// The clocks and the rules that there are.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// What policies may say of each clock.
    pub clocks: Vec<&'static ClockSettings>,
    /// The names of the rules.
    pub rules: Vec<&'static str>,
}

// === impl Vocabulary ===

impl Vocabulary {
    /// A policy with everything that it does not say.
    #[must_use]
    pub fn filled(&self, mut spec: CanaryPolicySpec) -> CanaryPolicySpec {
        spec.enforcement.clocks = spec.enforcement.clocks.filled(&self.clocks);
        spec
    }
}
