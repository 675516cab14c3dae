//! One connection from a client: TLS, HTTP/1.1 or HTTP/2, and its timeouts.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tollgate_edge::Client;

use super::exchange::answer;
use super::isolate::Serving;
use crate::content::{ContentError, NativeContent};
use crate::local::LocalExecutor;

/// Serves the connection until it closes.
pub(super) async fn serve_connection(
    serving: Rc<Serving>,
    stream: TcpStream,
    client: Client,
    tls: Option<Arc<ServerConfig>>,
) {
    let Some(tls) = tls else {
        return converse(&serving, stream, client).await;
    };
    let handshake = TlsAcceptor::from(tls).accept(stream);
    // A failed handshake is not reported: it is the client's error or a scanner's probe.
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
        converse(&serving, stream, client).await;
    }
}

async fn converse<S>(serving: &Rc<Serving>, stream: S, client: Client)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let activity = Rc::new(Activity::new(serving.head_timeout));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let busy = activity.begin();
        let answered = answer(Rc::clone(serving), client, request);
        async move {
            let response = answered.await;
            Ok::<_, Infallible>(response.map(|content| Answer { content, _busy: busy }))
        }
    });
    let mut connection = std::pin::pin!(serving.http.serve_connection(TokioIo::new(stream), service));
    let mut idle = std::pin::pin!(tokio::time::sleep(serving.head_timeout));
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            // The result of the connection is not reported; lost content is in the exchange's record.
            _ = connection.as_mut() => return,
            () = serving.drain.started(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = idle.as_mut() => match activity.idle_until() {
                Some(until) if until <= Instant::now() => {
                    if closing {
                        return;
                    }
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                    idle.as_mut().reset(Instant::now() + CLOSING_MAX);
                }
                Some(until) => idle.as_mut().reset(until),
                None => idle.as_mut().reset(Instant::now() + IDLE_MAX),
            },
        }
    }
}

/// The use of a connection: whether it is idle, and since when.
struct Activity {
    first_within: Duration,
    open: Cell<usize>,
    used: Cell<bool>,
    since: Cell<Instant>,
}

/// An open exchange on a connection: from the request's head until the end of the response.
struct Busy(Rc<Activity>);

/// The content of a response; the connection is in use while it exists.
struct Answer {
    content: NativeContent,
    _busy: Busy,
}

impl Activity {
    fn new(first_within: Duration) -> Self {
        Self { first_within, open: Cell::new(0), used: Cell::new(false), since: Cell::new(Instant::now()) }
    }

    fn begin(self: &Rc<Self>) -> Busy {
        self.open.set(self.open.get() + 1);
        self.used.set(true);
        Busy(Rc::clone(self))
    }

    /// When the idle timeout of the connection expires; `None` while it is in use.
    fn idle_until(&self) -> Option<Instant> {
        let most = if self.used.get() { IDLE_MAX } else { self.first_within };
        (self.open.get() == 0).then(|| self.since.get() + most)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        Pin::new(&mut self.get_mut().content).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.since.set(Instant::now());
    }
}

/// The HTTP settings of all connections.
pub(super) fn http(head_timeout: Duration) -> auto::Builder<LocalExecutor> {
    let mut http = auto::Builder::new(LocalExecutor);
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_LINES_MAX);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(Some(PING_INTERVAL))
        .keep_alive_timeout(PING_TIMEOUT);
    http
}

/// Bytes of a request's head: twice what the pipeline accepts, so that most clients get the pipeline's problem.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Field lines of a request's head: more than the pipeline accepts, for the same reason.
const HEAD_LINES_MAX: usize = 4 * tollgate_core::bounds::FIELD_LINES_MAX;

/// How long a client may take for a TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long a connection may stay open without a request; below the 350 s of cloud load balancers, as nginx's 75 s is.
const IDLE_MAX: Duration = Duration::from_secs(75);

/// Timeout for closing an idle connection.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Concurrent streams on one HTTP/2 connection: the minimum that RFC 9113, section 6.5.2, recommends.
const STREAMS_MAX: u32 = 128;

/// The interval of pings to a silent HTTP/2 client, and the timeout of its answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
