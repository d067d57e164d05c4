//! Writing a report down for people and for programs.

use serde::Serialize;

use super::judge::{Found, Report};
use crate::policy::{GROUP, Mode, Rule};

/// So many namespaces are named in one line.
const MOST_NAMED: usize = 5;

/// What was found, one line each: `FILE:LINE: error[RULE] NS/NAME FIELD: MESSAGE; FIX`.
#[must_use]
pub fn text(report: &Report, strict: bool) -> String {
    report.told(strict).map(line).collect()
}

fn line(found: &Found) -> String {
    let Found {
        finding,
        mode,
        namespace,
        name,
        file,
        at,
    } = found;
    format!(
        "{file}:{}: {}[{}] {}/{} {}: {}; {}\n",
        at.line,
        level(*mode),
        finding.rule,
        namespace.escape_debug(),
        name.escape_debug(),
        finding.field,
        finding.message,
        finding.fix
    )
}

/// What a mode is called where nobody knows of modes.
#[must_use]
pub const fn level(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "error",
        Mode::Warn => "warning",
        Mode::Audit | Mode::Disabled => "note",
    }
}

/// Which policies may have been mistaken for want of labels, a line each.
pub fn unlabelled(report: &Report) -> impl Iterator<Item = String> {
    report.unlabelled.iter().map(|(policy, namespaces)| {
        let named: Vec<_> = namespaces
            .iter()
            .take(MOST_NAMED)
            .map(|namespace| namespace.escape_debug().to_string())
            .collect();
        let (named, more) = (named.join(", "), namespaces.len().saturating_sub(MOST_NAMED));
        match (namespaces.len(), more) {
            (1, _) => format!(
                "policy {policy} selects namespaces by labels, and those of {named} were not given: it counts as one \
                 without any; add the Namespace to what is checked"
            ),
            (_, 0) => format!(
                "policy {policy} selects namespaces by labels, and those of {named} were not given: they count as ones \
                 without any; add the Namespaces to what is checked"
            ),
            (_, more) => format!(
                "policy {policy} selects namespaces by labels, and those of {named} and {more} more were not given: they \
                 count as ones without any; add the Namespaces to what is checked"
            ),
        }
    })
}

/// How much was found, in words.
#[must_use]
pub fn summary(report: &Report, strict: bool) -> String {
    if report.canaries == 0 {
        return "no Canary in what was given".to_owned();
    }
    let counted = |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    let mut said = format!(
        "{} checked: {}, {}",
        counted(report.canaries, "Canary", "Canaries"),
        counted(report.count(Mode::Enforce), "error", "errors"),
        counted(report.count(Mode::Warn), "warning", "warnings"),
    );
    if strict {
        said.push_str(", ");
        said.push_str(&counted(report.count(Mode::Audit), "note", "notes"));
    }
    said
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckReport<'a> {
    api_version: String,
    kind: &'static str,
    summary: Summary,
    findings: Vec<JsonFinding<'a>>,
}

#[derive(Serialize)]
struct Summary {
    /// How many Canaries were judged.
    objects: usize,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    rule: Rule,
    mode: Mode,
    object: Named<'a>,
    field: &'a str,
    message: &'a str,
    fix: &'a str,
    file: &'a str,
    line: usize,
}

#[derive(Serialize)]
struct Named<'a> {
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
}

/// Everything that was found, as JSON.
#[must_use]
pub fn json(report: &Report) -> String {
    let report = CheckReport {
        api_version: format!("{GROUP}/v1alpha1"),
        kind: "CheckReport",
        summary: Summary {
            objects: report.canaries,
            errors: report.count(Mode::Enforce),
            warnings: report.count(Mode::Warn),
        },
        findings: report.findings.iter().map(JsonFinding::of).collect(),
    };
    let text = serde_json::to_string_pretty(&report).unwrap_or_default();
    format!("{text}\n")
}

// === impl JsonFinding ===

impl<'a> JsonFinding<'a> {
    fn of(found: &'a Found) -> Self {
        let finding = &found.finding;
        Self {
            rule: finding.rule,
            mode: found.mode,
            object: Named {
                kind: "Canary",
                namespace: &found.namespace,
                name: &found.name,
            },
            field: &finding.field,
            message: &finding.message,
            fix: &finding.fix,
            file: &found.file,
            line: found.at.line,
        }
    }
}
