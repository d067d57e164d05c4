//! `curfew check`: the rules offline, by the binary itself.
//!
//! [`rules`] has one fault for each rule, [`valid`] what must pass, [`command`] how files, policies and flags are taken.
//! What is printed about `tests/corpus/check/manifests` is compared here with what was printed before
//! (`CURFEW_UPDATE_GOLDEN=1` writes it anew).

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]

mod command;
mod rules;
mod valid;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

fn corpus(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/corpus", name].iter().collect()
}

/// Checks in a folder, with a text at standard input.
fn check(folder: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_curfew"))
        .arg("check")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // Who does not read standard input closes it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("it was written");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The report about a text.
fn report(input: &str, args: &[&str]) -> Value {
    let output = check(&corpus(""), &[&["-o", "json", "-"], args].concat(), input);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The findings of a report: line, mode, rule, field.
fn findings(report: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| {
            let [mode, rule, field] = ["mode", "rule", "field"].map(|key| text(&finding[key]));
            format!("{} {mode} {rule} {field}", finding["line"])
        })
        .collect()
}

#[test]
fn every_format_prints_what_it_did() {
    for (name, args) in [
        ("text", &[][..]),
        ("strict.text", &["--strict"]),
        ("json", &["-o", "json"]),
        ("sarif", &["-o", "sarif"]),
        ("github", &["-o", "github"]),
    ] {
        let folder = corpus("check");
        let output = check(&folder, &[&["manifests"], args].concat(), "");
        // Some of it cannot be read, and the rest is judged nevertheless.
        assert_eq!(output.status.code(), Some(2), "{name}");
        let version = format!("\"semanticVersion\": {:?}", env!("CARGO_PKG_VERSION"));
        let printed = text(&output.stdout).replace(&version, "\"semanticVersion\": \"0.0.0\"");
        let printed = format!("{printed}== standard error\n{}", text(&output.stderr));
        let golden = folder.join("golden").join(name);
        if std::env::var_os("CURFEW_UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &printed).expect("written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(printed, expected, "{} is not what is printed", golden.display());
    }
}

#[test]
fn every_finding_of_sarif_names_a_rule_and_a_line_that_is_there() {
    let folder = corpus("check");
    let output = check(&folder, &["manifests", "-o", "sarif", "--strict"], "");
    let log: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let run = &log["runs"][0];
    let results = run["results"].as_array().expect("results");
    assert!(!results.is_empty());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("a small one");
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        let file = place["artifactLocation"]["uri"].as_str().expect("a file");
        let file = file.replace("%20", " ").replace("%2C", ",");
        let lines = fs::read_to_string(folder.join(file)).expect("the file").lines().count() as u64;
        let line = place["region"]["startLine"].as_u64().expect("a line");
        assert!((1..=lines).contains(&line), "{result}");
    }
}
