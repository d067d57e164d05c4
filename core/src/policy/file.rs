//! Policies from a file: YAML, one or several documents, in the shape of the custom resource.

use serde::Deserialize;
use serde_json::Value;

use super::{CanaryPolicy, CanaryPolicySpec, Checked, GROUP, Policies, Vocabulary, crd::VERSION};

/// How long the name of an object may be.
const LONGEST_NAME: usize = 253;

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

/// Why a policy, or a file of them, cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{why}")]
pub struct InvalidPolicy {
    /// The field that is wrong, such as `spec.admission.deadline`; empty if it is no single one.
    pub field: String,
    /// What is wrong, in one line.
    why: String,
}

/// Reads the policies of a file.
///
/// # Errors
/// What is wrong with it, and where; a file with one wrong policy is refused as a whole.
pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Policies, InvalidPolicy> {
    read(text, vocabulary).map(Policies::new)
}

/// The same, one by one.
///
/// # Errors
/// As [`parse`].
pub fn read(text: &str, vocabulary: &Vocabulary) -> Result<Vec<Checked>, InvalidPolicy> {
    let documents: Vec<Document> =
        serde_saphyr::from_multiple(text).map_err(|error| InvalidPolicy::whole(unreadable(&error.to_string())))?;
    let mut policies: Vec<Checked> = Vec::new();
    for document in documents {
        let policy = document.policy(vocabulary)?;
        let name = &policy.policy().name;
        if policies.iter().any(|known| known.policy().name == *name) {
            return Err(InvalidPolicy::whole(format!(
                "CanaryPolicy {name} is there twice; give each a name of its own"
            )));
        }
        policies.push(policy);
    }
    Ok(policies)
}

/// One policy that was found among other objects.
///
/// # Errors
/// What is wrong with it.
pub fn object(object: Value, vocabulary: &Vocabulary) -> Result<Checked, InvalidPolicy> {
    let document: Document = serde_path_to_error::deserialize(object).map_err(|error| {
        let field = error.path().to_string();
        let mut why = format!("{field}: {}", error.into_inner());
        if why.contains("boolean `false`") {
            why.push_str(", which is what kubectl makes of `off`: write Disabled");
        }
        let why = unreadable(&why);
        InvalidPolicy { field, why }
    })?;
    document.policy(vocabulary)
}

// === impl Document ===

impl Document {
    fn policy(self, vocabulary: &Vocabulary) -> Result<Checked, InvalidPolicy> {
        let Self {
            api_version,
            kind,
            metadata: Metadata { name },
            spec,
            _status: _,
        } = self;
        let expected = format!("{GROUP}/{VERSION}");
        if api_version != expected || kind != "CanaryPolicy" {
            return Err(InvalidPolicy::whole(format!(
                "{} {} of {} is not a policy; expected kind CanaryPolicy of {expected}",
                kind.escape_debug(),
                name.escape_debug(),
                api_version.escape_debug()
            )));
        }
        if !is_subdomain(&name) {
            return Err(InvalidPolicy {
                field: "metadata.name".to_owned(),
                why: format!(
                    "metadata.name: \"{}\" cannot be the name of an object; \
                     write lowercase letters, digits, '-' and '.', at most {LONGEST_NAME} of them",
                    name.escape_debug()
                ),
            });
        }
        let bad = format!("CanaryPolicy {name}");
        Checked::new(CanaryPolicy { name, spec }, vocabulary).map_err(|fault| InvalidPolicy {
            why: format!("{bad}: {fault}"),
            field: fault.field,
        })
    }
}

// === impl InvalidPolicy ===

impl InvalidPolicy {
    const fn whole(why: String) -> Self {
        let field = String::new();
        Self { field, why }
    }
}

/// Whether this can name an object: a DNS subdomain, as RFC 1123 has it and an API server asks for.
fn is_subdomain(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|&byte| is_inner(byte) || byte == b'-')
            && bytes.first().is_some_and(|&byte| is_inner(byte))
            && bytes.last().is_some_and(|&byte| is_inner(byte))
    };
    name.len() <= LONGEST_NAME && name.split('.').all(is_label)
}

