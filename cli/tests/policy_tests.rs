//! `tollgate test` with the real program: what passes, what fails and how it is reported.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Ran, run, tollgate};

const PROJECT: &str = r#"
format: 1
gateway: {name: acme, timeout: 10s, authn: none}
upstreams:
  pets: "http://pets.internal"
  orders: {url: "http://orders.internal/base", headers: {X-Token: "${secret.TOKEN}"}}
policies:
  keys: {kind: api-key, header: X-API-Key}
  bearer: {kind: api-key, header: Authorization, scheme: Bearer}
  burst: {kind: rate-limit, rate: 1/s, burst: 3}
  strict: {kind: rate-limit, rate: 1/s, burst: 5, on-unavailable: closed}
apis:
  shop:
    base: /shop
    upstream: pets
    routes:
      - {path: /public, methods: [GET], id: public, authn: none}
      - {path: /private, methods: [GET, POST], id: private, authn: keys, limit: burst}
      - {path: /bearer, methods: [GET], id: bearer, authn: bearer}
      - {path: /scoped, methods: [POST], id: scoped, authn: keys, scopes: [shop.write], body-limit: 1KiB}
      - {path: /cached, methods: [GET], id: cached, authn: none, cache: {ttl: 30s}}
      - {path: /strict, methods: [GET], id: strict, authn: none, limit: strict}
  orders:
    base: /orders
    upstream: orders
    routes: [{path: /list, methods: [GET], id: list, authn: none}]
"#;

const HEAD: &str = r#"
format: 1
clock: 2026-01-31T23:59:50Z
consumers:
  - {id: acme, keys: [k1, {name: writer, scopes: [shop.write]}, {name: old, expires: 2020-01-01T00:00:00Z}]}
secrets: {TOKEN: s3cret}
upstreams:
  pets: {status: 200, headers: {X-Kind: pets}, body: {json: {name: Rex, legs: 4}}}
"#;

/// A project with test files.
struct Tested {
    folder: tempfile::TempDir,
}

impl Tested {
    fn new(project: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("tests")).expect("a folder within");
        std::fs::write(folder.path().join("tollgate.yaml"), project.trim_start()).expect("a project");
        Self { folder }
    }

    /// The project of most tests, with one file of cases.
    fn with_cases(cases: &str) -> Self {
        Self::new(PROJECT).file("t", &format!("{}cases:\n{cases}", HEAD.trim_start()))
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.path().join(format!("tests/{name}.test.yaml")), text).expect("a test file");
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, words: &[&str]) -> Ran {
        let path = self.path().display().to_string();
        run(&[&["test", path.as_str()], words].concat())
    }
}

/// One case with one step.
fn case(name: &str, step: &str) -> String {
    format!("- name: {name}\n  steps:\n  - {step}\n")
}

/// One expectation: a step with a placeholder, a wrong and a right expectation, and the report of the wrong one.
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

