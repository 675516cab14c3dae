//! Tests of the parser: accepted and refused texts, and the reported positions.

use proptest::prelude::*;

use super::{Limits, Node, Value, read};
use crate::diagnostic::{Code, Diagnostics, Report};
use crate::place::{Files, Position};

const SMALL: Limits = Limits { bytes: 1 << 16, depth: 16, nodes: 1000, alias_bytes: 4096 };

fn read_text(text: &str, limits: &Limits) -> (Option<Node>, Diagnostics) {
    let (mut files, mut report) = (Files::new(), Report::default());
    let file = files.add("t.yaml", text);
    let node = read(file, text, limits, &mut report);
    (node, report.finish(files))
}

/// The value without positions, as JSON.
fn plain(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(entries) => entries.iter().map(|e| (e.key.value.clone(), plain(&e.value))).collect(),
        Value::Refused => "REFUSED".into(),
    }
}

#[track_caller]
fn accepts(text: &str, expected: &serde_json::Value) {
    let (node, found) = read_text(text, &SMALL);
    assert!(found.is_empty(), "{found}");
    assert_eq!(&plain(&node.unwrap()), expected);
}

#[track_caller]
fn refuses(text: &str, expected: &[(Code, u32, u32)]) {
    let (_, found) = read_text(text, &SMALL);
    let found: Vec<_> = found.iter().map(|d| (d.code, d.span.start.line, d.span.start.column)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn yaml_and_the_equivalent_json_parse_to_the_same_value() {
    let yaml = "a: 1\nb: [x, \"y\", null, true, 1.5]\nc:\n  - d: text\n    e: {}\n'f': |\n  two\n  lines\n200: ok\n";
    let json = "{\n\t\"a\": 1, \"b\": [\"x\", \"y\", null, true, 1.5],\r\n\t\"c\": [{\"d\":\"text\",\"e\":{}}],\"f\":\"two\\nlines\\n\",\n \"200\": \"ok\"}";
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    accepts(yaml, &value);
    accepts(json, &value);
}

#[test]
fn a_tab_separates_a_value_from_its_key() {
    let value =
        serde_json::json!({"name": "x", "m": -1, "l": ["a", {"b": "c"}], "q": "y", "k": "v", "t": "a\tb", "e": "z"});
    accepts("name:\tx\nm:\t-1\nl:\t[a,\t{b:\tc}]\t# comment\nq:\t\t\"y\"\nk\t: \tv\nt: 'a\tb'\t\ne:\n \tz\n", &value);
    accepts("t: |\n  a:\tb\nl:\n-\tx\n- \tz\n", &serde_json::json!({"t": "a:\tb\n", "l": ["x", "z"]}));
}

#[test]
fn a_tab_as_indentation_is_refused_with_this_reason() {
    for (text, line, column) in
        [("a:\n\tb: 1\n", 2, 1), ("a:\n  b: 1\n\tc: 2\n", 3, 1), ("a:\n- b\n\t- c\n", 3, 1), ("a:\t- b\n", 1, 3)]
    {
        let (_, found) = read_text(text, &SMALL);
        let first = found.iter().next().unwrap();
        assert_eq!(
            (first.code, first.span.start.line, first.span.start.column),
            (Code::Syntax, line, column),
            "{found}"
        );
        assert!(first.fix.contains("tabs as indentation"), "{found}");
    }
}

#[test]
fn json_escapes_are_decoded() {
    let json = r#"{"a": "\"\\\/\b\f\n\r\t\u00e9 \u2028"}"#;
    accepts(json, &serde_json::from_str(json).unwrap());
}

#[test]
fn a_surrogate_pair_of_json_escapes_is_one_character() {
    accepts("{\"a\": \"\\ud83d\\ude00\"}", &serde_json::json!({"a": "😀"}));
    accepts("\u{feff}[\"\\ud83d\\ude00\"]\r\n", &serde_json::json!(["😀"]));
}

#[test]
fn numbers_of_yaml_1_1_are_refused_at_their_position() {
    refuses(
        "a: 0777\nb: [1_000, \"0777\", 12:30]\n",
        &[(Code::Yaml11Number, 1, 4), (Code::Yaml11Number, 2, 5), (Code::Yaml11Number, 2, 20)],
    );
}

#[test]
fn quoted_words_are_strings_also_if_yaml_1_1_has_booleans_for_them() {
    accepts("a: \"yes\"\nb: 'off'\n\"on\": 'null'\n", &serde_json::json!({"a": "yes", "b": "off", "on": "null"}));
}

#[test]
fn aliases_repeat_the_anchored_value() {
    accepts("a: &x [1, {b: 2}]\nc: *x\n", &serde_json::json!({"a": [1, {"b": 2}], "c": [1, {"b": 2}]}));
}

#[test]
fn each_refusal_is_reported_at_the_position_of_the_mistake() {
    refuses("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", &[(Code::DuplicateKey, 4, 3), (Code::DuplicateKey, 5, 1)]);
    refuses(
        "a: yes\nb: [off, \"on\"]\nno: 1\n",
        &[(Code::Yaml11Boolean, 1, 4), (Code::Yaml11Boolean, 2, 5), (Code::Yaml11Boolean, 3, 1)],
    );
    refuses("a: !!str 1\nb: !x {c: 1}\n", &[(Code::Tag, 1, 4), (Code::Tag, 2, 4)]);
    refuses("a: 1\n---\nb: 2\n", &[(Code::SeveralDocuments, 2, 1)]);
    refuses("a: &x {b: 1}\nc: {<<: *x}\n", &[(Code::MergeKey, 2, 5)]);
    refuses("? [a]\n: 1\n? {b: 1}\n: 2\n", &[(Code::KeyNotText, 1, 3), (Code::KeyNotText, 3, 3)]);
    refuses("a: &x [1, *x]\n", &[(Code::EndlessAlias, 1, 11)]);
    refuses("", &[(Code::EmptyFile, 1, 1)]);
    refuses("# nothing\n", &[(Code::EmptyFile, 2, 1)]);
    refuses("a: *nowhere\n", &[(Code::Syntax, 1, 4)]);
    refuses("a: [1, 2\nb: 3\n", &[(Code::Syntax, 2, 2)]);
    refuses("a: é \"\nbé: yes\n", &[(Code::Yaml11Boolean, 2, 5)]);
}

#[test]
fn nesting_depth_is_limited() {
    let limits = SMALL;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read_text(&nested(limits.depth), &limits).1.is_empty());
    let (node, found) = read_text(&nested(limits.depth + 1), &limits);
    assert!(node.is_none());
    assert_eq!(found.iter().next().unwrap().code, Code::TooLarge);
    // The scanner itself must not fail on it either.
    for text in ["[".repeat(60_000), "{a: ".repeat(15_000), "- ".repeat(30_000), "? ".repeat(30_000)] {
        let found = read_text(&text, &limits).1;
        assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::TooLarge], "{found}");
    }
}

