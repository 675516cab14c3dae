//! The contract of [`Fetch`], with a real server.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use tollgate_core::fetch::{AddressRule, FetchAnswer, FetchBounds, FetchError, FetchRequest, RefusedTarget};
use tollgate_edge::ports::{Fetch, Host};

use crate::breach::{present, same_bytes};
use crate::stage::Server;
use crate::{Breach, Outcome, Subject};

const BOUNDS: FetchBounds = FetchBounds { timeout_ms: 10_000, answer_bytes_max: 200_000, addresses: AddressRule::Any };

/// Method, target, fields and content arrive, and the answer is complete.
pub(crate) async fn returns_the_complete_answer<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let mut fields = HeaderMap::new();
    fields.insert("x-own", HeaderValue::from_static("1"));
    let content = Bytes::from(vec![b'c'; 100_000]);
    let url = format!("{}/a%20b?echo&status=202&field=X-Answer:2", server.url);
    let request = FetchRequest { method: Method::POST, url: url.parse()?, fields, content: content.clone() };
    let answer = subject.host().fetch().fetch(&request, &BOUNDS).await?;
    ensure_eq!(answer.status.as_u16(), 202, "the status");
    ensure_eq!(answer.fields.get("x-answer").map(|value| value.as_bytes()), Some(&b"2"[..]), "x-answer");
    same_bytes(&answer.content, &content, "the content there and back")?;
    let received = present(server.report(subject).await?.last, "the request")?;
    ensure_eq!(received.method, "POST", "the method");
    ensure_eq!(received.target, url[server.url.len()..], "the target");
    ensure_eq!(received.field("x-own"), "1", "x-own");
    ensure_eq!(received.field("host"), server.url["http://".len()..], "host");
    let empty = get(subject, &format!("{}/?status=204", server.url), &BOUNDS).await??;
    ensure_eq!((empty.status.as_u16(), empty.content.len()), (204, 0), "an answer without content");
    Ok(())
}

/// A redirect is an answer: a server cannot send the gateway to another address.
pub(crate) async fn follows_no_redirect<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let url = format!("{}/a?status=302&field=Location:/b", server.url);
    let answer = get(subject, &url, &BOUNDS).await??;
    ensure_eq!(answer.status.as_u16(), 302, "the status");
    ensure_eq!(server.report(subject).await?.total, 1, "requests");
    Ok(())
}

/// An answer that is late, too large or interrupted is an error, and each error is distinguished.
pub(crate) async fn an_answer_has_bounds<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let quick = FetchBounds { timeout_ms: 400, ..BOUNDS };
    for query in ["head_ms=5000", "chunks=9&every_ms=300"] {
        let error = get(subject, &format!("{}/?{query}", server.url), &quick).await?.err();
        ensure_eq!(error, Some(FetchError::Timeout), "{query}");
    }
    for (size, error) in [(200_000, None), (200_001, Some(FetchError::TooLarge))] {
        let answer = get(subject, &format!("{}/?size={size}", server.url), &BOUNDS).await?;
        ensure_eq!(answer.err(), error, "{size} bytes");
    }
    for query in ["size=100000&break=body", "chunks=9&break=body"] {
        let answer = get(subject, &format!("{}/?{query}", server.url), &BOUNDS).await?;
        ensure!(answer.is_err(), "{query}: treated as complete");
    }
    Ok(())
}

/// If only public addresses are allowed, nothing is sent to others.
pub(crate) async fn refuses_addresses_that_are_not_public<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let public = FetchBounds { addresses: AddressRule::Public, ..BOUNDS };
    let port = server.url.rsplit(':').next().unwrap_or_default();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433"] {
        let error = get(subject, &format!("http://{host}:{port}/"), &public).await?.err();
        ensure_eq!(error, Some(FetchError::Refused(RefusedTarget::Address)), "{host}");
    }
    let error = get(subject, "ftp://example.com/", &BOUNDS).await?.err();
    ensure_eq!(error, Some(FetchError::Refused(RefusedTarget::Url)), "another scheme");
    ensure_eq!(server.report(subject).await?.total, 0, "requests");
    Ok(())
}

/// A failure before the answer is an error of any kind.
pub(crate) async fn failures_are_distinguished<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let gone = Server::start(subject).await?.stop(subject).await?;
    for url in [format!("{gone}/"), format!("{}/?break=garbage", server.url), format!("{}/?break=head", server.url)] {
        ensure!(get(subject, &url, &BOUNDS).await?.is_err(), "{url} was answered");
    }
    Ok(())
}

async fn get<S: Subject>(
    subject: &S,
    url: &str,
    bounds: &FetchBounds,
) -> Result<Result<FetchAnswer, FetchError>, Breach> {
    Ok(subject.host().fetch().fetch(&FetchRequest::get(url.parse()?), bounds).await)
}