const EVERY_KIND: &[Expected] = &[
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
fn every_kind_of_expectation_fails_for_its_own_reason_and_passes_when_it_is_right() {
    let cases = |value: fn(&Expected) -> &'static str| -> String {
        let all = EVERY_KIND.iter().enumerate();
        all.map(|(n, one)| case(&format!("case-{n}"), &one.step.replace("HOLE", value(one)))).collect()
    };
    let right = Tested::with_cases(&cases(|one| one.right)).run(&[]);
    assert_eq!(right.code, Some(0), "{}\n{}", right.out, right.err);
    let wrong = Tested::with_cases(&cases(|one| one.wrong));
    let text = std::fs::read_to_string(wrong.path().join("tests/t.test.yaml")).expect("the test file");
    let ran = wrong.run(&["--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let report = ran.json();
    for (n, one) in EVERY_KIND.iter().enumerate() {
        check_failed(&report["files"][0]["tests"][n], &text, one);
    }
}

#[track_caller]
fn check_failed(test: &Value, text: &str, one: &Expected) {
    let said = format!("{}: {}", one.step, one.wrong);
    let failure = &test["failure"];
    let mismatches = failure["mismatches"].as_array().unwrap_or_else(|| unreachable!("it passed: {said}"));
    assert_eq!(mismatches.len(), 1, "{said}: {test:#}");
    let mismatch = &mismatches[0];
    let reported = (mismatch["what"].as_str(), mismatch["expected"].as_str(), mismatch["got"].as_str());
    assert_eq!(reported, (Some(one.what), Some(one.expected), Some(one.got)), "{said}");
    // Its location is inside the step.
    let line = mismatch["line"].as_u64().and_then(|line| text.lines().nth(usize::try_from(line).ok()? - 1));
    assert!(line.is_some_and(|line| line.ends_with(&one.step.replace("HOLE", one.wrong))), "{said}: {line:?}");
}

#[test]
fn a_failure_is_reported_with_its_difference_its_location_and_the_decisions() {
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
fn time_advances_as_the_steps_and_the_upstreams_say() {
    let ran = Tested::with_cases(
        "- name: time\n  steps:\n  - {request: GET /shop/public, upstream: {delay: 11s}, expect: {status: 504, duration: 10s}}\n  \
         - {at: 2026-02-01T00:00:05Z}\n  - {request: GET /shop/cached, expect: {cache: miss}}\n  - {advance: 29s}\n  \
         - {request: GET /shop/cached, expect: {cache: hit, headers: {age: 29}}}\n  - {purge: /shop/cached}\n  \
         - {request: GET /shop/cached, expect: {cache: miss}}\n  - {purge: all}\n  \
         - {request: GET /shop/cached, expect: {cache: miss}}\n  - {advance: 1d}\n  \
         - {request: GET /shop/cached, expect: {cache: miss}}\n\
         - name: too late\n  steps:\n  - {request: GET /shop/public, upstream: {delay: 9s}, expect: {status: 200}}\n  \
         - {at: 2026-01-31T23:59:55Z}\n- name: nothing to purge\n  steps:\n  \
         - {request: GET /shop/public, expect: {status: 200}}\n  - {purge: /shop/public}\n",
    )
    .run(&["--output", "json"]);
    let report = ran.json();
    let test = |n: usize| &report["files"][0]["tests"][n];
    assert_eq!(test(0)["passed"], true, "{:#}", test(0));
    assert_eq!(test(1)["failure"]["mismatches"][0]["what"], "at");
    assert_eq!(test(2)["failure"]["mismatches"][0]["what"], "purge");
}

#[test]
fn stores_can_fail_and_recover() {
    let ran = Tested::with_cases(
        "- name: faults\n  steps:\n  - {fault: {counters: down}}\n  \
         - {request: GET /shop/private, key: k1, repeat: 9, expect: {status: 200}}\n  \
         - {request: GET /shop/strict, expect: {status: 503, policy: strict, problem: store-unavailable}}\n  \
         - {restore: all}\n  - {request: GET /shop/strict, expect: {status: 200}}\n  - {fault: {cache: down}}\n  \
         - {request: GET /shop/cached, repeat: 2, expect: {cache: bypass, upstream: {called: true}}}\n  \
         - {fault: {secrets: down}}\n  - {request: GET /orders/list, expect: {status: 503, problem: secret-missing}}\n",
    )
    .run(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
}

#[test]
fn keys_are_sent_where_the_routes_policy_reads_them_and_wherever_a_text_names_them() {
    let ran = Tested::with_cases(
        "- name: keys\n  steps:\n  - {request: GET /shop/private, key: k1, expect: {consumer: acme}}\n  \
         - {request: GET /shop/bearer, key: k1, expect: {consumer: acme, upstream: {headers: {authorization: {absent: true}}}}}\n  \
         - {request: GET /shop/private, headers: {x-api-key: \"${key.k1}\"}, expect: {consumer: acme}}\n  \
         - {request: GET /nowhere, key: k1, expect: {status: 404, upstream: {called: false}}}\n  \
         - {request: \"GET /shop/private?k=${key.k1}\", expect: {status: 401, problem: credential-misplaced}}\n  \
         - {request: GET /shop/private, key: old, expect: {problem: credential-expired}}\n  \
         - {request: POST /shop/scoped, key: k1, expect: {status: 403, problem: scope-missing}}\n  \
         - {request: POST /shop/scoped, key: writer, body: {size: 1KiB}, expect: {status: 200}}\n  \
         - {request: POST /shop/scoped, key: writer, body: {size: 2KiB}, expect: {status: 413, phase: guard}}\n  \
         - {request: POST /shop/scoped, key: writer, body: {size: 2KiB, declared: false}, expect: {status: 413, phase: forward}}\n",
    )
    .run(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
}

#[test]
fn upstreams_answer_by_rule_and_in_order() {
    let ran = Tested::with_cases(
        "- name: scripts\n  upstreams:\n    pets:\n      rules:\n      - {method: POST, status: 201}\n      - {route: cached, status: 202}\n      \
         - {path: /pub*, answers: [{status: 500}, {fail: connection_refused}, {status: 204}]}\n      status: 203\n  steps:\n  \
         - {request: POST /shop/private, key: k1, expect: {status: 201}}\n  \
         - {request: GET /shop/private, key: k1, expect: {status: 203}}\n  \
         - {request: GET /shop/cached, expect: {status: 202}}\n  \
         - {request: GET /shop/public, expect: {status: 500}}\n  \
         - {request: GET /shop/public, expect: {status: 502, headers: {proxy-status: {contains: connection_refused}}}}\n  \
         - {request: GET /shop/public, repeat: 2, expect: {status: 204}}\n  \
         - {request: GET /shop/public, upstream: [{status: 418}, {status: 200}], repeat: 3, count: {418: 1, 200: 2}}\n  \
         - {request: GET /shop/public, upstream: {body: abc, breaks: true}, expect: {status: 200}}\n- name: anew\n  steps:\n  \
         - {request: GET /shop/public, expect: {status: 200, headers: {x-kind: pets}}}\n",
    )
    .run(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
}

#[test]
fn a_host_is_found_for_a_request_without_one() {
    let project = "
format: 1
gateway: {name: acme, hosts: [\"*.example.org\", api.example.com], authn: none}
upstreams: {pets: \"http://pets.internal\"}
apis:
  shop: {hosts: [\"*.example.org\"], upstream: pets, routes: [{path: /shop, methods: [GET], id: shop}]}
  main: {hosts: [api.example.com], upstream: pets, routes: [{path: /main, methods: [GET], id: main}]}
";
    let file = "format: 1\ncases:\n- name: hosts\n  steps:\n  \
        - {request: GET /shop, expect: {route: shop.shop, upstream: {headers: {x-forwarded-host: any.example.org}}}}\n  \
        - {request: GET /main, expect: {route: main.main, upstream: {headers: {x-forwarded-host: api.example.com}}}}\n  \
        - {request: \"GET http://b.example.org/shop\", expect: {upstream: {headers: {x-forwarded-host: b.example.org, x-forwarded-proto: http}}}}\n  \
        - {request: GET /shop, host: c.example.org, expect: {upstream: {headers: {x-forwarded-host: c.example.org}}}}\n";
    let ran = Tested::new(project).file("t", file).run(&[]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
}

#[test]
fn internal_callers_are_answered_where_others_are_not() {
    let project = "
format: 1
gateway: {name: acme, hosts: [api.example.com], internal-hosts: [ops.internal], authn: none}
upstreams: {pets: \"http://pets.internal\"}
apis:
  shop: {upstream: pets, routes: [{path: /shop, methods: [GET], id: shop}]}
  ops: {internal: true, upstream: pets, routes: [{path: /ops, methods: [GET], id: ops}]}
";
    let file = "format: 1\ncases:\n- name: hosts\n  steps:\n  \
        - {request: GET /shop, expect: {status: 200}}\n  \
        - {request: GET /ops, from: inside, expect: {status: 200, route: ops.ops}}\n  \
        - {request: GET /ops, expect: {status: 404, upstream: {called: false}}}\n  \
        - {request: GET /ops, host: ops.internal, expect: {status: 404, problem: route-not-found}}\n";
    let ran = Tested::new(project).file("t", file).run(&[]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
}

#[test]
fn invariants_pass_if_proved_and_fail_with_a_request_that_violates_them() {
    let rules = "format: 1\ninvariants:\n- {name: proved, routes: {method: POST}, have: [authn]}\n\
        - {name: refuted, routes: {method: POST}, have: [authn, limit]}\n- {name: about nothing, routes: {method: PATCH}, have: [authn]}\n";
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
fn junit_is_xml_whatever_the_names_are() {
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
fn coverage_reports_what_no_case_reached() {
    let project = "
format: 1
gateway: {name: acme, authn: none}
upstreams: {pets: \"http://pets.internal\"}
policies: {keys: {kind: api-key}, burst: {kind: rate-limit, rate: 1/s}}
apis:
  shop:
    upstream: pets
    routes:
      - {path: /a, methods: [GET], id: a, authn: none, timeout: none}
      - {path: /b, methods: [GET], id: b, authn: keys, scopes: [read], limit: burst, cache: {ttl: 1s, with-credentials: shared}}
      - {path: /c, methods: [GET], id: c, authn: none}
";
    let file = "format: 1\nconsumers: [{id: acme, keys: [{name: k, scopes: [read]}, poor]}]\ncases:\n- name: some\n  steps:\n  \
        - {request: GET /a, expect: {status: 200}}\n  - {request: GET /b, expect: {status: 401}}\n  \
        - {request: GET /b, key: poor, expect: {status: 403}}\n  - {request: GET /b, key: k, expect: {status: 200}}\n";
    let tested = Tested::new(project).file("t", file);
    let ran = tested.run(&["--coverage", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let coverage = &ran.json()["coverage"];
    let share = |name: &str| (coverage[name]["reached"].as_u64(), coverage[name]["of"].as_u64());
    assert_eq!(share("routes"), (Some(2), Some(3)));
    assert_eq!(share("policies"), (Some(2), Some(2)));
    let missing: Vec<String> = ["by_route", "by_policy"]
        .iter()
        .flat_map(|group| coverage[group].as_array().expect("a list"))
        .flat_map(|item| {
            let branches = item["branches"].as_array().expect("a list").iter();
            branches
                .filter(|branch| branch["reached"] == false)
                .map(|branch| format!("{} {}", item["name"], branch["branch"]).replace('"', ""))
                .collect::<Vec<_>>()
        })
        .collect();
    let expected = [
        "shop.a upstream: failed",
        "shop.b authn keys: refused",
        "shop.b limit burst: over",
        "shop.b cache: hit",
        "shop.b upstream: failed",
        "shop.b upstream: timed out",
        "shop.c reached",
        "shop.c upstream: answered",
        "shop.c upstream: failed",
        "shop.c upstream: timed out",
        "burst store unavailable",
        "keys store unavailable",
    ];
    assert_eq!(missing, expected);
    // 3 branches of a, 14 of b, 4 of c, 2 of each policy.
    assert_eq!(share("branches"), (Some(25 - 12), Some(25)));
    let text = tested.run(&["--coverage"]).out;
    assert!(
        text.contains("routes    2 of 3, 66.6 %") && text.contains("shop.c  GET /c\n      not reached at all"),
        "{text}"
    );
    assert_eq!(tested.run(&["--coverage-min", "52%"]).code, Some(0));
    let short = tested.run(&["--coverage-min", "53"]);
    assert_eq!(short.code, Some(1));
    assert!(short.err.contains("52.0 %"), "{short:?}");
    assert_eq!(tested.run(&["--coverage-min", "many"]).code, Some(2));
}

#[test]
fn coverage_of_guards_can_be_whole() {
    let project = "
format: 1
gateway: {name: acme, authn: none}
upstreams: {pets: \"http://pets.internal\"}
policies: {office: {kind: ip-filter, allow: [192.0.2.0/24]}, slow: {kind: rate-limit, rate: 1/s, by: address}}
apis: {shop: {upstream: pets, guard: [office, slow], routes: [{path: /a, methods: [GET], id: a, timeout: none}]}}
";
    let of = |steps: &[&str]| {
        let steps: String = steps.iter().map(|step| format!("  - {step}\n")).collect();
        let file = format!("format: 1\ncases:\n- name: some\n  steps:\n{steps}");
        Tested::new(project).file("t", &file).run(&["--coverage", "--coverage-min", "100%"])
    };
    let admitted = "{request: GET /a, expect: {status: 200}}";
    let short = of(&[admitted]);
    assert_eq!(short.code, Some(1), "{short:?}");
    for missing in ["guard office: refused", "limit slow: over", "slow", "store unavailable"] {
        assert!(short.out.contains(missing), "no {missing}: {}", short.out);
    }
    let whole = of(&[
        admitted,
        "{request: GET /a, client: {address: 198.51.100.1}, expect: {status: 403, policy: office}}",
        "{request: GET /a, expect: {status: 429, policy: slow}}",
        "{advance: 1s}",
        "{request: GET /a, upstream: {fail: connection_refused}, expect: {status: 502}}",
        "{fault: {counters: down}}",
        "{request: GET /a, expect: {status: 200}}",
    ]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
}

#[test]
fn words_select_tests_and_a_list_runs_none() {
    let cases = case("first thing", "{request: GET /shop/public, expect: {status: 404}}")
        + &case("second thing", "{request: GET /shop/public, expect: {status: 200}}");
    let tested = Tested::with_cases(&cases);
    assert_eq!(tested.run(&[]).code, Some(1));
    let second = tested.run(&["second"]);
    assert!(second.code == Some(0) && second.out.contains("1 passed, 0 failed"), "{second:?}");
    assert!(tested.run(&["t.test"]).out.contains("1 passed, 1 failed"));
    let list = tested.run(&["--list"]);
    assert_eq!((list.code, list.out.as_str()), (Some(0), LISTED));
    assert_eq!(tested.run(&["--list", "--output", "json"]).json()[1]["name"], "second thing");
    let none = tested.run(&["third"]);
    assert!(none.code == Some(1) && none.err.contains("no test contains third"), "{none:?}");
    let empty = Tested::new(PROJECT).run(&[]);
    assert!(empty.code == Some(1) && empty.err.contains("has no tests"), "{empty:?}");
}

const LISTED: &str = "tests/t.test.yaml:9:9  first thing\ntests/t.test.yaml:12:9  second thing\n";

#[test]
fn the_same_project_gives_the_same_report_and_never_a_key() {
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

#[test]
fn a_file_runs_in_the_environment_it_names_and_others_in_the_selected_one() {
    let project = "
format: 1
gateway: {name: acme, authn: none}
values: {rate: {type: rate, default: 1/s}}
upstreams: {pets: \"http://pets.internal\"}
policies: {burst: {kind: rate-limit, rate: \"${value.rate}\"}}
apis: {shop: {upstream: pets, routes: [{path: /a, methods: [GET], id: a, limit: burst}]}}
";
    let limit = |env: &str, limit: u32| {
        let step = format!("{{request: GET /a, expect: {{quota: {{burst: {{limit: {limit}}}}}}}}}");
        format!("format: 1\n{env}cases:\n{}", case("limit", &step))
    };
    let tested = Tested::new(project)
        .file("a", &limit("", 1))
        .file("b", &limit("env: busy\n", 9))
        .file("c", &limit("env: unknown\n", 1));
    std::fs::create_dir(tested.path().join("env")).expect("a folder");
    std::fs::write(tested.path().join("env/busy.yaml"), "format: 1\nvalues: {rate: 9/s}\n").expect("an environment");
    let ran = tested.run(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("2 passed, 0 failed, 1 file not run"), "{}", ran.out);
    let busy = tested.run(&["--env", "busy", "--output", "json"]).json();
    let mismatch = &busy["files"][0]["tests"][0]["failure"]["mismatches"][0];
    assert_eq!((&mismatch["expected"], &mismatch["got"]), (&"1".into(), &"9".into()), "{busy:#}");
}

#[test]
fn the_tests_of_the_quickstart_cover_all_of_it() {
    let output = tollgate(&["test", &support::quickstart(), "--coverage-min", "100%"]).output();
    let ran = Ran::of(output.expect("the program starts"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
