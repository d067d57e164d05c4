//! The `CustomResourceDefinition` of policies, made from the types that read them: what `curfew policy crd` prints.
//!
//! Every field outside lists has its default in the schema, so that a stored policy says all that it means. Inside lists
//! there are none: who compares a list with what was applied would see another one.

use schemars::{Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Value, json};

use super::{
    CanaryPolicySpec, GROUP, Vocabulary,
    action::Action,
    clock_policy::{ClockField, ClockSettings},
    conditions,
    written::duration,
};

/// The plural name, as in `kubectl get canarypolicies`.
pub const PLURAL: &str = "canarypolicies";
/// The version that is served and stored.
pub const VERSION: &str = "v1alpha1";
/// The kind.
pub const KIND: &str = "CanaryPolicy";
/// So many findings are listed in a status at the most.
pub const MOST_FINDINGS: usize = 50;

/// The definition, to be applied to a cluster.
#[must_use]
pub fn crd(vocabulary: &Vocabulary) -> Value {
    let columns = [
        ("Precedence", "integer", ".spec.precedence"),
        ("Mode", "string", ".spec.admission.mode"),
        ("Enforcement", "string", ".spec.enforcement.mode"),
        (
            "Accepted",
            "string",
            ".status.conditions[?(@.type==\"Accepted\")].status",
        ),
        ("Matched", "integer", ".status.matchedCanaries"),
        ("Findings", "integer", ".status.findings.total"),
        ("Age", "date", ".metadata.creationTimestamp"),
    ]
    .map(|(name, kind, path)| json!({"name": name, "type": kind, "jsonPath": path}));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "names": {"kind": KIND, "listKind": "CanaryPolicyList", "plural": PLURAL, "singular": "canarypolicy"},
            "scope": "Cluster",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": {
                    "description": "What Curfew demands of Flagger's Canaries, and of which of them.",
                    "type": "object",
                    "properties": {"spec": spec(vocabulary), "status": status()},
                }},
            }],
        },
    })
}

fn spec(vocabulary: &Vocabulary) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut generator = settings.with_transform(structural).into_generator();
    let span = duration::schema(&mut generator).to_value();
    let mut spec = generator.into_root_schema_for::<CanaryPolicySpec>().to_value();
    let defaults = json!(vocabulary.filled(CanaryPolicySpec::default()));
    let enforcement = &mut spec["properties"]["enforcement"];
    let clocks = clocks(vocabulary, &span, &defaults["enforcement"]["clocks"]);
    enforcement["properties"]["clocks"] = clocks;
    enforcement["default"] = defaults["enforcement"].clone();
    spec["properties"]["admission"]["properties"]["rules"]["maxProperties"] = json!(vocabulary.rules.len());
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("title");
    }
    // The API server holds a default against the conditions before it fills in the fields of it.
    spec["default"] = defaults;
    spec["x-kubernetes-validations"] = conditions::validations(vocabulary);
    spec
}

/// The schema of the clocks, from their table.
fn clocks(vocabulary: &Vocabulary, span: &Value, defaults: &Value) -> Value {
    let clock = |settings: &&ClockSettings| {
        let name = settings.clock.name();
        let default = &defaults[name];
        let with_default = |field: &str, mut schema: Value, about: &str| {
            schema["description"] = json!(about);
            if !default[field].is_null() {
                schema["default"] = default[field].clone();
            }
            (field.to_owned(), schema)
        };
        let action = json!({"type": "string", "enum": Action::ALL});
        let fields = settings.fields.iter().map(|field| {
            let schema = match field {
                ClockField::Restarts => {
                    json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": u32::MAX})
                }
                ClockField::Limit | ClockField::MaxLimit | ClockField::Window => span.clone(),
            };
            with_default(field.name(), schema, field.about())
        });
        let action = with_default("action", action, "What happens at the deadline.");
        let properties: serde_json::Map<_, _> = fields.chain([action]).collect();
        let schema = json!({
            "type": "object",
            "description": settings.about,
            "default": default,
            "properties": properties,
        });
        (name.to_owned(), schema)
    };
    json!({
        "type": "object",
        "description": "Each clock's limit and what happens at its deadline.",
        "default": defaults,
        "properties": vocabulary.clocks.iter().map(clock).collect::<serde_json::Map<_, _>>(),
    })
}

