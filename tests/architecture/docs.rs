//! What documents and comments say of the tree is what the tree is.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The folders whose files are cited.
const FOLDERS: [&str; 8] = ["core", "deploy", "docs", "fuzz", "src", "testbed", "tests", "xtask"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that is written for readers.
fn texts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let ending = path.extension().and_then(|ending| ending.to_str());
            if path.is_dir() && !matches!(name, "target" | "corpus" | ".git") {
                folders.push(path);
            } else if matches!(ending, Some("go" | "md" | "rs" | "toml")) {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 200, "only {} texts", found.len());
    found
}

/// The paths of this repository that a text names in backticks.
fn cited(text: &str) -> Vec<String> {
    let is_path = |word: &&str| {
        let known = FOLDERS.iter().any(|folder| {
            let rest = word.strip_prefix(folder);
            rest.is_some_and(|rest| rest.starts_with('/'))
        });
        known && !word.contains([' ', '*', '\n', '(', '$', '"', '<'])
    };
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(is_path)
        .flat_map(expanded)
        .collect()
}

/// What a document links to, beside the web.
fn linked(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    ends.filter(|path| !path.contains("://") && !path.contains(' '))
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn expanded(path: &str) -> Vec<String> {
    match path
        .split_once('{')
        .and_then(|(start, rest)| Some((start, rest.split_once('}')?)))
    {
        None => vec![path.to_owned()],
        Some((start, (names, end))) => names.split(',').map(|name| format!("{start}{name}{end}")).collect(),
    }
}

/// The headings of a document, as links name them.
fn headings(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .collect()
}

#[test]
fn what_is_cited_is_there() {
    let mut missing = BTreeSet::new();
    for file in texts() {
        let text = fs::read_to_string(&file).expect("text");
        let mut check = |folder: &Path, path: &str| {
            let (name, heading) = path.split_once('#').map_or((path, None), |(n, h)| (n, Some(h)));
            let found = if name.is_empty() {
                file.clone()
            } else {
                folder.join(name)
            };
            let is_there = match heading {
                None => found.exists(),
                Some(heading) => fs::read_to_string(&found).is_ok_and(|text| headings(&text).contains(heading)),
            };
            if !is_there {
                missing.insert(format!("{}: {path}", file.display()));
            }
        };
        for path in cited(&text) {
            check(root(), &path);
        }
        if file.extension().is_some_and(|ending| ending == "md") {
            let folder = file.parent().expect("a folder");
            for path in linked(&text) {
                check(folder, path);
            }
        }
    }
    assert!(missing.is_empty(), "these cite what is not there: {missing:#?}");
}

/// The rooms in the map of `docs/design.md`, by their paths.
fn mapped() -> BTreeSet<String> {
    let design = fs::read_to_string(root().join("docs/design.md")).expect("the design");
    let map = design
        .split("## The rooms")
        .nth(1)
        .and_then(|rest| rest.split("```").nth(1));
    let (mut rooms, mut folder) = (BTreeSet::new(), "");
    for line in map.expect("a map").lines() {
        let Some(name) = line.split_whitespace().next() else {
            continue;
        };
        if line.starts_with(' ') {
            rooms.insert(format!("{folder}{}", name.trim_end_matches('/')));
        } else {
            folder = name;
        }
    }
    rooms
}

#[test]
fn the_map_is_the_tree() {
    let rooms: BTreeSet<String> = ["core/src/", "src/"]
        .iter()
        .flat_map(|folder| {
            let entries = fs::read_dir(root().join(folder)).expect("a folder");
            let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
            let rooms = names.filter(|name| !matches!(name.as_str(), "lib.rs" | "main.rs"));
            rooms.map(move |room| format!("{folder}{room}"))
        })
        .collect();
    assert_eq!(mapped(), rooms, "the map of docs/design.md");
    for (file, folder) in [("core/src/lib.rs", "core/src/"), ("src/lib.rs", "")] {
        let text = fs::read_to_string(root().join(file)).expect("a front door");
        for room in rooms.iter().filter(|room| room.starts_with(folder)) {
            let name = room.rsplit('/').next().unwrap_or(room).trim_end_matches(".rs");
            assert!(text.contains(&format!("[`{name}`]")), "{file} does not name {name}");
        }
    }
}

#[test]
fn paths_are_found_in_text_and_headings_in_documents() {
    assert_eq!(
        cited("see `src/{lib,main}.rs`, `core/src` and `docs/flagger.md#f1`, not `src/a b` or `other/x`"),
        ["src/lib.rs", "src/main.rs", "core/src", "docs/flagger.md#f1"]
    );
    assert_eq!(
        linked("[a](x.md#b), [c](https://x) and [d](#e)").collect::<Vec<_>>(),
        ["x.md#b", "#e"]
    );
    assert!(headings("# A\n\n### Signs of life\n").contains("signs-of-life"));
}

#[test]
fn every_clock_has_its_row() {
    let design = fs::read_to_string(root().join("docs/design.md")).expect("the design");
    for spec in curfew::deadline::clocks::CLOCKS {
        let name = spec.settings.clock.name();
        assert!(
            design.contains(&format!("\n| {name} |")),
            "docs/design.md has no row for {name}"
        );
    }
}
