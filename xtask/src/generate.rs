//! `cargo xtask generate`: the files that the code writes.

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};
use clap::Args;
use curfew_core::{
    deadline::clocks,
    policy::crd::crd,
    rules::{reference, vocabulary},
};
use similar::TextDiff;

use crate::child;

/// Write what is made from the code: the page of the rules, the definition of policies, the table of the clocks, and what
/// tests compare with.
#[derive(Args)]
pub struct Arguments {
    /// Write nothing; print what differs, and fail if something does. What tests compare with, they look at themselves.
    #[arg(long)]
    check: bool,
}

/// What stands around a part of a document that is generated.
const BEGIN: &str = "<!-- written by cargo xtask generate -->\n";
const END: &str = "<!-- end -->";

/// Every generated file, and what belongs there.
fn files(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let definition = serde_saphyr::to_string(&crd(&vocabulary())).context("cannot write the definition of policies")?;
    let policies = "docs/policies.md";
    let page = fs::read_to_string(root.join(policies)).with_context(|| format!("cannot read {policies}"))?;
    let page = with_part(&page, &clocks::reference::table()).with_context(|| format!("{policies} lost its marks"))?;
    Ok(vec![
        ("docs/rules.md", reference::page()),
        (policies, page),
        ("deploy/crds/canarypolicies.yaml", definition),
    ])
}

/// A document with another part between the marks.
fn with_part(document: &str, part: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{part}{END}{after}"))
}

/// Writes them, or says what differs.
///
/// # Errors
/// A file cannot be written.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    Ok(if write(arguments.check)? && (arguments.check || goldens()?) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Lets the tests that compare with files write them anew. `tests/e2e/every_rule.rs` has one too, and needs a plane.
fn goldens() -> Result<bool> {
    let mut command = Command::new("cargo");
    command
        .args([
            "test",
            "--quiet",
            "--locked",
            "--package",
            "canary-curfew",
            "--test",
            "check",
            "--test",
            "reviews",
        ])
        .env("CURFEW_UPDATE_GOLDEN", "1");
    crate::curfew::without_cargos_variables(&mut command);
    Ok(child::run(command)?.success())
}

/// Writes them, or with `check` only says what differs; answers whether they are now what the code says.
///
/// # Errors
/// A file cannot be written.
pub fn write(check: bool) -> Result<bool> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut stale = Vec::new();
    for (path, wanted) in files(root)? {
        let file = root.join(path);
        let written = fs::read_to_string(&file).unwrap_or_default();
        if written == wanted {
            continue;
        }
        stale.push(path);
        if check {
            print!("{}", diff(path, &written, &wanted));
        } else {
            fs::write(&file, wanted).with_context(|| format!("cannot write {path}"))?;
            println!("wrote {path}");
        }
    }
    if check && !stale.is_empty() {
        eprintln!(
            "error: {} not what the code says; write it anew with `cargo xtask generate`",
            stale.join(", ")
        );
        return Ok(false);
    }
    Ok(true)
}

fn diff(path: &str, written: &str, wanted: &str) -> String {
    let diff = TextDiff::from_lines(written, wanted);
    diff.unified_diff().header(path, "what the code says").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let document = format!("a\n{BEGIN}old\n{END}\nb\n");
        assert_eq!(
            with_part(&document, "new\n"),
            Some(format!("a\n{BEGIN}new\n{END}\nb\n"))
        );
        assert_eq!(with_part("a\n", "new\n"), None);
    }

    #[test]
    fn what_differs_is_shown_line_by_line() {
        let said = diff("a.md", "one\ntwo\n", "one\n2\n");
        assert!(said.contains("-two\n+2\n"), "{said}");
    }
}
