//! Forwarding: streams in both directions, request and response fields, and all failures of an upstream.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tollgate_core::forward::{AwsRequest, AwsSettings};
use tollgate_core::secret::{Secret, SecretText};
use tollgate_tests::client::{Answer, Request};
use tollgate_tests::hosts::{Host, Kind};
use tollgate_tests::upstream::{Authority, Upstream};

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "forward";
    a_response_streams_through,
    server_sent_events_arrive_as_they_are_sent,
    a_request_streams_through,
    content_arrives_complete_in_both_directions,
    content_over_http2_arrives_without_a_declared_length
        except (Cloudflare, "the platform's edge speaks HTTP/2, workerd's plain socket does not"),
    a_request_without_content_is_forwarded_without_content,
    a_request_without_content_over_http2_is_forwarded_without_content
        except (Cloudflare, "the platform's edge speaks HTTP/2, workerd's plain socket does not"),
    status_and_fields_are_passed_on,
    redirects_are_not_followed,
    content_encoding_is_not_changed,
    hop_by_hop_fields_are_removed,
    fields_named_by_connection_are_removed
        except (Spin, "Spin removes Connection, and with it the names of those fields"),
    the_upstream_gets_the_client_address,
    claims_of_a_client_about_earlier_hops_are_replaced,
    the_upstream_is_told_who_the_caller_is,
    the_upstream_gets_a_token_that_is_issued_to_the_gateway,
    what_arrives_at_an_aws_service_is_what_was_signed,
    a_secret_is_sent_and_never_exposed,
    a_missing_secret_is_a_problem_that_names_nothing,
    a_slow_upstream_is_504,
    a_stream_without_timeout_is_not_aborted,
    a_stream_past_its_timeout_is_aborted
        except (Cloudflare, "content bypasses the Worker; to abort it, each response would have to be piped"),
    a_client_that_does_not_read_holds_no_upstream_past_the_timeout
        except (Cloudflare, "content bypasses the Worker; to abort it, each response would have to be piped"),
    a_refused_connection_is_502,
    an_upstream_that_closes_is_502,
    an_upstream_that_answers_invalid_http_is_502,
    two_content_lengths_are_502,
    an_aborted_upstream_response_aborts_the_answer,
    a_response_aborted_within_chunks_aborts_the_answer
        except (Cloudflare, "workerd ends a chunked answer as if it were complete; a bare pass-through does the same"),
    an_untrusted_certificate_is_502,
    an_upstream_gets_the_certificate_of_the_gateway
        except (Spin, "its runtime configuration presents certificates, not the component: docs/upstream-identity.md"),
    an_upstream_whose_certificate_is_missing_is_not_called
        except (Spin, "its runtime configuration presents certificates, not the component: docs/upstream-identity.md"),
    a_request_on_a_connection_that_was_closed_is_sent_again_if_that_is_safe
        except (Cloudflare, "workerd reports it like a refused connection, and each subrequest counts towards a limit"),
    connections_are_reused
        except (Cloudflare, "the platform keeps its connections out of sight")
        (Spin, "the platform keeps its connections out of sight"),
}

async fn open(world: &World, route: &str) -> Outcome {
    world.publish(Project::new(world).route(route)).await
}

const EVERYTHING: &str = "{path: \"/{*rest}\"}";

/// The error type that `Proxy-Status` names.
fn proxy_error(answer: &Answer) -> String {
    let status = answer.field("proxy-status").unwrap_or_default();
    let error = status.split("error=").nth(1).unwrap_or(status);
    error.split(';').next().unwrap_or_default().trim().to_owned()
}

async fn a_response_streams_through(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let mut answer = world.client().open(Request::get("/a?chunks=3&every_ms=1500")).await?;
    let started = Instant::now();
    let first = answer.piece().await.ok_or("no first chunk")?;
    assert!(first.starts_with(b"chunk 0"), "{first:?}");
    // Two pauses are still to come: if the content had been buffered, they would be over.
    let sent = world.upstream.report().last().is_some_and(|received| received.answered);
    assert!(!sent, "the first chunk arrived after the last was sent");
    let rest = answer.whole().await;
    assert!(rest.text().ends_with("chunk 2\n") && !rest.broken);
    assert!(started.elapsed() > Duration::from_secs(2));
    Ok(())
}

