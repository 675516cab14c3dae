use crate::bench::{Bench, ok, request, route};

fn bench() -> Bench {
    let internal = tollgate_core::settings::RouteSettings { internal: true, ..route("/internal", &["GET"]) };
    Bench::new(vec![route("/pets/{id}", &["GET", "PUT"]), internal], ok(&[], "hello"))
}

#[track_caller]
fn check(method: &str, target: &str, fields: &[(&str, &str)], want: (u16, &str)) {
    let bench = bench();
    let answer = bench.send(request(method, target, fields, ""));
    assert_eq!((answer.status, answer.problem().as_str()), want, "{method} {target} {fields:?}");
    let forwarded = bench.host.upstream.take_received().len();
    assert_eq!(forwarded, usize::from(want.0 == 200), "only what was let through reaches the upstream");
}

#[test]
fn only_routed_requests_reach_the_upstream() {
    check("GET", "/pets/1", &[], (200, ""));
    check("GET", "/nothing", &[], (404, "route-not-found"));
    check("GET", "/internal", &[], (404, "route-not-found"));
    check("GET", "/pets/1/", &[], (404, "route-not-found"));
    check("GET", "/pets/%2e%2e", &[], (400, "bad-path"));
    check("GET", "/pets/a%2fb", &[], (400, "bad-path"));
    check("TRACE", "/pets/1", &[], (405, "method-not-allowed"));
    check("GET", "http://evil.example/pets/1", &[("host", "api.example.com")], (400, "bad-request"));
    check("GET", "/pets/1", &[("host", "a b")], (400, "bad-request"));
    check("GET", "/pets/1", &[("content-length", "1"), ("content-length", "2")], (400, "bad-request"));
    check("GET", "/pets/1", &[("content-length", "-1")], (400, "bad-request"));
}

#[test]
fn a_wrong_method_is_told_the_right_ones_and_options_is_answered() {
    let bench = bench();
    let answer = bench.send(request("DELETE", "/pets/1", &[], ""));
    assert_eq!((answer.status, answer.field("allow")), (405, "GET, HEAD, OPTIONS, PUT"));
    let answer = bench.send(request("OPTIONS", "/pets/1", &[], ""));
    assert_eq!((answer.status, answer.field("allow"), answer.content.len()), (204, "GET, HEAD, OPTIONS, PUT", 0));
}

#[test]
fn a_head_refusal_has_the_fields_and_no_content() {
    let answer = bench().send(request("HEAD", "/nothing", &[], ""));
    assert_eq!((answer.status, answer.content.len()), (404, 0));
    assert!(answer.field("content-length").parse::<usize>().unwrap() > 0);
}

#[test]
fn what_is_too_large_is_refused_before_anything_else() {
    let long = format!("/{}", "a".repeat(9_000));
    check("GET", &long, &[], (414, "target-too-long"));
    let big = "x".repeat(40_000);
    check("GET", "/pets/1", &[("x-big", &big)], (431, "fields-too-large"));
    let many: Vec<(&str, &str)> = (0..120).map(|_| ("x-many", "1")).collect();
    check("GET", "/pets/1", &many, (431, "fields-too-large"));
}

#[test]
fn the_trace_tells_what_was_decided() {
    let answer = bench().get("/pets/1", &[]);
    let trace = answer.record.decisions.to_string();
    for phase in ["route", "authenticate", "forward", "respond"] {
        assert!(trace.contains(phase), "{trace}");
    }
    assert_eq!(answer.record.route.unwrap().template, "/pets/{id}");
}
