//! What [`Upstream`] promises, asked against a real server.

use http::Request;
use tollgate_core::forward::UpstreamError;
use tollgate_edge::ports::{Content, Upstream, UpstreamCall};
use tollgate_tests::upstream::Upstream as Server;

use crate::response_cache::Reader;

const CALL: UpstreamCall = UpstreamCall { connect_timeout_ms: 2_000, timeout_ms: Some(10_000) };

fn request<C: Content>(method: &str, url: &str, content: C) -> Request<C> {
    let uri: http::Uri = url.parse().expect("a URL");
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    let request = Request::builder().method(method).uri(uri).header("host", host).header("x-two", "1");
    request.header("x-two", "2").body(content).expect("a request")
}

async fn get<U: Upstream>(
    upstream: &U,
    url: &str,
    call: &UpstreamCall,
) -> Result<http::Response<U::Content>, UpstreamError> {
    upstream.send(request("GET", url, U::Content::empty()), call).await
}

/// Method, target, fields and content arrive as they are, and so does the answer.
pub(crate) async fn passes_messages_as_they_are<U: Upstream>(upstream: &U, reader: &impl Reader<U::Content>) {
    let server = Server::start().await.expect("a port");
    let url = format!("{}/a%20b?echo&status=202&field=X-Own:1&x=%2e%2e", server.url());
    let content = vec![b'c'; 200_000];
    let sent = request("PUT", &url, U::Content::from_bytes(content.clone().into()));
    let answer = upstream.send(sent, &CALL).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers().get("x-own").map(|v| v.as_bytes())), (202, Some(&b"1"[..])));
    assert_eq!(reader.read(answer.into_body()).await.as_deref(), Ok(content.as_slice()));
    let received = server.report().last().expect("it was sent");
    assert_eq!((received.method.as_str(), received.path()), ("PUT", "/a%20b"));
    assert!(received.target.ends_with("x=%2e%2e"), "{}", received.target);
    assert_eq!(received.all("x-two").join(", "), "1, 2");
    assert_eq!(received.field("host"), Some(server.authority().as_str()));
}

/// Redirects are answers, and an answer's encoding is its own business.
pub(crate) async fn neither_follows_nor_decodes<U: Upstream>(upstream: &U, reader: &impl Reader<U::Content>) {
    let server = Server::start().await.expect("a port");
    let url = format!("{}/a?status=307&field=Location:/b&field=Content-Encoding:gzip&size=10", server.url());
    let answer = get(upstream, &url, &CALL).await.expect("an answer");
    assert_eq!(answer.status(), 307);
    assert_eq!(reader.read(answer.into_body()).await.as_deref(), Ok(&b"xxxxxxxxxx"[..]));
    assert_eq!(server.report().total(), 1);
}

/// What goes wrong is told apart as far as RFC 9209 has a word for it; nothing is tried twice that might be done twice.
pub(crate) async fn names_what_goes_wrong<U: Upstream>(upstream: &U) {
    let server = Server::start().await.expect("a port");
    let gone = Server::start().await.expect("a port").url();
    tokio::task::yield_now().await;
    let quick = UpstreamCall { timeout_ms: Some(300), ..CALL };
    let cases = [
        (format!("{gone}/"), CALL, vec![UpstreamError::ConnectionRefused]),
        (format!("{}/?head_ms=20000", server.url()), quick, vec![UpstreamError::HttpResponseTimeout]),
        (format!("{}/?break=garbage", server.url()), CALL, vec![UpstreamError::HttpProtocolError]),
        (
            format!("{}/?break=head", server.url()),
            CALL,
            vec![UpstreamError::ConnectionTerminated, UpstreamError::HttpResponseIncomplete],
        ),
    ];
    for (url, call, expected) in cases {
        let error = get(upstream, &url, &call).await.err().expect("it went wrong");
        assert!(expected.contains(&error), "{url}: {error:?}");
    }
    let before = server.report().total();
    let post = request("POST", &format!("{}/?break=head", server.url()), U::Content::from_bytes("x".into()));
    assert!(upstream.send(post, &CALL).await.is_err());
    assert_eq!(server.report().total(), before + 1, "a POST is not sent again");
}

/// Content that breaks off, or outlives the call, is not taken for whole.
pub(crate) async fn broken_content_is_seen<U: Upstream>(upstream: &U, reader: &impl Reader<U::Content>) {
    let server = Server::start().await.expect("a port");
    for query in ["size=100000&break=body", "chunks=9&break=body"] {
        let answer = get(upstream, &format!("{}/?{query}", server.url()), &CALL).await.expect("a head");
        assert!(reader.read(answer.into_body()).await.is_err(), "{query}");
    }
    let quick = UpstreamCall { timeout_ms: Some(400), ..CALL };
    let answer = get(upstream, &format!("{}/?chunks=9&every_ms=300", server.url()), &quick).await.expect("a head");
    assert!(reader.read(answer.into_body()).await.is_err(), "the call's time is over");
}

/// A certificate that nobody vouches for is refused before anything is sent.
pub(crate) async fn verifies_certificates<U: Upstream>(upstream: &U) {
    let server = Server::start_tls().await.expect("a port");
    let url = server.url().replace("127.0.0.1", "localhost");
    let error = get(upstream, &url, &CALL).await.err().expect("it is refused");
    assert_eq!(error, UpstreamError::TlsCertificateError);
    assert_eq!(server.report().total(), 0);
}
