use http::HeaderName;
use tollgate_core::cache::{CacheCredentials, CacheSettings};
use tollgate_core::forward::{Attribute, ClientFields, IdentityField, UpstreamError};
use tollgate_core::route::{Predicate, Subject, Test};
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{GatewaySettings, RouteSettings};
use tollgate_edge::memory::Content;

use crate::bench::{Bench, KEYS, answer, credential, gateway, key, ok, on_any_host, request, route, site};

#[test]
fn the_upstream_gets_the_request_with_its_own_host_and_is_told_of_ours() {
    let routes = vec![RouteSettings { strip_segments: 1, ..route("/v1/{*rest}", &["POST"]) }];
    let bench = Bench::new(routes, ok(&[("server", "pets"), ("keep-alive", "1")], "hello"));
    let sent =
        [("x-forwarded-for", "9.9.9.9"), ("te", "gzip"), ("connection", "x-hop"), ("x-hop", "1"), ("x-end", "1")];
    let answer = bench.send(request("POST", "/v1/a%7eb/?q=1", &sent, "ping"));
    let received = bench.host.upstream.take_received().remove(0);
    assert_eq!(received.uri(), "http://pets.internal:8080/base/a~b/?q=1");
    let field = |name: &str| received.headers().get(name).map_or("", |v| v.to_str().unwrap());
    assert_eq!(field("host"), "pets.internal:8080");
    assert_eq!((field("forwarded"), field("x-forwarded-host")), ("", "api.example.com"));
    assert_eq!((field("x-forwarded-for"), field("x-forwarded-proto")), ("192.0.2.7", "https"));
    assert_eq!((field("via"), field("te"), field("x-hop"), field("x-end")), ("1.1 tollgate", "", "", "1"));
    assert_eq!(field("x-request-id"), answer.field("x-request-id"));
    assert_eq!(&received.body().bytes()[..], b"ping");
    assert_eq!((answer.field("via"), answer.field("server"), answer.field("keep-alive")), ("1.1 tollgate", "pets", ""));
}

#[test]
fn the_upstream_is_told_who_the_caller_is_and_never_by_the_client() {
    let told = [("x-consumer", Attribute::Consumer), ("x-plan", Attribute::Plan), ("x-scopes", Attribute::Scopes)];
    let bench = Bench::new(vec![], ok(&[], ""));
    let routes = vec![RouteSettings { authn: vec![vec![KEYS]], ..route("/a", &[]) }, route("/open", &[])];
    let mut site = site(routes);
    site.upstreams[0].identity = told
        .clone()
        .map(|(name, tells)| IdentityField { name: HeaderName::from_static(name), tells: tells.into() })
        .into();
    bench.publish(&on_any_host(site));
    let key = key();
    bench.add(&key, &credential());
    let claimed = [("x-consumer", "admin"), ("x_plan", "admin"), ("x.scopes", "admin"), ("connection", "x-consumer")];
    let sent = [&claimed[..], &[("x-api-key", key.expose())]].concat();
    let known = [Some("acme-inc"), Some("gold"), Some("pets.read")];
    for (path, want) in [("/a", known), ("/open", [None; 3])] {
        assert_eq!(bench.get(path, &sent).status, 200);
        let received = bench.host.upstream.take_received().remove(0);
        let found = told.each_ref().map(|(name, _)| received.headers().get(*name).map(|value| value.to_str().unwrap()));
        assert_eq!(found, want, "{path}");
        assert!(!received.headers().values().any(|value| value == "admin"), "{:?}", received.headers());
    }
}

#[test]
fn the_configuration_selects_the_fields_that_tell_upstreams_of_clients() {
    let names = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    let ours = ["for=192.0.2.7;host=\"api.example.com\";proto=https", "192.0.2.7", "api.example.com", "https"];
    for (client_fields, told) in
        [(ClientFields::XForwarded, 1..4), (ClientFields::Forwarded, 0..1), (ClientFields::Both, 0..4)]
    {
        let bench = Bench::new(vec![route("/a", &["GET"])], ok(&[], ""));
        bench.publish_with(&GatewaySettings { client_fields, ..gateway() }, vec![route("/a", &["GET"])]);
        // What the client says of itself never passes, also in a field that is not written.
        bench.send(request("GET", "/a", &names.map(|name| (name, "for=9.9.9.9")), ""));
        let received = bench.host.upstream.take_received().remove(0);
        let found = names.map(|name| received.headers().get(name).map(|value| value.to_str().unwrap()));
        for (at, (found, ours)) in found.into_iter().zip(ours).enumerate() {
            assert_eq!(found, told.contains(&at).then_some(ours), "{client_fields:?}: {}", names[at]);
        }
    }
}

