//! Writing a report down as SARIF 2.1.0, which code scanners take in.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    Broken,
    judge::{Found, Report},
    print::level,
};
use crate::policy::Rule;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

/// The report, with everything that could not be read as a notification of the run.
#[must_use]
pub fn sarif(report: &Report, broken: &[Broken], strict: bool) -> String {
    let rules: Vec<_> = Rule::ALL.into_iter().map(rule).collect();
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

fn rule(rule: Rule) -> Value {
    json!({
        "id": rule.name(),
        "shortDescription": {"text": finds(rule)},
        "help": {"text": format!("{} finds: {}. What to write instead is said with each result.", rule.name(), finds(rule))},
    })
}

fn result(found: &Found) -> Value {
    let finding = &found.finding;
    let object = format!("{}/{}", found.namespace, found.name);
    json!({
        "ruleId": finding.rule.name(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == finding.rule),
        "level": level(found.mode),
        "message": {"text": format!("{object} {}: {}; {}", finding.field, finding.message, finding.mend)},
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

/// What a rule finds, in a few words.
const fn finds(rule: Rule) -> &'static str {
    match rule {
        Rule::Undecodable => "a value that Flagger cannot decode, which stops it for the whole cluster",
        Rule::DeadlineRequired => "a Canary without progressDeadlineSeconds",
        Rule::DeadlineBounds => "a deadline shorter or longer than the policy admits",
        Rule::Interval => "an analysis interval that Flagger replaces by another, or that the policy finds odd",
        Rule::AnalysisNeverAdvances => "an analysis that takes no step, so that every rollout waits for ever",
        Rule::Weights => "weights that are no share of the traffic, or that do not rise",
        Rule::Thresholds => "thresholds that no pods can meet, or that none are needed for",
        Rule::ServicePort => "a Canary whose Services would have no port",
        Rule::ApexService => "two Canaries whose users call one Service",
        Rule::AbIterations => "conditions of an A/B test without iterations",
        Rule::WebhookTimeout => "a hook whose timeout Flagger cannot use",
        Rule::DuplicateTarget => "two Canaries on targets of one name",
        Rule::TargetSelector => "a target whose selector has none of Flagger's labels",
        Rule::TargetMissing => "a target that does not exist",
        Rule::TargetDeadline => "a Deployment whose own deadline does away with the Canary's",
        Rule::ScalerMissing => "an autoscaler that does not exist",
        Rule::IntervalAboveDeadline => "an interval longer than the deadline",
        Rule::DeadlineBelowStartup => "a deadline shorter than the pods' own probes allow",
        Rule::DeadlineFit => "a deadline far from what the last rollouts needed",
        Rule::PartialAvailability => "a Deployment that counts as available with pods missing",
        Rule::GateWithoutDeadline => "a gate that may be waited for without a limit",
        Rule::Probes => "a target without readiness or liveness probes",
        Rule::RolloutDeadline => "a deadline for the whole rollout that cannot hold",
    }
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
