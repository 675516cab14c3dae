//! The client of a request behind trusted proxies: the same one for filters, limits, fields, telemetry and the audit.

use std::num::NonZeroU8;
use std::rc::Rc;

use tollgate_core::client::{Location, LocationFields, ProxyField, ProxySettings, TrustedProxies};
use tollgate_core::forward::ClientFields;
use tollgate_core::operator::Role;
use tollgate_core::settings::{GatewaySettings, RouteSettings};
use tollgate_core::telemetry::{OtlpSettings, TelemetrySettings};
use tollgate_edge::operator::serve_operator;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, OperatorSettings};

use crate::bench::{BY_ADDRESS, Bench, IN_GERMANY, OFFICE, gateway, ok, request, route};

const PROXY: &str = "10.0.0.1";

/// A gateway that trusts the proxies in 10.0.0.0/8, with a route that admits 192.0.2.0/24 and counts three a minute.
fn bench(field: ProxyField) -> Bench {
    let bench = Bench::new(vec![], ok(&[], ""));
    let network = "10.0.0.0/8".parse().unwrap();
    let proxies = Some(ProxySettings {
        trusted: TrustedProxies::Networks(vec![network].into()),
        field,
        location: LocationFields::default(),
    });
    let otlp = OtlpSettings { endpoint: "http://collector:4318".parse().unwrap(), fields: vec![], interval_ms: 1 };
    let telemetry = TelemetrySettings { log: true, otlp: Some(otlp), usage: None };
    let guarded = RouteSettings { guard: vec![OFFICE], guard_limit: vec![BY_ADDRESS], ..route("/office", &["GET"]) };
    let limited = RouteSettings { limit: vec![BY_ADDRESS], ..route("/limited", &["GET"]) };
    let settings = GatewaySettings { proxies, telemetry, client_fields: ClientFields::Both, ..gateway() };
    bench.publish_with(&settings, vec![guarded, limited, route("/open", &["GET"])]);
    bench
}

fn forwarded(target: &str, addresses: &str) -> http::Request<tollgate_edge::memory::Content> {
    request("GET", target, &[("x-forwarded-for", addresses)], "")
}

#[test]
fn filters_and_limits_use_the_client_that_a_trusted_proxy_names() {
    let bench = bench(ProxyField::XForwardedFor);
    let status = |peer: &str, addresses: &str| bench.send_at(peer, forwarded("/office", addresses)).status;
    assert_eq!(status(PROXY, "198.51.100.1"), 403);
    assert_eq!([1, 2, 3, 4].map(|_| status(PROXY, "192.0.2.9")), [200, 200, 200, 429]);
    assert_eq!(status(PROXY, "192.0.2.10, 10.0.0.2"), 200, "another client behind the same proxy has its own quota");
    assert_eq!(status(PROXY, "192.0.2.11, 192.0.2.9"), 429, "a client cannot choose another address");
    assert_eq!(status("198.51.100.1", "192.0.2.12"), 403, "nobody else is believed");
    assert_eq!(status(PROXY, "192.0.2.13, unknown"), 403, "an unknown client is in no network");
    assert_eq!(status(PROXY, "192.0.2.13, 10.1.2"), 403);
}

#[test]
fn clients_that_are_not_known_share_one_quota_and_it_is_not_that_of_the_proxy() {
    let bench = bench(ProxyField::Forwarded);
    let status = |value: &str| {
        let request = request("GET", "/limited", &[("forwarded", value), ("x-forwarded-for", "192.0.2.99")], "");
        bench.send_at(PROXY, request).status
    };
    assert_eq!(["for=_a", "for=\"x, for=192.0.2.1", "for=unknown", "by=a"].map(status), [200, 200, 200, 429]);
    assert_eq!(status(""), 200, "a request of the proxy itself");
    assert_eq!(status("for=192.0.2.1"), 200);
}

