//! A value and where each part of it stands in its file.

use serde_json::{Map, Value};

/// A place in a file, both numbers from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A value as JSON knows it, and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text, a number, a boolean or nothing.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// An object; no key is there twice.
    Map(Vec<Entry>),
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Where the name stands.
    pub at: Place,
    /// Its value.
    pub node: Node,
}

// === impl Node ===

impl Node {
    /// A field of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        Some(&self.entry(key)?.node)
    }

    /// The text that it is.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(value) => value.as_str(),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The value alone.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => {
                let fields = entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// Where a field stands, such as `spec.analysis.webhooks[0].timeout` or `metadata.annotations[a/b]`; of one that
    /// is not there, the nearest parent that is.
    #[must_use]
    pub fn place(&self, field: &str) -> Place {
        let (mut node, mut place) = (self, self.at);
        for step in steps(field) {
            let found = match &node.content {
                Content::Scalar(_) => None,
                Content::List(items) => step
                    .parse()
                    .ok()
                    .and_then(|index: usize| items.get(index))
                    .map(|item| (item.at, item)),
                Content::Map(_) => node.entry(step).map(|entry| (entry.at, &entry.node)),
            };
            let Some((at, next)) = found else { break };
            (place, node) = (at, next);
        }
        place
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }
}

/// The names and indexes of a field's path. A key in brackets may hold anything, and ends where the path goes on.
fn steps(field: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        let (step, after) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let end = bracketed
                    .match_indices(']')
                    .map(|(at, _)| at)
                    .find(|at| matches!(bracketed.as_bytes().get(at + 1), None | Some(b'.' | b'[')))
                    .unwrap_or(bracketed.len());
                (&bracketed[..end], bracketed.get(end + 1..).unwrap_or_default())
            }
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        steps.push(step);
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::yaml;

    #[test]
    fn a_path_has_names_indexes_and_keys_of_any_text() {
        for (field, expected) in [
            ("spec", &["spec"][..]),
            (
                "spec.analysis.webhooks[10].timeout",
                &["spec", "analysis", "webhooks", "10", "timeout"],
            ),
            (
                "metadata.annotations[curfew.dev/rollout-deadline]",
                &["metadata", "annotations", "curfew.dev/rollout-deadline"],
            ),
            (
                "spec.service.headers[a[0]b].request[x.y]",
                &["spec", "service", "headers", "a[0]b", "request", "x.y"],
            ),
            ("match[0][1]", &["match", "0", "1"]),
            ("open[x", &["open", "x"]),
            ("", &[]),
        ] {
            assert_eq!(steps(field), expected, "{field}");
        }
    }

    #[test]
    fn a_field_that_is_not_there_is_told_at_its_nearest_parent() {
        let text = "# a comment\nmetadata:\n  annotations:\n    curfew.dev/rollout-deadline: 2h\nspec:\n  analysis:\n    webhooks:\n    - name: a\n    -\n      name: b\n      timeout: 3\n";
        let documents = yaml::documents(text);
        let [Ok(node)] = &documents[..] else {
            panic!("one document: {documents:?}")
        };
        for (field, line, column) in [
            ("metadata.annotations[curfew.dev/rollout-deadline]", 4, 5),
            ("spec.analysis.webhooks[1].timeout", 11, 7),
            ("spec.analysis.webhooks[0].timeout", 8, 7),
            ("spec.analysis.webhooks[2].timeout", 7, 5),
            ("spec.analysis.interval", 6, 3),
            ("spec.progressDeadlineSeconds", 5, 1),
            ("status.phase", 2, 1),
        ] {
            assert_eq!(node.place(field), Place { line, column }, "{field}");
        }
    }
}
