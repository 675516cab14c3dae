//! What is said over one connection: HTTP/1.1 or HTTP/2, until it ends or has a pause.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tollgate_edge::Client;

use super::activity::Activity;
use super::delivering::Delivering;
use super::exchange::answer;
use super::isolate::Serving;
use super::stream::ClientStream;

/// How a conversation ended.
pub(super) enum End {
    /// By HTTP's rules.
    Complete,
    /// The client violated the protocol, or has closed the connection.
    Failed,
    /// By this server: it was idle, or must end.
    Closed,
    /// The client sends nothing; it has sent these bytes since its last request.
    Asleep(Bytes),
}

/// This server, in the conversation with one client.
pub(super) struct Speaker<'a> {
    pub(super) serving: &'a Rc<Serving>,
    pub(super) activity: &'a Rc<Activity>,
    pub(super) client: Client,
}

impl Speaker<'_> {
    pub(super) async fn http1<S>(&self, stream: ClientStream<S>) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let service = service_fn(|request| answer(self.serving, self.activity, self.client, request));
        let mut connection = self.serving.http.one.serve_connection(TokioIo::new(stream), service);
        match self.drive(Pin::new(&mut connection), http1::Connection::graceful_shutdown).await {
            // Copied, because even nothing of hyper's buffer would keep the buffer.
            End::Asleep(_) => End::Asleep(Bytes::copy_from_slice(&connection.into_parts().read_buf)),
            end => end,
        }
    }

    pub(super) async fn http2<S>(&self, stream: ClientStream<S>) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let service = service_fn(|request| answer(self.serving, self.activity, self.client, request));
        let connection = pin!(self.serving.http.two.serve_connection(TokioIo::new(stream), service));
        self.drive(connection, http2::Connection::graceful_shutdown).await
    }

    /// Returns when a connection without a request must end.
    pub(super) async fn ended(&self) {
        poll_fn(|cx| {
            self.activity.standing.listen(cx.waker());
            if self.activity.standing.is_closing() || self.ends() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether no further requests are accepted.
    fn ends(&self) -> bool {
        self.serving.drain.is_given() || self.activity.retires()
    }

    async fn drive<C>(&self, mut connection: Pin<&mut C>, shut_down: fn(Pin<&mut C>)) -> End
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let (mut closing, mut was_idle) = (false, false);
        poll_fn(|cx| {
            self.activity.standing.listen(cx.waker());
            loop {
                // The result of the connection is not reported; lost content is in the exchange's record.
                match connection.as_mut().poll(cx) {
                    Poll::Ready(Ok(())) if was_idle && self.activity.is_idle() => return Poll::Ready(End::Closed),
                    Poll::Ready(Ok(())) => return Poll::Ready(End::Complete),
                    Poll::Ready(Err(_)) => return Poll::Ready(End::Failed),
                    Poll::Pending => {}
                }
                if self.activity.standing.is_closing() {
                    return Poll::Ready(End::Closed);
                }
                if closing {
                    return Poll::Pending;
                }
                if !self.ends() {
                    let sleeps = self.activity.falls_asleep();
                    return if sleeps { Poll::Ready(End::Asleep(Bytes::new())) } else { Poll::Pending };
                }
                (closing, was_idle) = (true, self.activity.is_idle());
                shut_down(connection.as_mut());
            }
        })
        .await
    }
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
#[derive(Debug)]
pub(super) struct Http {
    one: http1::Builder,
    two: http2::Builder<Streams>,
}

impl Http {
    pub(super) fn new(streams: Streams) -> Self {
        let mut one = http1::Builder::new();
        one.header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX).max_headers(HEAD_LINES_MAX);
        let mut two = http2::Builder::new(streams);
        two.timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .keep_alive_interval(Some(PING_INTERVAL))
            .keep_alive_timeout(PING_TIMEOUT);
        Self { one, two }
    }
}

/// Bytes of a request's head: twice what the pipeline accepts, so that most clients get the pipeline's problem.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Field lines of a request's head: more than the pipeline accepts, for the same reason. hyper initialises 64 bytes for each
/// line that there may be.
const HEAD_LINES_MAX: usize = tollgate_core::bounds::FIELD_LINES_MAX + 28;

/// Concurrent streams on one HTTP/2 connection: the minimum that RFC 9113, section 6.5.2, recommends.
pub(super) const STREAMS_MAX: u32 = 128;

/// The interval of pings to a silent HTTP/2 client, and the timeout of its answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
