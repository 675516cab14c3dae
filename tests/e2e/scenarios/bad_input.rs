//! Input that is too large or invalid: refused early, with a problem if the host allows it, and never forwarded.

use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tollgate_tests::client::Request;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "guard";
    content_over_the_limit_is_413_and_not_forwarded,
    content_of_unknown_length_is_cut_off_at_the_limit,
    content_at_the_limit_passes,
    a_refusal_reaches_a_client_that_sends_everything_first
        except (Cloudflare, "workerd resets the connection as soon as it has answered; a bare Worker does the same"),
    a_url_that_is_too_long_is_refused,
    large_fields_are_refused,
    many_fields_are_refused,
    binary_bytes_in_fields_do_no_harm,
    bad_chunking_is_refused
        except (Cloudflare, "the platform's own front end reads HTTP/1.1"),
    content_that_is_cut_short_is_400
        except (Cloudflare, "the platform's own front end reads HTTP/1.1"),
    two_lengths_are_refused
        except (Cloudflare, "the platform's own front end reads HTTP/1.1")
        (Spin, "the platform's own front end reads HTTP/1.1"),
    two_hosts_are_refused
        except (Cloudflare, "the platform's own front end reads HTTP/1.1")
        (Spin, "the platform's own front end reads HTTP/1.1"),
    a_length_with_chunking_cannot_smuggle_a_request,
    bytes_that_are_not_http_are_refused,
}

async fn open(world: &World) -> Outcome {
    let project = Project::new(world).route("{path: \"/{*rest}\", body-limit: 10KiB}");
    world.publish(project).await
}

