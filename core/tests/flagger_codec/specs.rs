//! Canaries made from the shape of Flagger's own types, as text: numbers keep the spelling that a tenant gave them.

use std::{collections::BTreeMap, fmt};

use fastrand::Rng;
use serde::Deserialize;

use crate::durations;

/// What `oracle shape` prints.
#[derive(Debug, Deserialize)]
pub struct Shapes {
    root: String,
    records: BTreeMap<String, Vec<Field>>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    shape: Shape,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Shape {
    Bool,
    String,
    Float,
    IntOrString,
    Int { bits: u32 },
    Uint { bits: u32 },
    List { of: Box<Shape> },
    Map { of: Box<Shape> },
    Record { name: String },
}

/// A place in a spec.
#[derive(Clone, Debug)]
pub struct Site {
    /// As a finding names it.
    pub field: String,
    /// The JSON before and after the value.
    around: (String, String),
}

/// Values that fit some Go types and not others, and values that only look as if they did.
pub const HOSTILE: &[&str] = &[
    "null",
    "true",
    "false",
    "\"\"",
    "\"x\"",
    "\"180\"",
    "\"true\"",
    "\"null\"",
    "\"\\ud83d\\udea8\"",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[1]",
    "[\"a\"]",
    "[null]",
    "[[]]",
    "[{}]",
    "{\"a\":1}",
    "{\"a\":null}",
    "{\"a\":\"b\"}",
    "{\"a\":{}}",
    "{\"\":0}",
    "0",
    "-0",
    "0.0",
    "-0.0",
    "-0e5",
    "1",
    "-1",
    "100",
    "180.0",
    "180.5",
    "1.5",
    "0.5",
    "-0.5",
    "1e3",
    "1E3",
    "1e+3",
    "1e-3",
    "1.8e2",
    "0.1e1",
    "100e-2",
    "123e-1",
    "180.00000000000000000001",
    "179.99999999999999999999",
    "0.99999999999999999999",
    "180.00000000000003",
    "128.00000000000003",
    "4503599627370495.5",
    "9007199254740991.5",
    "9007199254740993.0",
    "2147483647",
    "2147483648",
    "2147483647.0",
    "2147483648.0",
    "2147483647.5",
    "2.147483647e9",
    "-2147483648",
    "-2147483649",
    "-2147483648.0",
    "4294967295",
    "4294967296",
    "4294967295.0",
    "4294967296.0",
    "9223372036854775807",
    "9223372036854775808",
    "9223372036854775807.0",
    "9223372036854775808.0",
    "9223372036854774784.0",
    "9223372036854774784e0",
    "-9223372036854775808",
    "-9223372036854775808.0",
    "-9223372036854775809",
    "-9223372036854774784.0",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551615.0",
    "18446744073709549568.0",
    "99999999999999999999999999999999999999",
    "1e18",
    "1e19",
    "1e20",
    "999999999999999999999.0",
    "1e21",
    "1e22",
    "-1e21",
    "1e300",
    "1.7976931348623157e308",
    "5e-324",
    "1e-7",
    "1e-400",
    "1e400",
    "-1e400",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
];

/// Whole numbers as anybody might spell them.
const WHOLE: &[&str] = &[
    "0", "1", "2", "5", "10", "50", "99", "100", "101", "180", "600", "180.0", "1e3", "-0.0", "2.0e1",
];
const NEGATIVE: &[&str] = &["-1", "-5", "-100", "-2147483648", "-6e2"];
const TEXTS: &[&str] = &[
    "\"\"",
    "\"web\"",
    "\"80\"",
    "\"null\"",
    "\"\\n\\\"\\\\ \\u00e9\"",
    "\"rollout\"",
];

// === impl Shapes ===

impl Shapes {
    /// Every place that a value can stand: each field, each element and entry, and the spec itself.
    pub fn sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        let root = Site {
            field: "spec".into(),
            around: (String::new(), String::new()),
        };
        self.sites_in(
            &Shape::Record {
                name: self.root.clone(),
            },
            &root,
            0,
            &mut sites,
        );
        sites
    }

    fn sites_in(&self, shape: &Shape, site: &Site, depth: usize, sites: &mut Vec<Site>) {
        assert!(depth < 20, "{} holds itself: stop somewhere", site.field);
        sites.push(site.clone());
        match shape {
            // Behind something good, in case somebody looks at the first element only.
            Shape::List { of } => self.sites_in(of, &site.inside("[1]", "[null,", "]"), depth + 1, sites),
            Shape::Map { of } => self.sites_in(of, &site.inside("[a.b/c]", "{\"a.b/c\":", "}"), depth + 1, sites),
            Shape::Record { name } => {
                for Field { name, shape } in &self.records[name] {
                    let inside = site.inside(&format!(".{name}"), &format!("{{\"{name}\":"), "}");
                    self.sites_in(shape, &inside, depth + 1, sites);
                }
            }
            Shape::Bool
            | Shape::String
            | Shape::Float
            | Shape::IntOrString
            | Shape::Int { .. }
            | Shape::Uint { .. } => {}
        }
    }
}

// === impl Site ===

impl Site {
    /// A Canary with nothing but this value in its spec.
    pub fn canary_with(&self, value: &str) -> String {
        canary(format_args!("{}{value}{}", self.around.0, self.around.1))
    }

    fn inside(&self, step: &str, before: &str, after: &str) -> Self {
        let (outer_before, outer_after) = &self.around;
        Self {
            field: format!("{}{step}", self.field),
            around: (format!("{outer_before}{before}"), format!("{after}{outer_after}")),
        }
    }
}

fn canary(spec: fmt::Arguments<'_>) -> String {
    format!(
        r#"{{"apiVersion":"flagger.app/v1beta1","kind":"Canary","metadata":{{"name":"web","namespace":"shop"}},"spec":{spec}}}"#
    )
}

