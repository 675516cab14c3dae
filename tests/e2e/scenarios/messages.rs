//! Messages that can be read in two ways, or that are not as HTTP wants them: what is forwarded is what was meant.

use std::rc::Rc;

use tollgate_tests::client::{Answer, Request};
use tollgate_tests::hosts::Kind;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "messages";
    a_status_outside_200_to_599_is_502,
    informational_responses_do_not_end_the_exchange
        except (Cloudflare, "workerd takes an informational response for the final one; the gateway answers 502"),
    informational_responses_are_forwarded
        except (Native, "hyper's server cannot send them yet (hyperium/hyper pull request 4114, open)")
        (Cloudflare, "a Response of the platform has a status from 200 to 599")
        (Spin, "wasi:http has one response for a request"),
    a_length_beside_chunked_content_is_removed,
    a_response_has_one_length_or_is_502,
    content_shorter_than_its_length_breaks_the_answer,
    a_transfer_coding_other_than_chunked_is_502,
    a_request_with_a_transfer_coding_other_than_chunked_is_501
        except (Cloudflare, "the platform's own front end reads HTTP/1.1"),
    more_than_100_response_fields_are_502,
    cookies_arrive_in_one_line
        except (Cloudflare, "workerd joins the lines with a comma before the Worker sees them"),
    trailers_pass_in_both_directions
        except (Cloudflare, "the platform exposes no trailers"),
    a_client_that_stops_sending_is_told_so
        except (Cloudflare, "the platform reads the content, and does not tell the Worker whom it waits for"),
    te_is_sent_only_with_connection,
    no_spelling_of_a_field_of_the_gateway_passes,
    content_of_a_get_is_forwarded_and_limited,
    a_request_without_host_is_for_the_host_pattern_star
        except (Cloudflare, "the platform's own front end wants a host")
        (Spin, "the platform's own front end wants a host"),
}

async fn open(world: &World) -> Outcome {
    world.publish(Project::new(world).route("{path: \"/{*rest}\", body-limit: 10KiB}")).await
}

/// A target for which the upstream sends exactly these bytes.
fn raw(answer: &str) -> String {
    let escaped = answer.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b':' | b'.' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    format!("/a?raw={}", escaped.collect::<String>())
}

async fn answer_to(world: &World, bytes: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().get(&raw(bytes)).await?)
}

async fn a_status_outside_200_to_599_is_502(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for status in [101, 600, 700, 999] {
        let answer = world.client().get(&format!("/a?status={status}")).await?;
        assert_problem(&answer, 502, "upstream-failed");
        assert!(answer.text().contains("between 200 and 599"), "{status}: {}", answer.text());
        assert_eq!(answer.field("proxy-status"), Some("tollgate; error=http_protocol_error"));
    }
    assert_eq!(world.client().get("/a?status=599").await?.status, 599);
    Ok(())
}

async fn informational_responses_do_not_end_the_exchange(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for early in [100, 102, 103, 150] {
        let answer = world.client().get(&format!("/a?early={early}&size=5")).await?;
        assert_eq!((answer.status, answer.content.len()), (200, 5), "{early}");
    }
    Ok(())
}

async fn informational_responses_are_forwarded(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let answer = world.get_raw("/a?early=103").await?;
    assert!(answer.0.starts_with("HTTP/1.1 103"), "{}", answer.0);
    Ok(())
}

async fn a_length_beside_chunked_content_is_removed(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for length in ["1", "7", "1, 7", "x"] {
        let answer = answer_to(
            &world,
            &format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
            ),
        )
        .await?;
        assert_eq!((answer.status, answer.text().as_str(), answer.broken), (200, "ok", false), "{length}");
        assert_eq!(answer.field("content-length").unwrap_or("2"), "2", "{length}");
    }
    Ok(())
}

