//! The contract of [`Upstream`], with a real server.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};
use tollgate_core::forward::{Edit, Edits, Outbound, Reply, UpstreamError};
use tollgate_edge::ports::{Content, Host, Upstream, UpstreamCall};

use crate::breach::{present, same_bytes};
use crate::stage::{Server, host_field};
use crate::{Breach, ContentOf, Outcome, Subject};

const CALL: UpstreamCall<'static> =
    UpstreamCall { connect_timeout_ms: 2_000, timeout_ms: Some(10_000), certificate: None, runs_to_end: false };
const QUICK: UpstreamCall<'static> =
    UpstreamCall { connect_timeout_ms: 2_000, timeout_ms: Some(400), certificate: None, runs_to_end: false };

type Sent<S> = Result<Response<ContentOf<S>>, UpstreamError>;

/// Method, target, fields and content arrive unchanged, and so does the response.
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

/// The edits of a received request have the same result as on a map.
pub(crate) async fn requests_are_edited_like_a_map<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let uri: Uri = format!("{}/edited", server.url).parse()?;
    let mut received = host_field(&uri)?;
    received.extend(lines()?);
    for edits in edit_lists() {
        let mut wanted = received.clone();
        edits.clone().apply(&mut wanted);
        let request = Outbound::new(&Method::GET, uri.clone(), &received, false).with_edits(edits.clone());
        subject.host().upstream().send(&request, subject.received_content(&received)?, &CALL).await?;
        let received = present(server.report(subject).await?.last, "the request")?;
        for name in NAMES {
            ensure_eq!(joined(&received.field(name)), joined(&text_of(&wanted, name)), "{name} after {edits:?}");
            let is_there = received.fields.iter().any(|(field, _)| field.eq_ignore_ascii_case(name));
            let may_be_absent = S::LOSES_EMPTY_VALUES && !name.starts_with("x-") && text_of(&wanted, name).is_empty();
            ensure!(is_there == wanted.contains_key(name) || may_be_absent, "whether {name} is there after {edits:?}");
        }
        let sent = |(name, _): &&(String, String)| name.to_ascii_lowercase().starts_with("x-");
        let strange = received.fields.iter().filter(sent).find(|(name, _)| !wanted.contains_key(name.as_str()));
        ensure!(strange.is_none(), "unexpected {strange:?}");
    }
    Ok(())
}

/// So have the edits of a received response.
pub(crate) async fn responses_are_edited_like_a_map<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let query: String = NAMES_AND_VALUES.iter().map(|(name, value)| format!("field={name}:{value}&")).collect();
    for edits in edit_lists() {
        // Without a time limit, so that the content also passes unchanged if the host supports it.
        let call = UpstreamCall { timeout_ms: None, ..CALL };
        let answer = get(subject, &format!("{}/?{query}size=3", server.url), &call).await??;
        let mut answer = answer;
        for (name, value) in answer.body().left_out() {
            if let Some(name) = name {
                answer.headers_mut().entry(name).or_insert(value);
            }
        }
        let mut reply = Reply::of_upstream(answer);
        reply.edits_mut().extend(edits.clone());
        let wanted = reply.fields().to_map();
        let (head, content) = subject.sent(reply).await?;
        same_bytes(&subject.read(content).await?, b"xxx", "the content")?;
        for name in NAMES {
            ensure_eq!(joined(&text_of(&head, name)), joined(&text_of(&wanted, name)), "{name} after {edits:?}");
        }
        let cookies = |fields: &HeaderMap| fields.get_all("set-cookie").iter().cloned().collect::<Vec<_>>();
        ensure_eq!(cookies(&head), cookies(&wanted), "cookies after {edits:?}");
        ensure_eq!(text_of(&head, "via"), "1.1 tollgate", "via");
    }
    Ok(())
}

/// Names of edited fields: a standard one, one that is usually not read, some others, and the one whose lines are never joined.
const NAMES: [&str; 6] = ["accept-language", "referrer-policy", "x-one", "x-many", "x-empty", "set-cookie"];

const NAMES_AND_VALUES: [(&str, &str); 8] = [
    ("Referrer-Policy", "no-referrer"),
    ("Accept-Language", "fr"),
    ("X-ONE", "1"),
    ("x-Many", "a"),
    ("X-many", "b"),
    ("x-empty", ""),
    ("Set-Cookie", "a=1"),
    ("set-cookie", "b=2"),
];

fn lines() -> Result<HeaderMap, Breach> {
    let mut fields = HeaderMap::new();
    for (name, value) in NAMES_AND_VALUES {
        fields.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_static(value));
    }
    Ok(fields)
}

/// Lists of edits from a small generator, equal on every host, because a property test with shrinking is not possible
/// here.
fn edit_lists() -> Vec<Edits> {
    let mut state = 7u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below
    };
    let values = ["", "n", "two words", "c=3; path=/", "\"quoted, comma\""];
    let mut list = |length: usize| {
        let mut edits = Edits::default();
        for _ in 0..length {
            let name = HeaderName::from_static(NAMES[next(NAMES.len())]);
            let value = HeaderValue::from_static(values[next(values.len())]);
            edits.extend([match next(3) {
                0 => Edit::Remove(name),
                1 => Edit::Set(name, value),
                _ => Edit::Append(name, value),
            }]);
        }
        edits
    };
    (0..24).map(&mut list).collect()
}

fn text_of(fields: &HeaderMap, name: &str) -> String {
    let lines = fields.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    lines.collect::<Vec<_>>().join(",")
}

