//! Expectations and invariants: each passes if it is met, and is otherwise reported with its difference.

use serde_json::Value;

use crate::{PROJECT, Tested, case};

/// One expectation: a step with a placeholder, a failing and a passing expectation, and the report of the failing one.
struct Expected {
    step: &'static str,
    wrong: &'static str,
    right: &'static str,
    what: &'static str,
    expected: &'static str,
    got: &'static str,
}

const fn expected(
    step: &'static str,
    (wrong, right): (&'static str, &'static str),
    what: &'static str,
    (expected, got): (&'static str, &'static str),
) -> Expected {
    Expected { step, wrong, right, what, expected, got }
}

const EXPECTATIONS: &[Expected] = &[
    expected("{request: GET /shop/public, expect: {status: HOLE}}", ("201", "200"), "status", ("201", "200")),
    expected("{request: GET /shop/public, expect: {status: HOLE}}", ("4xx", "2xx"), "status", ("4xx", "200")),
    expected(
        "{request: GET /shop/public, expect: {status: HOLE}}",
        ("[201, 3xx]", "[200, 3xx]"),
        "status",
        ("201 or 3xx", "200"),
    ),
    expected(
        "{request: GET /shop/public, expect: {headers: {x-kind: HOLE}}}",
        ("pet", "pets"),
        "headers.x-kind",
        ("\"pet\"", "\"pets\""),
    ),
    expected(
        "{request: GET /shop/public, expect: {headers: {x-kind: {contains: HOLE}}}}",
        ("dog", "et"),
        "headers.x-kind",
        ("containing \"dog\"", "\"pets\""),
    ),
    expected(
        "{request: GET /shop/public, expect: {headers: {x-kind: {matching: HOLE}}}}",
        ("^et", "^p.t"),
        "headers.x-kind",
        ("matching \"^et\"", "\"pets\""),
    ),
    expected(
        "{request: GET /shop/public, expect: {headers: {HOLE: {absent: true}}}}",
        ("x-kind", "x-none"),
        "headers.x-kind",
        ("absent", "\"pets\""),
    ),
    expected(
        "{request: GET /shop/public, expect: {headers: {HOLE: {present: true}}}}",
        ("x-none", "x-kind"),
        "headers.x-none",
        ("present", "absent"),
    ),
    expected(
        "{request: GET /shop/public, expect: {body: HOLE}}",
        ("hi", "'{\"legs\":4,\"name\":\"Rex\"}'"),
        "body",
        ("\"hi\"", "\"{\"legs\":4,\"name\":\"Rex\"}\""),
    ),
    expected(
        "{request: GET /shop/public, expect: {body: {json: HOLE}}}",
        ("{name: Rex}", "{legs: 4, name: Rex}"),
        "body",
        ("{\n  \"name\": \"Rex\"\n}", "{\n  \"legs\": 4,\n  \"name\": \"Rex\"\n}"),
    ),
    expected(
        "{request: GET /shop/public, expect: {body: {json-has: HOLE}}}",
        ("{name: Tom}", "{name: Rex}"),
        "body",
        ("with {\n  \"name\": \"Tom\"\n}", "{\n  \"legs\": 4,\n  \"name\": \"Rex\"\n}"),
    ),
    expected(
        "{request: GET /shop/public, upstream: {body: some}, expect: {body: {empty: HOLE}}}",
        ("true", "false"),
        "body",
        ("no content", "\"some\""),
    ),
    expected(
        "{request: GET /nowhere, expect: {problem: HOLE}}",
        ("bad-path", "route-not-found"),
        "problem",
        ("bad-path", "route-not-found"),
    ),
    expected(
        "{request: GET /shop/public, expect: {problem: HOLE}}",
        ("internal", "none"),
        "problem",
        ("internal", "none"),
    ),
    expected(
        "{request: GET /shop/private, key: old, expect: {policy: HOLE}}",
        ("burst", "keys"),
        "policy",
        ("burst", "keys"),
    ),
    expected("{request: GET /shop/public, expect: {policy: HOLE}}", ("keys", "none"), "policy", ("keys", "none")),
    expected(
        "{request: GET /shop/public, expect: {route: HOLE}}",
        ("shop.private", "shop.public"),
        "route",
        ("shop.private", "shop.public"),
    ),
    expected(
        "{request: GET /orders/list, expect: {operation: HOLE}}",
        ("public", "list"),
        "route",
        ("public", "orders.list"),
    ),
    expected(
        "{request: GET /nowhere, expect: {route: HOLE}}",
        ("shop.public", "none"),
        "route",
        ("shop.public", "none"),
    ),
    expected(
        "{request: GET /shop/private, expect: {phase: HOLE}}",
        ("limit", "authenticate"),
        "phase",
        ("limit", "authenticate"),
    ),
    expected(
        "{request: GET /shop/public, expect: {phase: HOLE}}",
        ("respond", "forward"),
        "phase",
        ("respond", "forward"),
    ),
    expected(
        "{request: GET /shop/bearer, key: k1, expect: {consumer: HOLE}}",
        ("globex", "acme"),
        "consumer",
        ("globex", "acme"),
    ),
    expected("{request: GET /shop/public, expect: {consumer: HOLE}}", ("acme", "none"), "consumer", ("acme", "none")),
    expected(
        "{request: GET /shop/public, expect: {upstream: {called: HOLE}}}",
        ("false", "true"),
        "upstream.called",
        ("0", "1"),
    ),
    expected("{request: GET /nowhere, expect: {upstream: {called: HOLE}}}", ("1", "0"), "upstream.called", ("1", "0")),
    expected(
        "{request: GET /orders/list, expect: {upstream: {name: HOLE}}}",
        ("pets", "orders"),
        "upstream.name",
        ("pets", "orders"),
    ),
    expected(
        "{request: POST /shop/private, key: k1, expect: {upstream: {method: HOLE}}}",
        ("GET", "POST"),
        "upstream.method",
        ("GET", "POST"),
    ),
    expected(
        "{request: GET /orders/list, expect: {upstream: {path: HOLE}}}",
        ("/list", "/base/list"),
        "upstream.path",
        ("/list", "/base/list"),
    ),
    expected(
        "{request: GET /whole/7, expect: {upstream: {path: HOLE}}}",
        ("/base/7", "/base/whole/7"),
        "upstream.path",
        ("/base/7", "/base/whole/7"),
    ),
    expected(
        "{request: \"GET /shop/public?a=1\", expect: {upstream: {query: HOLE}}}",
        ("none", "a=1"),
        "upstream.query",
        ("none", "a=1"),
    ),
    expected(
        "{request: GET /shop/public, headers: {x-a: b}, expect: {upstream: {headers: {x-a: HOLE}}}}",
        ("c", "b"),
        "upstream.headers.x-a",
        ("\"c\"", "\"b\""),
    ),
    expected(
        "{request: GET /orders/list, expect: {upstream: {headers: {x-token: HOLE}}}}",
        ("other", "s3cret"),
        "upstream.headers.x-token",
        ("\"other\"", "(secret)"),
    ),
    expected(
        "{request: POST /shop/private, key: k1, body: {json: {a: 1}}, expect: {upstream: {body: {json: HOLE}}}}",
        ("{a: 2}", "{a: 1}"),
        "upstream.body",
        ("{\n  \"a\": 2\n}", "{\n  \"a\": 1\n}"),
    ),
    expected("{request: GET /shop/cached, expect: {cache: HOLE}}", ("hit", "miss"), "cache", ("hit", "miss")),
    expected("{request: GET /shop/public, expect: {cache: HOLE}}", ("miss", "none"), "cache", ("miss", "none")),
    expected("{request: GET /shop/cached, expect: {stored: HOLE}}", ("false", "true"), "stored", ("false", "true")),
    expected(
        "{request: GET /shop/private, key: k1, expect: {quota: {burst: {remaining: HOLE}}}}",
        ("3", "2"),
        "quota.burst.remaining",
        ("3", "2"),
    ),
    expected(
        "{request: GET /shop/private, key: k1, expect: {quota: {burst: {limit: HOLE}}}}",
        ("2", "3"),
        "quota.burst.limit",
        ("2", "3"),
    ),
    expected(
        "{request: GET /shop/private, key: k1, expect: {quota: {burst: {reset: HOLE}}}}",
        ("2s", "1s"),
        "quota.burst.reset",
        ("2", "1"),
    ),
    expected(
        "{request: GET /shop/private, key: k1, repeat: 4, last: {retry-after: HOLE}}",
        ("2s", "1s"),
        "retry-after",
        ("2", "1"),
    ),
    expected(
        "{request: GET /shop/public, upstream: {delay: 250ms}, expect: {duration: HOLE}}",
        ("1s", "250ms"),
        "duration",
        ("1000ms", "250ms"),
    ),
    expected(
        "{request: GET /shop/private, key: k1, repeat: 5, count: HOLE}",
        ("{200: 4, 429: 1}", "{200: 3, 429: 2}"),
        "count",
        ("200: 4, 429: 1", "200: 3, 429: 2"),
    ),
    expected(
        "{request: GET /shop/private, key: k1, repeat: 4, first: {status: HOLE}}",
        ("429", "200"),
        "status",
        ("429", "200"),
    ),
    expected(
        "{request: GET /shop/private, key: k1, repeat: 4, last: {status: HOLE}}",
        ("200", "429"),
        "status",
        ("200", "429"),
    ),
    expected(
        "{request: GET /shop/private, key: k1, repeat: 4, each: {status: HOLE}}",
        ("200", "[200, 429]"),
        "status",
        ("200", "429"),
    ),
];

