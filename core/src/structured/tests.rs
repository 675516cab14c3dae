use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

fn text(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    out
}

#[wasm_bindgen_test(unsupported = test)]
fn values_are_written_in_one_form() {
    for (text, written) in [
        ("1", "1"),
        (" -0 ", "0"),
        ("0042", "42"),
        ("-999999999999999", "-999999999999999"),
        ("1.50", "1.5"),
        ("-0.001", "-0.001"),
        ("1.0", "1.0"),
        ("999999999999.999", "999999999999.999"),
        (r#""a \"b\" \\ c""#, r#""a \"b\" \\ c""#),
        ("*a/b:c", "*a/b:c"),
        (":AQ==:", ":AQ==:"),
        (":AQ:", ":AQ==:"),
        ("::", "::"),
        ("?0", "?0"),
        ("@1659578233", "@1659578233"),
        (r#"%"f%c3%bc%25""#, r#"%"f%c3%bc%25""#),
        ("a; b=1;c;b=2", "a;b=2;c"),
    ] {
        let item = Item::parse(text).map(|item| self::text(|out| item.write(out)));
        assert_eq!(item.as_deref(), Ok(written), "{text:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_and_dictionaries_are_written_in_one_form() {
    for (text, written) in [("a,\tb", "a, b"), ("( a  b );c, d", "(a b);c, d"), ("", ""), ("()", "()")] {
        let list = Members::list(text).map(|list| self::text(|out| list.write(out)));
        assert_eq!(list.as_deref(), Ok(written), "{text:?}");
    }
    for (text, written) in [
        ("a=1 ,  b;x", "a=1, b;x"),
        ("a=?1, b=?0", "a, b=?0"),
        ("a=1, b=2, a=3", "a=3, b=2"),
        ("s=(\"x\" y);z", "s=(\"x\" y);z"),
    ] {
        let dictionary = Members::dictionary(text).map(|dictionary| self::text(|out| dictionary.write(out)));
        assert_eq!(dictionary.as_deref(), Ok(written), "{text:?}");
    }
    assert!(Members::dictionary("a=1, b=2, a=3").unwrap().repeats && !Members::dictionary("a, b").unwrap().repeats);
}

#[wasm_bindgen_test(unsupported = test)]
fn other_texts_are_refused() {
    for text in [
        "",
        " ",
        "-",
        "1.",
        ".1",
        "1.2345",
        "1000000000000000",
        "1000000000000.0",
        "+1",
        "1 2",
        "\"a",
        "\"\\a\"",
        "\"\t\"",
        "\"\u{e9}\"",
        ":A:",
        ":A===:",
        ":-_:",
        ":AQ",
        "?",
        "?2",
        "?true",
        "@1.5",
        "@",
        "%\"%C3%BC\"",
        "%\"%ff\"",
        "%a",
        "(a)",
        "a, b",
        "a;B",
        "a;",
        "a;=1",
        "a ;b",
        "=",
        "\u{e9}",
        "a\n",
    ] {
        assert_eq!(Item::parse(text), Err(StructureError), "{text:?}");
    }
    for text in ["a,", ",a", "a,,b", "(a", "(a,b)", "((a))", "a=1", "(a)b", "(\"a\"\"b\")"] {
        assert_eq!(Members::list(text), Err(StructureError), "{text:?}");
    }
    for text in ["A=1", "a=", "a=1,", "a= 1", "a =1", "1=a", "a=1;", "a=(1;2)"] {
        assert_eq!(Members::dictionary(text), Err(StructureError), "{text:?}");
    }
    let many = |count| vec!["a"; count].join(", ");
    assert!(Members::list(&many(256)).is_ok() && Members::list(&many(257)).is_err());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_field_of_unknown_type_has_a_canonical_form_if_all_types_agree() {
    for (text, written) in
        [("a=1,  b=2", "a=1, b=2"), ("a,b", "a, b"), ("1.10", "1.1"), ("a;b", "a;b"), ("(a  b)", "(a b)")]
    {
        assert_eq!(canonical(text).as_deref(), Ok(written), "{text}");
    }
    // A list has both, a dictionary the last one.
    assert_eq!(canonical("a, a"), Err(StructureError));
    assert_eq!(canonical("Tue, 20 Apr 2021 02:07:55 GMT"), Err(StructureError));
}

fn bare() -> impl Strategy<Value = Bare> {
    prop_oneof![
        (-999_999_999_999_999i64..=999_999_999_999_999).prop_map(Bare::Integer),
        (-999_999_999_999_999i64..=999_999_999_999_999).prop_map(Bare::Decimal),
        "[ -~]{0,8}".prop_map(Bare::String),
        "[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]{0,8}".prop_map(Bare::Token),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Bare::Bytes),
        any::<bool>().prop_map(Bare::Boolean),
        (-999_999_999_999_999i64..=999_999_999_999_999).prop_map(Bare::Date),
        "\\PC{0,8}".prop_map(Bare::Display),
    ]
}

fn parameters() -> impl Strategy<Value = Parameters> {
    proptest::collection::btree_map("[a-z*][a-z0-9_.*-]{0,4}", bare(), 0..3)
        .prop_map(|all| Parameters(all.into_iter().collect()))
}

fn item() -> impl Strategy<Value = Item> {
    (bare(), parameters()).prop_map(|(value, parameters)| Item { value, parameters })
}

fn member() -> impl Strategy<Value = Member> {
    let inner = (proptest::collection::vec(item(), 0..4), parameters())
        .prop_map(|(items, parameters)| InnerList { items, parameters });
    prop_oneof![item().prop_map(Member::Item), inner.prop_map(Member::Inner)]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        item in item(),
        list in proptest::collection::vec(member(), 0..4),
        named in proptest::collection::btree_map("[a-z*][a-z0-9_.*-]{0,4}", member(), 0..4),
    ) {
        prop_assert_eq!(Item::parse(&text(|out| item.write(out))), Ok(item));
        let list = Members { all: list.into_iter().map(|member| (String::new(), member)).collect(), repeats: false };
        prop_assert_eq!(Members::list(&text(|out| list.write(out))), Ok(list));
        let dictionary = Members { all: named.into_iter().collect(), repeats: false };
        prop_assert_eq!(Members::dictionary(&text(|out| dictionary.write(out))), Ok(dictionary));
    }

    #[test]
    fn what_is_read_is_written_in_a_form_that_stays(text in "[ -~]{0,24}") {
        if let Ok(form) = canonical(&text) {
            prop_assert_eq!(canonical(&form), Ok(form));
        }
    }
}
