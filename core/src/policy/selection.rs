//! Which policy applies to a Canary.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_core::{Selector, SelectorExt};
use serde_json::Value;

use super::{CanaryPolicy, CanaryPolicySpec, Exemption, ExemptionScope, Mode, Vocabulary};

/// The label that every namespace has: its name.
pub const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// A Canary, as far as policies tell Canaries apart.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its namespace's labels.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// Its name; empty while it has none (`generateName`).
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// All policies in force, ordered by precedence, then by name.
#[derive(Debug)]
pub struct Policies {
    ordered: Vec<Checked>,
    built_in: CanaryPolicy,
}

/// A policy that can be put in force.
#[derive(Clone, Debug)]
pub struct Checked {
    policy: CanaryPolicy,
    namespaces: Selector,
    canaries: Selector,
}

/// What is wrong with a policy, in words for its author.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{field}: {why}")]
pub struct Fault {
    /// The field, such as `spec.admission.deadline`.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

// === impl Policies ===

impl Policies {
    /// Orders policies for use.
    #[must_use]
    pub fn new(mut policies: Vec<Checked>) -> Self {
        policies.sort_by(|a, b| {
            (a.policy.spec.precedence, &a.policy.name).cmp(&(b.policy.spec.precedence, &b.policy.name))
        });
        Self {
            ordered: policies,
            built_in: CanaryPolicy {
                name: "(built-in)".to_owned(),
                ..CanaryPolicy::default()
            },
        }
    }

    /// All of them, in the order in which they are asked.
    pub fn all(&self) -> impl Iterator<Item = &CanaryPolicy> {
        self.ordered.iter().map(Checked::policy)
    }

    /// Whether the labels of namespaces make a difference to which one holds.
    #[must_use]
    pub fn select_by_labels(&self) -> bool {
        self.all().any(CanaryPolicy::selects_by_labels)
    }

    /// The policy in force for a Canary: the first that matches, else the built-in.
    #[must_use]
    pub fn applying(&self, subject: Subject<'_>) -> &CanaryPolicy {
        self.ordered
            .iter()
            .find(|selected| {
                selected.namespaces.matches(subject.namespace_labels) && selected.canaries.matches(subject.labels)
            })
            .map_or(&self.built_in, |selected| &selected.policy)
    }
}

impl Default for Policies {
    /// None, so that the built-in one applies to everybody.
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl CanaryPolicy {
    /// The seconds that are filled in as the deadline of a Canary that has none, where the policy has some for it.
    #[must_use]
    pub fn default_deadline(&self, subject: Subject<'_>, now: Timestamp) -> Option<i32> {
        let admission = &self.spec.admission;
        if admission.mode == Mode::Disabled || self.exemption(subject, ExemptionScope::Admission, now).is_some() {
            return None;
        }
        // What Flagger's int32 cannot hold would stop it for everybody; no policy that is in force has such a default.
        i32::try_from(admission.deadline.default?.as_secs()).ok()
    }

    /// Whether it depends on more of a namespace than its name.
    #[must_use]
    pub fn selects_by_labels(&self) -> bool {
        let selector = &self.spec.namespace_selector;
        let labels = selector.match_labels.iter().flatten().map(|(key, _)| key);
        let expressions = selector.match_expressions.iter().flatten();
        let mut keys = labels.chain(expressions.map(|requirement| &requirement.key));
        keys.any(|key| key != NAMESPACE_NAME)
    }

    /// The exemption that covers a Canary now, if there is one.
    #[must_use]
    pub fn exemption(&self, subject: Subject<'_>, scope: ExemptionScope, now: Timestamp) -> Option<&Exemption> {
        self.spec
            .exemptions
            .iter()
            .find(|exemption| exemption.covers((subject.namespace, subject.name), scope, now))
    }
}

// === impl Checked ===

impl Checked {
    /// Looks for what the shape of the fields does not say.
    ///
    /// # Errors
    /// The first that is wrong with the policy.
    pub fn new(policy: CanaryPolicy, vocabulary: &Vocabulary) -> Result<Self, Fault> {
        if let Some(first) = policy.spec.contradictions(vocabulary).into_iter().next() {
            return Err(first);
        }
        let selector = |field: &str, selector: &LabelSelector| {
            Selector::try_from(selector.clone()).map_err(|error| Fault {
                field: format!("spec.{field}"),
                why: error.to_string(),
            })
        };
        Ok(Self {
            namespaces: selector("namespaceSelector", &policy.spec.namespace_selector)?,
            canaries: selector("canarySelector", &policy.spec.canary_selector)?,
            policy,
        })
    }

    /// The same of a spec as it is stored in a cluster, by whatever definition it once was admitted.
    ///
    /// # Errors
    /// The first that is wrong with it.
    pub fn read(name: &str, spec: &Value, vocabulary: &Vocabulary) -> Result<Self, Fault> {
        let spec = match spec {
            Value::Null => CanaryPolicySpec::default(),
            spec => serde_path_to_error::deserialize(spec).map_err(|error| Fault {
                field: format!("spec.{}", error.path()),
                why: error.into_inner().to_string(),
            })?,
        };
        let policy = CanaryPolicy {
            name: name.to_owned(),
            spec,
        };
        Self::new(policy, vocabulary)
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &CanaryPolicy {
        &self.policy
    }
}

/// The selectors are those of the spec.
impl PartialEq for Checked {
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::file;

    fn applying(policies: &str, labels: &[(&str, &str)]) -> String {
        let policies = file::parse(policies, &crate::rules::vocabulary()).expect("policies");
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let subject = Subject {
            namespace: "shop",
            namespace_labels: &labels,
            name: "web",
            labels: &BTreeMap::new(),
        };
        policies.applying(subject).name.clone()
    }

    const TWO: &str = "
apiVersion: curfew.dev/v1alpha1
kind: CanaryPolicy
metadata: {name: everybody}
---
apiVersion: curfew.dev/v1alpha1
kind: CanaryPolicy
metadata: {name: production}
spec:
  precedence: 10
  namespaceSelector: {matchLabels: {env: prod}}
";

    #[test]
    fn the_lowest_precedence_that_matches_wins() {
        assert_eq!(applying(TWO, &[("env", "prod")]), "production");
        assert_eq!(applying(TWO, &[("env", "test")]), "everybody");
    }

    #[test]
    fn ties_go_by_name() {
        let tie = TWO.replace("precedence: 10", "precedence: 1000");
        assert_eq!(applying(&tie, &[("env", "prod")]), "everybody");
    }

    #[test]
    fn without_a_match_the_built_in_applies() {
        let only = TWO.split("---").nth(1).expect("the second policy");
        assert_eq!(applying(only, &[]), "(built-in)");
    }
}