async fn a_response_has_one_length_or_is_502(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for length in ["2, 2", "2\r\nContent-Length: 2"] {
        let answer = answer_to(&world, &format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nok")).await?;
        // Workers do not accept equal lengths either.
        if answer.status != 502 {
            assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{length}");
            assert_eq!(answer.all("content-length"), ["2"]);
        }
    }
    for length in ["2, 3", "2\r\nContent-Length: 3", "+2", "-2", "two", "0x2", "99999999999999999999999"] {
        let answer = answer_to(&world, &format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nok")).await?;
        assert_problem(&answer, 502, "upstream-failed");
    }
    Ok(())
}

async fn content_shorter_than_its_length_breaks_the_answer(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let target = raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok") + "&close";
    if let Ok(answer) = world.client().get(&target).await {
        assert!(answer.broken || answer.status == 502, "a part was accepted as complete: {answer:?}");
    }
    assert_eq!(world.client().get("/a").await?.status, 200, "the next one is served");
    Ok(())
}

async fn a_transfer_coding_other_than_chunked_is_502(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for coding in ["gzip, chunked", "gzip\r\nTransfer-Encoding: chunked", "gzip", "xchunked"] {
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        let answer = world.client().get(&(raw(&head) + "&close")).await?;
        assert_problem(&answer, 502, "upstream-failed");
        // Workers have only a general error for this.
        if !world.on(Kind::Cloudflare) {
            let expected = "tollgate; error=http_response_transfer_coding";
            assert_eq!(answer.field("proxy-status"), Some(expected), "{coding}");
        }
    }
    Ok(())
}

async fn a_request_with_a_transfer_coding_other_than_chunked_is_501(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for coding in ["gzip, chunked", "chunked, chunked", "gzip\r\nTransfer-Encoding: chunked"] {
        let bytes = format!(
            "POST /a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: {coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            world.domain
        );
        let answer = world.client().raw_one(bytes.as_bytes()).await?;
        assert_eq!(answer.status(), 501, "{coding}: {}", answer.0);
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn more_than_100_response_fields_are_502(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let with = |count: usize| {
        let lines: String = (1..count).map(|at| format!("x-{at}: v\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{lines}\r\nok")
    };
    // The gateway adds some, and the client of this test reads no more than 100 either.
    let answer = answer_to(&world, &with(90)).await?;
    assert_eq!((answer.status, answer.field("x-89")), (200, Some("v")));
    let answer = answer_to(&world, &with(101)).await?;
    assert_problem(&answer, 502, "upstream-failed");
    // The client of Spin's test host has the same bound, but not an error of its own for it.
    if !world.on(Kind::Spin) {
        assert!(answer.text().contains("too many fields"), "{}", answer.text());
        assert_eq!(answer.field("proxy-status"), Some("tollgate; error=http_response_header_section_size"));
    }
    Ok(())
}

async fn cookies_arrive_in_one_line(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let crumbs = |count: usize| {
        (0..count).fold(Request::get("/a"), |request, at| request.field("cookie", &format!("c{at}={at}")))
    };
    let seen = || world.upstream.report().last().map(|got| got.all("cookie").join(" | ")).unwrap_or_default();
    assert_eq!(world.client().send(crumbs(3)).await?.status, 200);
    assert_eq!(seen(), "c0=0; c1=1; c2=2");
    // More lines than a request may have fields.
    let answer = world.client().open_http2(crumbs(120)).await?.whole().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(seen().starts_with("c0=0; c1=1; ") && seen().ends_with("; c119=119"), "{}", seen());
    Ok(())
}

async fn trailers_pass_in_both_directions(world: Rc<World>) -> Outcome {
    let upstream = format!("{{url: \"{}\", headers: {{X-Service-Token: t}}}}", world.upstream.url());
    let project = Project::new(&world).upstream(&upstream);
    world.publish(project.route("{path: /a}").route("{path: /stream, timeout: none}")).await?;
    // A component does not see what `Connection` names.
    let hop = if world.on(Kind::Native) { ("X-Hop", "X-Hop: 1\r\n") } else { ("close", "") };
    for path in ["/a", "/stream"] {
        let bytes = format!(
            "POST {path}?chunks=2&trailer=X-Sum:7&trailer=Content-Length:9&trailer=Cache-Status:x HTTP/1.1\r\nHost: {}\r\n\
             TE: trailers\r\nConnection: TE, {}, close\r\nTrailer: X-Check, X-Hop, X-Forwarded-For, X_Service_Token\r\n\
             Transfer-Encoding: chunked\r\n\r\n\
             2\r\nok\r\n0\r\nX-Check: 5\r\nX-Forwarded-For: 9.9.9.9\r\nX_Service_Token: a\r\n{}\r\n",
            world.domain, hop.0, hop.1
        );
        let answer = world.client().raw(bytes.as_bytes()).await?;
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        let trailers: Vec<String> =
            received.trailers.iter().map(|(name, value)| format!("{}: {value}", name.to_lowercase())).collect();
        assert_eq!((received.content.as_str(), trailers), ("ok", vec!["x-check: 5".to_owned()]), "{path}");
        let end = answer.0.to_lowercase();
        assert!(end.contains("\r\n0\r\nx-sum: 7\r\n\r\n"), "{path}: {}", answer.0);
    }
    Ok(())
}

async fn a_client_that_stops_sending_is_told_so(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a, timeout: 1s}")).await?;
    let head =
        format!("POST /a HTTP/1.1\r\nHost: {}\r\nContent-Length: 100\r\nConnection: close\r\n\r\n", world.domain);
    let answer = world.client().raw(format!("{head}half").as_bytes()).await?;
    assert!(answer.0.starts_with("HTTP/1.1 408"), "{}", answer.0);
    assert!(answer.0.contains("urn:tollgate:problem:content-timeout"), "{}", answer.0);
    Ok(())
}

async fn te_is_sent_only_with_connection(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let request = Request::get("/a").field("TE", "gzip, trailers").field("Connection", "TE");
    assert_eq!(world.client().send(request).await?.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    let te = received.field("te");
    let named = received.all("connection").join(",").to_lowercase().split(',').any(|option| option.trim() == "te");
    assert_eq!(te.is_some(), named, "{:?}", received.fields);
    if world.on(Kind::Native) {
        assert_eq!(te, Some("trailers"));
    }
    Ok(())
}

async fn no_spelling_of_a_field_of_the_gateway_passes(world: Rc<World>) -> Outcome {
    let upstream = format!("{{url: \"{}\", headers: {{X-Service-Token: t}}}}", world.upstream.url());
    world
        .publish(
            Project::new(&world)
                .upstream(&upstream)
                .route("{path: /a}")
                .route("{path: /b, when: {header: {X-Version: [\"2\"]}}}"),
        )
        .await?;
    let names = [
        "X_Forwarded_For",
        "X-Forwarded_Proto",
        "X.Forwarded.Host",
        "X_Real_IP",
        "X_Request_ID",
        "x_service_token",
        "X_Version",
    ];
    let request = names.into_iter().fold(Request::get("/a"), |request, name| request.field(name, "claimed"));
    assert_eq!(world.client().send(request.field("X_Own", "claimed")).await?.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    let claimed: Vec<_> = received.fields.iter().filter(|(_, value)| value.contains("claimed")).collect();
    assert!(matches!(claimed.as_slice(), [(name, _)] if name.eq_ignore_ascii_case("x_own")), "{claimed:?}");
    Ok(())
}

async fn content_of_a_get_is_forwarded_and_limited(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for method in ["GET", "HEAD"] {
        let (request, mut content) = Request::of(method, "/a").field("transfer-encoding", "chunked").streaming();
        let client = world.client();
        let answering = tokio::task::spawn_local(async move { client.send(request).await });
        content.send("hello".into()).await?;
        drop(content);
        assert_eq!(answering.await??.status, 200, "{method}");
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!((received.content.as_str(), received.content_complete), ("hello", true), "{method}");
    }
    let (request, mut content) = Request::of("GET", "/a").field("transfer-encoding", "chunked").streaming();
    let client = world.client();
    let answering = tokio::task::spawn_local(async move { client.send(request).await });
    for _ in 0..40 {
        if content.send(vec![b'x'; 1024].into()).await.is_err() {
            break;
        }
    }
    drop(content);
    if let Ok(answer) = answering.await? {
        assert_eq!(answer.status, 413, "{}", answer.text());
    }
    let whole = world.upstream.report().last().is_some_and(|got| got.content_complete && got.content_length > 10_240);
    assert!(!whole, "content over the limit was forwarded");
    Ok(())
}

async fn a_request_without_host_is_for_the_host_pattern_star(world: Rc<World>) -> Outcome {
    let mut project = Project::new(&world).route("{path: /a}");
    world.publish(project).await?;
    let bytes = b"GET /a HTTP/1.0\r\n\r\n";
    assert_eq!(world.client().raw(bytes).await?.status(), 400);
    project = Project::new(&world).gateway("client-fields: both").route("{path: /a}");
    project.hosts = "[\"*\"]".to_owned();
    world.publish(project).await?;
    assert_eq!(world.client().raw(bytes).await?.status(), 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(received.field("x-forwarded-host"), None);
    assert!(received.field("forwarded").is_some_and(|told| !told.contains("host=")), "{:?}", received.fields);
    assert_eq!(world.client().raw(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n").await?.status(), 400);
    Ok(())
}