#[test]
fn where_the_client_is_is_known_of_the_peer_only() {
    let bench = bench(ProxyField::XForwardedFor);
    let here = RouteSettings { authz: vec![IN_GERMANY], ..route("/here", &["GET"]) };
    let network = "10.0.0.0/8".parse().unwrap();
    let rule = ProxySettings {
        trusted: TrustedProxies::Networks(vec![network].into()),
        field: ProxyField::XForwardedFor,
        location: LocationFields { country: Some("x-country".into()), asn: None },
    };
    bench.publish_with(&GatewaySettings { proxies: Some(rule), ..gateway() }, vec![here]);
    let send = |peer: &str, fields: &[(&str, &str)]| {
        let answer = bench.send_at(peer, request("GET", "/here", fields, ""));
        (answer.status, answer.problem())
    };
    let refused = || (403, "not-authorized".to_owned());
    assert_eq!(send("192.0.2.1", &[]), refused(), "not known");
    bench.host.location.set(Location::new("FR", "1"));
    assert_eq!(send("192.0.2.1", &[]), refused());
    bench.host.location.set(Location::new("DE", "1"));
    assert_eq!(send("192.0.2.1", &[]).0, 200);
    assert_eq!(send("192.0.2.1", &[("x-forwarded-for", "192.0.2.9"), ("cf-ipcountry", "FR")]).0, 200);
    assert_eq!(
        send(PROXY, &[("x-forwarded-for", "192.0.2.9")]),
        refused(),
        "the proxy is there, its client may be elsewhere"
    );
    let told = |peer: &str, country: &str| send(peer, &[("x-forwarded-for", "192.0.2.9"), ("x-country", country)]);
    assert_eq!((told(PROXY, "DE").0, told(PROXY, "FR")), (200, refused()), "the proxy says where its client is");
    bench.host.location.set(Location::default());
    assert_eq!(told("198.51.100.1", "DE"), refused(), "nobody else is believed");
}

#[test]
fn an_https_url_needs_a_connection_of_the_client_that_is_encrypted() {
    let bench = bench(ProxyField::XForwardedFor);
    let status = |peer: &str, https: bool, target: &str, scheme: &str| {
        let client = Client { address: Some(peer.parse().unwrap()), https, inside: false };
        let fields = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-proto", scheme)];
        let answer = bench.send_by(client, request("GET", target, &fields, ""));
        (answer.status, answer.fields.contains_key("x-request-id"))
    };
    let url = "https://api.example.com/open";
    assert_eq!(status("192.0.2.1", true, url, "http"), (200, true));
    assert_eq!(status("192.0.2.1", false, url, "https"), (421, true), "nobody else is believed");
    assert_eq!(status(PROXY, false, url, "https"), (200, true));
    assert_eq!(status(PROXY, true, url, "http"), (421, true));
    assert_eq!(status("192.0.2.1", true, "http://api.example.com/open", ""), (200, true));
}

#[test]
fn the_upstream_gets_the_hops_that_are_believed() {
    let bench = bench(ProxyField::XForwardedFor);
    let claims = [
        ("x-forwarded-for", "9.9.9.9, 192.0.2.9, 10.0.0.2"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "www.example.com"),
        ("forwarded", "for=9.9.9.9"),
        ("x-real-ip", "9.9.9.9"),
    ];
    bench.send_at(PROXY, request("GET", "/open", &claims, ""));
    let received = bench.host.upstream.take_received().remove(0);
    let field = |name| received.headers().get(name).map_or("", |value| value.to_str().unwrap());
    assert_eq!(field("x-forwarded-for"), "192.0.2.9, 10.0.0.2, 10.0.0.1");
    assert_eq!((field("x-forwarded-proto"), field("x-forwarded-host")), ("http", "www.example.com"));
    assert_eq!(
        field("forwarded"),
        "for=192.0.2.9;host=\"www.example.com\";proto=http, for=10.0.0.2, \
         for=10.0.0.1;host=\"api.example.com\";proto=https"
    );
    assert_eq!(field("x-real-ip"), "");
}

