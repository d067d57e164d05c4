//! What the rules find, and where it stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    document::Place,
    lookup::Given,
    object::{Kind, Object},
};
use crate::{
    policy::{Mode, NAMESPACE_NAME, Policies, Subject},
    rules::{
        Finding,
        case::{Case, labels},
    },
};

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many Canaries were judged.
    pub canaries: usize,
    /// What was found, in the order of the files and of the lines in them.
    pub findings: Vec<Found>,
    /// Policies that select by labels of namespaces which were not given: each with those namespaces.
    pub unlabelled: BTreeMap<String, BTreeSet<String>>,
}

/// A finding, whom it concerns and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What was found.
    pub finding: Finding,
    /// How strictly the policy takes it.
    pub mode: Mode,
    /// The Canary's namespace.
    pub namespace: String,
    /// The Canary's name.
    pub name: String,
    /// The file.
    pub file: Arc<str>,
    /// The field in it, or the nearest parent that is there.
    pub at: Place,
}

/// Judges every Canary of the objects by the policy that applies to it.
#[must_use]
pub fn judge(objects: &[Object], policies: &Policies, lookup: &Given, now: Timestamp) -> Report {
    let namespaces: BTreeMap<_, _> = objects
        .iter()
        .filter(|object| object.kind == Kind::Namespace)
        .map(|object| (object.name.as_str(), labels(&object.json)))
        .collect();
    let mut report = Report::default();
    for canary in objects.iter().filter(|object| object.kind == Kind::Canary) {
        report.canaries += 1;
        let given = namespaces.get(canary.namespace.as_str());
        if given.is_none() {
            for policy in policies.all().filter(|policy| policy.selects_by_labels()) {
                let namespaces = report.unlabelled.entry(policy.name.clone()).or_default();
                namespaces.insert(canary.namespace.clone());
            }
        }
        let mut namespace_labels = given.cloned().unwrap_or_default();
        namespace_labels.insert(NAMESPACE_NAME.to_owned(), canary.namespace.clone());
        let case = Case {
            canary: &canary.json,
            namespace: &canary.namespace,
            namespace_labels: &namespace_labels,
            name: canary.json["metadata"]["name"].as_str().unwrap_or_default(),
        };
        let stored = as_stored(case, policies, now);
        let case = Case {
            canary: &stored,
            ..case
        };
        for (finding, mode) in case.judge(policies, lookup, now).findings {
            report.findings.push(Found {
                at: canary.node.place(&finding.field),
                finding,
                mode,
                namespace: canary.namespace.clone(),
                name: canary.name.clone(),
                file: Arc::clone(&canary.file),
            });
        }
    }
    report.findings.sort_by(|a, b| (&a.file, a.at).cmp(&(&b.file, b.at)));
    report
}

/// The Canary as it would be stored: with the deadline that the policy in force fills in.
fn as_stored(case: Case<'_>, policies: &Policies, now: Timestamp) -> Value {
    let mut stored = case.canary.clone();
    let labels = labels(case.canary);
    let subject = Subject {
        namespace: case.namespace,
        namespace_labels: case.namespace_labels,
        name: case.name,
        labels: &labels,
    };
    if let Some(seconds) = policies.applying(subject).default_deadline(subject, now)
        && let Some(spec) = stored["spec"].as_object_mut()
    {
        let deadline = spec.entry("progressDeadlineSeconds").or_insert(Value::Null);
        if deadline.is_null() {
            *deadline = seconds.into();
        }
    }
    stored
}

// === impl Report ===

impl Report {
    /// How many findings are taken like this.
    #[must_use]
    pub fn count(&self, mode: Mode) -> usize {
        self.findings.iter().filter(|found| found.mode == mode).count()
    }

    /// What is shown to people: without `strict` nobody is told of what is only audited.
    pub fn told(&self, strict: bool) -> impl Iterator<Item = &Found> {
        self.findings
            .iter()
            .filter(move |found| strict || found.mode >= Mode::Warn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::check::{object::objects, yaml},
        policy::{Rule, file},
    };

    const CANARY: &str = "
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web, namespace: shop}
spec:
  progressDeadlineSeconds: 30
  service: {port: 80.5}
  analysis: {interval: 30s, threshold: 5, iterations: 3}
";