async fn server_sent_events_arrive_as_they_are_sent(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let mut answer = world.client().open(Request::get("/a?events=3&every_ms=1500")).await?;
    assert_eq!(answer.field("content-type"), Some("text/event-stream"));
    let first = answer.piece().await.ok_or("no first event")?;
    assert!(first.starts_with(b"data: event 0"));
    assert!(!world.upstream.report().last().is_some_and(|received| received.answered));
    assert!(answer.whole().await.text().ends_with("data: event 2\n\n"));
    Ok(())
}

async fn a_request_streams_through(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let (request, mut content) = Request::post("/a", "").streaming();
    let client = world.client();
    let answering = tokio::task::spawn_local(async move { client.send(request).await });
    content.send("first".into()).await?;
    let arrived = || world.upstream.report().last().is_some_and(|got| got.content_length == 5);
    world.eventually("the first piece at the upstream", arrived).await?;
    content.send("second".into()).await?;
    drop(content);
    let answer = answering.await??;
    assert_eq!(answer.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!((received.content_length, received.content_complete), (11, true));
    Ok(())
}

async fn content_arrives_complete_in_both_directions(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    for (at, size) in [0_usize, 1, 65_536, 3_000_000].into_iter().enumerate() {
        let content: Vec<u8> = (0..size).map(|byte| (byte % 251) as u8).collect();
        let sent = Request::post(&format!("/{at}"), content.clone());
        assert_eq!(world.client().send(sent).await?.status, 200);
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.content_sha256, World::sha256(&content), "{size}");
        let answer = world.client().get(&format!("/{at}?size={size}")).await?;
        assert_eq!((answer.content.len(), answer.broken), (size, false));
        let echoed = world.client().send_owned(Request::post(&format!("/{at}?echo"), content.clone()));
        assert!(echoed.await?.content == content, "{size} echoed");
    }
    Ok(())
}

async fn status_and_fields_are_passed_on(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    for status in [200, 201, 204, 206, 302, 400, 404, 418, 429, 500, 503] {
        let answer = world.client().get(&format!("/a?status={status}&field=X-Own:v")).await?;
        assert_eq!((answer.status, answer.field("x-own")), (status, Some("v")));
        assert_ne!(answer.field("content-type"), Some("application/problem+json"));
    }
    let answer = world.client().get("/a?field=Set-Cookie:a%3D1&field=Set-Cookie:b%3D2").await?;
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    let request = Request::get("/a").field("X-Two", "1").field("X-Two", "2").field("Accept", "text/x");
    world.client().send(request).await?;
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(received.all("x-two").join(", "), "1, 2");
    assert_eq!(received.field("accept"), Some("text/x"));
    Ok(())
}

async fn redirects_are_not_followed(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let answer = world.client().get("/a?status=302&field=Location:/b").await?;
    assert_eq!((answer.status, answer.field("location")), (302, Some("/b")));
    assert_eq!(world.upstream.report().count("/b"), 0);
    Ok(())
}

async fn content_encoding_is_not_changed(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    // "hello", gzipped: if it were decoded, other bytes would arrive.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00";
    let target = "/a?echo&field=Content-Encoding:gzip&field=Content-Type:text/plain";
    let request = Request::post(target, gzip.to_vec()).field("Accept-Encoding", "gzip");
    let answer = world.client().send(request).await?;
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
    assert_eq!(answer.content, gzip);
    Ok(())
}

