//! The command line: a bad start is one clear line and exit code 2.

#![allow(clippy::expect_used, reason = "a test that cannot go on says why and ends")]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

fn curfew(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_curfew"))
        .args(args)
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .expect("it runs")
}

/// What a start that cannot be says, on its one line.
fn refused(args: &[&str]) -> String {
    let output = curfew(args);
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn file(dir: &TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    fs::write(&path, text).expect("written");
    shown(&path)
}

fn shown(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

const ADDRESSES: [&str; 4] = ["--webhook-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"];

#[test]
fn without_a_cluster_it_says_how_to_name_one() {
    let said = refused(&[&["serve"][..], &ADDRESSES].concat());
    assert!(
        said.starts_with("curfew: cannot start: no way to the cluster: "),
        "{said}"
    );
    assert!(
        said.contains("/nonexistent/kubeconfig") && said.contains("set KUBECONFIG"),
        "{said}"
    );
}

#[test]
fn a_policy_that_cannot_be_used_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = refused(&["serve", "--policy", "/nonexistent/policy.yaml"]);
    assert!(
        said.contains("--policy /nonexistent/policy.yaml: No such file"),
        "{said}"
    );
    let misspelt = "apiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {name: p}\nspec: {precedense: 1}\n";
    let said = refused(&["serve", "--policy", &file(&dir, "policy.yaml", misspelt)]);
    assert!(said.contains("policy.yaml: ") && said.contains("precedense"), "{said}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = refused(&["serve", "--tls-dir", &shown(dir.path())]);
    assert!(said.contains("--tls-dir: ") && said.contains("tls.crt"), "{said}");
    let pair = || {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
        (
            params.self_signed(&key).expect("a certificate").pem(),
            key.serialize_pem(),
        )
    };
    file(&dir, "tls.crt", &pair().0);
    file(&dir, "tls.key", &pair().1);
    let said = refused(&["serve", "--tls-dir", &shown(dir.path())]);
    assert!(said.contains("tls.crt and tls.key do not fit together"), "{said}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("an address").to_string();
    for flag in ["--webhook-addr", "--admin-addr"] {
        let other = if flag == "--webhook-addr" {
            "--admin-addr"
        } else {
            "--webhook-addr"
        };
        let said = refused(&["serve", flag, &addr, other, "127.0.0.1:0"]);
        assert!(
            said.contains(&format!("{flag} {addr}: Address already in use")),
            "{said}"
        );
    }
}

#[test]
fn a_log_level_that_is_none_is_refused() {
    for level in ["lo=u=d", "loud", "wrn", "info,curfew"] {
        let said = refused(&["serve", "--log-level", level]);
        assert!(
            said.starts_with(&format!("curfew: cannot start: --log-level {level:?}: "))
                && said.contains("write error, warn, info, debug or trace"),
            "{said}"
        );
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &[][..],
        &["serv"],
        &["serve", "--webhook-addr", "here"],
        &["policy"],
        &["replay"],
        &["replay", "-o", "yaml", "-"],
    ] {
        assert_eq!(curfew(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_replay_says_which_file_is_wrong_and_where() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = refused(&["replay", "/nonexistent/recording.json"]);
    assert!(
        said.starts_with("curfew: /nonexistent/recording.json: No such file"),
        "{said}"
    );
    let yaml = file(&dir, "canaries.yaml", "apiVersion: flagger.app/v1beta1\n");
    let said = refused(&["replay", &yaml]);
    assert!(
        said.contains("canaries.yaml: line 1, column 1: this is not JSON") && said.contains("record with -o json"),
        "{said}"
    );
    let canary = r#"{"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web"}}"#;
    let canary = file(&dir, "canaries.json", canary);
    let said = refused(&["replay", &canary, "--policy", &yaml]);
    assert!(
        said.starts_with("curfew: --policy ") && said.contains("canaries.yaml: "),
        "{said}"
    );
    assert_eq!(curfew(&["replay", &canary]).status.code(), Some(0));
    // A second file that cannot be read does not hide what the first one says.
    let output = curfew(&["replay", &canary, &yaml]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("web  no phase yet"));
}

#[test]
fn the_built_in_policy_is_printed_and_can_be_read_back() {
    let output = curfew(&["policy", "default"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("kind: CanaryPolicy"), "{text}");
    let dir = tempfile::tempdir().expect("a directory");
    // It gets past the policy, and fails for want of a cluster.
    let policy = file(&dir, "default.yaml", &text);
    let said = refused(&[&["serve", "--policy", &policy][..], &ADDRESSES].concat());
    assert!(said.contains("no way to the cluster"), "{said}");
}

#[test]
fn the_definition_of_policies_is_printed() {
    let output = curfew(&["policy", "crd"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("kind: CustomResourceDefinition") && text.contains("name: canarypolicies.curfew.dev"));
}

#[test]
fn labels_that_are_none_are_refused() {
    for labels in ["", ","] {
        let output = curfew(&["check", "--flagger-selector-labels", labels, "-"]);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("--flagger-selector-labels"), "{said}");
    }
}

#[test]
fn a_policy_file_without_a_policy_is_no_policy_to_check_by() {
    let dir = TempDir::new().expect("a folder");
    let (empty, canary) = (
        file(&dir, "empty.yaml", "# nothing\n"),
        file(&dir, "web.yaml", "kind: ConfigMap\n"),
    );
    let said = refused(&["check", "--policy", &empty, &canary]);
    assert!(said.contains("there is no policy in it"), "{said}");
}