    fn found(beside: &str, policy: &str) -> Vec<(Rule, Mode, usize)> {
        let file = Arc::from("x.yaml");
        let all: Vec<_> = yaml::documents(&format!("{CANARY}---\n{beside}"))
            .into_iter()
            .flat_map(|document| objects(&file, document.expect("a document")).0)
            .collect();
        let policy =
            format!("apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: p}}\nspec: {policy}\n");
        let policies = file::parse(&policy, &crate::rules::vocabulary()).expect("a policy");
        let lookup = Given::new(&all, None, None);
        judge(
            &all,
            &policies,
            &lookup,
            "2026-11-24T00:00:00Z".parse().expect("a time"),
        )
        .findings
        .into_iter()
        .map(|found| (found.finding.rule, found.mode, found.at.line))
        .collect()
    }

    #[test]
    fn the_policy_gives_the_mode_of_each_finding() {
        let both = [
            (Rule::DEADLINE_BOUNDS, Mode::Enforce, 6),
            (Rule::UNDECODABLE, Mode::Enforce, 7),
        ];
        assert_eq!(found("", "{}"), both);
        assert_eq!(
            found(
                "",
                "{admission: {rules: {deadline-bounds: Disabled, undecodable: Audit}}}"
            ),
            [(Rule::UNDECODABLE, Mode::Audit, 7)]
        );
        assert_eq!(
            found(
                "",
                "{canarySelector: {matchLabels: {a: b}}, admission: {mode: Disabled}}"
            ),
            both
        );
    }

    #[test]
    fn an_exemption_lets_off_all_but_what_stops_flagger() {
        let exempt = |until: &str| {
            found(
                "",
                &format!("{{exemptions: [{{namespaces: [shop], reason: x{until}}}]}}"),
            )
        };
        assert_eq!(exempt(""), [(Rule::UNDECODABLE, Mode::Enforce, 7)]);
        assert_eq!(exempt(", until: '2026-11-23T00:00:00Z'").len(), 2);
    }

    #[test]
    fn a_deadline_that_the_policy_fills_in_is_judged_as_if_it_stood_there() {
        let file = Arc::from("x.yaml");
        let without = CANARY
            .replace(
                "  progressDeadlineSeconds: 30\n",
                "  targetRef: {kind: DaemonSet, name: web}\n",
            )
            .replace("80.5", "80")
            .replace("interval: 30s", "interval: 12m");
        let document = yaml::documents(&without).remove(0).expect("a document");
        let all = objects(&file, document).0;
        let rules = |spec: &str| -> Vec<Rule> {
            let policy =
                format!("apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: p}}\nspec: {spec}\n");
            let policies = file::parse(&policy, &crate::rules::vocabulary()).expect("a policy");
            let now = "2026-11-24T00:00:00Z".parse().expect("a time");
            let report = judge(&all, &policies, &Given::new(&all, None, None), now);
            report.findings.into_iter().map(|found| found.finding.rule).collect()
        };
        assert_eq!(rules("{}"), [Rule::DEADLINE_REQUIRED, Rule::INTERVAL_ABOVE_DEADLINE]);
        assert_eq!(rules("{admission: {deadline: {default: 15m}}}"), []);
    }

    #[test]
    fn namespaces_have_the_labels_that_were_given_and_their_name() {
        let off = "admission: {mode: Disabled}";
        let by_label = format!("{{namespaceSelector: {{matchLabels: {{env: test}}}}, {off}}}");
        let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {env: test}}}";
        assert_eq!(found(namespace, &by_label), []);
        assert_eq!(found("", &by_label).len(), 2);
        let by_name = format!("{{namespaceSelector: {{matchLabels: {{{NAMESPACE_NAME}: shop}}}}, {off}}}");
        assert_eq!(found("", &by_name), []);
    }
}
