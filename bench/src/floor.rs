//! A bare proxy on hyper with one thread: what a gateway built on hyper cannot be quicker than.
//!
//! This program, started with `floor LISTEN UPSTREAM [STEP...]`, is that proxy. It removes one field and sets two, over HTTP/1.1. Each
//! step is something that a gateway cannot leave out, in the least code that does it ([`Steps`]); `http2` is HTTP/2 with clients.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::floor_steps::{Begun, Steps};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
type Pool = Rc<RefCell<Vec<SendRequest<Incoming>>>>;

/// Serves until the process is killed.
pub(crate) fn serve(words: &[String]) -> Result<(), Failure> {
    let [listen, upstream, steps @ ..] = words else { return Err("floor LISTEN UPSTREAM [STEP...]".into()) };
    let (listen, upstream): (SocketAddr, SocketAddr) = (listen.parse()?, upstream.parse()?);
    let (is_http2, steps) = (steps.iter().any(|step| step == "http2"), Rc::new(Steps::of(steps, upstream)?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        let pool = Pool::default();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (pool, steps) = (Rc::clone(&pool), Rc::clone(&steps));
            tokio::task::spawn_local(async move {
                let service =
                    service_fn(move |request| forward(Rc::clone(&pool), Rc::clone(&steps), upstream, request));
                if is_http2 {
                    let _ = http2::Builder::new(Local).serve_connection(TokioIo::new(stream), service).await;
                } else {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                }
            });
        }
    })
}

/// Runs the streams of HTTP/2 connections on the proxy's thread.
#[derive(Clone)]
struct Local;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(stream);
    }
}

async fn forward(
    pool: Pool,
    steps: Rc<Steps>,
    upstream: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Returned>, Failure> {
    let mut begun = steps.begin(&mut request)?;
    let target: Uri = request.uri().path_and_query().map_or("/", |target| target.as_str()).parse()?;
    *request.uri_mut() = target;
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().remove(CONNECTION);
    request.headers_mut().insert(HOST, steps.host.clone());
    request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
    let pooled = std::iter::from_fn(|| pool.borrow_mut().pop()).find(SendRequest::is_ready);
    let mut sender = match pooled {
        Some(sender) => sender,
        None => {
            let stream = TcpStream::connect(upstream).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::task::spawn_local(async move { drop(connection.await) });
            sender
        }
    };
    let mut response = steps.in_time(sender.send_request(request)).await??;
    steps.answered(&mut response, &mut begun);
    Ok(response.map(|content| Returned { pool, sender: Some(sender), content, last: Some((steps, begun)) }))
}

/// Content whose end returns the connection to the pool.
struct Returned {
    pool: Pool,
    sender: Option<SendRequest<Incoming>>,
    content: Incoming,
    last: Option<(Rc<Steps>, Begun)>,
}

impl Body for Returned {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.content).poll_frame(cx);
        if self.content.is_end_stream()
            && let Some(sender) = self.sender.take()
        {
            self.pool.borrow_mut().push(sender);
            if let Some((steps, begun)) = self.last.take() {
                steps.ended(&begun);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
