//! The listener for operators: health, metrics in the Prometheus format, and the operator endpoint.

mod guard;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tollgate_edge::Isolate;
use tollgate_edge::operator::{scrape, serve_operator};
use tollgate_edge::ports::Content;

use crate::content::{NativeContent, RequestState};
use crate::host::NativeHost;
use crate::local::{Tracker, apart};
use crate::server::{ClientStream, Framing, StateParts};
use guard::Guard;

/// The parts from which the admin listener's thread creates its state.
pub(crate) struct AdminParts {
    pub(crate) listener: TcpListener,
    pub(crate) state: StateParts,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// The state of the admin listener.
///
/// It has its own isolate, which reads the configuration: for readiness, and for the resources of a URL.
pub(crate) struct Admin {
    isolate: Isolate,
    host: NativeHost,
    stopping: watch::Receiver<bool>,
    guard: Guard,
    open_metrics: bool,
    calls: Tracker,
}

/// A response of the admin listener: a status, a media type, a text.
type Answer = Response<NativeContent>;

impl Admin {
    /// Serves until its task is dropped; `calls` counts the requests that are being answered.
    pub(crate) async fn serve(parts: AdminParts, calls: Tracker) {
        let Ok(listener) = tokio::net::TcpListener::from_std(parts.listener) else {
            return;
        };
        let open_metrics = parts.state.settings.admin.as_ref().is_some_and(|admin| admin.open_metrics);
        let (isolate, host) = parts.state.open(&Rc::default());
        let guard = Guard::new(listener.local_addr().ok());
        let admin = Rc::new(Self { isolate, host, stopping: parts.stopping, guard, open_metrics, calls });
        let connections = Tracker::default();
        loop {
            connections.below(CONNECTIONS_MAX).await;
            let Ok((stream, peer)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let tracking = connections.track();
            let conversation = converse(Rc::clone(&admin), stream, peer);
            tokio::task::spawn_local(async move {
                let _ = tokio::time::timeout(CONVERSATION_MAX, conversation).await;
                drop(tracking);
            });
        }
    }

    /// Answers in a separate task, which runs to its end: a client that hangs up must not cancel the audit of a call whose
    /// writes go on.
    async fn answer(self: Rc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let tracking = self.calls.track();
        apart(|giver| async move {
            // The client may have gone.
            let _ = giver.give(self.respond(request, peer).await);
            drop(tracking);
        })
        .await
        .unwrap_or_else(tollgate_edge::failed)
    }

    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        if let Err(refusal) = self.guard.check(request.headers()) {
            return refusal.answer();
        }
        let address = Some(peer.ip());
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match (request.uri().path(), is_read) {
            ("/healthz", true) => text(StatusCode::OK, "ok\n"),
            ("/readyz", true) => self.readiness().await,
            ("/metrics", true) => {
                scrape(&self.isolate, &self.host, request.headers(), address, self.open_metrics).await
            }
            ("/healthz" | "/readyz" | "/metrics", false) => not_allowed("GET, HEAD"),
            _ => {
                let (version, state) = (request.version(), RequestState::default());
                let request = request.map(|incoming| NativeContent::from_client(incoming, version, state));
                serve_operator(&self.isolate, &self.host, request, address).await
            }
        }
    }

    /// Ready while a bundle is loaded and the server is not stopping.
    async fn readiness(&self) -> Answer {
        if *self.stopping.borrow() {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping");
        }
        self.isolate.refresh(&self.host).await;
        if self.isolate.is_ready() {
            text(StatusCode::OK, "ready\n")
        } else {
            let detail = "there is no bundle to serve; publish one to this gateway";
            problem(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }
}

async fn converse(admin: Rc<Admin>, stream: TcpStream, peer: SocketAddr) {
    let stream = ClientStream::new(stream);
    let connection = stream.handle(Bytes::new());
    let service = service_fn(|request: Request<Incoming>| {
        let admin = Rc::clone(&admin);
        async move {
            let is_last = Framing::of(request.body(), false) == Framing::Chunked;
            let mut answer = admin.answer(request, peer).await;
            if is_last {
                // What follows may not be a request: see `Receiving::is_in_step`. Operators hardly send chunks.
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    // The result of a connection does not matter here.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(connection), service)
        .await;
    // The client may still be sending what was refused.
    stream.linger().await;
}

fn not_allowed(allow: &'static str) -> Answer {
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "this path does not support the method");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

fn problem(status: StatusCode, detail: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or_default();
    let document =
        serde_json::json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    respond(status, "application/problem+json", document.to_string().into())
}

fn text(status: StatusCode, content: &'static str) -> Answer {
    respond(status, "text/plain; charset=utf-8", Bytes::from_static(content.as_bytes()))
}

fn respond(status: StatusCode, media_type: &'static str, content: Bytes) -> Answer {
    let mut answer = Response::new(NativeContent::from_bytes(content));
    *answer.status_mut() = status;
    let nosniff = HeaderName::from_static("x-content-type-options");
    for (name, value) in [(CONTENT_TYPE, media_type), (CACHE_CONTROL, "no-store"), (nosniff, "nosniff")] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Operators, a metrics collector and probes: far fewer than this.
const CONNECTIONS_MAX: usize = 64;

/// Collectors connect every 15 s to 60 s; a connection that is idle for longer is closed.
const CONVERSATION_MAX: Duration = Duration::from_secs(300);

const HEAD_READ_MAX: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
