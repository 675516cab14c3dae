//! The admin listener.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tollgate_core::cache::Purges;
use tollgate_core::operator::Role;
use tollgate_core::secret::Secret;
use tollgate_kv_schemas::decode;
use tollgate_native::SecretSource;

use crate::running::{Running, TIMEOUT, head, plain_upstream, rest, send, until, upstream};

async fn ask(server: &Running, line: &str, fields: &str, content: &str) -> String {
    let host = if fields.contains("host:") { "" } else { "host: localhost\r\n" };
    let length = content.len();
    let request =
        format!("{line} HTTP/1.1\r\n{host}{fields}connection: close\r\ncontent-length: {length}\r\n\r\n{content}");
    send(server.admin, request).await
}

#[track_caller]
fn check(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status} was expected: {answer}");
}

#[tokio::test]
async fn health_is_immediate_and_readiness_needs_a_bundle() {
    let server = Running::start().await;
    check(&ask(&server, "GET /healthz", "", "").await, 200);
    check(&ask(&server, "GET /readyz", "", "").await, 503);
    server.publish(&plain_upstream().await, json!({}));
    check(&ask(&server, "GET /readyz", "", "").await, 200);
    check(&ask(&server, "POST /readyz", "", "").await, 405);
    check(&ask(&server, "GET /", "", "").await, 404);
}

#[tokio::test]
async fn nothing_behind_chunked_content_is_a_request() {
    let server = Running::start().await;
    for path in ["/healthz", "/.tollgate/v1/keys"] {
        for trailers in ["", "x: 1\n\r\nGET / HTTP/1.1\r\n"] {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{trailers}\r\n"
            );
            let answers =
                send(server.admin, format!("{request}GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{path} {trailers:?}: {answers}");
            assert!(answers.contains("\r\nconnection: close\r\n"), "{path}: {answers}");
        }
    }
}

#[tokio::test]
async fn metrics_count_exchanges_of_every_isolate() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    for _ in 0..7 {
        check(&server.get("/api/x").await, 200);
    }
    server.log.wait_for(7).await;
    let metrics = ask(&server, "GET /metrics", "", "").await;
    assert!(metrics.contains("http_server_request_duration_seconds_count"), "{metrics}");
    let count = metrics.lines().find(|l| l.starts_with("http_server_request_duration_seconds_count")).unwrap();
    assert!(count.contains("api.all") && count.ends_with(" 7"), "{count}");
    assert!(metrics.contains("tollgate_response_cache_entries 0"), "{metrics}");
}

#[tokio::test]
async fn head_is_answered_as_get_without_content() {
    let server = with_tokens().await;
    server.publish(&plain_upstream().await, json!({}));
    let token = with_token(Role::Read);
    for (path, fields) in [("/healthz", ""), ("/readyz", ""), ("/metrics", &token), ("/.tollgate/v1/metrics", &token)] {
        let got = ask(&server, &format!("GET {path}"), fields, "").await;
        let headed = ask(&server, &format!("HEAD {path}"), fields, "").await;
        check(&headed, 200);
        let (got, _) = got.split_once("\r\n\r\n").unwrap();
        let (headed, content) = headed.split_once("\r\n\r\n").unwrap();
        assert_eq!(content, "", "{path}");
        let type_of = |head: &str| head.lines().find(|line| line.starts_with("content-type")).map(str::to_owned);
        assert_eq!(type_of(headed), type_of(got), "{path}");
    }
}

/// Whether promtool has nothing to say about metrics; `None` if it is not installed.
fn promtool(metrics: &str) -> Option<Result<(), String>> {
    let command = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut command = command.ok()?;
    command.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = command.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let is_fine = output.status.success() && said.is_empty();
    Some(if is_fine { Ok(()) } else { Err(String::from_utf8_lossy(&said).into_owned()) })
}

#[tokio::test]
async fn metrics_have_the_form_that_prometheus_checks() {
    assert_ne!(promtool("tollgate_counter_partitions 1\n"), Some(Ok(())), "a name without help, with a type in it");
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    for target in ["/api/x", "/api/x?b", "/nothing"] {
        server.get(target).await;
    }
    server.log.wait_for(3).await;
    let answer = ask(&server, "GET /metrics", "", "").await;
    let (_, metrics) = answer.split_once("\r\n\r\n").unwrap();
    assert!(metrics.contains("tollgate_limit_partitions") && metrics.contains("tollgate_refusals_total{"), "{metrics}");
    match promtool(metrics) {
        Some(checked) => assert_eq!(checked, Ok(()), "{metrics}"),
        None => eprintln!("promtool is not installed, so this test has only read the metrics"),
    }
}

