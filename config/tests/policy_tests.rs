//! Reading test files; every mistake is reported with its code and its position.

use proptest::prelude::*;
use tollgate_analysis::compile_str;
use tollgate_config::fixtures::load_str as load_fixtures;
use tollgate_config::policy_tests::{Action, BodyExpect, Matcher, TestFile, load_str};
use tollgate_config::{Diagnostics, Severity};
use tollgate_core::time::Timestamp;

const PROJECT: &str = "\
format: 1
gateway: {name: acme, authn: none}
upstreams: {pets: \"http://127.0.0.1:9000\"}
policies: {keys: {kind: api-key}, burst: {kind: rate-limit, rate: 5/s}}
apis: {shop: {upstream: pets, routes: [{path: /used, id: used, authn: keys, limit: burst}]}}
";

fn findings(text: &str) -> Diagnostics {
    let compiled = compile_str("tollgate.yaml", PROJECT).expect("a valid project");
    match load_str("tests/t.test.yaml", text) {
        Ok(file) if file.warnings.is_empty() => file.check(&compiled),
        Ok(file) => file.warnings,
        Err(found) => {
            assert!(found.has_errors(), "refused without an error:\n{found}");
            found
        }
    }
}

#[track_caller]
fn check(text: &str, expected: &[(&str, u32, u32)]) {
    let found = findings(text);
    let places: Vec<_> = found.iter().map(|d| (d.code.id(), d.span.start.line, d.span.start.column)).collect();
    assert_eq!(places, expected, "\n{found}");
    for finding in &found {
        assert!(!finding.what.is_empty() && !finding.why.is_empty() && !finding.fix.is_empty(), "{finding:?}");
    }
}

/// Checks the steps of a case, each on a line of its own; the first is line 1, and columns are counted after `- `.
#[track_caller]
fn check_steps(steps: &str, expected: &[(&str, u32, u32)]) {
    let lines: String = steps.lines().map(|line| format!("- {line}\n")).collect();
    let head = "format: 1\nconsumers: [{id: acme, keys: [k1]}]\ncases:\n- name: c\n  steps:\n";
    let valid = "- {request: GET /, expect: {status: 404}}\n";
    let text = format!("{head}{}", indented(&format!("{lines}{valid}")));
    let expected: Vec<_> = expected.iter().map(|(code, line, column)| (*code, 5 + line, 4 + column)).collect();
    check(&text, &expected);
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn file(text: &str) -> TestFile {
    load_str("tests/t.test.yaml", text).unwrap_or_else(|found| unreachable!("{found}"))
}

#[test]
fn a_file_without_mistakes_has_no_findings() {
    check_steps("{request: GET /used, key: k1, expect: {status: 200, route: shop.used, operation: used}}", &[]);
    check_steps("{request: GET /used, repeat: 3, count: {200: 2, 429: 1}}\n{advance: 10s}\n{purge: all}", &[]);
    check_steps("{fault: {counters: down}}\n{restore: all}\n{restore: [cache]}\n{at: 2030-01-01T00:00:00Z}", &[]);
}

#[test]
fn words_of_other_test_formats_have_one_of_ours() {
    for (step, meant) in [
        ("{sleep: 1s}", "write `advance: 1s`"),
        ("{get: /pets}", "write `request: GET /pets`"),
        ("{request: GET /, expect: {code: 200}}", "write `status: 200`"),
        ("{request: GET /, times: 5, expect: {status: 200}}", "write `repeat: 5`"),
    ] {
        let text = format!("format: 1\ncases: [{{name: a, steps: [{step}]}}]\n");
        let found = load_str("tests/t.test.yaml", &text).expect_err(step);
        assert!(found.iter().any(|found| found.fix.contains(meant)), "{step}: {found}");
    }
}

#[test]
fn keys_and_types_of_a_file_are_checked() {
    check("[]\n", &[("TG0202", 1, 1)]);
    check("format: 1\n", &[("TG0901", 1, 1)]);
    check("format: 1\ncases: []\n", &[("TG0901", 1, 1)]);
    check("format: 1\ncasses: []\n", &[("TG0901", 1, 1), ("TG0201", 2, 1)]);
    check("format: 1\ncases: [{name: a, steps: []}]\n", &[("TG0901", 2, 26)]);
    check("format: 1\ncases: [{name: a, steps: [{advance: 1s}]}]\n", &[("TG0908", 2, 16)]);
    check("format: 1\nclock: noon\ncases: [{name: a, steps: []}]\n", &[("TG0502", 2, 8), ("TG0901", 3, 26)]);
    check("format: 1\ncases: [{name: a, steps: [{}]}]\n", &[("TG0902", 2, 27)]);
    let case = "{name: a, steps: [{request: GET /, expect: {status: 404}}]}";
    check(&format!("format: 1\ncases:\n- {case}\n- {case}\n"), &[("TG0906", 4, 10)]);
    check(&format!("format: 1\nupstreams: {{pest: {{status: 200}}}}\ncases: [{case}]\n"), &[("TG0909", 2, 13)]);
    let rule = "upstreams: {pets: {rules: [{route: shop.usde, status: 200}]}}";
    check(&format!("format: 1\n{rule}\ncases: [{case}]\n"), &[("TG0909", 2, 36)]);
    check(&format!("format: 1\nconsumers: [{{id: a, keys: [k, k]}}]\ncases: [{case}]\n"), &[("TG0906", 2, 31)]);
    check(&format!("format: 1\nconsumers: [{{id: a, plan: gold}}]\ncases: [{case}]\n"), &[("TG0506", 2, 27)]);
    check(&format!("format: 1\nconsumers: [{{id: a}}, {{id: a}}]\ncases: [{case}]\n"), &[("TG0906", 2, 27)]);
}

/// A project with limits of which keys may have numbers of their own: `burst` alone.
const LIMITED: &str = "\
format: 1
gateway: {name: acme, authn: none}
upstreams: {pets: \"http://127.0.0.1:9000\"}
policies:
  keys: {kind: api-key}
  burst: {kind: rate-limit, rate: 5/s, at-most: 50}
  fixed: {kind: quota, quota: 5, window: day}
  idle: {kind: quota, quota: 5, window: day, at-most: 50}
apis: {shop: {upstream: pets, routes: [{path: /used, authn: keys, limit: [burst, fixed]}, {path: /open, limit: idle}]}}
";

#[test]
fn numbers_of_keys_are_those_that_keys_may_have() {
    let compiled = compile_str("tollgate.yaml", LIMITED).expect("a valid project");
    for (numbers, expected) in [
        ("burst=50", None),
        ("burst=50/min:7", None),
        ("burst=51", Some(("51 is more than the 50 that the limit `burst` allows", "write at most 50"))),
        ("burst=5/s:51", Some(("51 is more than the 50 that the limit `burst` allows", "write at most 50"))),
        ("brst=5", Some(("the project has no limit `brst`", "did you mean `burst`?"))),
        ("monthly=5", Some(("the project has no limit `monthly`", "use one of `burst`"))),
        ("keys=5", Some(("the project has no limit `keys`", "use one of `burst`"))),
        ("fixed=5", Some(("the limit `fixed` has no `at-most`", "write `at-most` in the policy"))),
        ("idle=5", Some(("no route with `authn` has the limit `idle`", "list the policy in `limit`"))),
    ] {
        let case = "cases: [{name: a, steps: [{request: GET /used, expect: {status: 401}}]}]";
        let text = format!("format: 1\nconsumers: [{{id: a, keys: [{{name: k, limits: [\"{numbers}\"]}}]}}]\n{case}\n");
        let of_test = file(&text).check(&compiled);
        let text = format!("format: 1\nconsumers: [{{id: a, keys: [{{key: {KEY}, limits: [\"{numbers}\"]}}]}}]\n");
        let of_fixtures = load_fixtures("dev/fixtures.yaml", &text).unwrap().check(&compiled, Timestamp::default());
        for (found, severity) in [(of_test, Severity::Error), (of_fixtures, Severity::Warning)] {
            let [finding] = found.iter().collect::<Vec<_>>()[..] else {
                assert!(found.is_empty() && expected.is_none(), "{numbers}: {found}");
                continue;
            };
            let (what, fix) = expected.unwrap_or_default();
            assert_eq!((finding.code.id(), finding.severity, finding.what.as_str()), ("TG0352", severity, what));
            assert!(finding.fix.starts_with(fix), "{numbers}: {found}");
        }
    }
}

const KEY: &str = "tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EW";

#[test]
fn mistakes_in_steps_of_browsers_are_reported_at_their_positions() {
    let id = "issuers: {id: {issuer: \"https://id.example.com\"}}";
    let text = |step: &str| {
        let used = "{request: GET /used, expect: {status: 200}}";
        format!("format: 1\n{id}\ncases: [{{name: a, steps: [{used},\n{step}]}}]\n")
    };
    let opened = |more: &str| text(&format!("{{request: GET /used, {more}, expect: {{status: 200}}}}"));
    check(&opened("browser: laptop, log-in: {issuer: id, claims: {sub: ada}}"), &[]);
    check(&opened("browser: laptop"), &[]);
    check(&opened("log-in: id"), &[("TG0903", 4, 22)]);
    check(&opened("browser: laptop, log-in: di"), &[("TG0909", 4, 47)]);
    let changed = |change: &str| text(&format!("{{issuers: {{id: {change}}}}}"));
    check(&changed("{accounts: {ada: closed, bob: {groups: [a]}}}"), &[]);
    check(&changed("{logs-out: ada}"), &[]);
    check(&changed("{accounts: {ada: open}}"), &[("TG0210", 4, 33)]);
    check(&changed("{accounts: closed}"), &[("TG0202", 4, 27)]);
    check(&changed("{}"), &[("TG0203", 4, 16)]);
    check(&changed("{accounts: {ada: closed}, logs-out: ada}"), &[("TG0201", 4, 42)]);
}

#[test]
fn mistakes_in_issuers_and_tokens_are_reported_at_their_positions() {
    let step = "cases: [{name: a, steps: [{request: GET /used, token: TOKEN, expect: {status: 200}}]}]\n";
    let check = |issuer: &str, token: &str, expected: &[(&str, u32, u32)]| {
        check(&format!("format: 1\nissuers: {{staff: {issuer}}}\n{}", step.replace("TOKEN", token)), expected);
    };
    let good = "{issuer: \"https://id.example.com\"}";
    check(good, "staff", &[]);
    check(good, "{issuer: staff, claims: {sub: ada}, lifetime: 1h, forged: true}", &[]);
    check("{}", "staff", &[("TG0203", 2, 18)]);
    check("{issuer: a, algorithm: RS256}", "staff", &[("TG0210", 2, 41)]);
    check("{issuer: a, keys: []}", "staff", &[("TG0212", 2, 36)]);
    check(good, "{issuer: staff, claims: [a]}", &[("TG0202", 3, 79)]);
    check(good, "{issuer: staff, age: 1h}", &[("TG0201", 3, 71)]);
}

#[test]
fn mistakes_in_steps_are_reported_at_their_positions() {
    check_steps("{}", &[("TG0902", 1, 1)]);
    check_steps("{expect: {status: 200}}", &[("TG0902", 1, 1)]);
    check_steps("{advance: 1s, purge: all}", &[("TG0902", 1, 15)]);
    check_steps("{advance: 10}", &[("TG0206", 1, 11)]);
    check_steps("{at: 2020-01-01T00:00:00Z}", &[("TG0907", 1, 1)]);
    check_steps("{fault: {conters: down}}", &[("TG0201", 1, 10)]);
    check_steps("{restore: counter}", &[("TG0210", 1, 11)]);
    check_steps("{issuers: {staff: down}}", &[("TG0909", 1, 12)]);
    check_steps("{request: GET /used, token: staff, expect: {status: 200}}", &[("TG0909", 1, 29)]);
    check_steps("{request: GET /used, token: {key: k1}, expect: {status: 200}}", &[("TG0203", 1, 29)]);
    check_steps("{request: /used}", &[("TG0903", 1, 11)]);
    check_steps("{request: get /used}", &[("TG0903", 1, 11)]);
    check_steps("{request: GET used}", &[("TG0903", 1, 11)]);
    check_steps("{request: \"GET ftp://a/used\"}", &[("TG0903", 1, 11)]);
    check_steps("{request: GET /used, key: k2}", &[("TG0905", 1, 27)]);
    check_steps("{request: \"GET /used?a=${key.k2}\"}", &[("TG0905", 1, 11)]);
    check_steps("{request: GET /used, headers: {\"a b\": c}}", &[("TG0903", 1, 32)]);
    check_steps("{request: GET /used, headers: {a: \"b\\n\"}}", &[("TG0903", 1, 35)]);
    check_steps("{request: GET /used, client: {address: here}}", &[("TG0903", 1, 40)]);
    check_steps("{request: GET /used, from: nowhere}", &[("TG0210", 1, 28)]);
    check_steps("{request: GET /used, repeat: 0}", &[("TG0209", 1, 30)]);
    check_steps("{request: GET /used, body: {}}", &[("TG0903", 1, 28)]);
    check_steps("{request: GET /used, body: {size: 1GiB}}", &[("TG0209", 1, 35)]);
    check_steps("{request: GET /used, upstream: {fail: conection_refused}}", &[("TG0210", 1, 39)]);
    check_steps("{request: GET /used, upstream: {fail: dns_error, status: 200}}", &[("TG0903", 1, 33)]);
    check_steps("{request: GET /used, upstream: []}", &[("TG0212", 1, 32)]);
    let many: String = (0..1001).map(|n| format!("a{n}: b, ")).collect();
    check_steps(&format!("{{request: GET /used, headers: {{{many}}}}}"), &[("TG0409", 1, 31)]);
}

#[test]
fn expectations_that_cannot_be_met_are_mistakes() {
    let expect = |text: &str| format!("{{request: GET /used, expect: {{{text}}}}}");
    for (text, code, column) in [
        ("", "TG0904", 30),
        ("status: 42", "TG0904", 39),
        ("status: 9xx", "TG0904", 39),
        ("status: []", "TG0904", 39),
        ("statsu: 200", "TG0201", 31),
        ("body: {matching: \"(\"}", "TG0904", 48),
        ("body: {matching: \"a{900}{90}\"}", "TG0904", 48),
        ("headers: {a: {}}", "TG0904", 44),
        ("headers: {\"a b\": c}", "TG0903", 41),
        ("problem: rate-limit-exceded", "TG0210", 40),
        ("policy: burts", "TG0909", 39),
        ("route: shop.usde", "TG0909", 38),
        ("phase: limits", "TG0210", 38),
        ("cache: hot", "TG0210", 38),
        ("quota: {burts: {remaining: 1}}", "TG0909", 39),
        ("quota: {burst: {}}", "TG0904", 46),
        ("retry-after: 1500ms", "TG0904", 44),
        ("notices: none", "TG0202", 40),
        ("notices: [{limit: burst}]", "TG0203", 41),
        ("notices: [{limit: burts, share: 80%}]", "TG0909", 49),
        ("notices: [{limit: burst, share: 180%}]", "TG0904", 63),
        ("notices: [{limit: burst, share: 80%}]", "TG0904", 41),
        ("upstream: {}", "TG0904", 41),
        ("upstream: {name: pest}", "TG0909", 48),
        ("upstream: {called: many}", "TG0202", 50),
    ] {
        check_steps(&expect(text), &[(code, 1, column)]);
    }
    check_steps("{request: GET /used, repeat: 3, count: {200: 2}}", &[("TG0904", 1, 33)]);
    check_steps("{request: GET /used, count: {ok: 1}}", &[("TG0904", 1, 30)]);
    check_steps("{request: GET /used, expect: {status: 200}, each: {status: 200}}", &[("TG0904", 1, 22)]);
}

#[test]
fn mistakes_in_invariants_are_reported() {
    let invariant = |text: &str| format!("format: 1\ninvariants:\n- {text}\n");
    check(&invariant("{routes: {method: POST}, have: [authn, {policy: burst}], not: [cache]}"), &[]);
    check(&invariant("{routes: all, have: authn}"), &[("TG0202", 3, 23)]);
    check(&invariant("{routes: {method: POST}}"), &[("TG0910", 3, 3)]);
    check(&invariant("{have: [auth]}"), &[("TG0210", 3, 11)]);
    check(&invariant("{have: [{policy: burts}]}"), &[("TG0909", 3, 20)]);
    check(&invariant("{routes: {methods: POST}, have: [authn]}"), &[("TG0201", 3, 13)]);
}

#[test]
fn an_invariant_without_a_name_has_a_generated_title() {
    let file = file("format: 1\ninvariants: [{routes: {method: [POST, PUT]}, have: [authn, limit], not: [cache]}]\n");
    assert_eq!(file.invariants[0].title(), "routes for POST, PUT have authn, limit and have no cache");
}

#[test]
fn the_key_of_a_name_is_valid_and_deterministic() {
    let text = "format: 1\nconsumers: [{id: acme, keys: [k1, {name: k2, scopes: [read]}]}]\n\
        cases: [{name: a, steps: [{request: \"GET /?k=${key.k1}\", expect: {status: 200}}]}]\n";
    let (one, two) = (file(text), file(text));
    let keys = |file: &TestFile| file.consumers[0].keys.iter().map(|k| k.key.expose().to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(&one), keys(&two));
    assert_ne!(keys(&one)[0], keys(&one)[1]);
    assert_eq!(one.consumers[0].keys[1].credential.scopes, ["read"]);
    let Action::Request(request) = &one.cases[0].steps[0].action else { panic!("a request") };
    assert_eq!(request.target, format!("/?k={}", keys(&one)[0]));
}

#[test]
fn json_and_yaml_are_equivalent() {
    let yaml = "format: 1\ncases:\n- name: a\n  steps:\n  - request: POST /x\n    body: {json: {a: [1, null]}}\n    \
        expect: {status: 2xx, body: {contains: b}}\n";
    let json = r#"{"format": 1, "cases": [{"name": "a", "steps": [{"request": "POST /x",
        "body": {"json": {"a": [1, null]}}, "expect": {"status": "2xx", "body": {"contains": "b"}}}]}]}"#;
    for text in [yaml, json] {
        let file = file(text);
        let Action::Request(request) = &file.cases[0].steps[0].action else { panic!("a request") };
        assert_eq!(request.content.bytes(), r#"{"a":[1,null]}"#);
        let body = request.each.as_ref().and_then(|expect| expect.body.as_ref()).map(|body| &body.value);
        let Some(BodyExpect::Text(text)) = body else { panic!("a text") };
        assert!(matches!(text.0.as_slice(), [Matcher::Contains(part)] if part == "b"));
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_decoder_panic(text in "[ -~é\n]{0,40}", place in 0usize..PLACES.len()) {
        let text = serde_json::to_string(&text).expect("a text");
        let file = format!("{{\"format\": 1, \"cases\": [{{\"name\": \"a\", \"steps\": [{}]}}]}}", PLACES[place].replace("HOLE", &text));
        let _ = findings(&file);
    }
}

/// Steps as JSON; `HOLE` is replaced by a text.
const PLACES: &[&str] = &[
    r#"{"request": HOLE}"#,
    r#"{"request": "GET /", "host": HOLE}"#,
    r#"{"request": "GET /", "headers": {HOLE: HOLE}}"#,
    r#"{"request": "GET /", "body": HOLE, "key": HOLE}"#,
    r#"{"request": "GET /", "body": {"size": HOLE}}"#,
    r#"{"request": "GET /", "client": {"address": HOLE}}"#,
    r#"{"request": "GET /", "upstream": {"delay": HOLE, "fail": HOLE}}"#,
    r#"{"request": "GET /", "count": {HOLE: 1}}"#,
    r#"{"request": "GET /", "expect": {"status": HOLE, "route": HOLE, "policy": HOLE}}"#,
    r#"{"request": "GET /", "expect": {"headers": {"a": {"matching": HOLE}}}}"#,
    r#"{"request": "GET /", "expect": {"retry-after": HOLE, "duration": HOLE}}"#,
    r#"{"advance": HOLE}"#,
    r#"{"at": HOLE}"#,
    r#"{"purge": HOLE}"#,
    r#"{HOLE: HOLE}"#,
];
