//! How requests are written, TLS, and the names of failures; which calls are sent again; content and deadlines.

mod again;
mod certificates;
mod content;

use super::*;

use std::cell::RefCell;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tollgate_edge::ports::Content;

const CALL: UpstreamCall<'static> =
    UpstreamCall { connect_timeout_ms: 2_000, timeout_ms: Some(5_000), certificate: None, runs_to_end: false };

/// Runs on one thread, like an isolate.
fn run(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(test());
}

fn upstream() -> NativeUpstream {
    port(None)
}

/// A port that trusts these authorities too.
fn port(authorities: Option<&std::path::Path>) -> NativeUpstream {
    NativeUpstream::new(client_config(authorities).unwrap(), SecretSource::Environment, UsableCertificates::default())
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
    (base, port(Some(file.path())))
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

#[track_caller]
fn check_error(expected: UpstreamError, call: UpstreamCall<'_>, base: impl AsyncFnOnce() -> String) {
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
fn tls_speaks_the_version_agreed_and_shares_an_http2_connection() {
    run(async || {
        for (protocols, expected) in [
            (&[&b"h2"[..], b"http/1.1"][..], "0 HTTP/2.0 pets.internal"),
            (&[b"http/1.1"], "0 HTTP/1.1 "),
            (&[], "0 HTTP/1.1 "),
        ] {
            let (address, authority) = listen_tls("localhost", protocols).await;
            let upstream = port(Some(authority.path()));
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

#[test]
fn a_certificate_for_another_name_is_refused() {
    run(async || {
        let (address, authority) = listen_tls("elsewhere.example", &[]).await;
        let url = format!("https://localhost:{}/", address.port());
        for tls in [client_config(None), client_config(Some(authority.path()))] {
            let upstream = NativeUpstream::new(tls.unwrap(), SecretSource::Environment, UsableCertificates::default());
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
