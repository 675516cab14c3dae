//! Which connection a call uses, and which calls are sent again.

use super::*;

#[test]
fn a_connection_is_reused_when_its_content_was_read() {
    run(async || {
        let base = listen(async |number, mut stream| {
            let number = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
            while answer(&mut stream, &number).await.is_some() {}
        })
        .await;
        let upstream = upstream();
        for _ in 0..5 {
            assert_eq!(text(upstream.exchange(get(&base), &CALL).await.unwrap()).await, "0");
        }
        let held = upstream.exchange(get(&base), &CALL).await.unwrap();
        assert_eq!(text(upstream.exchange(get(&base), &CALL).await.unwrap()).await, "1");
        assert_eq!(text(held).await, "0");
    });
}

#[test]
fn a_connection_closed_while_idle_does_not_fail_the_next_request() {
    run(async || {
        // Every connection answers once and closes without an announcement.
        let base = listen(async |_, mut stream| {
            answer(&mut stream, OK).await;
        })
        .await;
        let upstream = upstream();
        // Whether the close has been detected before the next GET is random; before a POST it has been.
        for (method, pause) in [(Method::GET, Duration::ZERO), (Method::POST, Duration::from_millis(20))] {
            for _ in 0..10 {
                let response = upstream.exchange(request(method.clone(), &base, ""), &CALL).await.unwrap();
                assert_eq!(text(response).await, "ok");
                tokio::time::sleep(pause).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_request_is_repeated_only_if_that_is_safe() {
    run(async || {
        for (method, expected) in [
            (Method::GET, Ok(StatusCode::OK)),
            (Method::DELETE, Ok(StatusCode::OK)),
            (Method::POST, Err(UpstreamError::ConnectionTerminated)),
            (Method::PATCH, Err(UpstreamError::ConnectionTerminated)),
        ] {
            // The first connection answers one request, and closes when it has read the second.
            let base = listen(async |number, mut stream| {
                answer(&mut stream, OK).await;
                if number == 0 {
                    answer(&mut stream, "").await;
                }
            })
            .await;
            let upstream = upstream();
            assert_eq!(text(upstream.exchange(get(&base), &CALL).await.unwrap()).await, "ok");
            let second = upstream.exchange(request(method, &base, ""), &CALL).await;
            assert_eq!(second.map(|response| response.status()), expected);
        }
    });
}

#[test]
fn a_refused_stream_is_sent_again_whatever_its_method_unless_content_was_consumed() {
    run(async || {
        let (base, upstream) = listen_http2(|number, stream| {
            serve_http2(number, stream, move |_| if number == 0 { Reaction::Refuse } else { Reaction::Answer })
        })
        .await;
        for (method, content) in [(Method::POST, ""), (Method::PATCH, "in memory")] {
            let response = upstream.exchange(request(method, &base, content), &CALL).await.unwrap();
            assert_eq!(text(response).await, "1");
        }
    });
    run(async || {
        let (base, upstream) = listen_http2(|number, stream| serve_http2(number, stream, |_| Reaction::Refuse)).await;
        let refused = upstream.exchange(get(&base), &CALL).await;
        assert_eq!(refused.map(drop), Err(UpstreamError::ConnectionTerminated), "it is sent again once");
    });
}

/// Reads one frame: its type and its stream.
async fn frame(stream: &mut TlsStream) -> Option<(u8, u32)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
}

const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;

/// Waits for a request, and says goodbye; `last` is the last stream that was processed.
async fn say_goodbye(mut stream: TlsStream, last: u32) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    // Empty SETTINGS.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    while frame(&mut stream).await.unwrap().0 != HEADERS {}
    let mut goodbye = vec![0, 0, 8, GOAWAY, 0, 0, 0, 0, 0];
    goodbye.extend_from_slice(&last.to_be_bytes());
    goodbye.extend_from_slice(&0u32.to_be_bytes());
    stream.write_all(&goodbye).await.unwrap();
    let _ = stream.shutdown().await;
    while frame(&mut stream).await.is_some() {}
}

#[test]
fn a_request_that_a_goaway_excludes_is_sent_again_and_one_that_may_have_been_processed_is_not() {
    for (method, last, expected) in
        [(Method::POST, 0, Ok("1".to_owned())), (Method::POST, 1, Err(UpstreamError::ConnectionTerminated))]
    {
        run(async || {
            let (base, upstream) = listen_http2(move |number, stream| async move {
                match number {
                    0 => say_goodbye(stream, last).await,
                    _ => serve_http2(number, stream, |_| Reaction::Answer).await,
                }
            })
            .await;
            let answer = match upstream.exchange(request(method, &base, ""), &CALL).await {
                Ok(response) => Ok(text(response).await),
                Err(error) => Err(error),
            };
            assert_eq!(answer, expected);
        });
    }
}

#[test]
fn a_connection_that_is_silent_until_a_timeout_gets_no_further_request() {
    run(async || {
        let (base, upstream) = listen_http2(|number, stream| {
            let first = move |position| if position == 0 { Reaction::Answer } else { Reaction::Ignore };
            serve_http2(number, stream, first)
        })
        .await;
        let send = async || upstream.exchange(get(&base), &UpstreamCall { timeout_ms: Some(700), ..CALL }).await;
        assert_eq!(text(send().await.unwrap()).await, "0");
        assert_eq!(send().await.map(drop), Err(UpstreamError::HttpResponseTimeout));
        assert_eq!(text(send().await.unwrap()).await, "1");
    });
}

#[test]
fn a_connection_that_answers_others_is_used_after_a_timeout() {
    run(async || {
        let (base, upstream) = listen_http2(|number, stream| {
            let but_one = move |position| if position == 1 { Reaction::Ignore } else { Reaction::Answer };
            serve_http2(number, stream, but_one)
        })
        .await;
        let send = async |ms| upstream.exchange(get(&base), &UpstreamCall { timeout_ms: Some(ms), ..CALL }).await;
        assert_eq!(text(send(2_000).await.unwrap()).await, "0");
        let slow = async { assert_eq!(send(300).await.map(drop), Err(UpstreamError::HttpResponseTimeout)) };
        let others = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(text(send(2_000).await.unwrap()).await, "0");
        };
        futures_util::future::join(slow, others).await;
        assert_eq!(text(send(2_000).await.unwrap()).await, "0");
    });
}
