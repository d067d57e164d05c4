//! Can Flagger decode this Canary? One that it cannot stops Flagger for the whole cluster (`docs/flagger.md#f7`).
//!
//! Flagger reads Canaries with client-go's codec: `sigs.k8s.io/json` into `CanarySpec`, case-sensitive, unknown fields
//! ignored, `null` welcome everywhere. [`undecodable`] walks a Canary's `spec` along the shape of those Go types
//! (`schema.rs`, generated from them) and collects every value that the codec would refuse. `core/tests/flagger_codec`
//! compares it with the codec itself.

use std::{fmt::Write as _, io};

use serde_json::{Number, Value};

use super::{
    schema,
    shape::{Record, Shape},
};

/// A value that Flagger's codec refuses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Undecodable {
    /// Where it is: `spec.analysis.metrics[0].threshold`.
    pub field: String,
    /// The value as JSON, cut short.
    pub value: String,
    /// What should stand there: `a whole number`.
    pub expected: String,
}

/// More findings than this help nobody: a hostile list could hold a million.
const MOST_FINDINGS: usize = 1_000;

/// How much of a value or of a map's key is shown, in bytes.
const LONGEST_EXCERPT: usize = 80;

/// Every value in the Canary's `spec` that Flagger's codec refuses, in the order of Flagger's own type; empty when
/// Flagger can decode the spec. At most 1,000.
///
/// Numbers are judged as the API server stores them: `180.0` is `180`. Metadata and status are not looked at, since the
/// API server keeps those in order itself.
#[must_use]
pub fn undecodable(canary: &Value) -> Vec<Undecodable> {
    let mut walk = Walk {
        path: String::from("spec"),
        findings: Vec::new(),
    };
    if let Some(spec) = canary.get("spec") {
        walk.record(&schema::FLAGGER_V1BETA1_CANARY_SPEC, spec);
    }
    walk.findings
}

/// The whole number that Flagger gets to see, if the value is one.
///
/// The API server keeps what fits 64 signed bits without a point or an exponent; everything else becomes a floating
/// point number, which it writes out with the fewest digits that mean the same number. So `1e3` arrives as `1000`, and
/// 2^63 as 9223372036854776000.
#[must_use]
pub fn whole_number(number: &Number) -> Option<i128> {
    if let Some(whole) = number.as_i64() {
        return Some(whole.into());
    }
    let float = number.as_f64()?;
    // From here on the API server writes an exponent, which no Go integer takes; it would not fit anyway.
    if float.abs() >= 1e21 {
        return None;
    }
    // Rust prints floating point numbers with the same digits; a fraction does not parse.
    float.to_string().parse().ok()
}

/// Recursion follows the shapes, never the value: it is as deep as Flagger's types are.
struct Walk {
    path: String,
    findings: Vec<Undecodable>,
}

// === impl Walk ===

impl Walk {
    fn value(&mut self, shape: &Shape, value: &Value) {
        let fits = match (shape, value) {
            (_, Value::Null)
            | (Shape::Bool, Value::Bool(_))
            | (Shape::Text | Shape::IntOrText, Value::String(_))
            | (Shape::Float, Value::Number(_)) => true,
            (Shape::Int32 | Shape::Int64 | Shape::Uint32 | Shape::Uint64 | Shape::IntOrText, Value::Number(number)) => {
                shape
                    .range()
                    .zip(whole_number(number))
                    .is_some_and(|((min, max), n)| (min..=max).contains(&n))
            }
            (Shape::List(of), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.below(format_args!("[{index}]"), of, item);
                }
                true
            }
            (Shape::Map(of), Value::Object(entries)) => {
                for (key, entry) in entries {
                    // Keys are anybody's text, and can be as long as the object.
                    self.below(format_args!("[{}]", Excerpt::of_text(key)), of, entry);
                }
                true
            }
            (Shape::Record(record), value) => return self.record(record, value),
            _ => false,
        };
        if !fits {
            self.find(value, shape.expected(value));
        }
    }

    fn record(&mut self, record: &Record, value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, shape) in record.0 {
                    if let Some(member) = members.get(*name) {
                        self.below(format_args!(".{name}"), shape, member);
                    }
                }
            }
            Value::Null => {}
            _ => self.find(value, "an object".into()),
        }
    }

    fn below(&mut self, step: std::fmt::Arguments<'_>, shape: &Shape, value: &Value) {
        if self.findings.len() == MOST_FINDINGS {
            return;
        }
        let here = self.path.len();
        // Writing to a String does not fail.
        let _ = self.path.write_fmt(step);
        self.value(shape, value);
        self.path.truncate(here);
    }

    fn find(&mut self, value: &Value, expected: String) {
        self.findings.push(Undecodable {
            field: self.path.clone(),
            value: Excerpt::of_json(value),
            expected,
        });
    }
}

// === impl Shape ===

