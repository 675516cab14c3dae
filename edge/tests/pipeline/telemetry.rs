use std::cell::OnceCell;
use std::rc::Rc;

use futures_executor::LocalPool;
use futures_util::task::LocalSpawnExt;
use tollgate_core::secret::SecretText;
use tollgate_core::settings::GatewaySettings;
use tollgate_core::telemetry::{OtlpSettings, TelemetrySettings};
use tollgate_edge::memory::VirtualClock;
use tollgate_edge::{Client, Freshness, serve};
use tollgate_kv_schemas::Bundle;

use crate::bench::{Bench, gateway, ok, on_any_host, request, route, site};

const SERIES: &str = "route_id=\"api./a\",http_route=\"/a\",http_request_method=\"GET\",\
                      http_response_status_code=\"200\",url_scheme=\"https\"";

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn one_line_per_exchange_with_the_template_and_no_query() {
    let bench = Bench::new(vec![route("/pets/{id}", &["GET"])], ok(&[], "hello"));
    let answer = bench.get("/pets/secret-cat?token=hunter2", &[]);
    let lines = bench.host.sink.lines();
    assert_eq!(lines.len(), 1);
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        (&line["route"], &line["status"], &line["content_bytes"]),
        (&"/pets/{id}".into(), &200.into(), &5.into())
    );
    assert_eq!(line["request_id"], answer.field("x-request-id"));
    for secret in ["hunter2", "secret-cat", "192.0.2.7"] {
        assert!(!lines[0].contains(secret), "{}", lines[0]);
    }
}

#[test]
fn the_clients_trace_continues_in_the_call_to_the_upstream() {
    let bench = Bench::new(vec![route("/a", &["GET"])], ok(&[], ""));
    let answer = bench.get("/a", &[("traceparent", PARENT), ("tracestate", "x=y")]);
    let received = bench.host.upstream.take_received().remove(0);
    let passed_on = received.headers()["traceparent"].to_str().unwrap().to_owned();
    let span = tollgate_core::hex::encode(&answer.record.calls().next().unwrap().span);
    assert_eq!(passed_on, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{span}-01"));
    assert_eq!(received.headers()["tracestate"], "x=y");
}

#[test]
fn metrics_count_by_route_method_and_status() {
    let bench = Bench::new(vec![route("/a", &["GET"])], ok(&[], ""));
    bench.get("/a", &[]);
    bench.get("/a", &[]);
    bench.get("/nothing", &[]);
    let text = bench.host.sink.metrics().to_prometheus();
    let series = SERIES;
    assert!(text.contains(&format!("http_server_request_duration_seconds_count{{{series}}} 2")), "{text}");
    assert!(text.contains("tollgate_refusals_total{route_id=\"none\",policy=\"none\",problem=\"route-not-found\"} 1"));
}

#[test]
fn an_exchange_of_a_fraction_of_a_millisecond_is_recorded_as_one() {
    let clock: Rc<OnceCell<VirtualClock>> = Rc::default();
    let (passing, answer) = (Rc::clone(&clock), ok(&[], ""));
    let bench = Bench::new(vec![route("/a", &["GET"])], move |request| {
        passing.get().unwrap().advance_micros(300);
        answer(request)
    });
    clock.set(bench.host.clock.clone()).unwrap();
    bench.get("/a", &[]);
    // A correction of the wall clock does not change a duration.
    bench.host.clock.step_back(3_600_000);
    bench.get("/a", &[]);
    for line in bench.host.sink.lines() {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["duration_ms"], &line["upstream"][0]["duration_ms"]), (&0.3.into(), &0.3.into()));
    }
    let text = bench.host.sink.metrics().to_prometheus();
    let series = SERIES;
    for end in [format!("_sum{{{series}}} 0.0006"), format!("_bucket{{{series},le=\"0.0005\"}} 2")] {
        assert!(text.contains(&format!("http_server_request_duration_seconds{end}\n")), "{text}");
    }
}