/// The members of a list field, independent of lines: platforms may join lines, with or without a space.
fn joined(lines: &str) -> Vec<String> {
    lines.split(',').map(|member| member.trim().to_owned()).collect()
}

/// Redirects are returned, and encoded content is not decoded.
pub(crate) async fn neither_follows_nor_decodes<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let url = format!("{}/a?status=307&field=Location:/b&field=Content-Encoding:gzip&size=10", server.url);
    let answer = get(subject, &url, &CALL).await??;
    ensure_eq!(answer.status().as_u16(), 307, "the status");
    same_bytes(&subject.read(answer.into_body()).await?, b"xxxxxxxxxx", "the content")?;
    ensure_eq!(server.report(subject).await?.total, 1, "requests");
    Ok(())
}

/// A failure before the head is an error of any kind.
pub(crate) async fn failures_are_errors<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let gone = Server::start(subject).await?.stop(subject).await?;
    for url in [format!("{gone}/"), format!("{}/?break=garbage", server.url), format!("{}/?break=head", server.url)] {
        ensure!(get(subject, &url, &CALL).await?.is_err(), "{url} was answered");
    }
    Ok(())
}

/// A refused connection is distinguished from other failures, as in RFC 9209.
pub(crate) async fn reports_a_refused_connection<S: Subject>(subject: &S) -> Outcome {
    let gone = Server::start(subject).await?.stop(subject).await?;
    fails_as(subject, &format!("{gone}/"), &[UpstreamError::ConnectionRefused]).await
}

/// So is a connection that is closed before the head.
pub(crate) async fn reports_an_early_close<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let names = [UpstreamError::ConnectionTerminated, UpstreamError::HttpResponseIncomplete];
    fails_as(subject, &format!("{}/?break=head", server.url), &names).await
}

/// So is an answer that is not HTTP.
pub(crate) async fn reports_invalid_http<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    fails_as(subject, &format!("{}/?break=garbage", server.url), &[UpstreamError::HttpProtocolError]).await
}

/// A late head is a timeout error, at the timeout and not much later.
pub(crate) async fn reports_a_timeout<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let error = get(subject, &format!("{}/?head_ms=5000", server.url), &QUICK).await?.err();
    ensure_eq!(error, Some(UpstreamError::HttpResponseTimeout), "the error");
    Ok(())
}

/// A request that is not idempotent is not sent twice.
pub(crate) async fn never_retries<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let url = format!("{}/?break=head", server.url);
    let content = ContentOf::<S>::from_bytes(Bytes::from_static(b"x"));
    ensure!(send(subject, "POST", &url, content, &CALL).await?.is_err(), "it was answered");
    ensure_eq!(server.report(subject).await?.total, 1, "requests");
    Ok(())
}

/// Interrupted content is not treated as complete.
pub(crate) async fn interrupted_content_is_an_error<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for query in ["size=100000&break=body", "chunks=9&break=body"] {
        let content = stream(subject, &server, query).await?;
        ensure!(subject.read(content).await.is_err(), "{query}: treated as complete");
    }
    Ok(())
}

/// Content that exceeds the call's timeout is not treated as complete.
pub(crate) async fn content_is_aborted_at_its_timeout<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let answer = get(subject, &format!("{}/?chunks=9&every_ms=300", server.url), &QUICK).await??;
    ensure!(subject.read(answer.into_body()).await.is_err(), "it continued after its timeout");
    Ok(())
}

/// An untrusted certificate is refused before anything is sent.
pub(crate) async fn refuses_an_untrusted_certificate<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start_tls(subject).await?;
    let url = server.url.replace("127.0.0.1", "localhost");
    ensure!(get(subject, &url, &CALL).await?.is_err(), "it was answered");
    ensure_eq!(server.report(subject).await?.total, 0, "requests");
    Ok(())
}

/// An untrusted certificate is distinguished from other failures.
pub(crate) async fn reports_an_untrusted_certificate<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start_tls(subject).await?;
    let url = server.url.replace("127.0.0.1", "localhost");
    let error = get(subject, &url, &CALL).await?.err();
    ensure_eq!(error, Some(UpstreamError::TlsCertificateError), "the error");
    Ok(())
}

/// The content of an upstream's response, as a stream.
pub(crate) async fn stream<S: Subject>(subject: &S, server: &Server, query: &str) -> Result<ContentOf<S>, Breach> {
    let answer = get(subject, &format!("{}/?{query}", server.url), &CALL).await??;
    Ok(answer.into_body())
}

async fn fails_as<S: Subject>(subject: &S, url: &str, names: &[UpstreamError]) -> Outcome {
    let error = get(subject, url, &CALL).await?.err();
    ensure!(error.is_some_and(|error| names.contains(&error)), "{url}: {error:?} instead of {names:?}");
    Ok(())
}

async fn get<S: Subject>(subject: &S, url: &str, call: &UpstreamCall<'_>) -> Result<Sent<S>, Breach> {
    send(subject, "GET", url, ContentOf::<S>::empty(), call).await
}

async fn send<S: Subject>(
    subject: &S,
    method: &str,
    url: &str,
    content: ContentOf<S>,
    call: &UpstreamCall<'_>,
) -> Result<Sent<S>, Breach> {
    let uri: Uri = url.parse()?;
    let mut fields = host_field(&uri)?;
    for value in ["1", "2"] {
        fields.append("x-two", HeaderValue::from_static(value));
    }
    let method = Method::from_bytes(method.as_bytes())?;
    let request = Outbound::new(&method, uri, &fields, !content.is_empty());
    Ok(subject.host().upstream().send(&request, content, call).await)
}