/// A JSON value that remembers how it was written, with its keys in order and perhaps twice.
#[derive(Clone, Debug)]
enum Node {
    Literal(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// An endless supply of Canaries: well-formed ones from the shapes, then spoilt in some places.
#[derive(Debug)]
pub struct Specs<'a> {
    shapes: &'a Shapes,
    rng: Rng,
}

// === impl Specs ===

impl<'a> Specs<'a> {
    pub fn new(shapes: &'a Shapes, rng: Rng) -> Self {
        Self { shapes, rng }
    }

    pub fn canary(&mut self) -> String {
        let root = Shape::Record {
            name: self.shapes.root.clone(),
        };
        let mut spec = self.node(&root, "", 0);
        let spoilt = [0, 0, 1, 1, 2, 5][self.rng.usize(..6)];
        for _ in 0..spoilt {
            let target = self.rng.usize(..spec.count());
            self.spoil(spec.nth_mut(target).expect("counted"));
        }
        canary(format_args!("{spec}"))
    }

    fn node(&mut self, shape: &Shape, name: &str, depth: u32) -> Node {
        if self.rng.u8(..40) == 0 {
            return Node::Literal("null".into());
        }
        match shape {
            Shape::Record { name } => {
                let mut members = Vec::new();
                for field in &self.shapes.records[name] {
                    // Deeper is rarer, or every document would hold the whole of Istio.
                    let present = match field.name.as_str() {
                        "analysis" | "interval" | "threshold" | "progressDeadlineSeconds" => 0.8,
                        _ => 0.45 / f64::from(depth.max(1)),
                    };
                    if self.rng.f64() < present {
                        members.push((field.name.clone(), self.node(&field.shape, &field.name, depth + 1)));
                    }
                }
                self.rng.shuffle(&mut members);
                Node::Object(members)
            }
            Shape::List { of } => Node::List(
                (0..self.rng.usize(..3))
                    .map(|_| self.node(of, name, depth + 1))
                    .collect(),
            ),
            Shape::Map { of } => {
                let keys = ["a", "app.kubernetes.io/name", "", "B c"];
                let keys = &keys[..self.rng.usize(..=keys.len())];
                Node::Object(
                    keys.iter()
                        .map(|key| ((*key).to_owned(), self.node(of, name, depth + 1)))
                        .collect(),
                )
            }
            Shape::Bool => self.one_of(&["true", "false"]),
            Shape::String if name == "interval" => {
                Node::Literal(serde_json::Value::from(durations::text(&mut self.rng)).to_string())
            }
            Shape::String => self.one_of(TEXTS),
            Shape::Float => self.one_of(&["0", "99", "99.5", "-1e-3", "1e300", "5e-324", "1e19", "0.1"]),
            Shape::IntOrString if self.rng.bool() => self.one_of(TEXTS),
            Shape::Int { .. } | Shape::IntOrString if self.rng.u8(..6) == 0 => self.one_of(NEGATIVE),
            Shape::Int { bits: 64 } if self.rng.u8(..20) == 0 => self.one_of(&[
                "4294967296",
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854774784.0",
                "1e18",
            ]),
            Shape::Uint { bits: 64 } if self.rng.u8(..20) == 0 => self.one_of(&["9223372036854775808", "1e19"]),
            Shape::IntOrString | Shape::Int { .. } | Shape::Uint { .. } => self.one_of(WHOLE),
        }
    }

    fn spoil(&mut self, node: &mut Node) {
        match (self.rng.u8(..8), node) {
            (0, Node::Object(members)) if !members.is_empty() => {
                let place = self.rng.usize(..members.len());
                let (key, value) = &mut members[place];
                // Another case, or a key that looks the same: unknown to Flagger, whatever stands there.
                *key = if self.rng.bool() {
                    key.to_uppercase()
                } else {
                    key.replace('s', "\u{17f}")
                };
                *value = self.one_of(HOSTILE);
            }
            (1, Node::Object(members)) if !members.is_empty() => {
                // The same key again: the last one counts.
                let mut twin = members[self.rng.usize(..members.len())].clone();
                twin.1 = self.one_of(HOSTILE);
                members.insert(self.rng.usize(..=members.len()), twin);
            }
            (2, Node::Object(members)) => {
                let stranger = (
                    ["", "spec", "x-y", "interval", "name"][self.rng.usize(..5)].to_owned(),
                    self.one_of(HOSTILE),
                );
                members.push(stranger);
            }
            (3, Node::List(items)) => items.push(self.one_of(HOSTILE)),
            (4, node) => *node = Node::List(vec![node.clone()]),
            (5, node) => *node = Node::Object(vec![("name".into(), node.clone())]),
            (_, node) => *node = self.one_of(HOSTILE),
        }
    }

    fn one_of(&mut self, literals: &[&str]) -> Node {
        Node::Literal(literals[self.rng.usize(..literals.len())].to_owned())
    }
}

// === impl Node ===

impl Node {
    fn children_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::List(items) => items.iter_mut().collect(),
            Self::Object(members) => members.iter_mut().map(|(_, value)| value).collect(),
        }
    }

    fn count(&mut self) -> usize {
        1 + self.children_mut().into_iter().map(Self::count).sum::<usize>()
    }

    /// The nth node, this one being the first.
    fn nth_mut(&mut self, mut n: usize) -> Option<&mut Self> {
        if n == 0 {
            return Some(self);
        }
        n -= 1;
        for child in self.children_mut() {
            let inside = child.count();
            if n < inside {
                return child.nth_mut(n);
            }
            n -= inside;
        }
        None
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => f.write_str(literal),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    let key = serde_json::Value::from(key.as_str());
                    write!(f, "{}{key}:{value}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}
