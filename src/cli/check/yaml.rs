//! YAML and JSON into values with their places.
//!
//! A text is cut into its documents first, so that one that cannot be read does not hide the others. The events of the
//! parser then become [`Node`]s, with aliases and merge keys put in place as kubectl does it: of a field that is there
//! twice the last one counts.

use std::collections::BTreeMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{
    document::{Content, Entry, Node, Place},
    scalar,
};

/// How many values aliases may add to a document: enough for any manifest, and not for a bomb.
const MOST_COPIES: usize = 100_000;

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where.
    pub line: usize,
    /// Why; one line.
    pub why: String,
}

/// The documents of a text, without the empty ones. Each may fail for itself.
#[must_use]
pub fn documents(text: &str) -> Vec<Result<Node, Unreadable>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let pieces = json_values(text).unwrap_or_else(|| yaml_documents(text));
    pieces.into_iter().flat_map(|piece| piece.read()).collect()
}

/// A part of a text, and the number of lines before it.
#[derive(Debug, PartialEq, Eq)]
struct Piece<'a> {
    text: &'a str,
    before: usize,
}

/// JSON values that follow each other, as kubectl reads them; nothing if it is not JSON from end to end.
fn json_values(text: &str) -> Option<Vec<Piece<'_>>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut pieces, mut start) = (Vec::new(), 0);
    // Counted on from where it was counted last: there may be thousands of values.
    let (mut counted, mut before) = (0, 0);
    while let Some(value) = values.next() {
        value.ok()?;
        let end = values.byte_offset();
        let start_of_value = start + (text[start..end].len() - text[start..end].trim_start().len());
        // The line is kept whole in front of it, so that its column is right.
        let line = text[start..start_of_value]
            .rfind('\n')
            .map_or(start, |at| start + at + 1);
        before += lines(&text[counted..line]);
        counted = line;
        pieces.push(Piece {
            text: &text[line..end],
            before,
        });
        start = end;
    }
    Some(pieces)
}

/// The documents between lines that begin with `---`.
fn yaml_documents(text: &str) -> Vec<Piece<'_>> {
    // Where each begins, and the lines before it.
    let mut starts = vec![(0, 0)];
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let is_marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        // Directives belong to the document that they stand before.
        if is_marker && !is_preamble(&text[starts[starts.len() - 1].0..at]) {
            starts.push((at, number));
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|((start, before), end)| Piece {
            text: &text[*start..end],
            before: *before,
        })
        .collect()
}

/// Directives, comments and nothing else.
fn is_preamble(text: &str) -> bool {
    let has_directive = text.lines().any(|line| line.starts_with('%'));
    has_directive
        && text
            .lines()
            .all(|line| line.trim().is_empty() || line.starts_with(['%', '#']))
}

fn lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

// === impl Piece ===

impl Piece<'_> {
    fn read(&self) -> Vec<Result<Node, Unreadable>> {
        let mut options = Options::default();
        options.set_emit_comments(false);
        let mut builder = Builder::new(self.before);
        for event in Parser::new_from_str_with_options(self.text, options) {
            let taken = event
                .map_err(|error| builder.unreadable_at(&error))
                .and_then(|(event, span)| builder.take(event, span));
            if let Err(mut error) = taken {
                if self.text.contains("{{") {
                    error.why = format!(
                        "{}; this looks like a template of Helm, of which only what `helm template` prints can be checked",
                        error.why
                    );
                }
                builder.documents.push(Err(error));
                break;
            }
        }
        builder.documents
    }
}

/// What is being built of the events.
struct Builder {
    before: usize,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Made>,
    copies: usize,
    documents: Vec<Result<Node, Unreadable>>,
}

/// A list or an object whose end has not come yet.
struct Open {
    at: Place,
    anchor: usize,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<Key>),
}

/// The key of the value that comes next.
enum Key {
    Text(String, Place),
    /// `<<`: the fields of what comes next are put in.
    Merge,
}

/// A value, and whether it is the `<<` that means a merge where a key is expected.
#[derive(Clone)]
struct Made {
    node: Node,
    merges: bool,
}

// === impl Builder ===

