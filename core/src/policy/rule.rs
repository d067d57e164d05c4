//! The names of the rules and how strictly each is applied.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How strictly a rule is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Not at all.
    Disabled,
    /// Findings are recorded, and nothing is said at admission.
    Audit,
    /// Findings are returned as warnings.
    Warn,
    /// Findings refuse the request.
    Enforce,
}

/// An admission rule, by its name in policies, messages and metrics.
///
/// What there is to know about each of them stands in its family's file in `core/src/rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Rule(&'static str);

// === impl Rule ===

impl Rule {
    /// A rule of this name.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_ordered_by_strictness() {
        assert!(Mode::Disabled < Mode::Audit && Mode::Audit < Mode::Warn && Mode::Warn < Mode::Enforce);
    }
}
