//! The echo upstream: a small server that answers with the request it received, so that a gateway has an upstream.
//!
//! A path or a query parameter selects other behaviour: `/delay/MS` or `?delay=MS`, `/status/CODE` or `?status=CODE`,
//! `/cache/S` or `?max-age=S` (a Cache-Control field and an ETag), `/stream/N` (N lines, one every 100 ms).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::time::{Interval, interval};

use super::{loopback, start};
use crate::failure::Failure;

/// The running upstream; it ends with the process.
pub(super) struct Echo {
    pub(super) address: SocketAddr,
    moved: bool,
}

impl Echo {
    /// Listens on the default port, or on another.
    pub(super) fn start(port: Option<u16>) -> Result<Self, Failure> {
        let asked = loopback(port.unwrap_or(PORT));
        let listener = TcpListener::bind(asked).map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => start::taken(asked, FLAGS),
            _ => Failure::problem(format!("the echo upstream cannot listen on {asked}: {error}")),
        })?;
        let refused = |error: std::io::Error| Failure::problem(format!("the echo upstream cannot start: {error}"));
        let address = listener.local_addr().map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        std::thread::Builder::new().name("echo".into()).spawn(move || serve(listener)).map_err(refused)?;
        Ok(Self { address, moved: port.is_some_and(|port| port != PORT) })
    }

    /// Its address, if it is not the default one.
    pub(super) fn moved_to(&self) -> Option<SocketAddr> {
        self.moved.then_some(self.address)
    }
}

fn serve(listener: TcpListener) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(tokio::runtime::LocalOptions::default());
    match runtime {
        Ok(runtime) => runtime.block_on(accept(listener)),
        Err(error) => {
            crate::terminal::message(&format!("the event queue of the echo upstream cannot be created: {error}"));
        }
    }
}

async fn accept(listener: TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Small answers are not delayed to be combined (Nagle's algorithm).
        let _ = stream.set_nodelay(true);
        tokio::task::spawn_local(async move {
            // How a connection ends is not relevant here.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    let (head, content) = request.into_parts();
    let options = AnswerOptions::of(&head.uri);
    let document = describe(&head, content).await;
    tokio::time::sleep(Duration::from_millis(options.delay_ms)).await;
    let etag = options.max_age_s.map(|_| HeaderValue::from_static("\"echo\""));
    let unchanged = etag.is_some() && head.headers.get(IF_NONE_MATCH) == etag.as_ref();
    let content = match options.stream_lines {
        Some(lines) => Answer::Lines { left: lines, ticks: interval(LINE_INTERVAL) },
        None if unchanged => Answer::Complete(None),
        None => Answer::Complete(Some(Bytes::from(format!("{document:#}\n")))),
    };
    let mut response = Response::new(content);
    *response.status_mut() = if unchanged { StatusCode::NOT_MODIFIED } else { options.status };
    set_fields(response.headers_mut(), &options, etag);
    Ok(response)
}

fn set_fields(fields: &mut HeaderMap, options: &AnswerOptions, etag: Option<HeaderValue>) {
    let media_type = if options.stream_lines.is_some() { "text/plain" } else { "application/json" };
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    let max_age = options.max_age_s.and_then(|s| HeaderValue::try_from(format!("max-age={s}")).ok());
    for (name, value) in [(CACHE_CONTROL, max_age), (ETAG, etag)] {
        if let Some(value) = value {
            fields.insert(name, value);
        }
    }
}

/// The received request, as JSON.
async fn describe(head: &http::request::Parts, content: Incoming) -> Value {
    let mut fields = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let joined = |before: String| format!("{before}, {value}");
        let before = fields.remove(name.as_str());
        fields.insert(name.as_str(), before.map_or_else(|| value.clone(), joined));
    }
    let received = match Limited::new(content, CONTENT_BYTES_MAX).collect().await {
        Ok(content) => String::from_utf8_lossy(&content.to_bytes()).into_owned(),
        Err(_) => format!("(longer than {CONTENT_BYTES_MAX} bytes, or aborted)"),
    };
    json!({
        "upstream": "the echo server of `tollgate dev`",
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "fields": fields,
        "content": received,
    })
}

/// The properties of the answer that a request selects.
#[derive(Debug, PartialEq, Eq)]
struct AnswerOptions {
    delay_ms: u64,
    status: StatusCode,
    max_age_s: Option<u32>,
    stream_lines: Option<u32>,
}

impl AnswerOptions {
    fn of(uri: &Uri) -> Self {
        let mut options = Self { delay_ms: 0, status: StatusCode::OK, max_age_s: None, stream_lines: None };
        let mut segments = uri.path().trim_start_matches('/').split('/');
        if let (Some(name), Some(value)) = (segments.next(), segments.next()) {
            options.set(name, value);
        }
        for (name, value) in uri.query().into_iter().flat_map(|q| q.split('&')).filter_map(|pair| pair.split_once('='))
        {
            options.set(name, value);
        }
        options
    }

    fn set(&mut self, name: &str, value: &str) {
        match name {
            "delay" => self.delay_ms = value.parse().unwrap_or(0).min(DELAY_MS_MAX),
            "status" => self.status = final_status(value).unwrap_or(self.status),
            "cache" | "max-age" => self.max_age_s = value.parse().ok(),
            "stream" => self.stream_lines = value.parse().ok().map(|lines: u32| lines.min(LINES_MAX)),
            _ => {}
        }
    }
}

/// A status that can end an exchange.
fn final_status(text: &str) -> Option<StatusCode> {
    text.parse().ok().filter(|status: &StatusCode| !status.is_informational())
}

/// The content of an answer.
enum Answer {
    Complete(Option<Bytes>),
    Lines { left: u32, ticks: Interval },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Complete(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Lines { left: 0, .. } => Poll::Ready(None),
            Self::Lines { left, ticks } => ticks.poll_tick(cx).map(|_| {
                *left -= 1;
                Some(Ok(Frame::data(Bytes::from(format!("{left} lines remaining\n")))))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Complete(None) | Self::Lines { left: 0, .. })
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Complete(bytes) => hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Lines { .. } => hyper::body::SizeHint::default(),
        }
    }
}

/// Its default address.
pub(super) const AUTHORITY: &str = "127.0.0.1:8082";

const PORT: u16 = 8082;
const FLAGS: &str = "--echo-port, or use the server on that port as the upstream with --no-echo";
const CONTENT_BYTES_MAX: usize = 64 * 1024;
const DELAY_MS_MAX: u64 = 60_000;
const LINES_MAX: u32 = 1000;
const LINE_INTERVAL: Duration = Duration::from_millis(100);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, delay_ms: u64, status: u16, max_age_s: Option<u32>) {
        let options = AnswerOptions::of(&target.parse().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(options, AnswerOptions { delay_ms, status, max_age_s, stream_lines: None }, "{target}");
    }

    #[test]
    fn a_path_or_the_query_selects_the_answer() {
        check("/public", 0, 200, None);
        check("/delay/250", 250, 200, None);
        check("/private/x?delay=9&status=503", 9, 503, None);
        check("/cache/60?status=404", 0, 404, Some(60));
        check("/status/101", 0, 200, None);
        check("/delay/99999999?max-age=x", DELAY_MS_MAX, 200, None);
    }
}