#[test]
fn aliases_cannot_exceed_the_nesting_limit() {
    let mut text = String::from("a0: &a0 []\n");
    for n in 1..40 {
        text.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
    }
    let (node, found) = read_text(&text, &SMALL);
    assert!(node.is_none());
    assert!(found.to_string().contains("nested too deeply"), "{found}");
}

#[test]
fn a_billion_laughs_attack_is_stopped_at_the_limit() {
    let mut text = String::from("l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for n in 1..12 {
        let items = vec![format!("*l{}", n - 1); 10].join(", ");
        text.push_str(&format!("l{n}: &l{n} [{items}]\n"));
    }
    let started = std::time::Instant::now();
    let (node, found) = read_text(&text, &Limits::AUTHORED);
    assert!(node.is_none());
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::TooLarge]);
    assert!(started.elapsed().as_secs() < 10, "the limit was detected too late");
}

#[test]
fn aliases_cannot_multiply_long_texts() {
    let text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1000), vec!["*a"; 20].join(", "));
    let (node, found) = read_text(&text, &SMALL);
    assert!(node.is_none());
    assert!(found.to_string().contains("repeat too much text"), "{found}");
}

#[test]
fn many_mistakes_are_reported_up_to_a_limit_and_counted() {
    let text = format!("a: [{}]\n", vec!["yes"; 900].join(", "));
    let (_, found) = read_text(&text, &SMALL);
    assert_eq!((found.len(), found.omitted()), (500, 400));
}

#[test]
fn spans_cover_the_scalar() {
    let (node, _) = read_text("a: some text  # comment\n", &SMALL);
    let Value::Map(entries) = node.unwrap().value else { panic!("a mapping") };
    let span = entries[0].value.span;
    assert_eq!((span.start, span.end), (Position { line: 1, column: 4 }, Position { line: 1, column: 13 }));
}

/// Text of characters with a meaning in YAML, which finds more errors than arbitrary text.
fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "? ",
        ": ",
        "\n",
        "\n  ",
        "\n\t",
        "\r",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&x ",
        "*x",
        "!t ",
        "!!str ",
        "|",
        ">",
        "|2-\n",
        "\"",
        "'",
        "\\",
        "\\u",
        "#",
        " # ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "%TAG ! t\n",
        "<<: ",
        "yes",
        "1",
        "\u{feff}",
        "\u{0}",
        "é",
        "\u{85}",
        "@",
        "`",
        "~",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text in yaml_like()) {
        let (node, found) = read_text(&text, &SMALL);
        prop_assert!(node.is_some() || found.has_errors(), "neither a value nor an error was returned");
        prop_assert_eq!(found.to_json().as_array().map(Vec::len), Some(found.len()));
        prop_assert_eq!(found.to_text(true).is_empty(), found.is_empty());
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (node, found) = read_text(&String::from_utf8_lossy(&bytes), &SMALL);
        prop_assert!(node.is_some() || found.has_errors(), "neither a value nor an error was returned");
        prop_assert_eq!(found.to_text(false).is_empty(), found.is_empty());
    }
}
