//! The structure of the tree: which room may use which, no circles between files, and nothing but declarations in `mod.rs`.
//!
//! What a file uses is read from its syntax: every `use` and every path, resolved through modules and re-exports to the
//! file that defines the name.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and ends"
)]

mod docs;
mod graph;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use graph::circles;
use source::Tree;

/// The rooms of the core, each of which may use those before it.
const CORE: [&str; 6] = ["duration", "rollout", "policy", "deadline", "flagger", "rules"];

/// For each room of the binary, the rooms that it may use beside all of the core.
const MAY_USE: [(&str, &[&str]); 7] = [
    ("admission", &[]),
    ("cluster", &[]),
    ("leader", &["cluster"]),
    ("enforcer", &["cluster", "leader"]),
    ("audit", &["cluster", "leader"]),
    ("serve", &["admission", "audit", "cluster", "enforcer", "leader"]),
    ("cli", &["admission", "audit", "cluster", "enforcer", "leader", "serve"]),
];

/// The room of a file: the folder below `src` that it is in, or the file itself.
fn room(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("core/src/").or_else(|| file.strip_prefix("src/"))?;
    let room = inside.split_once('/').map(|(room, _)| room);
    room.or_else(|| {
        inside
            .strip_suffix(".rs")
            .filter(|file| !matches!(*file, "lib" | "main"))
    })
}

/// Whether a room may use another one.
fn may_use(from: &str, to: &str) -> bool {
    let in_core = |room: &str| CORE.iter().position(|core| *core == room);
    match (in_core(from), in_core(to)) {
        (Some(from), Some(to)) => to < from,
        (Some(_), None) => false,
        (None, Some(_)) => true,
        (None, None) => MAY_USE.iter().any(|(room, rooms)| *room == from && rooms.contains(&to)),
    }
}

#[test]
fn every_room_is_in_the_plan() {
    let tree = Tree::read();
    let built: BTreeSet<_> = tree.files().filter_map(room).collect();
    let planned: BTreeSet<_> = CORE.into_iter().chain(MAY_USE.map(|(room, _)| room)).collect();
    assert_eq!(built, planned);
}

#[test]
fn arrows_go_one_way() {
    let mut wrong = BTreeMap::new();
    for (from, to) in Tree::read().uses() {
        let (Some(room_of_user), Some(used)) = (room(&from), room(&to)) else {
            continue;
        };
        if room_of_user != used && !may_use(room_of_user, used) {
            wrong.entry(from).or_insert_with(BTreeSet::new).insert(to);
        }
    }
    assert!(
        wrong.is_empty(),
        "these files use rooms that theirs may not use: {wrong:#?}"
    );
}

#[test]
fn no_circles_between_files() {
    let uses: Vec<_> = Tree::read().uses().collect();
    let circles = circles(&uses);
    assert!(
        circles.is_empty(),
        "these files use each other in a circle; move what they share into a file of its own: {circles:#?}"
    );
}

#[test]
fn mod_files_only_declare() {
    let tree = Tree::read();
    let wrong: Vec<_> = tree.mod_files_with_code().collect();
    assert!(
        wrong.is_empty(),
        "these files hold more than declarations and re-exports; give it a file with a name: {wrong:#?}"
    );
}
