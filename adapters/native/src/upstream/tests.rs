use super::*;

use std::cell::RefCell;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tollgate_edge::ports::Content;

const CALL: UpstreamCall = UpstreamCall { connect_timeout_ms: 2_000, timeout_ms: Some(5_000) };

/// Runs on one thread, like an isolate.
fn run(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(test());
}

fn upstream() -> NativeUpstream {
    NativeUpstream::new(client_config(None).unwrap())
}

fn request(method: Method, url: &str, content: &'static str) -> Request<NativeContent> {
    let mut request = Request::new(NativeContent::from_bytes(Bytes::from(content)));
    *request.method_mut() = method;
    *request.uri_mut() = url.parse().unwrap();
    request
}

fn get(url: &str) -> Request<NativeContent> {
    request(Method::GET, url, "")
}

async fn text(response: Response<NativeContent>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An upstream with this handler for each connection, numbered from 0; returns its base URL.
async fn listen<F: Future<Output = ()> + 'static>(handle: impl Fn(usize, TcpStream) -> F + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::task::spawn_local(handle(number, stream));
        }
    });
    format!("http://{address}")
}

/// Reads a head, and answers with the given bytes; returns whether there was a head.
async fn answer(stream: &mut TcpStream, bytes: &str) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.ok()?;
        head.push(byte);
    }
    stream.write_all(bytes.as_bytes()).await.ok()?;
    String::from_utf8(head).ok()
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

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
fn a_request_is_sent_in_origin_form_with_a_host_and_a_length() {
    run(async || {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let heads = Rc::clone(&seen);
        let base = listen(move |_, mut stream| {
            let heads = Rc::clone(&heads);
            async move {
                while let Some(head) = answer(&mut stream, OK).await {
                    heads.borrow_mut().push(head);
                    stream.readable().await.unwrap();
                    let mut rest = [0; 3];
                    let _ = stream.try_read(&mut rest);
                }
            }
        })
        .await;
        let upstream = upstream();
        let send = async |method, content| {
            let url = format!("{base}/a?b=c");
            let response = upstream.exchange(request(method, &url, content), &CALL).await;
            assert_eq!(text(response.unwrap()).await, "ok");
        };
        send(Method::POST, "abc").await;
        let head = seen.borrow_mut().remove(0);
        let host = base.strip_prefix("http://").unwrap();
        assert!(head.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("host: {host}\r\n")) && head.contains("content-length: 3\r\n"), "{head}");
    });
}

