//! Reviews of the largest Canaries without their megabytes: a long run of `x` is written as `filler:LENGTH`.

use serde_json::Value;

const MARKER: &str = "filler:";

/// What is shorter is written out.
const WORTH_IT: usize = 10_000;

/// Writes long runs of `x` as markers.
pub fn shrink(value: &mut Value) {
    each_text(value, &mut |text| {
        if text.len() >= WORTH_IT && text.bytes().all(|byte| byte == b'x') {
            *text = format!("{MARKER}{}", text.len());
        }
    });
}

/// Writes the markers out.
pub fn expand(value: &mut Value) {
    each_text(value, &mut |text| {
        if let Some(length) = text.strip_prefix(MARKER) {
            *text = "x".repeat(length.parse().expect("a length"));
        }
    });
}

fn each_text(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(members) => members.values_mut().for_each(|member| each_text(member, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