const PURGES: &str = "POST /.tollgate/v1/purges";
const METRICS: &str = "GET /.tollgate/v1/metrics";

/// A server with a token for each role: the role followed by 32 zeros.
async fn with_tokens() -> Running {
    Running::with(|settings| {
        let bound = Role::ALL.map(|role| (role.secret_name().to_owned(), Secret::new(token(role))));
        settings.secrets = SecretSource::Given(bound.into());
    })
    .await
}

fn token(role: Role) -> String {
    format!("{}{}", role.as_str(), "0".repeat(32))
}

fn with_token(role: Role) -> String {
    format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", token(role))
}

#[tokio::test]
async fn web_pages_and_rebound_names_are_refused() {
    let server = with_tokens().await;
    let fields = with_token(Role::Purge);
    let all = r#"{"all":true}"#;
    check(&ask(&server, PURGES, &format!("{fields}origin: http://evil.example\r\n"), all).await, 403);
    check(&ask(&server, PURGES, &format!("{fields}sec-fetch-site: cross-site\r\n"), all).await, 403);
    check(&ask(&server, "GET /metrics", "host: rebound.example\r\n", "").await, 421);
    check(&ask(&server, PURGES, &fields, all).await, 200);
}

/// How often an answer contains its request id: in the field and in the problem.
fn request_ids(answer: &str) -> usize {
    let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("a request id");
    answer.matches(id).count()
}

