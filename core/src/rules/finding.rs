//! One thing wrong with a spec.

use std::borrow::Cow;

use crate::policy::{AdmissionPolicy, Mode, Rule};

/// So many faults of one kind in one list are found: a hostile list could hold a million.
pub(super) const MOST_ALIKE: usize = 100;

/// One thing wrong with a spec: where, what, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The rule that found it.
    pub rule: Rule,
    /// How strictly it is taken when the policy says nothing about the rule.
    pub severity: Mode,
    /// How strictly it can be taken whatever the policy says: of what nobody could look at, there is a warning at most.
    pub at_most: Mode,
    /// The path of the field, such as `spec.analysis.interval`.
    pub field: String,
    /// The value that is wrong, as JSON; empty if the field is absent.
    pub value: String,
    /// What is wrong and why it matters; one line.
    pub message: String,
    /// What to write instead; one line.
    pub fix: String,
}

/// A fault whatever its place in a list: the same rule, the same field, the same value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    rule: Rule,
    field: String,
    value: String,
}

impl Finding {
    /// How strictly a policy takes this finding: its mode for the rule, else the finding's own severity, and never
    /// more strictly than the policy's ceiling.
    #[must_use]
    pub fn mode(&self, policy: &AdmissionPolicy) -> Mode {
        policy
            .rules
            .get(self.rule.name())
            .copied()
            .unwrap_or(self.severity)
            .min(policy.mode)
            .min(self.at_most)
    }

    /// The finding on one line of at most `most` characters: of a long message the end is left out, and never what to do.
    #[must_use]
    pub fn within(&self, most: usize) -> String {
        self.shortened(most).to_string()
    }

    /// The finding with a message so short that it fits on such a line.
    #[must_use]
    pub fn shortened(&self, most: usize) -> Cow<'_, Self> {
        let over = self.to_string().chars().count().saturating_sub(most);
        if over == 0 {
            return Cow::Borrowed(self);
        }
        let kept = self.message.chars().count().saturating_sub(over + 1);
        Cow::Owned(Self {
            message: self.message.chars().take(kept).chain(['…']).collect(),
            ..self.clone()
        })
    }

    /// What makes it the same as another one.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault {
            rule: self.rule,
            field: without_indexes(&self.field).collect::<Vec<_>>().join("["),
            value: self.value.clone(),
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            rule,
            severity: _,
            at_most: _,
            field,
            value: _,
            message,
            fix,
        } = self;
        write!(f, "{field}: {message}; {fix} [{rule}]")
    }
}

/// The pieces of a field path that are not list indexes.
fn without_indexes(field: &str) -> impl Iterator<Item = &str> {
    field.split('[').map(|piece| match piece.split_once(']') {
        Some((index, rest)) if index.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => piece,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(field: &str, value: &str) -> Finding {
        Finding {
            rule: Rule::UNDECODABLE,
            severity: Mode::Enforce,
            at_most: Mode::Enforce,
            field: field.to_owned(),
            value: value.to_owned(),
            message: String::new(),
            fix: String::new(),
        }
    }

    #[test]
    fn a_fault_stays_the_same_when_it_moves_in_its_list() {
        let old = finding("spec.analysis.metrics[0].threshold", "\"x\"");
        assert_eq!(
            finding("spec.analysis.metrics[12].threshold", "\"x\"").fault(),
            old.fault()
        );
        assert_ne!(
            finding("spec.analysis.metrics[0].threshold", "\"y\"").fault(),
            old.fault()
        );
        assert_ne!(
            finding("spec.analysis.metrics[0].interval", "\"x\"").fault(),
            old.fault()
        );
        assert_ne!(
            finding("spec.analysis.metrics.threshold[0]", "\"x\"").fault(),
            old.fault()
        );
    }

    #[test]
    fn a_long_message_loses_its_end_and_never_what_to_do() {
        let finding = Finding {
            message: "é".repeat(100),
            fix: "write 1".to_owned(),
            ..finding("spec", "")
        };
        assert_eq!(finding.within(1000), finding.to_string());
        let text = finding.within(60);
        assert_eq!(text.chars().count(), 60);
        assert!(
            text.starts_with("spec: éé") && text.ends_with("é…; write 1 [undecodable]"),
            "{text}"
        );
    }

    #[test]
    fn the_policy_sets_the_mode_under_its_ceiling() {
        let found = finding("spec", "");
        let mut policy = AdmissionPolicy::default();
        assert_eq!(found.mode(&policy), Mode::Enforce);
        policy.rules.insert(Rule::UNDECODABLE.to_string(), Mode::Warn);
        assert_eq!(found.mode(&policy), Mode::Warn);
        policy.mode = Mode::Audit;
        assert_eq!(found.mode(&policy), Mode::Audit);
    }

    #[test]
    fn what_could_not_be_looked_at_is_never_refused() {
        let unseen = Finding {
            at_most: Mode::Warn,
            ..finding("spec.targetRef", "")
        };
        let mut policy = AdmissionPolicy::default();
        assert_eq!(unseen.mode(&policy), Mode::Warn);
        policy.rules.insert(Rule::UNDECODABLE.to_string(), Mode::Enforce);
        assert_eq!(unseen.mode(&policy), Mode::Warn);
    }
}