#[test]
fn every_expectation_passes_if_met_and_fails_with_its_difference() {
    let cases = |value: fn(&Expected) -> &'static str| -> String {
        let all = EXPECTATIONS.iter().enumerate();
        all.map(|(n, one)| case(&format!("case-{n}"), &one.step.replace("HOLE", value(one)))).collect()
    };
    let right = Tested::with_cases(&cases(|one| one.right)).run(&[]);
    assert_eq!(right.code, Some(0), "{}\n{}", right.out, right.err);
    let wrong = Tested::with_cases(&cases(|one| one.wrong));
    let text = std::fs::read_to_string(wrong.path().join("tests/t.test.yaml")).expect("the test file");
    let ran = wrong.run(&["--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let report = ran.json();
    for (n, one) in EXPECTATIONS.iter().enumerate() {
        check_failed(&report["files"][0]["tests"][n], &text, one);
    }
}

#[track_caller]
fn check_failed(test: &Value, text: &str, one: &Expected) {
    let step = format!("{}: {}", one.step, one.wrong);
    let failure = &test["failure"];
    let mismatches = failure["mismatches"].as_array().unwrap_or_else(|| unreachable!("it passed: {step}"));
    assert_eq!(mismatches.len(), 1, "{step}: {test:#}");
    let mismatch = &mismatches[0];
    let reported = (mismatch["what"].as_str(), mismatch["expected"].as_str(), mismatch["got"].as_str());
    assert_eq!(reported, (Some(one.what), Some(one.expected), Some(one.got)), "{step}");
    // Its location is inside the step.
    let line = mismatch["line"].as_u64().and_then(|line| text.lines().nth(usize::try_from(line).ok()? - 1));
    assert!(line.is_some_and(|line| line.ends_with(&one.step.replace("HOLE", one.wrong))), "{step}: {line:?}");
}

#[test]
fn invariants_pass_if_proved_and_fail_with_a_request_that_violates_them() {
    let rules = "format: 1\ninvariants:\n- {name: proved, routes: {method: POST}, have: [authn]}\n\
        - {name: refuted, routes: {method: POST}, have: [authn, limit]}\n- {name: selects no route, routes: {method: PATCH}, have: [authn]}\n";
    let ran = Tested::new(PROJECT).file("t", rules).run(&["--output", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let tests = &ran.json()["files"][0]["tests"];
    assert_eq!((&tests[0]["kind"], &tests[0]["passed"]), (&"invariant".into(), &true.into()));
    let mismatches = tests[1]["failure"]["mismatches"].as_array().expect("a list");
    assert_eq!(mismatches.len(), 1, "{tests:#}");
    let got = mismatches[0]["got"].as_str().expect("a text");
    assert!(mismatches[0]["what"] == "`shop.scoped`" && got.contains("curl") && got.contains("/shop/scoped"), "{got}");
    assert_eq!(tests[2]["passed"], false);
}