async fn hop_by_hop_fields_are_removed(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let target = "/a?field=Keep-Alive:timeout%3D5&field=X-Stays:1&field=Proxy-Authenticate:Basic";
    let request = Request::get(target)
        .field("Connection", "close")
        .field("Proxy-Authorization", "Basic x")
        .field("Upgrade", "h2c")
        .field("TE", "gzip")
        .field("X-Stays", "1");
    let answer = world.client().send(request).await?;
    assert_eq!(answer.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    for gone in ["proxy-authorization", "upgrade", "te"] {
        assert_eq!(received.field(gone), None, "{gone} reached the upstream");
    }
    for gone in ["keep-alive", "proxy-authenticate"] {
        assert_eq!(answer.field(gone), None, "{gone} reached the client");
    }
    assert_eq!((received.field("x-stays"), answer.field("x-stays")), (Some("1"), Some("1")));
    Ok(())
}

async fn fields_named_by_connection_are_removed(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let request = Request::get("/a?field=Connection:X-Up&field=X-Up:1").field("Connection", "close, X-Down");
    let answer = world.client().send(request.field("X-Down", "1")).await?;
    assert_eq!((answer.status, answer.field("x-up")), (200, None));
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(received.field("x-down"), None);
    Ok(())
}

async fn the_upstream_gets_the_client_address(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let answer = world.client().get("/a").await?;
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(received.field("host"), Some(world.upstream.authority().as_str()));
    assert_eq!(received.field("x-forwarded-host"), Some(world.domain.as_str()));
    assert_eq!(received.field("x-forwarded-proto"), Some("http"));
    assert_eq!(received.field("forwarded"), None, "`client-fields` does not select it");
    let via = received.field("via").unwrap_or_default();
    assert!(via.ends_with("1.1 tollgate"), "{via}");
    assert!(answer.field("via").unwrap_or_default().ends_with("tollgate"), "{answer:?}");
    for ours in ["spin-client-addr", "spin-full-url", "cf-connecting-ip", "cf-ray"] {
        assert_eq!(received.field(ours), None, "{ours} is the platform's own");
    }
    let id = received.field("x-request-id").unwrap_or_default();
    assert!(!id.is_empty() && answer.field("x-request-id") == Some(id), "{id}");
    Ok(())
}

async fn claims_of_a_client_about_earlier_hops_are_replaced(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let names = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "X-Original-URL"];
    let claims = names.into_iter().fold(Request::get("/a"), |request, name| request.field(name, "claimed"));
    let claims = claims.field("Forwarded", "for=claimed");
    let claims = if world.on(Kind::Spin) { claims.field("Spin-Client-Addr", "9.9.9.9:9") } else { claims };
    assert_eq!(world.client().send(claims).await?.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    let claimed = |value: &str| value.contains("claimed") || value.contains("9.9.9.9");
    let found: Vec<_> = received.fields.iter().filter(|(_, value)| claimed(value)).collect();
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}

async fn the_upstream_is_told_who_the_caller_is(world: Rc<World>) -> Outcome {
    let identity = "{X-Consumer: consumer, X-Credential: credential, X-Plan: plan}";
    let upstream = format!("{{url: \"{}\", identity: {identity}}}", world.upstream.url());
    let project = Project::new(&world).upstream(&upstream).route("{path: /a, authn: keys}").route("{path: /open}");
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    for (path, consumer) in [("/a", Some("acme")), ("/open", None)] {
        let request = Request::get(path).field("X-API-Key", &key);
        let claimed = request.field("X-Consumer", "admin").field("X_Consumer", "admin").field("X-Plan", "gold");
        let answer = world.client().send(claimed).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        let is_acme = received.field("x-consumer").map(|name| name.ends_with("acme"));
        assert_eq!((is_acme, received.field("x-plan")), (consumer.map(|_| true), None), "{:?}", received.fields);
        assert_eq!(received.field("x-credential").is_some(), consumer.is_some(), "{:?}", received.fields);
        assert!(!received.fields.iter().any(|(_, value)| value == "admin" || value == "gold"), "{:?}", received.fields);
    }
    Ok(())
}

async fn the_upstream_gets_a_token_that_is_issued_to_the_gateway(world: Rc<World>) -> Outcome {
    let server = world.server().await?;
    server.serve("/token", r#"{"access_token":"t0k3n","token_type":"Bearer","expires_in":300}"#);
    let auth = format!(
        "{{kind: client-credentials, token-url: \"{}/token\", private-network: true, client-id: gateway, \
         client-secret: \"${{secret.UPSTREAM_TOKEN}}\", scopes: [pets]}}",
        server.url()
    );
    let upstream = format!("{{url: \"{}\", auth: {auth}}}", world.upstream.url());
    world.publish(Project::new(&world).upstream(&upstream).route(EVERYTHING)).await?;
    for _ in 0..3 {
        let answer = world.client().send(Request::get("/a").field("Authorization", "Bearer of-the-client")).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.all("authorization"), ["Bearer t0k3n"]);
    }
    let asked = server.report().last().ok_or("no token was asked for")?;
    assert_eq!(asked.content, "grant_type=client_credentials&scope=pets");
    world.records(3).await?;
    let logs = world.host.logs().concat();
    assert!(!logs.contains("t0k3n") && !logs.contains("s3cr3t"), "{logs}");
    Ok(())
}

async fn what_arrives_at_an_aws_service_is_what_was_signed(world: Rc<World>) -> Outcome {
    let auth = "{kind: aws-sigv4, region: eu-central-1, service: execute-api, access-key-id: AKID, \
                secret-access-key: \"${secret.UPSTREAM_TOKEN}\", forward: [X-Amz-Target]}";
    let upstream = format!("{{url: \"{}\", auth: {auth}}}", world.upstream.url());
    world.publish(Project::new(&world).upstream(&upstream).route(EVERYTHING)).await?;
    let claimed = |request: Request| {
        request.field("X-Amz-Target", "a  b").field("X-Amz-Copy-Source", "others").field("X-Amz-Date", "claimed")
    };
    let post = Request::post("/a%20b/c?b=%2f&a=1&a", "hello").field("Content-Type", "text/plain");
    for request in [claimed(Request::get("/a")), claimed(post)] {
        let answer = world.client().send(request).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.field("x-amz-copy-source"), None);
        let (path, query) = received.target.split_once('?').map_or((&*received.target, None), |(p, q)| (p, Some(q)));
        let lower: Vec<(String, &str)> =
            received.fields.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.as_str())).collect();
        let mut fields: Vec<(&str, &[u8])> = lower.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        fields.retain(|(name, _)| AwsSettings::signs(name));
        fields.sort_by_key(|(name, _)| *name);
        let secret = SecretText::parse("${secret.UPSTREAM_TOKEN}").ok_or("it is a reference")?;
        let settings = AwsSettings {
            region: "eu-central-1".into(),
            service: "execute-api".into(),
            key_id: secret.clone(),
            secret,
            session: None,
            streams: false,
            forwarded: vec![],
        };
        let (content, time) = (received.content_sha256.clone(), received.field("x-amz-date").unwrap_or_default());
        let method = &received.method;
        let signed = AwsRequest { method, path, query, fields: &fields, content: &content, time };
        let key = settings.key(&Secret::new("s3cr3t-of-the-host".into()), time);
        let want = settings.authorization(&Secret::new("AKID".into()), &key, &signed);
        assert_eq!(received.field("authorization"), Some(want.expose()), "{:?}", received.fields);
        assert_eq!(received.field("x-amz-content-sha256"), Some(content.as_str()));
    }
    world.records(2).await?;
    assert!(!world.host.logs().concat().contains("s3cr3t"));
    Ok(())
}

