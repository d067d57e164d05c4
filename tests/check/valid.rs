//! What Flagger's users really write passes: every provider and every strategy, `tests/corpus/canaries/valid`.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use super::{check, corpus};

/// More warnings than these about one Canary would be noise.
const MOST_WARNINGS: usize = 2;

/// The warnings that there are: of what is worth saying although it works.
const WARNINGS: [(&str, &str); 0] = [];

fn files() -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(corpus("canaries/valid"))
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

#[test]
fn what_works_is_never_refused_and_seldom_warned_of() {
    let mut warned = Vec::new();
    for file in files() {
        let name = file.file_name().expect("a name").to_str().expect("text");
        let output = check(&corpus("canaries/valid"), &["-o", "json", name], "");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(output.status.code(), Some(0), "{name}: {report:#}");
        assert!(report["summary"]["objects"].as_u64() > Some(0), "{name} has no Canary");
        let warnings: Vec<_> = report["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .filter(|finding| finding["mode"] == "Warn")
            .map(|finding| finding["rule"].as_str().expect("a rule").to_owned())
            .collect();
        assert!(warnings.len() <= MOST_WARNINGS, "{name}: {report:#}");
        warned.extend(warnings.into_iter().map(|rule| (name.to_owned(), rule)));
    }
    let warned: Vec<_> = warned
        .iter()
        .map(|(file, rule)| (file.as_str(), rule.as_str()))
        .collect();
    assert_eq!(warned, WARNINGS);
}

#[test]
fn every_provider_is_there() {
    let mut providers = BTreeSet::new();
    for file in files() {
        let text = fs::read_to_string(file).expect("a file");
        let named = text.lines().filter_map(|line| line.strip_prefix("  provider: "));
        providers.extend(named.map(str::to_owned));
    }
    let expected = [
        "apisix",
        "appmesh:v1beta2",
        "contour",
        "gatewayapi:v1",
        "gatewayapi:v1beta1",
        "gloo",
        "istio",
        "knative",
        "kubernetes",
        "kuma",
        "linkerd",
        "nginx",
        "osm",
        "skipper",
        "traefik",
    ];
    assert_eq!(providers.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
