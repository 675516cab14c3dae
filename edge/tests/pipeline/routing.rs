use std::collections::BTreeMap;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, Request};
use tollgate_core::cache::CacheCredentials;
use tollgate_core::route::{Predicate, Subject, Test};
use tollgate_core::settings::RouteSettings;
use tollgate_edge::memory::Content;

use crate::bench::{Bench, answer, cached, ok, request, route, site};

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
    check("GET", "ftp://api.example.com/pets/1", &[], (400, "bad-request"));
    check("GET", "/pets/1", &[("host", "a b")], (400, "bad-request"));
    check("GET", "/pets/1", &[("content-length", "1"), ("content-length", "2")], (400, "bad-request"));
    check("GET", "/pets/1", &[("content-length", "-1")], (400, "bad-request"));
    for blanks in [" 2", "2 ", "\t2", " "] {
        check("GET", "/pets/1", &[("x-version", blanks)], (400, "bad-request"));
    }
    check("GET", "/pets/1", &[("x-version", "2 3")], (200, ""));
}

#[test]
fn a_wrong_method_gets_the_allowed_ones_and_options_is_answered() {
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
fn too_large_requests_are_refused_first() {
    let long = format!("/{}", "a".repeat(9_000));
    check("GET", &long, &[], (414, "target-too-long"));
    let big = "x".repeat(40_000);
    check("GET", "/pets/1", &[("x-big", &big)], (431, "fields-too-large"));
    let many: Vec<(&str, &str)> = (0..120).map(|_| ("x-many", "1")).collect();
    check("GET", "/pets/1", &many, (431, "fields-too-large"));
}

#[test]
fn the_trace_contains_the_decisions() {
    let answer = bench().get("/pets/1", &[]);
    let trace = answer.record.events.to_string();
    for phase in ["route", "authenticate", "forward", "respond"] {
        assert!(trace.contains(phase), "{trace}");
    }
    assert_eq!(*answer.record.route().unwrap().template, *"/pets/{id}");
}

#[test]
fn types_select_the_route_and_are_not_in_telemetry() {
    let bench = Bench::new(vec![route("/pets/{id:int}", &["GET"]), route("/pets/{name}", &["GET"])], ok(&[], "hello"));
    let label = |target: &str| bench.get(target, &[]).record.route().unwrap().clone();
    assert_eq!(
        (label("/pets/7").id.as_ref(), label("/pets/7").template.as_ref()),
        ("api./pets/{id:int}", "/pets/{id}")
    );
    assert_eq!(*label("/pets/rex").template, *"/pets/{name}");
}

fn when(of: Subject, values: &[&str]) -> Vec<Predicate> {
    vec![Predicate { of, test: Test::OneOf(values.iter().map(|v| (*v).to_owned()).collect()) }]
}

#[test]
fn predicates_select_the_route_and_otherwise_it_does_not_exist() {
    let second = RouteSettings {
        id: "second".into(),
        when: when(Subject::Header("x-version".into()), &["2"]),
        ..route("/a", &["GET"])
    };
    let write = RouteSettings {
        id: "start".into(),
        when: when(Subject::Query("action".into()), &["start"]),
        ..route("/a", &["POST"])
    };
    let bench = Bench::new(vec![route("/a", &["GET"]), second, write], ok(&[], "hello"));
    let id = |fields: &[(&str, &str)]| bench.get("/a", fields).record.route().unwrap().id.to_string();
    assert_eq!(id(&[]), "api./a");
    assert_eq!(id(&[("x-version", "2")]), "second");
    assert_eq!(id(&[("x-version", "2"), ("x-version", "2")]), "api./a");
    let answer = bench.send(request("POST", "/a?action=start", &[], ""));
    assert_eq!((answer.status, answer.record.route().unwrap().id.as_ref()), (200, "start"));
    let answer = bench.send(request("POST", "/a?action=stop", &[], ""));
    assert_eq!((answer.status, answer.field("allow")), (405, "GET, HEAD, OPTIONS"));
}

/// A request without the fields that an adapter left out.
fn without(method: &str, target: &str, left_out: &[(&str, &str)]) -> Request<Content> {
    let left_out = request(method, target, left_out, "").into_parts().0.headers;
    request(method, target, &[], "").map(|_| Content::with_left_out(left_out))
}

#[test]
fn a_field_that_was_left_out_is_read_where_the_configuration_names_it() {
    let french = RouteSettings {
        id: "french".into(),
        when: when(Subject::Header("accept-language".into()), &["fr"]),
        ..route("/a", &["GET"])
    };
    let bench = Bench::new(vec![route("/a", &["GET"]), french], ok(&[], "hello"));
    let id = |language| {
        let answer = bench.send(without("GET", "/a", &[("accept-language", language)]));
        answer.record.route().unwrap().id.to_string()
    };
    assert_eq!((id("fr").as_str(), id("de").as_str()), ("french", "api./a"));
}

#[test]
fn fields_that_were_left_out_are_read_where_a_route_is_cached() {
    let script = |_: &Request<Content>| {
        let response = answer(200, &[("vary", "accept-language")], "");
        let left_out = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static("max-age=100"))]);
        (0, Ok(response.map(|_| Content::with_left_out(left_out))))
    };
    let bench = Bench::new(vec![cached(route("/a", &["GET", "PUT"]), CacheCredentials::Never)], script);
    let status = |method: &str, language| {
        bench.send(without(method, "/a", &[("accept-language", language)])).field("cache-status").to_owned()
    };
    assert!(status("GET", "fr").contains("; stored"));
    assert!(status("GET", "de").contains("fwd=vary-miss"));
    assert!(status("GET", "fr").contains("hit"));
    status("PUT", "fr");
    assert!(status("GET", "fr").contains("fwd="), "a change invalidates what the same client reads");
}

