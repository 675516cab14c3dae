//! Tests of the formatter: what it changes in texts, and what it does not change.

use proptest::prelude::*;

use super::format_text;
use super::generated::Writer;
use crate::diagnostic::{Code, Report};
use crate::place::Files;
use crate::source::{Limits, Node, Value, read};

#[track_caller]
fn check_named(name: &str, given: &str, expected: &str) {
    let formatted = format_text(name, given).unwrap_or_else(|found| panic!("{found}\n{given}"));
    assert_eq!(formatted, expected, "\n--- given\n{given}--- formatted\n{formatted}--- expected\n{expected}");
    assert_eq!(format_text(name, &formatted).ok(), Some(formatted), "not idempotent");
}

#[track_caller]
fn check(given: &str, expected: &str) {
    check_named("some.yaml", given, expected);
}

#[track_caller]
fn refuses(name: &str, given: &str, code: Code) {
    let found = format_text(name, given).expect_err("refused");
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [code], "{found}");
}

#[test]
fn indentation_is_two_spaces() {
    check(
        "a:\n     b:\n        - c\n        -   d: 1\n            e: 2\n",
        "a:\n  b:\n    - c\n    - d: 1\n      e: 2\n",
    );
    check("a:\n- b\n-\n  c: 1\n", "a:\n  - b\n  - c: 1\n");
    check("- - a\n  - b\n-   - - c\n", "- - a\n  - b\n- - - c\n");
    check("---\na:   1\n...\n", "a: 1\n");
    check("? a\n: b\n? c\n: - d\n", "a: b\nc:\n  - d\n");
}

#[test]
fn files_end_with_one_line_feed_and_have_no_other_breaks() {
    check("a: 1\r\nb: |\r\n  x\r\n  y\r\n", "a: 1\nb: |\n  x\n  y\n");
    check("\u{feff}a: 1", "a: 1\n");
    check("\n\n\na: 1\n\n\n", "a: 1\n");
}

#[test]
fn several_blank_lines_become_one() {
    check("a: 1\n\n\n\nb:\n\n  c: 1\n\n  d: 2\n\n\n# e\n\n\n# f\n", "a: 1\n\nb:\n  c: 1\n\n  d: 2\n\n# e\n\n# f\n");
    check("a: |\n  x\n\n\n\nb: 1\n", "a: |\n  x\n\nb: 1\n");
}

#[test]
fn brackets_are_kept_if_they_fit_on_a_line() {
    check("a: {b: 1,c: [ x,'z' ],}\n", "a: {b: 1, c: [x, z]}\n");
    check("a: [\n  b,\n  c\n]\n", "a: [b, c]\n");
    check("a: [b: 1, {c, d: }]\ne: [ ]\nf: { }\n", "a: [{b: 1}, {c: null, d: null}]\ne: []\nf: {}\n");
    let long = "x".repeat(60);
    check(&format!("a: {{b: {long}, c: {long}}}  # d\n"), &format!("a:  # d\n  b: {long}\n  c: {long}\n"));
    check(&format!("- {{b: {long}, c: [{long}]}}  # d\n- e\n"), &format!("- b: {long}\n  c: [{long}]\n  # d\n- e\n"));
    check(&format!("[{long}, {long}]\n"), &format!("- {long}\n- {long}\n"));
}

#[test]
fn scalars_have_one_canonical_form() {
    check("a: 'b'\nc: \"d\"\n'e': \"f: g\"\n", "a: b\nc: d\ne: \"f: g\"\n");
    check("a: '1'\nb: \"yes\"\nc: 10\nd: ~\ne:\n", "a: \"1\"\nb: \"yes\"\nc: 10\nd: ~\ne:\n");
    check("a: [ '{b}', /c, \"d,e\" ]\nf: /c/{d}\n", "a: [\"{b}\", /c, \"d,e\"]\nf: /c/{d}\n");
    check(
        "a: \"one\n  two\\\n   three\"\nb: one\n  two\n\n   three  # c\nd: 1\n",
        "a: one twothree\nb: one\n  two\n\n  three  # c\nd: 1\n",
    );
    check("\"200\": ok\n200x: ok\n: empty\n", "\"200\": ok\n200x: ok\n\"\": empty\n");
}

