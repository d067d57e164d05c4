//! A Canary's findings with the modes that the policy in force gives them: what webhook, audit and `check` go by.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Finding, Lookup, findings};
use crate::policy::{CanaryPolicy, ExemptionScope, Mode, Policies, Rule, Subject};

/// What is demanded of a Canary, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The policy in force.
    pub policy: &'a CanaryPolicy,
    /// What was found, with the mode in force for it; nothing that is off.
    pub findings: Vec<(Finding, Mode)>,
}

/// A Canary as it is stored or asked for, and where.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The object's JSON.
    pub canary: &'a Value,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its namespace's labels.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// Its name; empty while it has none.
    pub name: &'a str,
}

// === impl Case ===

impl Case<'_> {
    /// Judges it. `undecodable` is never exempt: it would stop Flagger for others.
    #[must_use]
    pub fn judge<'a>(self, policies: &'a Policies, lookup: &dyn Lookup, now: Timestamp) -> Judged<'a> {
        let labels = labels(self.canary);
        let subject = Subject {
            namespace: self.namespace,
            namespace_labels: self.namespace_labels,
            name: self.name,
            labels: &labels,
        };
        let policy = policies.applying(subject);
        let exemption = policy.exemption(subject, ExemptionScope::Admission, now);
        let findings = findings(self.canary, self.namespace, &policy.spec, lookup)
            .into_iter()
            .filter(|finding| exemption.is_none() || finding.rule == Rule::UNDECODABLE)
            .map(|finding| {
                let mode = finding.mode(&policy.spec.admission);
                (finding, mode)
            })
            .filter(|(_, mode)| *mode > Mode::Disabled)
            .collect();
        Judged { policy, findings }
    }
}

/// An object's labels.
#[must_use]
pub fn labels(object: &Value) -> BTreeMap<String, String> {
    object["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
