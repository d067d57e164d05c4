//! Which policy applies to a Canary.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::core::{Selector, SelectorExt};

use super::{CanaryPolicy, Exemption, Guard};

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
#[derive(Debug, Default)]
pub struct Policies {
    ordered: Vec<Selected>,
    built_in: CanaryPolicy,
}

#[derive(Debug)]
struct Selected {
    policy: CanaryPolicy,
    namespaces: Selector,
    canaries: Selector,
}

// === impl Policies ===

impl Policies {
    /// Orders policies for use.
    ///
    /// # Errors
    /// A selector that is no selector, in words for the policy's author.
    pub fn new(policies: Vec<CanaryPolicy>) -> Result<Self, String> {
        let mut ordered = policies.into_iter().map(Selected::new).collect::<Result<Vec<_>, _>>()?;
        ordered.sort_by(|a, b| {
            (a.policy.spec.precedence, &a.policy.name).cmp(&(b.policy.spec.precedence, &b.policy.name))
        });
        Ok(Self {
            ordered,
            built_in: CanaryPolicy {
                name: "(built-in)".to_owned(),
                ..CanaryPolicy::default()
            },
        })
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

impl CanaryPolicy {
    /// The exemption that covers a Canary now, if there is one.
    #[must_use]
    pub fn exemption(&self, subject: Subject<'_>, guard: Guard, now: Timestamp) -> Option<&Exemption> {
        self.spec
            .exemptions
            .iter()
            .find(|exemption| exemption.covers(subject.namespace, subject.name, guard, now))
    }
}

// === impl Selected ===

impl Selected {
    fn new(policy: CanaryPolicy) -> Result<Self, String> {
        let selector = |field: &str, selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector| {
            Selector::try_from(selector.clone())
                .map_err(|error| format!("CanaryPolicy {}: spec.{field}: {error}", policy.name))
        };
        Ok(Self {
            namespaces: selector("namespaceSelector", &policy.spec.namespace_selector)?,
            canaries: selector("canarySelector", &policy.spec.canary_selector)?,
            policy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::file;

    fn applying(policies: &str, labels: &[(&str, &str)]) -> String {
        let policies = file::parse(policies).expect("policies");
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