#[test]
fn block_scalars_keep_their_content() {
    check("a: |\n    x\n      y\n\n    z\nb: >-\n x\n y\n", "a: |\n  x\n    y\n\n  z\nb: >-\n  x\n  y\n");
    check("a: |+\n  x\n\n\nb: |2\n    x\n   y\n", "a: |+\n  x\n\n\nb: |2\n    x\n   y\n");
    check("- |\n x\n# c\n- k: >1\n    y\n", "- |\n  x\n# c\n- k: >2\n     y\n");
    check("a: |  # c\n  x\n  # no comment\n # d\nb: 1\n", "a: |  # c\n  x\n  # no comment\n# d\nb: 1\n");
    check("a: |\n\n\nb: |-\n  x", "a: \"\"\n\nb: |-\n  x\n");
}

#[test]
fn comments_keep_their_positions() {
    check("# top\n\n  # first\na: 1 # one\n#last\n", "# top\n\n# first\na: 1  # one\n#last\n");
    check(
        "a: # head\n      # lead\n  b: 1\n  # tail\n\n    # odd\nc: 2\n",
        "a:  # head\n  # lead\n  b: 1\n  # tail\n\n  # odd\nc: 2\n",
    );
    check(
        "a:\n  b:\n    c: 1\n    # of c\n  # of b\n# of a\nd: 1\n",
        "a:\n  b:\n    c: 1\n    # of c\n  # of b\n# of a\nd: 1\n",
    );
    check("a:\n- b # one\n# of a\nc: 1\n", "a:\n  - b  # one\n# of a\nc: 1\n");
    check("a:\n  - b\n  # before c\n  - # c\n    c: 1\n", "a:\n  - b\n  # before c\n  # c\n  - c: 1\n");
    check("a: # one\n  # two\n  b\nc:\t\t# three\n  - 1 # \t\n", "# two\na: b  # one\nc:  # three\n  - 1  #\n");
    check("%YAML 1.2 # one\n--- # two\na: 1\n... # three\n", "# one\n# two\na: 1\n# three\n");
    check("- # one\n- 1 # two\n-   # three\n\n  # four\n", "-  # one\n- 1  # two\n-  # three\n\n# four\n");
}

#[test]
fn collections_with_comments_are_written_without_brackets() {
    check(
        "a: [ # one\n  b, # two\n  # three\n  c\n  # four\n] # five\nd: 1\n",
        "# one\na:  # five\n  - b  # two\n  # three\n  - c\n  # four\nd: 1\n",
    );
    check("a: { # one\n  b: 1 }\nc: []  # two\nd: [ # three\n ]\n", "a: {b: 1}  # one\nc: []  # two\nd: []  # three\n");
    check("a: [{b: 1, # one\n c: 2}, [d]]\n", "a:\n  - b: 1  # one\n    c: 2\n  - [d]\n");
}

#[test]
fn anchors_and_aliases_are_kept() {
    check(
        "a:   &x 1\nb: *x\nc: &y   # d\n  e: [ &z f,*z ]\ng: *y\n",
        "a: &x 1\nb: *x\nc: &y  # d\n  e: [&z f, *z]\ng: *y\n",
    );
    check("- &x\n  a: 1\n- &y # b\n  - c\n- *x\n", "- &x\n  a: 1\n# b\n- &y\n  - c\n- *x\n");
    check("&k a: &v |\n  b\nc: *k\nd: &e\nf: *v\n", "&k a: &v |\n  b\nc: *k\nd: &e\nf: *v\n");
    check("&r\na: 1\n", "&r\na: 1\n");
}