#[test]
fn te_is_named_by_connection_and_a_post_without_content_says_so() {
    run(async || {
        let seen = Rc::new(RefCell::new(String::new()));
        let head = Rc::clone(&seen);
        let base = listen(move |_, mut stream| {
            let head = Rc::clone(&head);
            async move {
                let received = answer(&mut stream, OK).await.unwrap_or_default();
                head.replace(received);
            }
        })
        .await;
        let mut sent = request(Method::POST, &base, "");
        sent.headers_mut().insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        assert_eq!(text(upstream().exchange(sent, &CALL).await.unwrap()).await, "ok");
        let head = seen.take();
        for line in ["te: trailers\r\n", "connection: te\r\n", "content-length: 0\r\n"] {
            assert!(head.contains(line), "{head}");
        }
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

#[track_caller]
fn check_error(expected: UpstreamError, call: UpstreamCall, base: impl AsyncFnOnce() -> String) {
    let got = RefCell::new(None);
    run(async || {
        let base = base().await;
        let answer = upstream().exchange(get(&base), &call).await;
        *got.borrow_mut() = Some(answer.map(|r| r.status()));
    });
    assert_eq!(got.into_inner(), Some(Err(expected)));
}

#[test]
fn failures_have_their_names() {
    check_error(UpstreamError::ConnectionRefused, CALL, async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    });
    check_error(UpstreamError::DnsError, CALL, async || "http://no-such-name.invalid/".into());
    check_error(UpstreamError::ConnectionTerminated, CALL, async || {
        listen(async |_, mut stream| drop(answer(&mut stream, "").await)).await
    });
    check_error(UpstreamError::HttpProtocolError, CALL, async || {
        listen(async |_, mut stream| drop(answer(&mut stream, "SSH-2.0-OpenSSH_9.2\r\n\r\n").await)).await
    });
    check_error(UpstreamError::HttpResponseHeaderSectionSize, CALL, async || {
        let many: String = (0..=100).map(|at| format!("x-{at}: v\r\n")).collect();
        let head = format!("HTTP/1.1 200 OK\r\n{many}\r\n");
        listen(move |_, mut stream| {
            let head = head.clone();
            async move { drop(answer(&mut stream, &head).await) }
        })
        .await
    });
    check_error(UpstreamError::HttpProtocolError, CALL, async || {
        listen(async |_, mut stream| {
            answer(&mut stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n").await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        })
        .await
    });
    let impatient = UpstreamCall { timeout_ms: Some(50), ..CALL };
    check_error(UpstreamError::HttpResponseTimeout, impatient, async || {
        listen(async |_, mut stream| {
            answer(&mut stream, "").await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        })
        .await
    });
    check_error(UpstreamError::TlsProtocolError, CALL, async || {
        let base = listen(async |_, mut stream| {
            let _ = stream.write_all(b"this is no TLS\r\n").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        })
        .await;
        base.replace("http://", "https://")
    });
}

#[test]
fn a_reader_that_stops_after_the_trailers_has_read_everything() {
    run(async || {
        let base = listen(async |number, mut stream| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n";
            let all = format!("{head}{number}\r\n0\r\nx-sum: 1\r\n\r\n");
            while answer(&mut stream, &all).await.is_some() {}
        })
        .await;
        let upstream = upstream();
        for _ in 0..2 {
            let response = upstream.exchange(get(&base), &CALL).await.unwrap();
            let (content, copy) = response.into_body().tee(10);
            let (mut content, delivery) = content.watched();
            assert_eq!(content.frame().await.unwrap().unwrap().into_data().unwrap(), "0");
            assert!(content.frame().await.unwrap().unwrap().is_trailers());
            drop(content);
            assert_eq!(delivery.await, tollgate_edge::ports::Delivery::Complete { bytes: 1 });
            assert_eq!(copy.complete().await.unwrap(), "0");
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn interrupted_content_is_an_error_and_not_an_end() {
    run(async || {
        let base = listen(async |_, mut stream| {
            answer(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        })
        .await;
        let response = upstream().exchange(get(&base), &CALL).await.unwrap();
        let (content, delivery) = response.into_body().watched();
        assert!(content.collect().await.is_err());
        let broken =
            tollgate_edge::ports::Delivery::Aborted { bytes: 4, by: tollgate_core::telemetry::AbortedBy::Upstream };
        assert_eq!(delivery.await, broken);
    });
}

#[test]
fn content_is_aborted_at_the_timeout_of_the_exchange() {
    run(async || {
        let base = listen(async |_, mut stream| {
            answer(&mut stream, "HTTP/1.1 200 OK\r\n\r\n").await;
            loop {
                if stream.write_all(b"again and again ").await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let call = UpstreamCall { timeout_ms: Some(100), ..CALL };
        let response = upstream().exchange(get(&base), &call).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(matches!(error, crate::ContentError::Deadline), "{error}");
    });
}

#[test]
fn content_beyond_its_limit_is_the_requests_error() {
    run(async || {
        let base = listen(async |_, mut stream| {
            answer(&mut stream, "").await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        })
        .await;
        let request = request(Method::POST, &base, "too long").map(|content| content.limited(3));
        let answer = upstream().exchange(request, &CALL).await;
        assert_eq!(answer.map(drop), Err(UpstreamError::RequestContentTooLarge));
    });
}

/// A TLS server with the given name, and the PEM file of its certificate authority.
async fn listen_tls(name: &str, protocols: &[&[u8]]) -> (SocketAddr, tempfile::NamedTempFile) {
    let signed = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), signed.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::task::spawn_local(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| async move {
                    let told = format!(
                        "{number} {:?} {}",
                        request.version(),
                        request.uri().authority().map_or("", |a| a.as_str())
                    );
                    Ok::<_, std::convert::Infallible>(Response::new(http_body_util::Full::new(Bytes::from(told))))
                });
                let http = hyper_util::server::conn::auto::Builder::new(crate::local::LocalExecutor);
                let _ = http.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
            });
        }
    });
    (address, file)
}

#[test]
fn tls_speaks_the_version_agreed_and_shares_an_http2_connection() {
    run(async || {
        for (protocols, expected) in [
            (&[&b"h2"[..], b"http/1.1"][..], "0 HTTP/2.0 pets.internal"),
            (&[b"http/1.1"], "0 HTTP/1.1 "),
            (&[], "0 HTTP/1.1 "),
        ] {
            let (address, authority) = listen_tls("localhost", protocols).await;
            let upstream = NativeUpstream::new(client_config(Some(authority.path())).unwrap());
            let url = format!("https://localhost:{}/", address.port());
            for _ in 0..3 {
                let mut request = get(&url);
                request.headers_mut().insert("host", "pets.internal".parse().unwrap());
                let response = upstream.exchange(request, &CALL).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(text(response).await, expected);
            }
        }
    });
}

/// An HTTP/2 server over TLS with this handler for each connection, numbered from 0; returns its base URL, and the
/// port to it.
async fn listen_http2<F>(handle: impl Fn(usize, TlsStream) -> F + 'static) -> (String, NativeUpstream)
where
    F: Future<Output = ()> + 'static,
{
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), signed.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::task::spawn_local(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            tokio::task::spawn_local(handle(number, stream));
        }
    });
    (base, NativeUpstream::new(client_config(Some(file.path())).unwrap()))
}

type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// Answers every request with the connection's number, except those that `refuse` chooses, by their position.
async fn serve_http2(number: usize, stream: TlsStream, choose: impl Fn(usize) -> Reaction) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut held = Vec::new();
    for position in 0.. {
        let Some(Ok((_, mut respond))) = connection.accept().await else { return };
        match choose(position) {
            Reaction::Answer => {
                let mut content = respond.send_response(Response::new(()), false).unwrap();
                content.send_data(Bytes::from(number.to_string()), true).unwrap();
            }
            Reaction::CutOff => {
                let mut content = respond.send_response(Response::new(()), false).unwrap();
                content.send_data(Bytes::from_static(b"cut"), false).unwrap();
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    content.send_reset(h2::Reason::NO_ERROR);
                });
            }
            Reaction::Refuse => respond.send_reset(h2::Reason::REFUSED_STREAM),
            Reaction::Ignore => held.push(respond),
            Reaction::FallSilent => std::future::pending().await,
        }
    }
}

#[derive(Clone, Copy)]
enum Reaction {
    Answer,
    /// The stream is reset in the middle of the content, without an error.
    CutOff,
    Refuse,
    /// The stream stays open.
    Ignore,
    /// Nothing is read or written any more, and pings are not answered.
    FallSilent,
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

#[test]
fn a_response_whose_stream_is_reset_without_an_error_is_not_complete() {
    run(async || {
        let (base, upstream) = listen_http2(|number, stream| serve_http2(number, stream, |_| Reaction::CutOff)).await;
        let response = upstream.exchange(get(&base), &CALL).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(matches!(error, crate::ContentError::Upstream(crate::BrokenOff::Reset)), "{error}");
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
        let send = async || upstream.exchange(get(&base), &UpstreamCall { timeout_ms: Some(200), ..CALL }).await;
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

#[test]
fn an_upstream_that_answers_no_ping_ends_even_a_call_without_a_timeout() {
    run(async || {
        let (base, upstream) =
            listen_http2(|number, stream| serve_http2(number, stream, |_| Reaction::FallSilent)).await;
        let mut pool = Pool::to(AddressRule::Any);
        pool.pings.interval = Duration::from_millis(100);
        pool.pings.timeout = Duration::from_millis(100);
        let upstream = NativeUpstream { pool: Rc::new(pool), ..upstream };
        let stream = UpstreamCall { timeout_ms: None, ..CALL };
        let answer = tokio::time::timeout(Duration::from_secs(5), upstream.exchange(get(&base), &stream)).await;
        assert_eq!(answer.unwrap().map(drop), Err(UpstreamError::HttpResponseTimeout));
    });
}

#[test]
fn the_request_of_a_client_that_is_gone_is_not_sent_and_its_call_ends() {
    run(async || {
        let base = listen(async |_, mut stream| {
            answer(&mut stream, "").await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        })
        .await;
        let upstream = upstream();
        let state = RequestState::default();
        let mut request = get(&base);
        *request.body_mut() = NativeContent::of_request(state.clone());
        let leaving = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(state.waiting(&Rc::default()));
        };
        let call = UpstreamCall { timeout_ms: None, ..CALL };
        let (ended, ()) = futures_util::future::join(upstream.exchange(request, &call), leaving).await;
        assert_eq!(ended.map(drop), Err(UpstreamError::ClientGone));
        // Nothing listens there: it was not even tried.
        let mut request = get("http://127.0.0.1:1/");
        *request.body_mut() = NativeContent::of_request(state.clone());
        assert_eq!(upstream.exchange(request, &call).await.map(drop), Err(UpstreamError::ClientGone));
    });
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    run(async || {
        let (address, authority) = listen_tls("elsewhere.example", &[]).await;
        let url = format!("https://localhost:{}/", address.port());
        for tls in [client_config(None), client_config(Some(authority.path()))] {
            let upstream = NativeUpstream::new(tls.unwrap());
            let answer = upstream.exchange(get(&url), &CALL).await;
            assert_eq!(answer.map(drop), Err(UpstreamError::TlsCertificateError));
        }
    });
}

#[test]
fn an_invalid_file_of_authorities_is_refused_by_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no certificate").unwrap();
    let error = client_config(Some(file.path())).unwrap_err().to_string();
    assert!(error.contains("contains no certificate"), "{error}");
    let error = client_config(Some(std::path::Path::new("/no/such.pem"))).unwrap_err().to_string();
    assert!(error.contains("/no/such.pem cannot be read"), "{error}");
}
