//! Policies from a file: YAML, one or several documents, in the shape of the custom resource.

use serde::Deserialize;

use super::{CanaryPolicy, GROUP, Policies, canary_policy::CanaryPolicySpec};

/// What a document of a policy file must look like.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    api_version: String,
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: CanaryPolicySpec,
    /// What a cluster adds; nothing is read from it.
    #[serde(default, rename = "status")]
    _status: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct InvalidPolicy(String);

/// Reads the policies of a file.
///
/// # Errors
/// What is wrong with it, and where; a file with one wrong policy is refused as a whole.
pub fn parse(text: &str) -> Result<Policies, InvalidPolicy> {
    let documents: Vec<Document> =
        serde_saphyr::from_multiple(text).map_err(|error| InvalidPolicy(unreadable(&error.to_string())))?;
    let mut policies: Vec<CanaryPolicy> = Vec::new();
    for document in documents {
        let Document {
            api_version,
            kind,
            metadata: Metadata { name },
            spec,
            _status: _,
        } = document;
        let expected = format!("{GROUP}/v1alpha1");
        if api_version != expected || kind != "CanaryPolicy" {
            return Err(InvalidPolicy(format!(
                "{kind} {name} of {api_version} is not a policy; expected kind CanaryPolicy of {expected}"
            )));
        }
        if policies.iter().any(|policy| policy.name == name) {
            return Err(InvalidPolicy(format!(
                "CanaryPolicy {name} is there twice; give each a name of its own"
            )));
        }
        if let [first, ..] = &spec.contradictions()[..] {
            return Err(InvalidPolicy(format!("CanaryPolicy {name}: {first}")));
        }
        policies.push(CanaryPolicy { name, spec });
    }
    Policies::new(policies).map_err(InvalidPolicy)
}

/// The first line of the YAML reader's message, since its picture of the source does not fit a log, and where to look.
fn unreadable(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
    format!("{line}; `curfew policy default` prints a policy to compare it with")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::policy::{Subject, canary_policy::DEFAULT_YAML};

    #[test]
    fn the_built_in_is_what_policy_default_prints() {
        let policies = parse(DEFAULT_YAML).expect("the default is valid");
        let none = BTreeMap::new();
        let subject = Subject {
            namespace: "shop",
            namespace_labels: &none,
            name: "web",
            labels: &none,
        };
        let printed = policies.applying(subject);
        assert_eq!(printed.name, "default");
        assert_eq!(printed.spec, CanaryPolicySpec::default());
    }

    #[test]
    fn an_empty_file_leaves_the_built_in() {
        let policies = parse("").expect("no policies");
        let none = BTreeMap::new();
        let subject = Subject {
            namespace: "shop",
            namespace_labels: &none,
            name: "web",
            labels: &none,
        };
        assert_eq!(policies.applying(subject).spec, CanaryPolicySpec::default());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let policy = |spec: &str| {
            format!("apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: p}}\nspec: {spec}\n")
        };
        for (text, words) in [
            (policy("{admission: {deadlines: {}}}"), "deadlines"),
            (policy("{namespaceSelector: {matchLabel: {team: a}}}"), "matchLabel"),
            (policy("{canarySelector: {matchExpresions: []}}"), "matchExpresions"),
            (policy("{admission: {deadline: {min: 5 minutes}}}"), "5 minutes"),
            (policy("{admission: {deadline: {min: -5m}}}"), "below zero"),
            (policy("{admission: {deadline: {min: 2h}}}"), "min is above max"),
            (
                policy("{admission: {rules: {deadline: Off}}}"),
                "there is no rule \"deadline\"",
            ),
            (policy("{admission: {mode: enforce}}"), "enforce"),
            (
                policy("{enforcement: {clocks: {promotion: {action: RollBack}}}}"),
                "clocks.promotion.action",
            ),
            (
                policy("{enforcement: {clocks: {stall: {action: Hold}}}}"),
                "Hold belongs to",
            ),
            (policy("{exemptions: [{namespaces: [a]}]}"), "reason"),
            (
                policy("{exemptions: [{namespaces: [a], reason: ' '}]}"),
                "exemptions[0].reason",
            ),
            (
                policy("{namespaceSelector: {matchExpressions: [{key: a, operator: Near}]}}"),
                "namespaceSelector",
            ),
            (
                "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n".to_owned(),
                "is not a policy",
            ),
            (format!("{0}---\n{0}", policy("{}")), "twice"),
            ("{".to_owned(), ""),
            ("- 1".to_owned(), ""),
        ] {
            let error = parse(&text).expect_err(&text).to_string();
            assert!(error.contains(words), "{text}\n{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
