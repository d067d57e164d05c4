//! How files, policies and flags are taken, and what the exit code says.

use std::{fs, path::Path, process::Output};

use super::{check, corpus, text};

const CANARY: &str = "
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web, namespace: shop}
spec:
  provider: istio
  progressDeadlineSeconds: 30
  service: {port: 80}
  analysis: {interval: 15s, threshold: 5, iterations: 3}
";

/// A Canary of which nothing is told without `--strict`.
fn audited() -> String {
    CANARY
        .replace("Seconds: 30", "Seconds: 60")
        .replace("iterations: 3}", "iterations: 3, webhooks: [{type: confirm-rollout}]}")
}

fn policy(name: &str, spec: &str) -> String {
    format!("---\napiVersion: curfew.dev/v1alpha1\nkind: CanaryPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

/// The exit code, and what was printed to either stream.
fn said(output: &Output) -> (i32, String, String) {
    let code = output.status.code().expect("an exit code");
    (code, text(&output.stdout), text(&output.stderr))
}

fn of_input(input: &str, args: &[&str]) -> (i32, String, String) {
    said(&check(&corpus(""), &[&["-"], args].concat(), input))
}

fn in_folder(folder: &Path, args: &[&str]) -> (i32, String, String) {
    said(&check(folder, args, ""))
}

#[test]
fn the_exit_code_says_what_would_be_refused() {
    let warned = CANARY
        .replace("Seconds: 30", "Seconds: 60")
        .replace("interval: 15s", "interval: 5s");
    for (input, args, code) in [
        (CANARY.replace("Seconds: 30", "Seconds: 60"), &[][..], 0),
        (CANARY.replace("Seconds: 30", "Seconds: 60"), &["--strict"], 0),
        (CANARY.to_owned(), &[], 1),
        (warned.clone(), &[], 0),
        (warned, &["--strict"], 1),
        (audited(), &[], 0),
        (audited(), &["--strict"], 1),
        (format!("{CANARY}---\n{{"), &[], 2),
        (String::new(), &[], 0),
    ] {
        let (found, out, err) = of_input(&input, args);
        assert_eq!(found, code, "{input} {args:?}\n{out}{err}");
    }
}

#[test]
fn a_finding_is_one_line_and_the_sum_comes_last() {
    let (_, out, err) = of_input(CANARY, &[]);
    assert_eq!(
        out,
        "-:7: error[deadline-bounds] shop/web spec.progressDeadlineSeconds: 30 s: the cluster's policy wants at least 60 s; \
         write a whole number from 60 to 3600\n"
    );
    assert_eq!(err, "1 Canary checked: 1 error, 0 warnings\n");
    let (_, out, err) = of_input(&audited(), &[]);
    assert_eq!(
        (out.as_str(), err.as_str()),
        ("", "1 Canary checked: 0 errors, 0 warnings\n")
    );
    let (_, out, err) = of_input(&audited(), &["--strict"]);
    assert!(out.starts_with("-:9: note[gate-without-deadline] shop/web "), "{out}");
    assert_eq!(err, "1 Canary checked: 0 errors, 0 warnings, 1 note\n");
    let (_, _, err) = of_input("# nothing\n", &[]);
    assert_eq!(err, "no Canary in what was given\n");
}

#[test]
fn wrong_usage_says_how_it_is_used() {
    for (args, words) in [
        (&[][..], "Usage: curfew check <FILE|DIR|->..."),
        (&["-o", "xml", "-"], "possible values: text, json, sarif, github"),
        (&["--polcy", "x", "-"], "--policy"),
    ] {
        let (code, _, err) = said(&check(&corpus(""), args, ""));
        assert_eq!(code, 2, "{args:?}");
        assert!(err.contains(words), "{err}");
    }
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_judged() {
    let folder = folder(&[
        ("a.yaml", CANARY),
        ("b.yaml", "a: 1\n---\nname: {{ .Values.name }}\n"),
        ("c.yaml", "Error: no chart\nwas found\n"),
        ("README.md", "no manifest"),
    ]);
    let (code, out, err) = in_folder(folder.path(), &[".", "none.yaml"]);
    assert_eq!(code, 2);
    assert!(
        out.starts_with("a.yaml:7: error[deadline-bounds]") && out.lines().count() == 1,
        "{out}"
    );
    let lines: Vec<_> = err.lines().collect();
    assert!(
        lines[0].starts_with("b.yaml:3: cannot be read: ") && lines[0].contains("`helm template`"),
        "{err}"
    );
    assert_eq!(
        lines[2],
        "none.yaml: cannot be read: No such file or directory (os error 2)"
    );
    assert_eq!(lines[3], "1 Canary checked: 1 error, 0 warnings");
    let (code, _, err) = in_folder(folder.path(), &["README.md"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("README.md:1: cannot be read: this is text"), "{err}");
    let (code, out, err) = of_input(&CANARY.replace("name: web, ", ""), &[]);
    assert_eq!((code, out.lines().count()), (2, 1), "{out}");
    assert!(err.starts_with("-:4: cannot be read: this Canary has no name"), "{err}");
}

#[test]
fn a_folder_without_manifests_is_told() {
    let folder = folder(&[("README.md", "no manifest")]);
    let (code, out, err) = in_folder(folder.path(), &["."]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        err.starts_with(".: cannot be read: there is no *.yaml, *.yml or *.json in this folder\n"),
        "{err}"
    );
}

#[test]
fn policies_come_from_the_objects_and_from_the_file_together() {
    let lenient = policy("lenient", "{precedence: 10, admission: {mode: Warn}}");
    let off = policy("silent", "{precedence: 5, admission: {mode: Disabled}}");
    let folder = folder(&[("lenient.yaml", &lenient), ("off.yaml", &off), ("a.yaml", CANARY)]);
    let level = |args: &[&str]| {
        let (code, out, err) = in_folder(folder.path(), args);
        let level = out.split_once(": ").and_then(|(_, rest)| rest.split_once('['));
        (code, level.map_or(String::new(), |(level, _)| level.to_owned()), err)
    };
    let none = "1 Canary checked: 0 errors, 0 warnings\n";
    assert_eq!(level(&["a.yaml"]).1, "error");
    assert_eq!(level(&["a.yaml", "lenient.yaml"]).1, "warning");
    assert_eq!(level(&["a.yaml", "--policy", "lenient.yaml"]).1, "warning");
    assert_eq!(level(&["a.yaml", "off.yaml", "--policy", "lenient.yaml"]).2, none);
    // The file of --policy may be among what is checked.
    assert_eq!(
        level(&[".", "--policy", "off.yaml"]),
        (0, String::new(), none.to_owned())
    );
}

#[test]
fn a_namespace_whose_labels_were_not_given_is_told() {
    let by_label = policy("production", "{namespaceSelector: {matchLabels: {env: prod}}}");
    let (code, _, err) = of_input(&format!("{CANARY}{by_label}"), &[]);
    assert_eq!(code, 1);
    let note = "policy production selects namespaces by labels, and those of shop were not given";
    assert!(err.starts_with(note), "{err}");
    // One line, however many there are, and whatever they are called.
    let many: String = (0..7)
        .map(|number| CANARY.replace("namespace: shop", &format!("namespace: \"shop{number}\\nx\"")) + "---\n")
        .collect();
    let (_, _, err) = of_input(&format!("{many}{by_label}"), &[]);
    let first = err.lines().next().unwrap();
    let named = r"those of shop0\nx, shop1\nx, shop2\nx, shop3\nx, shop4\nx and 2 more were not given";
    assert!(first.contains(named), "{err}");
    let namespace = "---\n{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n";
    let (_, _, err) = of_input(&format!("{CANARY}{namespace}{by_label}"), &[]);
    assert!(!err.contains(note), "{err}");
    let by_name = policy(
        "shop",
        "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}",
    );
    let (_, _, err) = of_input(&format!("{CANARY}{by_name}"), &[]);
    assert!(!err.contains("not given"), "{err}");
}

#[test]
fn a_policy_that_cannot_be_used_is_refused() {
    let wrong = policy("p", "{admission: {deadlines: {}}}");
    let folder = folder(&[
        ("wrong.yaml", &wrong),
        ("one.yaml", &policy("p", "{}")),
        ("two.yaml", &policy("p", "{precedence: 1}")),
        ("a.yaml", CANARY),
    ]);
    let (code, out, err) = in_folder(folder.path(), &["a.yaml", "--policy", "wrong.yaml"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        err.starts_with("curfew: --policy wrong.yaml: ") && err.contains("deadlines"),
        "{err}"
    );
    // Among the objects it does not keep the others from being judged.
    let (code, out, err) = in_folder(folder.path(), &["a.yaml", "wrong.yaml"]);
    assert_eq!(code, 2);
    assert!(out.contains("error[deadline-bounds]"), "{out}");
    assert!(
        err.starts_with("wrong.yaml:5: cannot be read: spec.admission.deadlines: unknown field"),
        "{err}"
    );
    let bounds = policy(
        "p",
        "\n  admission:\n    interval: {max: 1h}\n    deadline:\n      min: 2h\n      max: 1h",
    );
    let (_, _, err) = of_input(&bounds, &[]);
    assert!(
        err.starts_with("-:8: cannot be read: CanaryPolicy p: spec.admission.deadline: min is above max"),
        "{err}"
    );
    // What kubectl would send is not what is written.
    let off = policy("p", "{admission: {mode: off}}");
    let (code, _, err) = said(&check(&corpus(""), &["-"], &off));
    assert_eq!(code, 2);
    assert!(err.contains("kubectl makes of `off`: write Disabled"), "{err}");
    let (code, _, err) = in_folder(folder.path(), &["a.yaml", "one.yaml", "two.yaml"]);
    assert_eq!(code, 2);
    assert!(
        err.starts_with("two.yaml:4: cannot be read: CanaryPolicy p is there twice"),
        "{err}"
    );
}
