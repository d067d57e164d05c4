//! Circles in a directed graph.

use std::collections::{BTreeMap, BTreeSet};

/// The circles of a graph: every group of nodes each of which reaches all others, smallest name first.
pub fn circles(edges: &[(String, String)]) -> Vec<Vec<String>> {
    let mut follows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in edges {
        follows.entry(from).or_default().insert(to);
    }
    let reaches: BTreeMap<&str, BTreeSet<&str>> = follows.keys().map(|from| (*from, reached(&follows, from))).collect();
    let mut found = BTreeSet::new();
    for (node, reached) in &reaches {
        let circle: BTreeSet<_> = (reached.iter().copied())
            .filter(|other| reaches.get(other).is_some_and(|back| back.contains(node)))
            .collect();
        if !circle.is_empty() {
            found.insert(circle.into_iter().map(str::to_owned).collect());
        }
    }
    found.into_iter().collect()
}

/// What can be reached from a node; the node itself only if it is on a circle.
fn reached<'a>(follows: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = follows.get(from).into_iter().flatten().copied().collect();
    while let Some(node) = next.pop() {
        if reached.insert(node) {
            next.extend(follows.get(node).into_iter().flatten());
        }
    }
    reached
}

#[test]
fn circles_are_found_whole_and_nothing_else_is() {
    let edges = |text: &str| -> Vec<(String, String)> {
        let pairs = text.split(' ').filter_map(|edge| edge.split_once('>'));
        pairs.map(|(from, to)| (from.to_owned(), to.to_owned())).collect()
    };
    assert!(circles(&edges("a>b a>c b>d c>d")).is_empty());
    assert_eq!(
        circles(&edges("a>b b>c c>a c>d d>e e>d x>a")),
        [vec!["a", "b", "c"], vec!["d", "e"]]
    );
}
