//! Steps: time, purges, faults, keys, callers, hosts and scripted upstreams.

use crate::Tested;

#[test]
fn steps_and_upstream_delays_advance_the_clock() {
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
fn keys_are_sent_in_the_location_of_the_policy_or_of_the_reference() {
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
fn scripted_responses_are_selected_by_rule_and_in_order() {
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
fn internal_hosts_are_served_to_internal_callers_only() {
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