async fn a_secret_is_sent_and_never_exposed(world: Rc<World>) -> Outcome {
    let upstream = format!(
        "{{url: \"{}\", headers: {{Authorization: \"Bearer ${{secret.UPSTREAM_TOKEN}}\"}}}}",
        world.upstream.url()
    );
    world.publish(Project::new(&world).upstream(&upstream).route(EVERYTHING)).await?;
    let answer = world.client().get("/a?size=5").await?;
    assert_eq!(answer.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(received.field("authorization"), Some("Bearer s3cr3t-of-the-host"));
    world.records(1).await?;
    assert!(!world.host.logs().concat().contains("s3cr3t"));
    Ok(())
}

async fn a_missing_secret_is_a_problem_that_names_nothing(world: Rc<World>) -> Outcome {
    let upstream =
        format!("{{url: \"{}\", headers: {{Authorization: \"Bearer ${{secret.NOT_THERE}}\"}}}}", world.upstream.url());
    world.publish(Project::new(&world).upstream(&upstream).route(EVERYTHING)).await?;
    let answer = world.client().get("/a").await?;
    assert_problem(&answer, 503, "secret-missing");
    assert!(!answer.text().contains("NOT_THERE"), "{}", answer.text());
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_slow_upstream_is_504(world: Rc<World>) -> Outcome {
    open(&world, "{path: \"/{*rest}\", timeout: 1s}").await?;
    let started = Instant::now();
    let answer = world.client().get("/a?head_ms=15000").await?;
    assert_problem(&answer, 504, "upstream-timeout");
    assert_eq!(proxy_error(&answer), "http_response_timeout");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    Ok(())
}

async fn a_stream_without_timeout_is_not_aborted(world: Rc<World>) -> Outcome {
    let project =
        Project::new(&world).api("timeout: 1s").route("{path: /bounded}").route("{path: /stream, timeout: none}");
    world.publish(project).await?;
    let asked = "?chunks=4&every_ms=800";
    let stream = world.client().get(&format!("/stream{asked}")).await?;
    assert!(stream.text().ends_with("chunk 3\n") && !stream.broken);
    Ok(())
}

async fn a_stream_past_its_timeout_is_aborted(world: Rc<World>) -> Outcome {
    open(&world, "{path: \"/{*rest}\", timeout: 1s}").await?;
    let bounded = world.client().get("/a?chunks=8&every_ms=800").await?;
    assert!(!bounded.text().ends_with("chunk 7\n"), "{}", bounded.text());
    Ok(())
}

async fn a_client_that_does_not_read_holds_no_upstream_past_the_timeout(world: Rc<World>) -> Outcome {
    open(&world, "{path: \"/{*rest}\", timeout: 1s}").await?;
    let mut stream = world.client().connect().await?;
    let request = format!("GET /a?size=500000000 HTTP/1.1\r\nHost: {}\r\n\r\n", world.domain);
    stream.write_all(request.as_bytes()).await?;
    let ended = async {
        while !world.upstream.report().last().is_some_and(|received| received.ended) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = timeout(Duration::from_secs(6), ended).await;
    assert!(in_time.is_ok(), "the upstream is still sending");
    drop(stream);
    assert_eq!(world.client().get("/a").await?.status, 200, "the next one is served");
    Ok(())
}

async fn a_refused_connection_is_502(world: Rc<World>) -> Outcome {
    // A free port, on which nothing listens.
    let closed = Upstream::start().await?.url();
    tokio::task::yield_now().await;
    let project = Project::new(&world).upstream(&format!("\"{closed}\"")).route(EVERYTHING);
    world.publish(project).await?;
    let answer = world.client().get("/a").await?;
    assert_problem(&answer, 502, "upstream-failed");
    let error = proxy_error(&answer);
    // Workers do not distinguish a refused connection from a lost one.
    let expected = if world.on(Kind::Cloudflare) { "connection_terminated" } else { "connection_refused" };
    assert_eq!(error, expected);
    Ok(())
}

async fn an_upstream_that_closes_is_502(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let answer = world.client().get("/a?break=head").await?;
    assert_problem(&answer, 502, "upstream-failed");
    assert!(!proxy_error(&answer).is_empty(), "{answer:?}");
    Ok(())
}

async fn an_upstream_that_answers_invalid_http_is_502(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let answer = world.client().get("/a?break=garbage").await?;
    assert_problem(&answer, 502, "upstream-failed");
    assert!(!proxy_error(&answer).is_empty(), "{answer:?}");
    Ok(())
}

async fn two_content_lengths_are_502(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let answer = world.client().get("/a?break=length").await?;
    assert_problem(&answer, 502, "upstream-failed");
    Ok(())
}

async fn an_aborted_upstream_response_aborts_the_answer(world: Rc<World>) -> Outcome {
    aborted(&world, "/a?size=200000&break=body").await
}

async fn a_response_aborted_within_chunks_aborts_the_answer(world: Rc<World>) -> Outcome {
    aborted(&world, "/a?chunks=10&break=body").await
}

async fn aborted(world: &World, target: &str) -> Outcome {
    open(world, EVERYTHING).await?;
    if let Ok(answer) = timeout(Duration::from_secs(15), world.client().get(target)).await? {
        assert!(answer.broken, "a part was accepted as complete");
    }
    assert_eq!(world.client().get("/a").await?.status, 200, "the next one is served");
    Ok(())
}

async fn an_untrusted_certificate_is_502(world: Rc<World>) -> Outcome {
    let secured = Upstream::start_tls().await?;
    let url = secured.url().replace("127.0.0.1", "localhost");
    let project = Project::new(&world).upstream(&format!("\"{url}\"")).route(EVERYTHING);
    world.publish(project).await?;
    let answer = world.client().get("/a").await?;
    assert_problem(&answer, 502, "upstream-failed");
    let error = proxy_error(&answer);
    let known = ["tls_certificate_error", "tls_protocol_error", "proxy_internal_error"];
    assert!(known.contains(&error.as_str()), "{error}");
    if world.on(Kind::Native) {
        assert_eq!(error, "tls_certificate_error");
    }
    assert_eq!(secured.report().total(), 0, "a request was sent to an untrusted server");
    Ok(())
}

/// Publishes a route to an upstream that gets this certificate, and one to another that gets none.
async fn publish_presenting(world: &World, host: &Host, secret: &str, urls: [&str; 2]) -> Outcome {
    let [with, without] = urls;
    let mut project = Project::new(world).route("{path: /a}");
    let with = format!("up: {{url: \"{with}\", tls: {{certificate: \"${{secret.{secret}}}\"}}}}");
    project.upstreams = vec![with, format!("none: \"{without}\"")];
    let without = format!("  {0}-none: {{upstream: none, base: /none, routes: [{{path: /a}}]}}\n", world.name);
    world.publish_to(host, &format!("{}{without}", project.yaml())).await
}

async fn an_upstream_gets_the_certificate_of_the_gateway(world: Rc<World>) -> Outcome {
    if world.on(Kind::Cloudflare) { the_binding_is_used(&world).await } else { the_handshake_has_it(&world).await }
}

/// The launcher has a stand-in for the binding, which sends requests over plain HTTP, and says so in a field.
async fn the_binding_is_used(world: &World) -> Outcome {
    let secured = world.upstream.url().replace("http:", "https:");
    publish_presenting(world, &world.host, "GATEWAY_CERTIFICATE", [&secured, &world.upstream.url()]).await?;
    for (request, presented) in [
        (Request::get("/a"), Some("GATEWAY_CERTIFICATE")),
        (Request::post("/a", "content"), Some("GATEWAY_CERTIFICATE")),
        (Request::post("/none/a", "content"), None),
    ] {
        let answer = world.client().send(request).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.field("test-presented"), presented);
        assert!(received.method == "GET" || received.content == "content");
    }
    Ok(())
}

async fn the_handshake_has_it(world: &World) -> Outcome {
    let (ours, others) = (Authority::new()?, Authority::new()?);
    let secured = Upstream::listen(TcpListener::bind("127.0.0.1:0").await?, Some(ours.requiring()?))?;
    let trusted = tempfile::NamedTempFile::new()?;
    std::fs::write(trusted.path(), ours.pem())?;
    let (own, foreign) = (ours.certified("gateway")?, others.certified("gateway")?);
    let host = world.start_host_trusting(trusted.path(), &[("OURS", &own), ("FOREIGN", &foreign)]).await?;
    let client = host.client().for_host(&world.domain);
    let url = secured.url().replace("127.0.0.1", "localhost");
    publish_presenting(world, &host, "OURS", [&url, &url]).await?;
    for _ in 0..3 {
        assert_eq!(client.get("/a").await?.status, 200);
        refused_by_tls(&client.get("/none/a").await?);
    }
    publish_presenting(world, &host, "FOREIGN", [&url, &url]).await?;
    refused_by_tls(&client.get("/a").await?);
    assert_eq!(secured.report().total(), 3);
    Ok(())
}

/// The server closes the connection after its alert, which the system may drop if it has unread content.
fn refused_by_tls(answer: &Answer) {
    assert_problem(answer, 502, "upstream-failed");
    let error = proxy_error(answer);
    assert!(["tls_alert_received", "connection_terminated"].contains(&error.as_str()), "{error}");
}

async fn an_upstream_whose_certificate_is_missing_is_not_called(world: Rc<World>) -> Outcome {
    for secret in ["NOT_BOUND", "UPSTREAM_TOKEN"] {
        let secured = world.upstream.url().replace("http:", "https:");
        publish_presenting(&world, &world.host, secret, [&secured, &world.upstream.url()]).await?;
        let answer = world.client().get("/a").await?;
        assert_problem(&answer, 503, "secret-missing");
        assert_eq!(proxy_error(&answer), "proxy_configuration_error");
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn connections_are_reused(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    for _ in 0..20 {
        assert_eq!(world.client().get("/a").await?.status, 200);
    }
    let connections: std::collections::BTreeSet<u64> =
        world.upstream.report().requests().iter().map(|received| received.connection).collect();
    // At most one per isolate, and each isolate gets several requests.
    assert!(connections.len() < 10, "{} connections for 20 requests", connections.len());
    Ok(())
}

async fn content_over_http2_arrives_without_a_declared_length(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    let host = world.domain.clone();
    for request in [Request::post("/a", ""), Request::post("/a", "").field("host", &host)] {
        let (request, mut content) = request.streaming();
        let client = world.client();
        let answering = tokio::task::spawn_local(async move { client.open_http2(request).await });
        content.send("first, ".into()).await?;
        content.send("second".into()).await?;
        drop(content);
        assert_eq!(answering.await??.whole().await.status, 200);
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!((received.content.as_str(), received.content_complete), ("first, second", true));
    }
    Ok(())
}

/// The upstream was told that there is no content, not that some of unknown length will come.
fn assert_without_content(world: &World, method: &str) {
    let received = world.upstream.report().last().expect("the request was forwarded");
    assert_eq!((received.method.as_str(), received.content_length), (method, 0));
    assert_eq!(received.field("transfer-encoding"), None, "{method}: {received:?}");
}

async fn a_request_without_content_is_forwarded_without_content(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = format!("{method} /a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.domain);
        let answer = world.client().raw_one(request.as_bytes()).await?;
        assert_eq!(answer.status(), 200, "{method}: {}", answer.0);
        assert_without_content(&world, method);
    }
    Ok(())
}

async fn a_request_without_content_over_http2_is_forwarded_without_content(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    for method in ["GET", "POST", "DELETE"] {
        assert_eq!(world.client().open_http2(Request::of(method, "/a")).await?.whole().await.status, 200, "{method}");
        assert_without_content(&world, method);
    }
    Ok(())
}

async fn a_request_on_a_connection_that_was_closed_is_sent_again_if_that_is_safe(world: Rc<World>) -> Outcome {
    open(&world, EVERYTHING).await?;
    for method in ["GET", "PUT", "DELETE"] {
        world.warm(&world.client(), || Request::get("/a")).await?;
        for _ in 0..4 {
            let mut answer = world.client().send(Request::of(method, "/a?break=reused")).await?;
            // Spin chooses the connection: if it has two, the second attempt is broken, too.
            if world.on(Kind::Spin) && answer.status == 502 {
                answer = world.client().send(Request::of(method, "/a?break=reused")).await?;
            }
            assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        }
    }
    let posts = || world.upstream.report().count("/post");
    world.warm(&world.client(), || Request::get("/a")).await?;
    for sent in 1..=4 {
        let answer = world.client().send(Request::post("/post?break=reused", "an order")).await?;
        assert!([200, 502].contains(&answer.status), "{}", answer.text());
        assert_eq!(posts(), sent, "a POST may have been carried out, so it is not sent again");
    }
    Ok(())
}
