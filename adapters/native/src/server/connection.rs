//! One connection from a client: TLS, HTTP/1.1 or HTTP/2, and its timeouts.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tollgate_edge::Client;

use super::activity::Activity;
use super::delivering::Delivering;
use super::exchange::answer;
use super::isolate::Serving;
use super::lingering::ClientStream;
use super::socket::OverTcp;

/// Serves the connection until it closes.
pub(super) async fn serve_connection(
    serving: &Rc<Serving>,
    activity: &Rc<Activity>,
    stream: TcpStream,
    client: Client,
    tls: Option<Arc<ServerConfig>>,
) {
    match tls {
        None => converse(serving, activity, stream, client).await,
        // Boxed, because it is larger, and connections without it would be as large.
        Some(tls) => Box::pin(serve_tls(serving, activity, stream, client, tls)).await,
    }
}

async fn serve_tls(
    serving: &Rc<Serving>,
    activity: &Rc<Activity>,
    stream: TcpStream,
    client: Client,
    tls: Arc<ServerConfig>,
) {
    let handshake = async {
        stream.readable().await?;
        activity.heard();
        TlsAcceptor::from(tls).accept(stream).await
    };
    let handshake = tokio::time::timeout(HANDSHAKE_MAX, handshake);
    let shaken = tokio::select! {
        () = activity.standing.closing() => return,
        shaken = handshake => shaken,
    };
    // A failed handshake is not reported: it is the client's error or a scanner's probe.
    if let Ok(Ok(stream)) = shaken {
        converse(serving, activity, stream, client).await;
    }
}

async fn converse<S>(serving: &Rc<Serving>, activity: &Rc<Activity>, stream: S, client: Client)
where
    S: AsyncRead + AsyncWrite + OverTcp + Unpin + 'static,
{
    let mut stream = ClientStream::new(stream).heard_by(activity);
    let end = conversation(serving, activity, stream.handle(), client).await;
    if activity.resets.get() {
        return stream.reset();
    }
    let lingers = match end {
        End::Closed => false,
        End::Failed => true,
        End::Complete => activity.may_be_receiving() || stream.has_unread().await,
    };
    if lingers {
        tokio::select! {
            () = activity.standing.closing() => {}
            // Boxed, because it is rare.
            () = Box::pin(stream.linger()) => {}
        }
    }
}

/// How a connection ended.
enum End {
    /// By HTTP's rules.
    Complete,
    /// The client violated the protocol, or has closed the connection.
    Failed,
    /// By this server: it was idle, or must end.
    Closed,
}

async fn conversation<S>(serving: &Rc<Serving>, activity: &Rc<Activity>, stream: ClientStream<S>, client: Client) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(|request: hyper::Request<Incoming>| answer(serving, activity, client, request));
    let mut connection = std::pin::pin!(serving.http.serve_connection(TokioIo::new(stream), service));
    let (mut closing, mut was_idle) = (false, false);
    poll_fn(|cx| {
        activity.standing.listen(cx.waker());
        loop {
            // The result of the connection is not reported; lost content is in the exchange's record.
            match connection.as_mut().poll(cx) {
                Poll::Ready(Ok(())) if was_idle && activity.is_idle() => return Poll::Ready(End::Closed),
                Poll::Ready(Ok(())) => return Poll::Ready(End::Complete),
                Poll::Ready(Err(_)) => return Poll::Ready(End::Failed),
                Poll::Pending => {}
            }
            if activity.standing.is_closing() {
                return Poll::Ready(End::Closed);
            }
            if closing || !(serving.drain.is_given() || activity.retires()) {
                return Poll::Pending;
            }
            (closing, was_idle) = (true, activity.is_idle());
            connection.as_mut().graceful_shutdown();
        }
    })
    .await
}

/// Runs the streams of HTTP/2 connections as tasks of the isolate's thread, which a response's delivery can end.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Rc<RefCell<Option<Rc<Delivering>>>>);

impl Streams {
    /// The next task belongs to this delivery: hyper spawns a stream's task immediately after it calls the service.
    pub(super) fn announce(&self, delivering: &Rc<Delivering>) {
        *self.0.borrow_mut() = Some(Rc::clone(delivering));
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        let task = tokio::task::spawn_local(future);
        if let Some(delivering) = self.0.take() {
            let _ = delivering.stream.set(task.abort_handle());
        }
    }
}

/// The HTTP settings of all connections. Heads and idle connections are timed by the isolate's sweep, and not with a timer for
/// each request.
pub(super) fn http(streams: Streams) -> auto::Builder<Streams> {
    let mut http = auto::Builder::new(streams);
    http.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX).max_headers(HEAD_LINES_MAX);
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

/// Field lines of a request's head: more than the pipeline accepts, for the same reason. hyper initialises 64 bytes for each
/// line that there may be.
const HEAD_LINES_MAX: usize = tollgate_core::bounds::FIELD_LINES_MAX + 28;

/// How long a client may take for a TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Concurrent streams on one HTTP/2 connection: the minimum that RFC 9113, section 6.5.2, recommends.
pub(super) const STREAMS_MAX: u32 = 128;

/// The interval of pings to a silent HTTP/2 client, and the timeout of its answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