#[test]
fn spans_have_the_client_and_logs_and_metrics_do_not() {
    let bench = bench(ProxyField::XForwardedFor);
    let claims = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-proto", "http"), ("x-forwarded-host", "w.test:8080")];
    let answer = bench.send_at(PROXY, request("GET", "/open", &claims, ""));
    assert_eq!(answer.record.client.address, Some("192.0.2.9".parse().unwrap()));
    let posts = bench.host.sink.posts();
    let sent = |path: &str| {
        let (_, content) = posts.iter().find(|(uri, _)| uri.path() == path).unwrap();
        String::from_utf8(content.to_vec()).unwrap()
    };
    let traces = sent("/v1/traces");
    for (key, value) in [
        ("client.address", r#"{"stringValue":"192.0.2.9"}"#),
        ("url.scheme", r#"{"stringValue":"http"}"#),
        ("server.address", r#"{"stringValue":"w.test"}"#),
        ("server.port", r#"{"intValue":"8080"}"#),
        ("network.protocol.version", r#"{"stringValue":"1.1"}"#),
        ("server.address", r#"{"stringValue":"pets.internal"}"#),
    ] {
        let attribute = format!(r#"{{"key":"{key}","value":{value}}}"#);
        assert!(traces.contains(&attribute), "{attribute} in {traces}");
    }
    for text in [sent("/v1/metrics"), bench.host.sink.lines().concat(), bench.host.sink.metrics().to_prometheus()] {
        assert!(!text.contains("192.0.2.9") && !text.contains("w.test") && !text.contains(PROXY), "{text}");
    }
    let missing = bench.send_at(PROXY, forwarded("/nothing", "192.0.2.9"));
    assert_eq!((missing.status, missing.record.client.address), (404, Some("192.0.2.9".parse().unwrap())));
}

#[test]
fn the_audit_names_the_client_behind_the_proxy() {
    let mut bench = bench(ProxyField::XForwardedFor);
    bench.host.secrets.put(Role::Read.secret_name(), format!("ci:{}", "0".repeat(40)));
    let settings = IsolateSettings { gateway: "acme".into(), freshness: Freshness::Cached };
    let operator = OperatorSettings { answers: true, ..OperatorSettings::default() };
    bench.isolate = Rc::new(Isolate::new(settings).with_operator(operator));
    // The first request of the isolate: the rule is read for it.
    assert_eq!(bench.send_at(PROXY, forwarded("/.tollgate/v1/metrics", "192.0.2.9")).status, 401);
    let line = bench.host.sink.lines().into_iter().find(|line| line.contains("\"audit\"")).unwrap();
    assert!(line.contains("\"192.0.2.9\"") && !line.contains(PROXY), "{line}");
}

/// The address in the audit of a request without a token at the listener for operators.
fn audited(trusted: TrustedProxies) -> String {
    let bench = Bench::new(vec![], ok(&[], ""));
    let proxies =
        Some(ProxySettings { trusted, field: ProxyField::XForwardedFor, location: LocationFields::default() });
    bench.publish_with(&GatewaySettings { proxies, ..gateway() }, vec![]);
    bench.host.secrets.put(Role::Read.secret_name(), format!("ci:{}", "0".repeat(40)));
    let answered = serve_operator(
        &bench.isolate,
        &bench.host,
        forwarded("/.tollgate/v1/metrics", "192.0.2.9"),
        PROXY.parse().ok(),
    );
    assert_eq!(bench.host.clock.drive(answered).unwrap().status(), 401);
    let line = bench.host.sink.lines().into_iter().find(|line| line.contains("\"audit\"")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    line["address"].as_str().unwrap().to_owned()
}

#[test]
fn at_the_listener_of_operators_only_proxies_with_known_addresses_are_believed() {
    let network = "10.0.0.0/8".parse().unwrap();
    assert_eq!(audited(TrustedProxies::Networks(vec![network].into())), "192.0.2.9");
    assert_eq!(audited(TrustedProxies::Count(NonZeroU8::MIN)), PROXY);
}
