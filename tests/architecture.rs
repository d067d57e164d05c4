//! The rooms of `src` know each other in one direction only, and four of them are pure.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// For each room, the rooms that it may know.
const MAY_KNOW: [(&str, &[&str]); 8] = [
    ("flagger", &[]),
    ("policy", &["flagger"]),
    ("rules", &["flagger", "policy"]),
    ("deadline", &["flagger", "policy"]),
    ("admission", &["flagger", "policy", "rules", "deadline"]),
    ("enforcer", &["flagger", "policy", "rules", "deadline"]),
    (
        "serve",
        &["flagger", "policy", "rules", "deadline", "admission", "enforcer"],
    ),
    (
        "cli",
        &[
            "flagger",
            "policy",
            "rules",
            "deadline",
            "admission",
            "enforcer",
            "serve",
        ],
    ),
];

/// The rooms without clock, network and async, and what would betray one.
const PURE: [&str; 4] = ["flagger", "policy", "rules", "deadline"];
const IMPURE: [&str; 16] = [
    "Timestamp::now",
    "SystemTime",
    "Instant",
    "async ",
    ".await",
    "tokio",
    "axum",
    "hyper",
    "kube::Client",
    "kube::Api",
    "kube::api",
    "kube::runtime",
    "std::net",
    "std::fs",
    "std::env",
    "std::thread",
];

/// The folders that hold rooms: the binary's and the core's.
fn sources() -> [PathBuf; 2] {
    ["src", "core/src"].map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
}

/// The files of a room, with their code: what is neither comment nor test.
fn files(room: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = sources().map(|source| source.join(room)).to_vec();
    folders.retain(|folder| folder.is_dir());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a file");
                let code = text
                    .split("#[cfg(test)]\nmod tests")
                    .next()
                    .expect("there is always a first part");
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                found.push((path, lines.collect::<Vec<_>>().join("\n")));
            }
        }
    }
    found
}

/// The names after `crate::` in a text, those in braces too.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for piece in code.split("crate::").skip(1) {
        let entries: Vec<&str> = match piece.strip_prefix('{') {
            None => vec![piece],
            Some(list) => top_level(list),
        };
        for name in entries {
            let end = name
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(name.len());
            named.insert(name[..end].to_owned());
        }
    }
    named
}

/// The entries of a `{…}` list, whose opening brace is gone, without what is in inner braces.
fn top_level(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut entries) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                entries.push(list[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    entries
}

#[test]
fn every_room_is_in_the_plan() {
    let planned: BTreeSet<_> = MAY_KNOW.iter().map(|(room, _)| (*room).to_owned()).collect();
    let built: BTreeSet<_> = sources()
        .iter()
        .flat_map(|source| fs::read_dir(source).expect("a folder"))
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("a name"))
        .collect();
    assert_eq!(built, planned);
}

#[test]
fn arrows_go_one_way() {
    let mut wrong = BTreeMap::new();
    for (room, may_know) in MAY_KNOW {
        for (path, code) in files(room) {
            let known = rooms_named(&code);
            let rooms = known
                .iter()
                .filter(|name| MAY_KNOW.iter().any(|(room, _)| room == name));
            let stray: Vec<_> = rooms
                .filter(|name| *name != room && !may_know.contains(&name.as_str()))
                .cloned()
                .collect();
            if !stray.is_empty() {
                wrong.insert(path, stray);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these files know rooms that they may not know: {wrong:#?}"
    );
}

#[test]
fn four_rooms_are_pure() {
    let mut wrong = BTreeMap::new();
    for room in PURE {
        for (path, code) in files(room) {
            let found: Vec<_> = IMPURE.iter().filter(|word| code.contains(**word)).collect();
            if !found.is_empty() {
                wrong.insert(path, found);
            }
        }
    }
    assert!(wrong.is_empty(), "these files are not pure: {wrong:#?}");
}

#[test]
fn the_test_itself_reads_imports() {
    let code = "use crate::{flagger::{canary::Canary, phase}, policy::Mode};\nlet x = crate::serve::run();";
    let rooms: Vec<_> = rooms_named(code).into_iter().collect();
    assert_eq!(rooms, ["flagger", "policy", "serve"]);
}