#[test]
fn an_empty_query_is_forwarded_and_what_is_left_of_a_key_is_not() {
    let bench = Bench::new(vec![route("/a", &["GET"])], ok(&[], ""));
    let key = key();
    let text = key.expose();
    for (sent, want) in [
        ("/a".to_owned(), "/base/a"),
        ("/a?".to_owned(), "/base/a?"),
        (format!("/a?{text}"), "/base/a"),
        (format!("/a?q=1&{text}"), "/base/a?q=1"),
    ] {
        bench.get(&sent, &[]);
        let received = bench.host.upstream.take_received().remove(0);
        assert_eq!(received.uri().path_and_query().unwrap().as_str(), want, "{sent}");
    }
}

#[test]
fn upstream_failures_are_problems_with_their_rfc_9209_type() {
    for (error, status, problem) in [
        (UpstreamError::ConnectionRefused, 502, "upstream-failed"),
        (UpstreamError::HttpProtocolError, 502, "upstream-failed"),
        (UpstreamError::TlsCertificateError, 502, "upstream-failed"),
        (UpstreamError::TlsAlertReceived, 502, "upstream-failed"),
        (UpstreamError::OwnCertificateMissing, 503, "secret-missing"),
        (UpstreamError::OwnCertificateUnusable, 503, "secret-missing"),
        (UpstreamError::HttpResponseTimeout, 504, "upstream-timeout"),
        (UpstreamError::ConnectionTimeout, 504, "upstream-timeout"),
        (UpstreamError::RequestContentTooLarge, 413, "content-too-large"),
        (UpstreamError::RequestContentBroken, 400, "bad-request"),
        (UpstreamError::RequestContentTimeout, 408, "content-timeout"),
        (UpstreamError::ClientGone, 499, "client-gone"),
        (UpstreamError::GatewayStopped, 503, "stopped"),
    ] {
        let bench = Bench::new(vec![route("/a", &[])], move |_| (0, Err(error)));
        let answer = bench.get("/a", &[]);
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{error:?}");
        if [502, 504].contains(&status) || problem == "secret-missing" {
            assert_eq!(answer.field("proxy-status"), format!("tollgate; error={}", error.proxy_status()));
        }
        assert!(!String::from_utf8_lossy(&answer.content).contains("pets"), "nothing internal in {answer:?}");
        assert_eq!(answer.record.calls().next().unwrap().outcome, Err(error));
    }
}

#[test]
fn content_over_the_limit_is_413_declared_or_counted() {
    let bench = Bench::new(vec![route("/a", &[])], ok(&[], ""));
    let long = "0123456789abcdefg";
    let declared = bench.send(request("POST", "/a", &[("content-length", "17")], long));
    let streamed = bench.send(request("POST", "/a", &[], long));
    assert_eq!((declared.status, streamed.status), (413, 413));
    assert_eq!((declared.problem().as_str(), streamed.problem().as_str()), ("content-too-large", "content-too-large"));
    assert!(bench.host.upstream.take_received().is_empty());
    assert_eq!(bench.send(request("POST", "/a", &[], "0123456789abcdef")).status, 200);
}

#[test]
fn configured_fields_have_their_secrets_and_a_missing_one_is_503_without_its_name() {
    let bench = Bench::new(vec![], ok(&[], "hello"));
    let mut settings = site(vec![route("/a", &[])]);
    settings.upstreams[0].fields = vec![("authorization".into(), SecretText::parse("Bearer ${secret.TOKEN}").unwrap())];
    bench.publish(&on_any_host(settings));
    let refused = bench.get("/a", &[]);
    assert_eq!((refused.status, refused.problem().as_str()), (503, "secret-missing"));
    assert!(!String::from_utf8_lossy(&refused.content).contains("TOKEN"));
    assert!(bench.host.sink.lines()[0].contains("TOKEN"), "the operator is told");
    bench.host.secrets.put("TOKEN", "s3cret");
    assert_eq!(bench.get("/a", &[("authorization", "mine")]).status, 200);
    let received = bench.host.upstream.take_received().remove(0);
    assert_eq!(received.headers().get_all("authorization").iter().collect::<Vec<_>>(), ["Bearer s3cret"]);
    assert!(bench.host.sink.lines().iter().all(|line| !line.contains("s3cret")));
}