#[test]
fn keys_of_a_known_file_have_the_order_of_the_format() {
    check_named(
        "tollgate.yaml",
        "# The shop.\n\n# What it offers.\napis:\n  b: {upstream: u, base: /b, routes: [{methods: [GET], path: /, cache: {}}]}\n  a: {}\n\ngateway:\n  # Ten.\n  timeout: 10s\n  name: x\nformat: 1\n",
        "# The shop.\n\nformat: 1\n\ngateway:\n  name: x\n  # Ten.\n  timeout: 10s\n\n# What it offers.\napis:\n  b: {base: /b, upstream: u, routes: [{path: /, methods: [GET], cache: {}}]}\n  a: {}\n",
    );
    check_named(
        "x/tollgate.yaml",
        "gateway: {timeout: 1s, name: x}\nformat: 1\n",
        "gateway: {timeout: 1s, name: x}\nformat: 1\n",
    );
    check_named(
        "tollgate.yaml",
        "policies:\n  p: {by: address, header: no, rate: 1/s, kind: rate-limit}\nzzz: 1\nformat: 1\n"
            .replace("header: no, ", "")
            .as_str(),
        "format: 1\npolicies:\n  p: {kind: rate-limit, rate: 1/s, by: address}\nzzz: 1\n",
    );
}

#[test]
fn keys_are_not_sorted_if_an_alias_would_precede_its_anchor() {
    let text = "gateway: {timeout: &t 1s, name: x}\nformat: 1\nupstreams:\n  u: {timeout: *t, url: a}\n";
    let sorted = "format: 1\ngateway: {name: x, timeout: &t 1s}\nupstreams:\n  u: {url: a, timeout: *t}\n";
    check_named("tollgate.yaml", text, sorted);
    let kept = "upstreams:\n  u: {timeout: &t 1s, url: a}\ngateway: {timeout: *t, name: x}\nformat: 1\n";
    check_named("tollgate.yaml", kept, kept);
}

#[test]
fn a_modeline_stays_at_the_top() {
    check_named(
        "tollgate.yaml",
        "# yaml-language-server: $schema=x.json\ngateway: {name: x}\nformat: 1\n",
        "# yaml-language-server: $schema=x.json\n\nformat: 1\ngateway: {name: x}\n",
    );
}