/// Makes a schema one that the API server takes: the values of an enum in one list, and no word about unknown fields, which
/// are refused or dropped anyway.
fn structural(schema: &mut Schema) {
    transform_subschemas(&mut structural, schema);
    if let Some(variants) = schema.remove("oneOf") {
        let values = variants.as_array().into_iter().flatten();
        let values: Value = values.map(|variant| variant["const"].clone()).collect();
        schema.insert("type".to_owned(), json!("string"));
        schema.insert("enum".to_owned(), values);
    }
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        schema.remove("additionalProperties");
    }
}

fn status() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let number = |description: &str| json!({"type": "integer", "format": "int64", "description": description});
    json!({
        "type": "object",
        "description": "What Curfew makes of it; written by Curfew alone.",
        "properties": {
            "observedGeneration": number("The generation of the spec that this is about."),
            "conditions": {
                "type": "array",
                "description": "Accepted: whether the spec can be used, and why not.",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status", "reason", "lastTransitionTime"],
                    "properties": {
                        "type": text("What is told."),
                        "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it is so."},
                        "reason": text("Why, in a word."),
                        "message": text("Why, in a sentence."),
                        "lastTransitionTime": {"type": "string", "format": "date-time", "description": "Since when."},
                        "observedGeneration": number("The generation of the spec that this is about."),
                    },
                },
            },
            "matchedCanaries": number("How many Canaries it applies to."),
            "findings": {
                "type": "object",
                "description": "What its rules find in the Canaries that it applies to.",
                "properties": {
                    "total": number("How many there are."),
                    "items": {
                        "type": "array",
                        "description": "The first of them.",
                        "maxItems": MOST_FINDINGS,
                        "items": {
                            "type": "object",
                            "required": ["namespace", "name", "rule"],
                            "properties": {
                                "namespace": text("The Canary's namespace."),
                                "name": text("The Canary's name."),
                                "rule": text("The rule that found it."),
                                "field": text("The path of the field."),
                                "message": text("What is wrong and how to fix it."),
                            },
                        },
                    },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::vocabulary;

    /// Every schema below a schema, each with its path and whether it is inside a list.
    fn visit(schema: &Value, path: &str, in_list: bool, look: &mut impl FnMut(&str, &Value, bool)) {
        look(path, schema, in_list);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            visit(property, &format!("{path}.{name}"), in_list, look);
        }
        if schema["items"].is_object() {
            visit(&schema["items"], &format!("{path}[]"), true, look);
        }
        if schema["additionalProperties"].is_object() {
            visit(&schema["additionalProperties"], &format!("{path}.*"), in_list, look);
        }
    }

    #[test]
    fn the_schema_is_structural_and_says_what_each_field_is_for() {
        visit(&spec(&vocabulary()), "spec", false, &mut |path, schema, in_list| {
            assert!(schema["type"].is_string(), "{path}: {schema}");
            for forbidden in ["$ref", "oneOf", "anyOf", "allOf", "definitions", "title", "nullable"] {
                assert!(schema[forbidden].is_null(), "{path} has {forbidden}: {schema}");
            }
            if let Some(values) = schema.get("enum") {
                let values = values.as_array().expect("a list");
                assert!(values.iter().all(Value::is_string), "{path}: {schema}");
            }
            let is_action = path.starts_with("spec.enforcement.clocks.") && path.ends_with(".action");
            assert!(!is_action || schema["enum"].is_array(), "{path}: {schema}");
            assert!(!in_list || schema["default"].is_null(), "{path} has a default");
            // What Kubernetes itself describes, and the values of a map.
            let is_known = path.contains("Selector.") || path.ends_with(".*") || path.ends_with("[]");
            assert!(is_known || schema["description"].is_string(), "{path} is not described");
        });
    }

    #[test]
    fn what_the_schema_defaults_is_what_is_built_in() {
        let built_in = json!(vocabulary().filled(CanaryPolicySpec::default()));
        visit(&spec(&vocabulary()), "", false, &mut |path, schema, _| {
            let value = path.split('.').skip(1).fold(&built_in, |value, name| &value[name]);
            let default = &schema["default"];
            assert!(default.is_null() || default == value, "{path}: {default} {value}");
        });
    }
}