async fn content_over_the_limit_is_413_and_not_forwarded(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let answer = world.client().send(Request::post("/a", vec![b'x'; 10_241])).await?;
    assert_problem(&answer, 413, "content-too-large");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn content_of_unknown_length_is_cut_off_at_the_limit(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let (request, mut content) = Request::post("/a", "").streaming();
    let client = world.client();
    let answering = tokio::task::spawn_local(async move { client.send(request).await });
    for _ in 0..50 {
        if content.send(vec![b'x'; 1024].into()).await.is_err() {
            break;
        }
    }
    drop(content);
    // A server that refuses early may close before the client has sent everything; then there is no answer to read.
    if let Ok(answer) = answering.await? {
        assert_eq!(answer.status, 413, "{}", answer.text());
    }
    let whole = world.upstream.report().last().is_some_and(|got| got.content_complete);
    assert!(!whole, "the upstream treated truncated content as complete");
    assert_eq!(world.client().get("/a").await?.status, 200);
    Ok(())
}

async fn content_at_the_limit_passes(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let answer = world.client().send(Request::post("/a", vec![b'x'; 10_240])).await?;
    assert_eq!(answer.status, 200);
    let (request, mut content) = Request::post("/a", "").streaming();
    let client = world.client();
    let answering = tokio::task::spawn_local(async move { client.send(request).await });
    for _ in 0..10 {
        content.send(vec![b'x'; 1024].into()).await?;
    }
    drop(content);
    assert_eq!(answering.await??.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!((received.content_length, received.content_complete), (10_240, true));
    Ok(())
}

async fn a_refusal_reaches_a_client_that_sends_everything_first(world: Rc<World>) -> Outcome {
    let project = Project::new(&world).route("{path: /keyed, authn: keys, body-limit: 20MiB}");
    world.publish(project).await?;
    // More than the buffers of two sockets hold.
    let content = vec![b'x'; 6_000_000];
    for framing in [format!("Content-Length: {}", content.len()), "Transfer-Encoding: chunked".to_owned()] {
        let mut stream = world.client().connect().await?;
        let head = format!("POST /keyed HTTP/1.1\r\nHost: {}\r\n{framing}\r\n\r\n", world.domain);
        let is_chunked = framing.starts_with("Transfer");
        let size = if is_chunked { format!("{:x}\r\n", content.len()) } else { String::new() };
        let end = if is_chunked { "\r\n0\r\n\r\n" } else { "" };
        for bytes in [head.as_bytes(), size.as_bytes(), &content, end.as_bytes()] {
            stream.write_all(bytes).await.map_err(|error| format!("{framing}: {error}"))?;
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.map_err(|error| format!("{framing}: {error}"))?;
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 401", "{framing}");
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_url_that_is_too_long_is_refused(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for target in [format!("/{}", "a".repeat(9_000)), format!("/a?q={}", "a".repeat(9_000))] {
        let answer = world.client().get(&target).await?;
        assert_problem(&answer, 414, "target-too-long");
    }
    let answer = world.client().get(&format!("/{}", "a/".repeat(400))).await?;
    assert_problem(&answer, 400, "bad-path");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn large_fields_are_refused(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let bomb = (0..6).fold(Request::get("/a"), |request, at| request.field(&format!("x-{at}"), &"v".repeat(7_000)));
    let answer = world.client().send(bomb).await?;
    assert_eq!(answer.status, 431, "{}", answer.text());
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn many_fields_are_refused(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let bomb = (0..150).fold(Request::get("/a"), |request, at| request.field(&format!("x-{at}"), "v"));
    let answer = world.client().send(bomb).await?;
    assert_eq!(answer.status, 431, "{}", answer.text());
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn binary_bytes_in_fields_do_no_harm(world: Rc<World>) -> Outcome {
    let project = Project::new(&world).route("{path: /open}").route("{path: /keyed, authn: keys}");
    world.publish(project).await?;
    for path in ["/open", "/keyed"] {
        let mut bytes = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nX-API-Key: ", world.domain).into_bytes();
        bytes.extend_from_slice(b"\xff\xfe\x80tg_\r\nX-Odd: \xc3\x28\r\nConnection: close\r\n\r\n");
        let answer = world.client().raw(&bytes).await?;
        let expected: &[u16] = if path == "/open" { &[200, 400] } else { &[400, 401] };
        assert!(expected.contains(&answer.status()), "{path}: {}", answer.0);
    }
    Ok(())
}

/// Sends bytes after the usual beginning; the answer must be a refusal, and nothing may be forwarded.
async fn refused_raw(world: &World, rest: &str) -> Outcome {
    let bytes = rest.replace("HOST", &world.domain);
    let answer = world.client().raw(bytes.as_bytes()).await?;
    assert!([0, 400].contains(&answer.status()), "{bytes:?}: {}", answer.0);
    Ok(())
}

async fn bad_chunking_is_refused(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for content in ["zz\r\nab\r\n0\r\n\r\n", "ffffffffffffffffff\r\na", "-1\r\na\r\n0\r\n\r\n", "2\r\nabc\r\n0\r\n\r\n"]
    {
        let head = format!("POST /a HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", world.domain);
        let answer = world.client().raw(format!("{head}{content}").as_bytes()).await?;
        assert_eq!(answer.status(), 400, "{content:?}: {}", answer.0);
    }
    nothing_is_complete(&world).await
}

async fn content_that_is_cut_short_is_400(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for rest in ["Content-Length: 100\r\n\r\nten bytes.", "Transfer-Encoding: chunked\r\n\r\n64\r\nten bytes."] {
        let request = format!("POST /a HTTP/1.1\r\nHost: {}\r\n{rest}", world.domain);
        let answer = world.client().raw_cut_short(request.as_bytes()).await?;
        assert_eq!(answer.status(), 400, "{rest:?}: {}", answer.0);
        assert!(answer.0.contains("bad-request"), "{rest:?}: {}", answer.0);
    }
    nothing_is_complete(&world).await
}

/// The upstream has not taken broken content for complete content, and the gateway still works.
async fn nothing_is_complete(world: &World) -> Outcome {
    let whole = world.upstream.report().requests().iter().any(|received| received.content_complete);
    assert!(!whole, "the upstream treated invalid content as complete");
    assert_eq!(world.client().get("/a").await?.status, 200);
    Ok(())
}

async fn two_lengths_are_refused(world: Rc<World>) -> Outcome {
    open(&world).await?;
    refused_raw(&world, "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde")
        .await?;
    refused_raw(&world, "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3, 5\r\n\r\nabcde").await?;
    refused_raw(&world, "POST /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: +3\r\n\r\nabc").await?;
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn two_hosts_are_refused(world: Rc<World>) -> Outcome {
    open(&world).await?;
    refused_raw(&world, "GET /a HTTP/1.1\r\nHost: HOST\r\nHost: other.test\r\n\r\n").await?;
    refused_raw(&world, "GET /a HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n").await?;
    refused_raw(&world, "GET /a HTTP/1.1\r\n\r\n").await?;
    refused_raw(&world, "GET /a HTTP/1.1\r\nHost: HOST, other.test\r\n\r\n").await?;
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_length_with_chunking_cannot_smuggle_a_request(world: Rc<World>) -> Outcome {
    open(&world).await?;
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: HOST\r\n\r\n".replace("HOST", &world.domain);
    for coding in ["chunked", "identity, chunked", "xchunked", "chunked, identity"] {
        let head = format!(
            "POST /a HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nTransfer-Encoding: {coding}\r\n\r\n",
            world.domain,
            hidden.len()
        );
        let before = world.upstream.report().total();
        // However the front end reads it, the upstream gets only the requests that the gateway answered.
        let answer = world.client().raw(format!("{head}{hidden}").as_bytes()).await?;
        let forwarded = world.upstream.report().total() - before;
        assert!(forwarded <= answer.answers(), "{coding}: {forwarded} forwarded, {}", answer.0);
    }
    Ok(())
}

async fn bytes_that_are_not_http_are_refused(world: Rc<World>) -> Outcome {
    open(&world).await?;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..],
        b"HELLO\r\n\r\n",
        b"GET /a\r\n\r\n",
        b"GET  /a  HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
    ] {
        let answer = world.client().raw(bytes).await?;
        assert!(answer.status() == 0 || answer.status() >= 400, "{}", answer.0);
    }
    assert_eq!(world.upstream.report().total(), 0);
    assert_eq!(world.client().get("/a").await?.status, 200);
    Ok(())
}