/// The first line of the YAML reader's message, since its picture of the source does not fit a log, and where to look.
fn unreadable(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
    format!("{line}; `curfew policy default` prints a policy to compare it with")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::{
        policy::{Subject, canary_policy::DEFAULT_YAML},
        rules::vocabulary,
    };

    #[test]
    fn the_built_in_is_what_policy_default_prints() {
        let policies = parse(DEFAULT_YAML, &vocabulary()).expect("the default is valid");
        let none = BTreeMap::new();
        let subject = Subject {
            namespace: "shop",
            namespace_labels: &none,
            name: "web",
            labels: &none,
        };
        let printed = policies.applying(subject);
        assert_eq!(printed.name, "default");
        assert_eq!(printed.spec, vocabulary().filled(CanaryPolicySpec::default()));
    }

    #[test]
    fn an_empty_file_leaves_the_built_in() {
        let policies = parse("", &vocabulary()).expect("no policies");
        let none = BTreeMap::new();
        let subject = Subject {
            namespace: "shop",
            namespace_labels: &none,
            name: "web",
            labels: &none,
        };
        assert_eq!(policies.applying(subject).spec, CanaryPolicySpec::default());
    }

    fn corpus(text: &str) -> Vec<Value> {
        serde_saphyr::from_str(text).expect("the corpus")
    }

    /// A policy as a file, with a spec as JSON, which is YAML too.
    fn with_spec(spec: &Value) -> String {
        format!("apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: p}}\nspec: {spec}\n")
    }

    #[test]
    fn what_an_api_server_refuses_is_refused_in_a_file_and_in_what_is_stored_already() {
        for case in corpus(include_str!("../../../tests/corpus/policies/refused.yaml")) {
            let words = case["says"].as_str().or(case["file"].as_str()).expect("words");
            let spec = &case["spec"];
            let error = parse(&with_spec(spec), &vocabulary()).expect_err(words).to_string();
            assert!(error.contains(words), "{spec}\n{error}");
            let error = Checked::read("p", spec, &vocabulary()).expect_err(words).to_string();
            assert!(error.contains(words) && !error.contains('\n'), "{spec}\n{error}");
        }
    }

    #[test]
    fn what_an_api_server_accepts_is_accepted_and_written_back_as_it_was_read() {
        for spec in corpus(include_str!("../../../tests/corpus/policies/accepted.yaml")) {
            parse(&with_spec(&spec), &vocabulary()).expect("accepted");
            let policy = Checked::read("p", &spec, &vocabulary()).expect("accepted");
            let written = serde_json::to_value(&policy.policy().spec).expect("JSON");
            assert_eq!(Checked::read("p", &written, &vocabulary()), Ok(policy), "{written}");
        }
    }

    #[test]
    fn a_policy_among_other_objects_is_read_as_strictly() {
        let policy = |spec: Value| {
            object(
                json!({"apiVersion": "curfew.dev/v1alpha1", "kind": "CanaryPolicy",
                "metadata": {"name": "p", "uid": "1"}, "spec": spec, "status": {}}),
                &vocabulary(),
            )
        };
        let read = policy(json!({"precedence": 10})).expect("a policy");
        let read = read.policy();
        assert_eq!((read.name.as_str(), read.spec.precedence), ("p", 10));
        for (spec, field, words) in [
            (json!({"precedense": 10}), "spec.precedense", "expected one of"),
            (
                json!({"admission": {"deadline": {"min": "2h"}}}),
                "spec.admission.deadline",
                "min is above max",
            ),
            (
                json!({"admission": {"mode": false}}),
                "spec.admission.mode",
                "what kubectl makes of `off`: write Disabled",
            ),
            (
                json!({"enforcement": {"clocks": {"stall": {"action": false}}}}),
                "spec.enforcement.clocks.stall.action",
                "write Disabled",
            ),
            (
                json!({"exemptions": [{"namespaces": ["a"], "reason": 7}]}),
                "spec.exemptions[0].reason",
                "expected a string",
            ),
            (
                json!({"canarySelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}),
                "spec.canarySelector.matchExpressions[0].operator",
                "unknown variant `Near`, expected one of `In`",
            ),
        ] {
            let error = policy(spec).expect_err(words);
            assert_eq!(error.field, field, "{error}");
            let said = error.to_string();
            assert!(said.contains(words) && said.contains(field), "{said}");
        }
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
                policy("{admission: {rules: {deadline: Disabled}}}"),
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
                "spec.exemptions: each needs a reason",
            ),
            (
                policy("{namespaceSelector: {matchExpressions: [{key: a, operator: Near}]}}"),
                "unknown variant `Near`, expected one of In",
            ),
            (
                "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n".to_owned(),
                "ConfigMap x of v1 is not a policy",
            ),
            (
                policy("{}").replace("kind: CanaryPolicy", r#"kind: "Canary\nPolicy""#),
                r"Canary\nPolicy p of curfew.dev/v1alpha1 is not a policy",
            ),
            (
                policy("{}").replace("name: p", r#"name: "a\nb""#),
                r#"metadata.name: "a\nb" cannot be the name of an object"#,
            ),
            (
                policy("{}").replace("name: p", "name: ''"),
                r#"metadata.name: "" cannot be"#,
            ),
            (
                policy("{}").replace("name: p", "name: Shop"),
                r#"metadata.name: "Shop" cannot be"#,
            ),
            (
                policy("{}").replace("name: p", "name: a.-b"),
                r#"metadata.name: "a.-b" cannot be"#,
            ),
            (format!("{0}---\n{0}", policy("{}")), "twice"),
            ("{".to_owned(), ""),
            ("- 1".to_owned(), ""),
        ] {
            let error = parse(&text, &vocabulary()).expect_err(&text).to_string();
            assert!(error.contains(words), "{text}\n{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