#[test]
fn json_is_formatted_as_json() {
    check_named(
        "tollgate.json",
        "{\"gateway\": {\"timeout\":\"1s\",\"name\" :\"\\u0078\\n\"}, \"apis\":{},\t\"x\":[1.0, 1e3,[], null],\r\n\"format\": 1}",
        "{\n  \"format\": 1,\n  \"gateway\": {\n    \"name\": \"x\\n\",\n    \"timeout\": \"1s\"\n  },\n  \"apis\": {},\n  \"x\": [\n    1.0,\n    1e3,\n    [],\n    null\n  ]\n}\n",
    );
    check_named("other.json", r#"{"a": "\ud83d\ude00 \\ud83d \u00e9"}"#, "{\n  \"a\": \"\u{1f600} \\\\ud83d é\"\n}\n");
    check_named("other.yaml", r#"{"a": "\ud83d\ude00"}"#, "{a: \"\u{1f600}\"}\n");
    refuses("tollgate.json", "# c\n{\"a\": 1}\n", Code::NotJson);
    refuses("tollgate.json", "a: 1\n", Code::NotJson);
    refuses("tollgate.json", "{\"a\": 1,}", Code::NotJson);
}

#[test]
fn texts_that_the_parser_refuses_are_not_formatted() {
    refuses("a.yaml", "a: [1\n", Code::Syntax);
    refuses("a.yaml", "a: 1\na: 2\n", Code::DuplicateKey);
    refuses("a.yaml", "a: yes\n", Code::Yaml11Boolean);
    refuses("a.yaml", "a: 1\n---\nb: 2\n", Code::SeveralDocuments);
    refuses("a.yaml", "# only a comment\n", Code::EmptyFile);
    refuses("a.yaml", "a: 1\0", Code::Syntax);
}

#[test]
fn very_long_keys_have_an_explicit_indicator() {
    let key = "k".repeat(2000);
    check(&format!("? {key}\n: 1\nb: {{? {key} : [c]}}\n"), &format!("? {key}\n: 1\nb:\n  ? {key}\n  : [c]\n"));
}

/// The value without positions, as JSON; keys in any order.
fn plain(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => value.to_string().into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(entries) => entries.iter().map(|e| (e.key.value.clone(), plain(&e.value))).collect(),
        Value::Refused => "REFUSED".into(),
    }
}

fn value_of(text: &str) -> Option<serde_json::Value> {
    let (mut files, mut report) = (Files::new(), Report::default());
    let file = files.add("", "");
    let node = read(file, text, &Limits::AUTHORED, &mut report);
    node.filter(|_| !report.has_errors()).map(|node| plain(&node))
}

/// The comments of a generated text that do not occur exactly once in another text.
fn comments_missing(text: &str, comments: usize) -> Vec<usize> {
    (1..=comments).filter(|number| text.matches(&format!("c{number}!")).count() != 1).collect()
}

/// Text of fragments with a meaning in YAML, which finds more errors than arbitrary text.
fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "k: ",
        "- ",
        "? ",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "\n\t",
        "\r",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&x ",
        "*x",
        "|",
        ">",
        "|2-\n",
        "|+\n",
        "\"",
        "'",
        "\\",
        "#",
        " # c",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "yes",
        "1",
        "\u{feff}",
        "\u{0}",
        "é",
        "\u{85}",
        "\u{2028}",
        "@",
        "~",
        ".5",
        "://",
        "\n\n",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

#[track_caller]
fn check_properties(name: &str, text: &str) -> Result<(), TestCaseError> {
    match format_text(name, text) {
        Ok(formatted) => {
            prop_assert_eq!(value_of(text), value_of(&formatted), "{}\n---\n{}", text, formatted);
            let again = format_text(name, &formatted).ok();
            prop_assert_eq!(again.as_ref(), Some(&formatted), "{}\n---\n{}", text, formatted);
            prop_assert!(formatted.ends_with('\n') && !formatted.contains('\r'));
        }
        Err(found) => {
            prop_assert!(found.has_errors());
            prop_assert!(found.iter().all(|d| d.code != Code::NotFormatted), "{:?}\n{}", text, text);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn formatting_keeps_values_and_comments_and_is_idempotent(choices in prop::collection::vec(any::<u8>(), 0..300)) {
        let (text, comments) = Writer::document(&choices);
        prop_assume!(value_of(&text).is_some());
        for name in ["tollgate.yaml", "other.yaml"] {
            check_properties(name, &text)?;
            let formatted = format_text(name, &text);
            let formatted = formatted.as_deref().map_err(|found| TestCaseError::fail(format!("{found}")))?;
            prop_assert_eq!(comments_missing(formatted, comments), Vec::<usize>::new(), "{}\n---\n{}", text, formatted);
        }
    }

    #[test]
    fn no_text_makes_the_formatter_panic_or_change_a_value(text in yaml_like()) {
        for name in ["tollgate.yaml", "other.yaml", "a.json"] {
            check_properties(name, &text)?;
        }
    }

    #[test]
    fn no_bytes_make_the_formatter_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_properties("tollgate.yaml", &String::from_utf8_lossy(&bytes))?;
    }
}

#[test]
fn the_parser_accepts_most_generated_texts() {
    let is_accepted = |seed: u8| {
        let choices: Vec<u8> = (0..250u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 7) as u8 ^ seed).collect();
        value_of(&Writer::document(&choices).0).is_some()
    };
    let count = (0..=255).filter(|seed| is_accepted(*seed)).count();
    assert!(count > 160, "{count} of 256");
}