#[test]
fn internal_hosts_answer_internal_callers_only() {
    let internal = RouteSettings { internal: true, ..route("/stats", &["GET"]) };
    let bench = Bench::new(vec![], ok(&[], "hello"));
    bench.publish(&BTreeMap::from([
        ("*".parse().unwrap(), site(vec![route("/open", &["GET"])])),
        ("ops.internal".parse().unwrap(), site(vec![internal.clone()])),
        ("*.svc.internal".parse().unwrap(), site(vec![internal])),
        ("open.svc.internal".parse().unwrap(), site(vec![route("/open", &["GET"])])),
    ]));
    let status = |inside: bool, host: &str, path: &str| {
        bench.send_from(inside, request("GET", path, &[("host", host)], "")).status
    };
    for (host, path) in [("ops.internal", "/stats"), ("a.svc.internal:8080", "/stats"), ("open.svc.internal", "/stats")]
    {
        assert_eq!((status(false, host, path), status(true, host, path)), (404, 200), "{host}{path}");
    }
    // Public routes are available to all callers, except on internal hosts, which do not exist for external callers.
    for (host, outside) in [("x.org", 200), ("ops.internal", 404), ("a.svc.internal", 404), ("open.svc.internal", 200)]
    {
        assert_eq!((status(false, host, "/open"), status(true, host, "/open")), (outside, 200), "{host}");
    }
    assert_eq!(status(true, "x.org", "/stats"), 404);
    let refused = bench.send(request("OPTIONS", "/stats", &[("host", "ops.internal")], ""));
    assert_eq!((refused.status, refused.problem().as_str()), (404, "route-not-found"));
}

#[test]
fn matrix_parameters_need_a_route_that_allows_them_and_is_also_that_of_the_path_without_them() {
    let open = tollgate_core::settings::RouteSettings { matrix_parameters: true, ..route("/{*rest}", &["GET"]) };
    let bench = Bench::new(vec![open, route("/admin/{*rest}", &["GET"])], ok(&[], ""));
    for (path, status) in [
        ("/a;v=1/b", 200),
        ("/admin;x/users", 400),
        ("/admin/users;x", 400),
        ("/;x/admin/users", 400),
        ("/admin%3Bx/users", 200),
    ] {
        let got = bench.get(path, &[]);
        assert_eq!(got.status, status, "{path}");
        assert_eq!(got.problem(), if status == 400 { "bad-path" } else { "" });
    }
    let paths: Vec<String> =
        bench.host.upstream.take_received().iter().map(|request| request.uri().path().to_owned()).collect();
    assert_eq!(paths, ["/base/a;v=1/b", "/base/admin%3Bx/users"]);
}

#[test]
fn a_request_without_a_host_is_for_the_pattern_of_every_host() {
    let bench = Bench::new(vec![route("/a", &[])], ok(&[], ""));
    let without_host = |version| {
        let mut request = request("GET", "/a", &[], "");
        request.headers_mut().remove("host");
        *request.version_mut() = version;
        bench.send(request)
    };
    assert_eq!(without_host(http::Version::HTTP_11).problem(), "bad-request");
    assert_eq!(without_host(http::Version::HTTP_10).status, 200);
    let named = [("api.example.com".parse().unwrap(), site(vec![route("/a", &[])]))];
    bench.publish(&named.into_iter().collect());
    let isolate = bench.another_isolate();
    let bench = Bench { isolate, host: bench.host.clone() };
    let mut request = request("GET", "/a", &[], "");
    request.headers_mut().remove("host");
    *request.version_mut() = http::Version::HTTP_10;
    assert_eq!(bench.send(request).problem(), "bad-request");
}
