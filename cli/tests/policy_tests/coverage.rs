//! Coverage: the branches that no case reached.

use crate::Tested;
use crate::support::{Ran, quickstart, tollgate};

#[test]
fn coverage_lists_the_branches_that_no_case_reached() {
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
fn every_branch_of_a_guard_can_be_covered() {
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
    let accepted = "{request: GET /a, expect: {status: 200}}";
    let incomplete = of(&[accepted]);
    assert_eq!(incomplete.code, Some(1), "{incomplete:?}");
    for missing in ["guard office: refused", "limit slow: over", "slow", "store unavailable"] {
        assert!(incomplete.out.contains(missing), "no {missing}: {}", incomplete.out);
    }
    let complete = of(&[
        accepted,
        "{request: GET /a, client: {address: 198.51.100.1}, expect: {status: 403, policy: office}}",
        "{request: GET /a, expect: {status: 429, policy: slow}}",
        "{advance: 1s}",
        "{request: GET /a, upstream: {fail: connection_refused}, expect: {status: 502}}",
        "{fault: {counters: down}}",
        "{request: GET /a, expect: {status: 200}}",
    ]);
    assert_eq!(complete.code, Some(0), "{complete:?}");
}

#[test]
fn the_tests_of_the_quickstart_cover_every_branch() {
    let output = tollgate(&["test", &quickstart(), "--coverage-min", "100%"]).output();
    let ran = Ran::of(output.expect("the program starts"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