#[test]
fn a_wall_clock_that_steps_back_does_not_extend_the_use_of_a_replaced_secret() {
    let bench = Bench::new(vec![], ok(&[], "hello"));
    let mut settings = site(vec![route("/a", &[])]);
    settings.upstreams[0].fields = vec![("x-token".into(), SecretText::parse("${secret.TOKEN}").unwrap())];
    bench.publish(&on_any_host(settings));
    let sent = || {
        assert_eq!(bench.get("/a", &[]).status, 200);
        bench.host.upstream.take_received().remove(0).headers()["x-token"].to_str().unwrap().to_owned()
    };
    bench.host.secrets.put("TOKEN", "old");
    assert_eq!(sent(), "old");
    bench.host.secrets.put("TOKEN", "new");
    bench.host.clock.step_back(3_600_000);
    assert_eq!(sent(), "old", "remembered");
    bench.host.clock.advance(60_000);
    assert_eq!(sent(), "new", "asked again");
}

#[test]
fn a_response_of_any_status_passes_through() {
    let bench = Bench::new(vec![route("/a", &[])], |_| (0, Ok(answer(418, &[("x-tea", "pot")], "short and stout"))));
    let got = bench.get("/a", &[]);
    assert_eq!((got.status, got.field("x-tea"), &got.content[..]), (418, "pot", &b"short and stout"[..]));
}

#[test]
fn a_trace_state_that_connection_names_goes_no_further() {
    let bench = Bench::new(vec![route("/x", &["GET"])], ok(&[], ""));
    let parent = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    for connection in ["close", "tracestate"] {
        bench.get("/x", &[("connection", connection), ("tracestate", "a=b"), parent]);
    }
    let received = bench.host.upstream.take_received();
    let states: Vec<bool> = received.iter().map(|request| request.headers().contains_key("tracestate")).collect();
    assert_eq!(states, [true, false]);
}

#[track_caller]
fn check_refused(status: u16, fields: &'static [(&'static str, &'static str)], error: UpstreamError) {
    let bench = Bench::new(vec![route("/a", &[])], move |_| (0, Ok(answer(status, fields, "hello"))));
    let got = bench.get("/a", &[]);
    assert_eq!((got.status, got.problem().as_str()), (502, "upstream-failed"), "{status} {fields:?}");
    assert_eq!(got.record.calls().next().unwrap().outcome, Err(error));
    assert!(String::from_utf8_lossy(&got.content).contains(&error.to_string()[1..]), "{got:?}");
}

#[test]
fn a_response_that_cannot_be_forwarded_is_502_with_the_true_reason() {
    check_refused(101, &[("upgrade", "h2c")], UpstreamError::HttpResponseStatus);
    check_refused(600, &[], UpstreamError::HttpResponseStatus);
    check_refused(200, &[("transfer-encoding", "gzip, chunked")], UpstreamError::HttpResponseTransferCoding);
    check_refused(200, &[("content-length", "5"), ("content-length", "6")], UpstreamError::HttpResponseLength);
    check_refused(200, &[("content-length", "+5")], UpstreamError::HttpResponseLength);
}

#[test]
fn a_length_beside_a_transfer_coding_goes_no_further_in_either_direction() {
    let framed = ok(&[("content-length", "9"), ("transfer-encoding", "chunked")], "hello");
    let bench = Bench::new(vec![route("/a", &[])], framed);
    let got = bench.send(request("POST", "/a", &[("content-length", "99"), ("transfer-encoding", "chunked")], "ping"));
    assert_eq!((got.status, got.field("content-length")), (200, ""));
    let received = bench.host.upstream.take_received().remove(0);
    assert_eq!((received.headers().get("content-length"), &received.body().bytes()[..]), (None, &b"ping"[..]));
}