impl Builder {
    fn new(before: usize) -> Self {
        Self {
            before,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            copies: 0,
            documents: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let at = Place {
            line: span.start.line() + self.before,
            column: span.start.col() + 1,
        };
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.copies = 0;
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                let value = scalar(&text, is_plain, tag.as_deref()).map_err(|why| unreadable(at, why))?;
                let node = Node {
                    at,
                    content: Content::Scalar(value),
                };
                let merges = is_plain && tag.is_none() && text == "<<";
                self.put(Made { node, merges }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(at, anchor, OpenContent::List(Vec::new()));
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.begin(at, anchor, OpenContent::Map(Vec::new(), None));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some(made) = self.anchors.get(&anchor).cloned() else {
                    return Err(unreadable(at, "an alias inside of what it stands for".to_owned()));
                };
                self.copies += size(&made.node);
                if self.copies > MOST_COPIES {
                    let why = format!("its aliases stand for more than {MOST_COPIES} values");
                    return Err(unreadable(at, why));
                }
                self.put(made, 0)
            }
            // Where documents begin and end, and what a later parser tells beside the values.
            _ => Ok(()),
        }
    }

    fn begin(&mut self, at: Place, anchor: usize, content: OpenContent) {
        self.open.push(Open { at, anchor, content });
    }

    fn end(&mut self) -> Result<(), Unreadable> {
        // The parser closes only what it opened.
        let Some(Open { at, anchor, content }) = self.open.pop() else {
            return Ok(());
        };
        let content = match content {
            OpenContent::List(items) => Content::List(items),
            OpenContent::Map(entries, _) => Content::Map(entries),
        };
        let node = Node { at, content };
        self.put(Made { node, merges: false }, anchor)
    }

    /// Puts a value where it belongs: into the list or the object that is open, else it is the document.
    fn put(&mut self, made: Made, anchor: usize) -> Result<(), Unreadable> {
        if anchor != 0 {
            self.anchors.insert(anchor, made.clone());
        }
        let Made { node, merges } = made;
        match self.open.last_mut().map(|open| &mut open.content) {
            None => {
                if node.content != Content::Scalar(Value::Null) {
                    self.documents.push(Ok(node));
                }
            }
            Some(OpenContent::List(items)) => items.push(node),
            Some(OpenContent::Map(entries, key)) => match key.take() {
                None if merges => *key = Some(Key::Merge),
                None => *key = Some(Key::Text(name(&node)?, node.at)),
                Some(Key::Text(name, at)) => set(entries, Entry { key: name, at, node }),
                Some(Key::Merge) => merge(entries, node)?,
            },
        }
        Ok(())
    }

    fn unreadable_at(&self, error: &ScanError) -> Unreadable {
        Unreadable {
            line: error.marker().line() + self.before,
            why: error.info().replace('\n', " "),
        }
    }
}

fn unreadable(at: Place, why: String) -> Unreadable {
    Unreadable { line: at.line, why }
}

/// A tag of somebody's own says nothing here, and what is quoted is text.
fn scalar(text: &str, is_plain: bool, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        Some(tag) => match tag.core_suffix() {
            Some(known) => scalar::tagged(known, text),
            None => Ok(Value::from(text)),
        },
        None if is_plain => scalar::plain(text),
        None => Ok(Value::from(text)),
    }
}

/// The name of a field. JSON knows text alone, and kubectl writes numbers and booleans out.
fn name(key: &Node) -> Result<String, Unreadable> {
    let name = match &key.content {
        Content::Scalar(Value::String(text)) => Some(text.clone()),
        Content::Scalar(Value::Bool(truth)) => Some(truth.to_string()),
        Content::Scalar(Value::Number(number)) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => Some(float.to_string()),
            None => Some(number.to_string()),
        },
        Content::Scalar(Value::Null | Value::Array(_) | Value::Object(_)) | Content::List(_) | Content::Map(_) => None,
    };
    name.ok_or_else(|| unreadable(key.at, "the name of a field is no text".to_owned()))
}

fn set(entries: &mut Vec<Entry>, entry: Entry) {
    match entries.iter_mut().find(|known| known.key == entry.key) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
}

/// Of a list the first object counts most.
fn merge(entries: &mut Vec<Entry>, node: Node) -> Result<(), Unreadable> {
    let objects = match node.content {
        Content::List(items) => items.into_iter().rev().collect(),
        Content::Map(_) | Content::Scalar(_) => vec![node],
    };
    for object in objects {
        let Content::Map(fields) = object.content else {
            return Err(unreadable(
                object.at,
                "<< wants an object, or a list of objects".to_owned(),
            ));
        };
        for field in fields {
            set(entries, field);
        }
    }
    Ok(())
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::Scalar(_) => 0,
        Content::List(items) => items.iter().map(size).sum(),
        Content::Map(entries) => entries.iter().map(|entry| size(&entry.node)).sum(),
    }
}

#[cfg(test)]
#[path = "yaml_test.rs"]
mod tests;
