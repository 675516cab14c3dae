//! What [`Upstream`] promises, asked against a real server.

use bytes::Bytes;
use http::{Request, Response, Uri};
use tollgate_core::forward::UpstreamError;
use tollgate_edge::ports::{Content, Host, Upstream, UpstreamCall};

use crate::breach::{present, same_bytes};
use crate::stage::Server;
use crate::{Breach, ContentOf, Outcome, Subject};

const CALL: UpstreamCall = UpstreamCall { connect_timeout_ms: 2_000, timeout_ms: Some(10_000) };
const QUICK: UpstreamCall = UpstreamCall { connect_timeout_ms: 2_000, timeout_ms: Some(400) };

type Sent<S> = Result<Response<ContentOf<S>>, UpstreamError>;

/// Method, target, fields and content arrive as they are, and so does the answer.
pub(crate) async fn passes_messages_as_they_are<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let url = format!("{}/a%20b?echo&status=202&field=X-Own:1&x=%2e%2e", server.url);
    let content = vec![b'c'; 200_000];
    let answer = send(subject, "PUT", &url, ContentOf::<S>::from_bytes(content.clone().into()), &CALL).await??;
    ensure_eq!(answer.status().as_u16(), 202, "the status");
    ensure_eq!(answer.headers().get("x-own").map(|value| value.as_bytes()), Some(&b"1"[..]), "x-own");
    same_bytes(&subject.read(answer.into_body()).await?, &content, "the content there and back")?;
    let received = present(server.report(subject).await?.last, "the request")?;
    ensure_eq!(received.method, "PUT", "the method");
    ensure_eq!(received.target, url[server.url.len()..], "the target");
    ensure_eq!(received.field("x-two").replace(", ", ","), "1,2", "x-two");
    ensure_eq!(received.field("host"), server.url["http://".len()..], "host");
    Ok(())
}

/// Redirects are answers, and an answer's encoding is its own business.
pub(crate) async fn neither_follows_nor_decodes<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let url = format!("{}/a?status=307&field=Location:/b&field=Content-Encoding:gzip&size=10", server.url);
    let answer = get(subject, &url, &CALL).await??;
    ensure_eq!(answer.status().as_u16(), 307, "the status");
    same_bytes(&subject.read(answer.into_body()).await?, b"xxxxxxxxxx", "the content")?;
    ensure_eq!(server.report(subject).await?.total, 1, "requests");
    Ok(())
}

/// What goes wrong before a head has come is an error, however it is called.
pub(crate) async fn failures_are_no_answers<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let gone = Server::start(subject).await?.stop(subject).await?;
    for url in [format!("{gone}/"), format!("{}/?break=garbage", server.url), format!("{}/?break=head", server.url)] {
        ensure!(get(subject, &url, &CALL).await?.is_err(), "{url} was answered");
    }
    Ok(())
}

/// A port where nobody listens is told apart from other failures, as RFC 9209 does.
pub(crate) async fn names_a_refused_connection<S: Subject>(subject: &S) -> Outcome {
    let gone = Server::start(subject).await?.stop(subject).await?;
    fails_as(subject, &format!("{gone}/"), &[UpstreamError::ConnectionRefused]).await
}

/// So is a connection that ends before the head.
pub(crate) async fn names_an_early_end<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let names = [UpstreamError::ConnectionTerminated, UpstreamError::HttpResponseIncomplete];
    fails_as(subject, &format!("{}/?break=head", server.url), &names).await
}

/// So is an answer that is not HTTP.
pub(crate) async fn names_garbage<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    fails_as(subject, &format!("{}/?break=garbage", server.url), &[UpstreamError::HttpProtocolError]).await
}

/// A head that does not come in time is a timeout, when the time is over and not long after.
pub(crate) async fn names_a_timeout<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let error = get(subject, &format!("{}/?head_ms=5000", server.url), &QUICK).await?.err();
    ensure_eq!(error, Some(UpstreamError::HttpResponseTimeout), "the error");
    Ok(())
}

/// Nothing is tried twice that might be done twice.
pub(crate) async fn never_sends_again<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let url = format!("{}/?break=head", server.url);
    let content = ContentOf::<S>::from_bytes(Bytes::from_static(b"x"));
    ensure!(send(subject, "POST", &url, content, &CALL).await?.is_err(), "it was answered");
    ensure_eq!(server.report(subject).await?.total, 1, "requests");
    Ok(())
}

/// Content that breaks off is not taken for whole.
pub(crate) async fn broken_content_is_seen<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for query in ["size=100000&break=body", "chunks=9&break=body"] {
        let content = stream(subject, &server, query).await?;
        ensure!(subject.read(content).await.is_err(), "{query}: taken for whole");
    }
    Ok(())
}

/// Content that outlives the call is not taken for whole.
pub(crate) async fn content_past_its_time_breaks_off<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let answer = get(subject, &format!("{}/?chunks=9&every_ms=300", server.url), &QUICK).await??;
    ensure!(subject.read(answer.into_body()).await.is_err(), "it went on past its time");
    Ok(())
}

/// A certificate that nobody vouches for is refused before anything is sent.
pub(crate) async fn never_takes_a_bad_certificate<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start_tls(subject).await?;
    let url = server.url.replace("127.0.0.1", "localhost");
    ensure!(get(subject, &url, &CALL).await?.is_err(), "it was answered");
    ensure_eq!(server.report(subject).await?.total, 0, "requests");
    Ok(())
}

/// A certificate that nobody vouches for is told apart from other failures.
pub(crate) async fn names_a_bad_certificate<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start_tls(subject).await?;
    let url = server.url.replace("127.0.0.1", "localhost");
    let error = get(subject, &url, &CALL).await?.err();
    ensure_eq!(error, Some(UpstreamError::TlsCertificateError), "the error");
    Ok(())
}

/// The content of an upstream's answer, as it comes.
pub(crate) async fn stream<S: Subject>(subject: &S, server: &Server, query: &str) -> Result<ContentOf<S>, Breach> {
    let answer = get(subject, &format!("{}/?{query}", server.url), &CALL).await??;
    Ok(answer.into_body())
}

async fn fails_as<S: Subject>(subject: &S, url: &str, names: &[UpstreamError]) -> Outcome {
    let error = get(subject, url, &CALL).await?.err();
    ensure!(error.is_some_and(|error| names.contains(&error)), "{url}: {error:?} instead of {names:?}");
    Ok(())
}

async fn get<S: Subject>(subject: &S, url: &str, call: &UpstreamCall) -> Result<Sent<S>, Breach> {
    send(subject, "GET", url, ContentOf::<S>::empty(), call).await
}

async fn send<S: Subject>(
    subject: &S,
    method: &str,
    url: &str,
    content: ContentOf<S>,
    call: &UpstreamCall,
) -> Result<Sent<S>, Breach> {
    let uri: Uri = url.parse()?;
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    let request = Request::builder().method(method).uri(uri).header("host", host).header("x-two", "1");
    let request = request.header("x-two", "2").body(content)?;
    Ok(subject.host().upstream().send(request, call).await)
}