#[test]
fn several_lines_of_cookies_are_one_field() {
    let bench = Bench::new(vec![route("/a", &[])], ok(&[], ""));
    let crumbs = vec![("cookie", "a=1"); 150];
    assert_eq!(bench.get("/a", &crumbs).status, 200, "they do not count as fields");
    let received = bench.host.upstream.take_received().remove(0);
    let lines: Vec<_> = received.headers().get_all("cookie").iter().collect();
    assert_eq!(lines, [["a=1"; 150].join("; ").as_str()]);
}

#[test]
fn no_spelling_of_a_configured_field_passes() {
    let bench = Bench::new(vec![], ok(&[], ""));
    let mut settings = site(vec![route("/a", &[])]);
    settings.upstreams[0].fields = vec![("x-service-token".into(), SecretText::parse("t").unwrap())];
    bench.publish(&on_any_host(settings));
    let sent = [("x_service_token", "1"), ("x.service-token", "1"), ("x-service-token", "1"), ("x_service", "kept")];
    assert_eq!(bench.get("/a", &sent).status, 200);
    let received = bench.host.upstream.take_received().remove(0);
    let names: Vec<&str> = received.headers().keys().map(http::HeaderName::as_str).collect();
    assert!(names.iter().filter(|name| name.ends_with("token")).eq(&["x-service-token"]), "{names:?}");
    assert_eq!((received.headers()["x-service-token"].as_bytes(), names.contains(&"x_service")), (&b"t"[..], true));
}

#[test]
fn a_field_that_servers_read_as_another_selects_nothing_and_its_response_is_for_nobody_else() {
    let mut cached = route("/a", &[]);
    cached.cache =
        Some(CacheSettings { ttl_ms: None, vary: vec![], credentials: CacheCredentials::Never, key_query: None });
    let version = Predicate { of: Subject::Header("x-version".into()), test: Test::Present };
    let selected = RouteSettings { when: vec![version], id: "v2".into(), ..cached.clone() };
    let upstream = |request: &http::Request<Content>| {
        let is_french = ["accept-language", "accept_language"].iter().any(|name| request.headers().contains_key(*name));
        let language = if is_french { "fr" } else { "en" };
        (0, Ok(answer(200, &[("cache-control", "max-age=60"), ("vary", "Accept-Language")], language)))
    };
    let bench = Bench::new(vec![cached, selected], upstream);
    let poison = bench.get("/a", &[("accept_language", "fr")]);
    assert_eq!((poison.field("cache-status"), &poison.content[..]), ("tollgate; fwd=bypass", &b"fr"[..]));
    assert_eq!(&bench.get("/a", &[]).content[..], b"en");
    assert_eq!(bench.get("/a", &[("accept_language", "fr")]).content, poison.content, "it is no hit for them either");
    bench.host.upstream.take_received();
    bench.get("/a", &[("x_version", "2"), ("cookie", "a=b")]);
    bench.get("/a", &[("x-version", "2"), ("connection", "x-version"), ("cookie", "a=b")]);
    let received = bench.host.upstream.take_received();
    let versions = |at: usize| ["x-version", "x_version"].map(|name| received[at].headers().contains_key(name));
    assert_eq!([versions(0), versions(1)], [[false, false], [true, false]]);
}

#[test]
fn options_is_forwarded_as_far_as_its_client_says() {
    let bench = Bench::new(vec![route("/a", &["GET", "OPTIONS"])], ok(&[], ""));
    let ask = |method: &str, hops: &str| bench.send(request(method, "/a", &[("max-forwards", hops)], ""));
    let last = ask("OPTIONS", "0");
    assert_eq!((last.status, last.field("allow"), bench.host.upstream.take_received().len()), (204, "GET, OPTIONS", 0));
    for (method, hops, sent) in [("OPTIONS", "2", "1"), ("OPTIONS", "many", "many"), ("GET", "0", "0")] {
        assert_eq!(ask(method, hops).status, 200);
        assert_eq!(bench.host.upstream.take_received()[0].headers()["max-forwards"], sent, "{method} {hops}");
    }
}