#[test]
fn a_failed_export_is_logged_with_the_members_of_every_line() {
    let bench = Bench::new(vec![], ok(&[], ""));
    let fields = vec![("authorization".into(), SecretText::parse("${secret.NOWHERE}").unwrap())];
    let otlp = OtlpSettings { endpoint: "http://collector:4318".parse().unwrap(), fields, interval_ms: 1 };
    let telemetry = TelemetrySettings { log: false, otlp: Some(otlp), usage: None };
    let settings = GatewaySettings { telemetry, ..gateway() };
    bench.publish_with(&settings, vec![route("/a", &["GET"])]);
    bench.get("/a", &[]);
    let lines = bench.host.sink.lines();
    let line: serde_json::Value = serde_json::from_str(lines.first().unwrap()).unwrap();
    assert_eq!(
        (&line["level"], &line["event"], &line["gateway"]),
        (&"warn".into(), &"export-failed".into(), &"acme".into())
    );
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("authorization")), "{line}");
}

/// A gateway that exports to this collector every second.
fn exporting_to(collector: &str) -> GatewaySettings {
    let otlp = OtlpSettings { endpoint: collector.parse().unwrap(), fields: vec![], interval_ms: 1_000 };
    GatewaySettings { telemetry: TelemetrySettings { log: false, otlp: Some(otlp), usage: None }, ..gateway() }
}

/// Starts an exchange and the work after its reply.
fn start_exchange(bench: &Bench, pool: &LocalPool) {
    let (isolate, host) = (Rc::clone(&bench.isolate), bench.host.clone());
    let task = async move {
        let client = Client { address: None, https: false, inside: false };
        let served = serve(&isolate, &host, request("GET", "/a", &[], ""), client).await;
        served.after.await;
    };
    pool.spawner().spawn_local(task).unwrap();
}

#[test]
fn a_new_collector_does_not_wait_for_the_attempts_to_reach_the_previous_one() {
    let bench = Bench::with_freshness(Freshness::EachRequest, vec![], ok(&[], ""));
    let mut pool = LocalPool::new();
    bench.publish_with(&exporting_to("http://gone:4318"), vec![route("/a", &["GET"])]);
    bench.host.sink.fault.set(true);
    start_exchange(&bench, &pool);
    pool.run_until_stalled();
    bench.host.clock.advance(1_000);
    pool.run_until_stalled();
    bench.publish_with(&exporting_to("http://collector:4318"), vec![route("/a", &["GET"])]);
    bench.host.sink.fault.set(false);
    start_exchange(&bench, &pool);
    pool.run_until_stalled();
    bench.host.clock.advance(1_000);
    pool.run_until_stalled();
    let posts = bench.host.sink.posts();
    let asked: Vec<String> = posts.iter().map(|(uri, _)| uri.to_string()).collect();
    assert!(asked.contains(&"http://collector:4318/v1/traces".to_owned()), "{asked:?}");
}

#[test]
fn exchanges_are_exported_in_one_batch_after_the_interval() {
    let bench = Bench::new(vec![], ok(&[], ""));
    let settings = exporting_to("http://collector:4318");
    let sites = on_any_host(site(vec![route("/a", &["GET"])]));
    bench.host.records.publish(&Bundle::new(&settings, &sites));
    let mut pool = LocalPool::new();
    for _ in 0..3 {
        start_exchange(&bench, &pool);
    }
    pool.run_until_stalled();
    assert!(bench.host.sink.posts().is_empty(), "gathered first");
    bench.host.clock.advance(1_000);
    pool.run_until_stalled();
    let posts = bench.host.sink.posts();
    let paths: Vec<&str> = posts.iter().map(|(uri, _)| uri.path()).collect();
    assert_eq!(paths, ["/v1/traces", "/v1/metrics"]);
    let traces: serde_json::Value = serde_json::from_slice(&posts[0].1).unwrap();
    let spans = traces["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 6, "a server span and a client span each");
    assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
}