impl Shape {
    fn range(&self) -> Option<(i128, i128)> {
        match self {
            Self::Int32 | Self::IntOrText => Some((i32::MIN.into(), i32::MAX.into())),
            Self::Int64 => Some((i64::MIN.into(), i64::MAX.into())),
            Self::Uint32 => Some((0, u32::MAX.into())),
            Self::Uint64 => Some((0, u64::MAX.into())),
            Self::Bool | Self::Text | Self::Float | Self::List(_) | Self::Map(_) | Self::Record(_) => None,
        }
    }

    /// What to write in place of a value that does not fit.
    fn expected(&self, value: &Value) -> String {
        match (self, value) {
            (Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64, _) => self.expected_number(value),
            (Self::IntOrText, Value::Number(_)) => format!("a string or {}", self.expected_number(value)),
            (Self::Text | Self::IntOrText, Value::Bool(_)) => {
                "a string, with quotes: without them kubectl takes yes, no, on, off, y and n for true or false".into()
            }
            (Self::Text, Value::Number(_)) => "a string, with quotes".into(),
            (Self::Text, _) => "a string".into(),
            (Self::IntOrText, _) => "a string or a whole number".into(),
            (Self::Bool, _) => "true or false".into(),
            (Self::Float, _) => "a number".into(),
            (Self::List(_), _) => "a list".into(),
            (Self::Map(_) | Self::Record(_), _) => "an object".into(),
        }
    }

    /// With the range of the type only where that is what the value breaks.
    fn expected_number(&self, value: &Value) -> String {
        let is_whole = value.as_number().and_then(whole_number).is_some();
        match self.range() {
            Some((min, max)) if is_whole => format!("a whole number from {min} to {max}"),
            _ => "a whole number".into(),
        }
    }
}

/// The beginning of something, fit for a one-line message.
struct Excerpt {
    bytes: Vec<u8>,
    cut: bool,
}

// === impl Excerpt ===

impl Excerpt {
    fn of_json(value: &Value) -> String {
        let mut excerpt = Self::empty();
        // It stops with an error when there is enough, so nothing large is written and nothing deep is entered.
        let _ = serde_json::to_writer(&mut excerpt, value);
        excerpt.finish()
    }

    fn of_text(text: &str) -> String {
        let mut excerpt = Self::empty();
        for char in text.chars().flat_map(char::escape_debug) {
            if io::Write::write_all(&mut excerpt, char.encode_utf8(&mut [0; 4]).as_bytes()).is_err() {
                break;
            }
        }
        excerpt.finish()
    }

    fn empty() -> Self {
        Self {
            bytes: Vec::new(),
            cut: false,
        }
    }

    fn finish(self) -> String {
        let whole = self.bytes.utf8_chunks().map(|chunk| chunk.valid()).collect::<String>();
        if self.cut { whole + "…" } else { whole }
    }
}

