use std::fmt::Write as _;

use serde_json::json;

use super::*;
use crate::flagger::decode::whole_number;

fn read(text: &str) -> Vec<Value> {
    documents(text)
        .into_iter()
        .map(|document| document.unwrap_or_else(|error| panic!("{error:?}: {text}")).to_json())
        .collect()
}

fn failure(text: &str) -> Unreadable {
    let failures: Vec<_> = documents(text).into_iter().filter_map(Result::err).collect();
    let [failure] = &failures[..] else {
        panic!("one failure: {failures:?}")
    };
    failure.clone()
}

fn at(text: &str, document: usize, field: &str) -> (usize, usize) {
    let documents = documents(text);
    let node = documents[document].as_ref().expect("a document");
    let place = node.place(field);
    (place.line, place.column)
}

#[test]
fn documents_are_read_whatever_stands_between_them() {
    for (text, expected) in [
        ("", vec![]),
        ("# only a comment\n", vec![]),
        ("---\n", vec![]),
        ("---\n---\n# nothing\n---\n", vec![]),
        ("a: 1", vec![json!({"a": 1})]),
        ("a: 1\n---\nb: 2\n", vec![json!({"a": 1}), json!({"b": 2})]),
        (
            "---\n# Source: x\na: 1\n---\n\n---\nb: 2\n---",
            vec![json!({"a": 1}), json!({"b": 2})],
        ),
        ("a: 1\n--- # a comment\nb: 2\n", vec![json!({"a": 1}), json!({"b": 2})]),
        ("a: 1\n...\n---\nb: 2\n", vec![json!({"a": 1}), json!({"b": 2})]),
        ("%YAML 1.2\n---\na: 1\n", vec![json!({"a": 1})]),
        ("a: 1\r\n---\r\nb: 2\r\n", vec![json!({"a": 1}), json!({"b": 2})]),
        ("\u{feff}a: 1\n", vec![json!({"a": 1})]),
        (
            "a: |\n  ---\n  text\n---\nb: 2\n",
            vec![json!({"a": "---\ntext\n"}), json!({"b": 2})],
        ),
        ("a: >-\n  x\n  y\nb: 'it''s'\n", vec![json!({"a": "x y", "b": "it's"})]),
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
}

#[test]
fn json_is_read_one_value_after_the_other() {
    let text = "{\"a\": 1.0,\n\t\"b\": \"\\ud83d\\ude00\\/\"}\n{\"c\": [1e2, -0, \"yes\", true, null]} {\"d\": {}}";
    assert_eq!(
        read(text),
        [
            json!({"a": 1.0, "b": "😀/"}),
            json!({"c": [100.0, 0, "yes", true, null]}),
            json!({"d": {}})
        ]
    );
    assert_eq!(at(text, 0, "b"), (2, 2));
    assert_eq!(at(text, 1, "c[2]"), (3, 17));
    // What is no JSON to its end is YAML.
    assert_eq!(read("{a: 1}\n---\nb: 2\n"), [json!({"a": 1}), json!({"b": 2})]);
    assert_eq!(read("{\"a\": 1}\n---\nb: 2\n"), [json!({"a": 1}), json!({"b": 2})]);
}

#[test]
fn every_value_has_the_place_of_its_name() {
    let text = "---\n# Source: chart\nspec:\n  list:\n  - a: 1\n  -   b: 2\n  text: |\n    one\n    two\n  after: {x: 1,\n    z: 2}\n---\nother: 1\n";
    for (document, field, place) in [
        (0, "spec", (3, 1)),
        (0, "spec.list", (4, 3)),
        (0, "spec.list[0].a", (5, 5)),
        (0, "spec.list[1]", (6, 7)),
        (0, "spec.text", (7, 3)),
        (0, "spec.after.x", (10, 11)),
        (0, "spec.after.z", (11, 5)),
        (1, "other", (13, 1)),
    ] {
        assert_eq!(at(text, document, field), place, "{field}");
    }
    assert_eq!(at("é: {ü: 1, a: 2}\r\nb: 1\r\n", 0, "é.a"), (1, 11));
    assert_eq!(at("\u{feff}a: 1\r\nb: 1\r\n", 0, "b"), (2, 1));
}

#[test]
fn aliases_and_merges_are_put_in_as_kubectl_does() {
    let text = "base: &base {a: 1, b: 2}\ncopy: *base\nlater:\n  <<: *base\n  b: 3\nearlier:\n  b: 3\n  <<: *base\nboth:\n  <<: [{a: 7}, *base]\nquoted:\n  '<<': 1\n";
    let base = json!({"a": 1, "b": 2});
    assert_eq!(
        read(text),
        [
            json!({"base": base, "copy": base, "later": {"a": 1, "b": 3}, "earlier": base, "both": {"a": 7, "b": 2},
            "quoted": {"<<": 1}})
        ]
    );
    // What an alias stands for is where it is written.
    assert_eq!(at(text, 0, "copy"), (2, 1));
    assert_eq!(at(text, 0, "copy.b"), (1, 20));
    assert_eq!(at(text, 0, "later.a"), (1, 14));
    assert_eq!(at(text, 0, "later.b"), (5, 3));
}

#[test]
fn fields_are_named_by_text_and_the_last_one_counts() {
    assert_eq!(read("a: 1\na: 2\n"), [json!({"a": 2})]);
    assert_eq!(at("a: 1\na: 2\n", 0, "a"), (2, 1));
    assert_eq!(
        read("80: a\nyes: b\n'n': c\n"),
        [json!({"80": "a", "true": "b", "n": "c"})]
    );
}

#[test]
fn what_is_quoted_or_has_a_tag_of_its_own_is_text() {
    assert_eq!(
        read("a: \"180\"\nb: 'yes'\nc: !!str 180\nd: !secret 180\ne: !!int \"180\"\nf: ! 180\n"),
        [json!({"a": "180", "b": "yes", "c": "180", "d": "180", "e": 180, "f": "180"})]
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_line_and_hides_nothing_else() {
    let text = "a: 1\n---\nb: [1,\nc: 2\n---\nd: 3\n";
    let documents = documents(text);
    assert_eq!(documents.len(), 3, "{documents:?}");
    assert!(documents[0].is_ok() && documents[1].is_err() && documents[2].is_ok());
    for (text, line, why) in [
        ("a: 1\n---\nb: \"x\n", 3, ""),
        ("a: 1\nb: *none\n", 2, "unknown anchor"),
        ("a: 1\nb: .inf\n", 2, "a number that JSON does not have"),
        ("a: 1\n? [x]\n: 2\n", 2, "the name of a field is no text"),
        ("a: 1\n~: 2\n", 2, "the name of a field is no text"),
        ("a: 1\n<<: 2\n", 2, "<< wants an object"),
        ("a: &a [*a]\n", 1, ""),
        ("a:\n\tb: 1\n", 2, ""),
        ("x: 1\nname: {{ .Values.name }}\n", 2, "`helm template`"),
        ("{{- if .Values.on }}\na: 1\n{{- end }}\n", 1, "`helm template`"),
    ] {
        let failure = failure(text);
        assert!(
            failure.why.contains(why) && !failure.why.is_empty(),
            "{text:?}: {failure:?}"
        );
        assert!(!failure.why.contains('\n'), "{failure:?}");
        assert_eq!(failure.line, line, "{text:?}: {failure:?}");
    }
}

#[test]
fn aliases_cannot_make_a_bomb() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{before}]").expect("written");
    }
    assert!(failure(&text).why.contains("more than 100000 values"));
}

#[test]
fn nothing_that_is_nested_too_deep_ends_the_program() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let text = format!("a: {}{}\n", open.repeat(100_000), close.repeat(100_000));
        assert!(!failure(&text).why.is_empty());
    }
}

/// `kubectl.json` is what kubectl 1.36 made of `kubectl.yaml`; its numbers are as the API server stores them.
#[test]
fn yaml_means_what_it_means_to_kubectl() {
    fn stored(value: &Value) -> Value {
        match value {
            Value::Number(number) => {
                whole_number(number).map_or_else(|| value.clone(), |whole| json!(whole.to_string()))
            }
            Value::Array(items) => items.iter().map(stored).collect(),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, field)| (name.clone(), stored(field)));
                Value::Object(fields.collect())
            }
            Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
        }
    }
    let ours = read(include_str!("../../../tests/corpus/check/kubectl.yaml"));
    let theirs: Value = serde_json::from_str(include_str!("../../../tests/corpus/check/kubectl.json")).expect("JSON");
    assert_eq!(stored(&ours[0]["spec"]), stored(&theirs["spec"]));
}