#[tokio::test]
async fn metrics_require_a_token_if_one_is_bound_and_health_does_not() {
    let open = Running::start().await;
    check(&ask(&open, "GET /metrics", "", "").await, 200);
    let off = ask(&open, METRICS, "", "").await;
    check(&off, 404);
    assert_eq!(request_ids(&off), 2, "{off}");
    let server = with_tokens().await;
    let refused = ask(&server, "GET /metrics", "", "").await;
    check(&refused, 401);
    assert_eq!(request_ids(&refused), 2, "{refused}");
    check(&ask(&server, "GET /metrics", "authorization: Bearer read\r\n", "").await, 401);
    check(&ask(&server, "GET /metrics", &with_token(Role::Purge), "").await, 403);
    check(&ask(&server, "GET /metrics", &with_token(Role::Read), "").await, 200);
    let answer = ask(&server, METRICS, &with_token(Role::Operate), "").await;
    check(&answer, 200);
    assert!(answer.contains(r#""scope":"process""#), "{answer}");
    check(&ask(&server, "GET /healthz", "", "").await, 200);
}

#[tokio::test]
async fn refused_requests_for_metrics_are_logged_and_limited_as_refused_calls() {
    let server = with_tokens().await;
    check(&ask(&server, "GET /metrics", &with_token(Role::Read), "").await, 200);
    check(&ask(&server, "GET /metrics", &with_token(Role::Purge), "").await, 403);
    let wrong = format!("authorization: Bearer {}\r\n", "w".repeat(32));
    for _ in 0..20 {
        check(&ask(&server, "GET /metrics", &wrong, "").await, 401);
    }
    for line in ["GET /metrics", METRICS] {
        let answer = ask(&server, line, &wrong, "").await;
        check(&answer, 429);
        assert!(answer.contains("retry-after: "), "{answer}");
    }
    check(&ask(&server, "GET /metrics", &with_token(Role::Read), "").await, 200);
    let audit: Vec<Value> =
        server.log.wait_for(21).await.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(audit.len(), 21, "the role that does not allow it, and 20 wrong tokens: {audit:?}");
    assert_eq!((&audit[0]["action"], &audit[0]["role"]), (&json!("metrics.read"), &json!("purge")));
    assert_eq!((&audit[1]["action"], &audit[1]["address"]), (&json!("unknown"), &json!("127.0.0.1")));
}

#[tokio::test]
async fn clients_reach_the_endpoint_only_if_it_is_enabled_for_them() {
    let asked = |role| format!("{METRICS} HTTP/1.1\r\nhost: h\r\n{}connection: close\r\n\r\n", with_token(role));
    let server = with_tokens().await;
    server.publish(&plain_upstream().await, json!({"path": "/{rest...}"}));
    check(&server.send(asked(Role::Read)).await, 404);
    let public = Running::with(|settings| {
        let bound = [(Role::Read.secret_name().to_owned(), Secret::new(token(Role::Read)))];
        settings.secrets = SecretSource::Given(bound.into());
        settings.operator.answers = true;
    })
    .await;
    check(&public.send(asked(Role::Read)).await, 200);
    check(&public.send(asked(Role::Operate)).await, 401);
}

/// A request for a purge, of which `content` has come so far.
fn purge_of(key: &str, content: &str) -> String {
    let length = format!(r#"{{"key":"{key}"}}"#).len();
    let fields = with_token(Role::Purge);
    format!("{PURGES} HTTP/1.1\r\nhost: localhost\r\n{fields}content-length: {length}\r\n\r\n{content}")
}

#[tokio::test]
async fn a_call_that_is_executed_is_audited_even_if_its_client_hangs_up() {
    let server = with_tokens().await;
    for number in 0..40 {
        let key = format!("{number:064x}");
        let mut stream = TcpStream::connect(server.admin).await.unwrap();
        stream.write_all(purge_of(&key, &format!(r#"{{"key":"{key}"}}"#)).as_bytes()).await.unwrap();
        // Some hang up before the call is read: those are not executed.
        tokio::time::sleep(Duration::from_micros(100 * number)).await;
    }
    let last = format!(r#"{{"key":"{}"}}"#, "ff".repeat(32));
    check(&ask(&server, PURGES, &with_token(Role::Purge), &last).await, 200);
    let record: Purges = decode(&server.records.read("test:purges").unwrap().unwrap()).unwrap();
    assert!(record.as_slice().len() > 1, "none was executed");
    let log = server.log.wait_for(record.as_slice().len()).await.join("\n");
    for key in record.as_slice().iter().filter_map(|purge| purge.resource.as_ref()) {
        assert!(log.contains(key.as_str()), "{key:?} is not in the audit: {log}");
    }
}

#[tokio::test]
async fn a_call_whose_content_does_not_arrive_is_told_so() {
    let server = with_tokens().await;
    let mut stream = TcpStream::connect(server.admin).await.unwrap();
    stream.write_all(purge_of("k", "{").as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("content-timeout"), "{answer}");
}

#[tokio::test]
async fn a_call_that_has_started_is_finished_before_the_server_stops() {
    let server = with_tokens().await;
    let key = "ab".repeat(32);
    let mut stream = TcpStream::connect(server.admin).await.unwrap();
    stream.write_all(purge_of(&key, "").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (ended, log) = server.stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    stream.write_all(format!(r#"{{"key":"{key}"}}"#).as_bytes()).await.unwrap();
    check(&until(&mut stream, "\r\n\r\n").await, 200);
    tokio::time::timeout(TIMEOUT, ended).await.unwrap().unwrap().unwrap();
    assert!(log.all().iter().any(|line| line.contains(&key)), "{:?}", log.all());
}

#[tokio::test]
async fn a_purged_url_is_fetched_again_by_every_isolate() {
    let server = with_tokens().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let counted = upstream(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            while head(&mut stream).await.is_some() {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await;
    server.publish(&counted, json!({"cache": {"ttl_ms": 600_000, "credentials": "never"}}));
    check(&server.get("/api/x?a=1").await, 200);
    server.log.wait_for(1).await;
    for _ in 0..8 {
        assert!(server.get("/api/x?a=1").await.ends_with("\r\n\r\n0"));
    }
    let purge = |url: &str| format!(r#"{{"url":"{url}"}}"#);
    let fields = with_token(Role::Purge);
    check(&ask(&server, PURGES, &fields, &purge("http://h/elsewhere")).await, 404);
    let answer = ask(&server, PURGES, &fields, &purge("http://h/api/x?a=1")).await;
    check(&answer, 200);
    let body: Value = serde_json::from_str(answer.rsplit("\r\n\r\n").next().unwrap()).unwrap();
    assert_eq!(body["keys"][0].as_str().unwrap().len(), 64);
    // Every isolate checks the records twice a second.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let answered = server.log.all().len();
    assert!(server.get("/api/x?a=1").await.ends_with("\r\n\r\n1"));
    server.log.wait_for(answered + 1).await;
    for _ in 0..8 {
        assert!(server.get("/api/x?a=1").await.ends_with("\r\n\r\n1"));
    }
}