impl io::Write for Excerpt {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LONGEST_EXCERPT - self.bytes.len();
        self.cut = bytes.len() > room;
        let taken = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..taken]);
        // 0 for what is not empty means that the writer is full: `write_all` gives up.
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings(spec: &Value) -> Vec<(String, String, String)> {
        let found = undecodable(&json!({ "spec": spec }));
        found
            .into_iter()
            .map(|finding| (finding.field, finding.value, finding.expected))
            .collect()
    }

    const WHOLE: &str = "a whole number";

    #[test]
    fn names_the_field_the_value_and_what_to_write() {
        for (spec, field, value, expected) in [
            (
                "{\"progressDeadlineSeconds\":180.5}",
                "spec.progressDeadlineSeconds",
                "180.5",
                WHOLE,
            ),
            (
                "{\"progressDeadlineSeconds\":2147483648}",
                "spec.progressDeadlineSeconds",
                "2147483648",
                "a whole number from -2147483648 to 2147483647",
            ),
            (
                "{\"progressDeadlineSeconds\":\"180\"}",
                "spec.progressDeadlineSeconds",
                "\"180\"",
                WHOLE,
            ),
            (
                "{\"analysis\":{\"threshold\":2.5}}",
                "spec.analysis.threshold",
                "2.5",
                WHOLE,
            ),
            (
                "{\"analysis\":{\"threshold\":1e19}}",
                "spec.analysis.threshold",
                "1e+19",
                "a whole number from -9223372036854775808 to 9223372036854775807",
            ),
            (
                "{\"analysis\":{\"stepWeights\":[1,[]]}}",
                "spec.analysis.stepWeights[1]",
                "[]",
                WHOLE,
            ),
            (
                "{\"service\":{\"match\":[{\"port\":-1}]}}",
                "spec.service.match[0].port",
                "-1",
                "a whole number from 0 to 4294967295",
            ),
            (
                "{\"skipAnalysis\":\"true\"}",
                "spec.skipAnalysis",
                "\"true\"",
                "true or false",
            ),
            (
                "{\"analysis\":{\"metrics\":{}}}",
                "spec.analysis.metrics",
                "{}",
                "a list",
            ),
            (
                "{\"analysis\":{\"metrics\":[{\"threshold\":\"99\"}]}}",
                "spec.analysis.metrics[0].threshold",
                "\"99\"",
                "a number",
            ),
            (
                "{\"autoscalerRef\":{\"primaryScalerQueries\":[]}}",
                "spec.autoscalerRef.primaryScalerQueries",
                "[]",
                "an object",
            ),
            ("[]", "spec", "[]", "an object"),
        ] {
            let spec = serde_json::from_str(spec).unwrap();
            assert_eq!(findings(&spec), [(field.into(), value.into(), expected.into())]);
        }
    }

    #[test]
    fn names_the_quotes_that_a_text_lacks() {
        for (spec, field, value, expected) in [
            (
                "{\"service\":{\"targetPort\":1.5}}",
                "spec.service.targetPort",
                "1.5",
                "a string or a whole number",
            ),
            (
                "{\"service\":{\"targetPort\":true}}",
                "spec.service.targetPort",
                "true",
                "a string, with quotes: without them kubectl takes yes, no, on, off, y and n for true or false",
            ),
            (
                "{\"service\":{\"targetPort\":[]}}",
                "spec.service.targetPort",
                "[]",
                "a string or a whole number",
            ),
            ("{\"service\":{\"name\":{}}}", "spec.service.name", "{}", "a string"),
            (
                "{\"service\":{\"apex\":{\"labels\":{\"app.kubernetes.io/name\":1}}}}",
                "spec.service.apex.labels[app.kubernetes.io/name]",
                "1",
                "a string, with quotes",
            ),
        ] {
            let spec = serde_json::from_str(spec).unwrap();
            assert_eq!(findings(&spec), [(field.into(), value.into(), expected.into())]);
        }
    }

    #[test]
    fn accepts_what_the_codec_accepts() {
        for spec in [
            "null",
            "{}",
            "{\"progressDeadlineSeconds\":180.0}",
            "{\"progressDeadlineSeconds\":1.8e2}",
            "{\"progressDeadlineSeconds\":-0.0}",
            "{\"progressDeadlineSeconds\":null}",
            // Keys are case-sensitive, so this is an unknown field.
            "{\"ProgressDeadlineSeconds\":180.5}",
            "{\"unknown\":{\"progressDeadlineSeconds\":180.5}}",
            "{\"analysis\":{\"threshold\":9223372036854775807,\"metrics\":[null,{\"threshold\":1e300}]}}",
            "{\"service\":{\"targetPort\":\"http\",\"apex\":{\"labels\":{\"a\":null}}}}",
            "{\"service\":{\"trafficPolicy\":{\"loadBalancer\":{\"consistentHash\":{\"minimumRingSize\":1e19}}}}}",
        ] {
            assert_eq!(findings(&serde_json::from_str(spec).unwrap()), [], "{spec}");
        }
    }

    #[test]
    fn reports_everything_at_once_in_the_order_of_flaggers_type() {
        let found = findings(&json!({
            "progressDeadlineSeconds": 1.5,
            "analysis": {"threshold": "1", "interval": 60},
            "targetRef": {"name": 1},
        }));
        let fields: Vec<_> = found.iter().map(|(field, ..)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "spec.targetRef.name",
                "spec.analysis.interval",
                "spec.analysis.threshold",
                "spec.progressDeadlineSeconds"
            ]
        );
    }

    #[test]
    fn judges_numbers_as_the_api_server_stores_them() {
        for (text, whole) in [
            ("180", Some(180)),
            ("180.0", Some(180)),
            ("1e3", Some(1_000)),
            ("180.5", None),
            ("1e-400", Some(0)),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("-9223372036854775808.0", Some(-9_223_372_036_854_776_000)),
            ("9223372036854775808", Some(9_223_372_036_854_776_000)),
            ("9007199254740993.0", Some(9_007_199_254_740_992)),
            ("1e20", Some(100_000_000_000_000_000_000)),
            ("1e21", None),
        ] {
            assert_eq!(whole_number(&serde_json::from_str(text).unwrap()), whole, "{text}");
        }
    }

    #[test]
    fn what_is_shown_of_hostile_input_is_short_and_on_one_line() {
        let long = "\u{1f6a8}\n".repeat(100_000);
        let found = findings(&json!({
            "progressDeadlineSeconds": long,
            "service": {"apex": {"labels": {long: 1}}},
            "analysis": {"stepWeights": vec!["x"; 100_000]},
        }));
        assert_eq!(found.len(), MOST_FINDINGS);
        for text in found.iter().flat_map(|(field, value, _)| [field, value]) {
            assert!(text.len() < 140 && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let mut deep = json!([]);
        for _ in 0..200_000 {
            deep = Value::Array(vec![deep]);
        }
        let canary = json!({ "spec": { "targetRef": null, "progressDeadlineSeconds": null } });
        let Value::Object(mut canary) = canary else {
            panic!("an object")
        };
        let spec = canary.get_mut("spec").and_then(Value::as_object_mut).unwrap();
        spec.insert("progressDeadlineSeconds".into(), deep);
        let canary = Value::Object(canary);
        assert_eq!(undecodable(&canary).len(), 1);
        // Dropping it would recurse as deeply as it is nested.
        std::mem::forget(canary);
    }
}
