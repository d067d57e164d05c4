//! Writing a report down as SARIF 2.1.0, which code scanners take in.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    input::Broken,
    judge::{Found, Report},
    print::level,
};
use crate::rules::{RULES, RuleDef};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

/// The report, with everything that could not be read as a notification of the run.
#[must_use]
pub fn sarif(report: &Report, broken: &[Broken], strict: bool) -> String {
    let rules: Vec<_> = RULES.into_iter().map(rule).collect();
    let results: Vec<_> = report.told(strict).map(result).collect();
    let notifications: Vec<_> = broken.iter().map(notification).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "curfew", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": broken.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    });
    let text = serde_json::to_string_pretty(&log).unwrap_or_default();
    format!("{text}\n")
}

fn rule(definition: &RuleDef) -> Value {
    json!({
        "id": definition.rule.name(),
        "shortDescription": {"text": definition.finds},
        "help": {"text": definition.fix},
    })
}

fn result(found: &Found) -> Value {
    let finding = &found.finding;
    let object = format!("{}/{}", found.namespace, found.name);
    json!({
        "ruleId": finding.rule.name(),
        "ruleIndex": RULES.iter().position(|definition| definition.rule == finding.rule),
        "level": level(found.mode),
        "message": {"text": format!("{object} {}: {}; {}", finding.field, finding.message, finding.fix)},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": uri(&found.file)},
                "region": {"startLine": found.at.line, "startColumn": found.at.column},
            },
            "logicalLocations": [{"fullyQualifiedName": format!("{object}/{}", finding.field), "kind": "member"}],
        }],
    })
}

fn notification(broken: &Broken) -> Value {
    let mut place = json!({"artifactLocation": {"uri": uri(&broken.file)}});
    if let Some(line) = broken.line {
        place["region"] = json!({"startLine": line});
    }
    json!({
        "level": "error",
        "message": {"text": format!("cannot be read: {}", broken.why)},
        "locations": [{"physicalLocation": place}],
    })
}

/// A path as a reference of RFC 3986. A colon in the first part of one that is relative would look like a scheme.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_a_reference() {
        for (path, expected) in [
            ("deploy/web.yaml", "deploy/web.yaml"),
            ("/srv/a b.yaml", "file:///srv/a%20b.yaml"),
            ("a:b/ü?#.yaml", "a%3Ab/%C3%BC%3F%23.yaml"),
            ("../x.yaml", "../x.yaml"),
            ("-", "-"),
        ] {
            assert_eq!(uri(path), expected, "{path}");
        }
    }
}
