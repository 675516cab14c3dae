//! Reports: text, JSON and JUnit, and files and projects with mistakes.

use serde_json::Value;

use crate::{HEAD, PROJECT, Tested, case};

#[test]
fn a_failure_is_reported_with_difference_location_and_decisions() {
    let tested = Tested::with_cases(
        "- name: a case\n  steps:\n  - {request: GET /shop/public, expect: {status: 200}}\n  \
         - {request: GET /shop/private, key: k1, repeat: 4, each: {status: 200, body: {json-has: {name: Tom}}}}\n",
    );
    let ran = tested.run(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let (_, report) = ran.out.split_once("\n\n").expect("a failure behind the list");
    let (failure, summary) = report.split_once("\n\n0 passed").expect("a summary");
    assert_eq!(
        failure,
        r#"FAILED tests/t.test.yaml:12:60: a case
  step 2, GET /shop/private, request 1 of 4
  12 | - {request: GET /shop/private, key: k1, repeat: 4, each: {status: 200, body: {json-has: {name: Tom}}}}

  body  tests/t.test.yaml:12:80
    - expected
    + got
    -   with {
    -     "name": "Tom"
    +   {
    +     "legs": 4,
    +     "name": "Rex"
        }

  decisions
    PHASE         POLICY  VERDICT  REASON
    route         -       pass     shop.private (/shop/private)
    authenticate  keys    pass     consumer acme, credential key-661beda58aa9
    limit         burst   pass     2 remaining after a cost of 1
    forward       -       pass     pets answered 200
    respond       -       pass     200"#
    );
    assert!(summary.starts_with(", 1 failed; 2 requests in "), "{summary}");
    let passing = tested.run(&["--output", "json"]).json();
    assert_eq!(passing["files"][0]["tests"][0]["failure"]["decisions"][1]["policy"], "keys");
}

#[test]
fn one_invalid_file_does_not_hide_the_results_of_others() {
    let good = format!("{HEAD}cases:\n{}", case("good", "{request: GET /shop/public, expect: {status: 200}}"));
    let bad = good.replace("status: 200}}", "statsu: 200}}");
    let unknown = good.replace("status: 200}}", "policy: kees}}");
    let tested = Tested::new(PROJECT).file("a", &bad).file("b", &good).file("c", &unknown);
    let ran = tested.run(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for part in ["did you mean `status`?", "did you mean `keys`?", "1 passed, 0 failed, 2 files not run"] {
        assert!(ran.out.contains(part), "no {part} in {}", ran.out);
    }
    let report = tested.run(&["--output", "json"]).json();
    let codes: Vec<_> = (0..3).map(|n| report["files"][n]["diagnostics"][0]["code"].clone()).collect();
    assert_eq!(codes, ["TG0201".into(), Value::Null, "TG0909".into()]);
    let junit = tested.run(&["--output", "junit"]).out;
    let xml = roxmltree::Document::parse(&junit).unwrap_or_else(|error| unreachable!("{error}: {junit}"));
    assert_eq!(xml.root_element().attribute("errors"), Some("2"));
    assert_eq!(xml.descendants().filter(|node| node.has_tag_name("error")).count(), 2);
}

#[test]
fn junit_is_valid_xml_for_any_test_name() {
    let name = r#""<a> & \"b\" \u0001 \uFFFE 😀""#;
    let cases = case(name, "{request: GET /shop/public, expect: {status: 404, headers: {x-kind: \"<pets>\"}}}")
        + &case("fine", "{request: GET /shop/public, expect: {status: 200}}");
    let ran = Tested::with_cases(&cases).run(&["--output", "junit"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let xml = roxmltree::Document::parse(&ran.out).unwrap_or_else(|error| unreachable!("{error}: {}", ran.out));
    let root = xml.root_element();
    assert_eq!((root.attribute("tests"), root.attribute("failures")), (Some("2"), Some("1")));
    let suite = root.first_element_child().expect("a suite");
    assert_eq!((suite.attribute("name"), suite.attribute("failures")), (Some("tests/t.test.yaml"), Some("1")));
    let cases: Vec<_> = suite.children().filter(roxmltree::Node::is_element).collect();
    assert_eq!(cases[0].attribute("classname"), Some("tests/t.test.yaml"));
    assert_eq!(cases[0].attribute("name"), Some("<a> & \"b\" \u{fffd} \u{fffd} 😀"));
    let failure = cases[0].first_element_child().expect("a failure");
    assert_eq!(failure.attribute("message"), Some("status: expected 404, got 200"));
    assert!(failure.text().is_some_and(|text| text.contains("- expected \"<pets>\"")), "{failure:?}");
    assert_eq!((cases[1].attribute("name"), cases[1].first_element_child()), (Some("fine"), None));
}

#[test]
fn reports_are_deterministic_and_contain_no_keys() {
    let tested = Tested::with_cases(&case(
        "a",
        "{request: \"GET /shop/private?k=${key.k1}\", expect: {upstream: {called: 1}, body: {json-has: {request_id: x}}}}",
    ));
    let without_times = |text: String| -> String {
        text.lines().filter(|line| !line.contains("duration_ms")).collect::<Vec<_>>().join("\n")
    };
    let (one, two) = (tested.run(&["--output", "json"]), tested.run(&["--output", "json"]));
    assert!(one.out.contains("request_id") && one.out.contains("tg_test_(secret)"), "{}", one.out);
    assert_eq!(without_times(one.out), without_times(two.out));
    let text = tested.run(&[]);
    assert!(text.out.contains("tg_test_(secret)"), "{}", text.out);
    assert!(!text.out.contains('\x1b'), "colours without a terminal");
}

#[test]
fn a_project_with_a_mistake_is_reported() {
    let ran = Tested::new(&PROJECT.replace("upstream: pets", "upstream: pest"))
        .file("t", &format!("{HEAD}cases:\n{}", case("a", "{request: GET /, expect: {status: 404}}")))
        .run(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("did you mean `pets`?"), "{ran:?}");
}
