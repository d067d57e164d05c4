//! The objects of a recording, one by one: whatever kubectl prints as JSON, and what a plane records.
//!
//! | shape | from |
//! |---|---|
//! | `{"kind": …}` one after the other | `kubectl get -w -o json` |
//! | `{"type": "MODIFIED", "object": {…}}` | the same with `--output-watch-events` |
//! | `{"at": "…", "type": …, "object": {…}}` | `cargo xtask plane --record` |
//! | `{"kind": "List", "items": […]}` | `kubectl get -o json` |

use std::{collections::VecDeque, io::Read};

use jiff::Timestamp;
use serde_json::{Deserializer, StreamDeserializer, Value, de::IoRead};

/// One state of an object, as the stream has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it was heard of, if the stream says so.
    pub heard_at: Option<Timestamp>,
    /// What happened to it.
    pub change: Change,
    /// The object.
    pub object: Value,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new to whoever watched.
    Added,
    /// It is as it is said to be.
    Is,
    /// It is gone.
    Gone,
}

/// Why the rest of a stream cannot be read. What came before it was read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It ends in the middle of an object.
    #[error(
        "line {line}, column {column}: the file ends in the middle of an object, as when its recording was stopped; \
         everything before byte {byte} was read: cut the file there"
    )]
    CutOff {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// Where the object began.
        byte: usize,
    },
    /// It is no JSON.
    #[error("line {line}, column {column}: this is not JSON ({why}); record with -o json")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the reader says.
        why: String,
    },
    /// It is JSON, but no object of Kubernetes.
    #[error("before byte {byte}: {what} is not an object of Kubernetes; record with kubectl get -w -o json")]
    NotAnObject {
        /// Where it ends.
        byte: usize,
        /// What it is.
        what: String,
    },
    /// It has a time that is none.
    #[error("before byte {byte}: \"at\" is {what}, which is not a time; write it as 2026-11-23T14:00:05.123Z")]
    NotATime {
        /// Where the entry ends.
        byte: usize,
        /// What it is.
        what: String,
    },
    /// It cannot be read at all.
    #[error("{0}")]
    Io(String),
}

/// A stream of objects.
pub struct Stream<R: Read> {
    values: StreamDeserializer<'static, IoRead<R>, Value>,
    /// What is left of a list.
    items: VecDeque<Value>,
    over: bool,
}

// === impl Stream ===

impl<R: Read> Stream<R> {
    /// Reads a stream.
    pub fn new(reader: R) -> Self {
        Self {
            values: Deserializer::from_reader(reader).into_iter(),
            items: VecDeque::new(),
            over: false,
        }
    }

    fn entry(&mut self, mut value: Value) -> Result<Option<Entry>, Unreadable> {
        let byte = self.values.byte_offset();
        let not_an_object = |value: &Value| Unreadable::NotAnObject {
            byte,
            what: shortened(value),
        };
        if !value.is_object() {
            return Err(not_an_object(&value));
        }
        let is_list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        if is_list && let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) {
            self.items.extend(items.drain(..));
            return Ok(None);
        }
        if value["kind"].is_string() || !value["object"].is_object() {
            return Ok(Some(Entry {
                heard_at: None,
                change: Change::Is,
                object: value,
            }));
        }
        let heard_at = match value.get("at") {
            None => None,
            Some(at) => match at.as_str().and_then(|at| at.parse().ok()) {
                Some(at) => Some(at),
                None => {
                    return Err(Unreadable::NotATime {
                        byte,
                        what: shortened(at),
                    });
                }
            },
        };
        let change = match value["type"].as_str() {
            Some("ADDED") => Change::Added,
            Some("MODIFIED") => Change::Is,
            Some("DELETED") => Change::Gone,
            // Neither a bookmark nor an error is a state of anything.
            _ => return Ok(None),
        };
        Ok(Some(Entry {
            heard_at,
            change,
            object: value["object"].take(),
        }))
    }
}

impl<R: Read> Iterator for Stream<R> {
    type Item = Result<Entry, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            if let Some(object) = self.items.pop_front() {
                return Some(Ok(Entry {
                    heard_at: None,
                    change: Change::Is,
                    object,
                }));
            }
            let began = self.values.byte_offset();
            let entry = match self.values.next()? {
                Ok(value) => self.entry(value),
                Err(error) => Err(unreadable(&error, began)),
            };
            match entry {
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => {}
                Err(error) => {
                    // There is no way to know where the next object begins.
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

fn unreadable(error: &serde_json::Error, byte: usize) -> Unreadable {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        Unreadable::CutOff { line, column, byte }
    } else if error.is_io() {
        Unreadable::Io(error.to_string())
    } else {
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default().to_owned();
        Unreadable::NotJson { line, column, why }
    }
}

/// The beginning of a value, on one line.
fn shortened(value: &Value) -> String {
    const LONGEST: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<(Change, String), String>> {
        Stream::new(text.as_bytes())
            .map(|entry| match entry {
                Ok(entry) => Ok((entry.change, entry.object["kind"].as_str().unwrap_or("-").to_owned())),
                Err(error) => Err(error.to_string()),
            })
            .collect()
    }

    #[test]
    fn every_shape_that_kubectl_prints_is_read() {
        let text = r#"
            {
                "kind": "Pod"
            }
            {"kind": "Canary"}
            {"kind": "List", "items": [{"kind": "Deployment"}, {"kind": "Pod"}]}
            {"type": "ADDED", "object": {"kind": "Event"}}
            {"type": "BOOKMARK", "object": {"kind": "Event"}}
            {"type": "ERROR", "object": {"kind": "Status"}}
            {"at": "2026-11-23T14:00:05.5Z", "type": "DELETED", "object": {"kind": "Pod"}}
        "#;
        let read: Vec<_> = read(text).into_iter().map(|entry| entry.expect("it is read")).collect();
        let expected = [
            (Change::Is, "Pod"),
            (Change::Is, "Canary"),
            (Change::Is, "Deployment"),
            (Change::Is, "Pod"),
            (Change::Added, "Event"),
            (Change::Gone, "Pod"),
        ];
        assert_eq!(read, expected.map(|(change, kind)| (change, kind.to_owned())));
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_place_and_what_came_before_is_kept() {
        for (text, words) in [
            ("{\"kind\": \"Pod\"}\n{\"kind\": ", "everything before byte 15 was read"),
            (
                "{\"kind\": \"Pod\"}\napiVersion: v1\n",
                "line 2, column 1: this is not JSON",
            ),
            ("{\"kind\": \"Pod\"} 7", "7 is not an object of Kubernetes"),
            ("{\"kind\": \"Pod\"} [{}]", "[{}] is not an object of Kubernetes"),
            (
                "{\"kind\": \"Pod\"} {\"at\": \"noon\", \"type\": \"ADDED\", \"object\": {}}",
                "\"at\" is \"noon\", which is not a time",
            ),
            (
                "{\"kind\": \"Pod\"} {\"at\": 5, \"type\": \"ADDED\", \"object\": {}}",
                "\"at\" is 5",
            ),
        ] {
            let read = read(text);
            assert_eq!(read.len(), 2, "{text}: {read:?}");
            assert_eq!(read[0], Ok((Change::Is, "Pod".to_owned())), "{text}");
            let error = read[1].as_ref().expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(read(""), []);
        assert_eq!(read(" \n\n"), []);
    }
}
