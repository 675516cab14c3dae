//! A bare HTTP/1.1 proxy on hyper with one thread: what a gateway built on hyper cannot be quicker than.
//!
//! This program, started with `floor LISTEN UPSTREAM`, is that proxy. It removes one field and sets two.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Pool = Rc<RefCell<Vec<SendRequest<Incoming>>>>;

/// Serves until the process is killed.
pub(crate) fn serve(words: &[String]) -> Result<(), Failure> {
    let [listen, upstream] = words else { return Err("floor LISTEN UPSTREAM".into()) };
    let (listen, upstream): (SocketAddr, SocketAddr) = (listen.parse()?, upstream.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        let pool = Pool::default();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let pool = Rc::clone(&pool);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| forward(Rc::clone(&pool), upstream, request));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

async fn forward(
    pool: Pool,
    upstream: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Returned>, Failure> {
    let target: Uri = request.uri().path_and_query().map_or("/", |target| target.as_str()).parse()?;
    *request.uri_mut() = target;
    request.headers_mut().remove(CONNECTION);
    request.headers_mut().insert(HOST, HeaderValue::from_str(&upstream.to_string())?);
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
    let response = sender.send_request(request).await?;
    Ok(response.map(|content| Returned { pool, sender: Some(sender), content }))
}

/// Content whose end returns the connection to the pool.
struct Returned {
    pool: Pool,
    sender: Option<SendRequest<Incoming>>,
    content: Incoming,
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
