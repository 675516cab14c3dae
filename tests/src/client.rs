//! Clients: one that speaks correct HTTP, and one that sends arbitrary bytes.
//!
//! Both open a connection per request, so that tests do not share connections, and both give up after [`PATIENCE`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::mpsc;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::leaks::Seen;

/// The timeout of any wait.
pub const PATIENCE: Duration = Duration::from_secs(20);

type Content = Either<Full<Bytes>, StreamBody<Pieces>>;

/// A request to be sent.
pub struct Request {
    method: http::Method,
    target: String,
    fields: Vec<(String, String)>,
    content: Content,
}

impl Request {
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::of("GET", target)
    }

    #[must_use]
    pub fn post(target: &str, content: impl Into<Bytes>) -> Self {
        let mut request = Self::of("POST", target);
        request.content = Either::Left(Full::new(content.into()));
        request
    }

    /// Any method, without content.
    ///
    /// # Panics
    /// If the method is not a token.
    #[must_use]
    pub fn of(method: &str, target: &str) -> Self {
        Self {
            method: method.parse().expect("a method is a token"),
            target: target.to_owned(),
            fields: Vec::new(),
            content: Either::Left(Full::default()),
        }
    }

    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Streams the content in pieces, with unknown length; it ends when the sender is dropped.
    #[must_use]
    pub fn streaming(mut self) -> (Self, Sender) {
        let (sender, pieces) = mpsc::unbounded();
        self.content = Either::Right(StreamBody::new(Pieces(pieces)));
        (self, Sender(sender))
    }
}

/// The sending end of streamed content.
pub struct Sender(mpsc::UnboundedSender<Bytes>);

impl Sender {
    /// Sends a piece; an error if the request has ended.
    pub async fn send(&mut self, piece: Bytes) -> Result<(), Failed> {
        self.0.unbounded_send(piece).map_err(|_| Failed("the request's content is no longer read".to_owned()))?;
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// The receiving end, as the frames of a body.
struct Pieces(mpsc::UnboundedReceiver<Bytes>);

impl futures_core::Stream for Pieces {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::pin::Pin::new(&mut self.0).poll_next(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Failed(pub String);

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

fn failed(what: &str) -> impl Fn(&dyn std::error::Error) -> Failed {
    move |error| {
        let cause = error.source().map(|cause| format!(": {cause}"));
        Failed(format!("{what}: {error}{}", cause.unwrap_or_default()))
    }
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub content: Vec<u8>,
    /// Whether the content was truncated.
    pub broken: bool,
}

impl Answer {
    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }

    /// The content as JSON; null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.content).unwrap_or_default()
    }
}

fn values<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}

/// An answer whose head has come; dropping it closes the connection.
pub struct OpenAnswer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    body: Incoming,
    broken: bool,
    connection: tokio::task::JoinHandle<()>,
    seen: Rc<Seen>,
}

impl OpenAnswer {
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        values(&self.fields, name).first().copied()
    }

    /// The next piece of content; `None` at its end, or if it is aborted or hangs.
    pub async fn piece(&mut self) -> Option<Bytes> {
        loop {
            match timeout(PATIENCE, self.body.frame()).await {
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) if piece.is_empty() => {}
                    Ok(piece) => return Some(piece),
                    Err(_) => {}
                },
                Ok(None) => return None,
                Ok(Some(Err(_))) | Err(_) => {
                    self.broken = true;
                    return None;
                }
            }
        }
    }

    /// Reads the rest.
    pub async fn whole(mut self) -> Answer {
        let mut content = Vec::new();
        while let Some(piece) = self.piece().await {
            content.extend_from_slice(&piece);
        }
        self.seen.answer(&self.fields, &content);
        Answer { status: self.status, fields: std::mem::take(&mut self.fields), content, broken: self.broken }
    }
}

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Sends requests to one server.
#[derive(Clone, Debug)]
pub struct Client {
    authority: String,
    host: String,
    seen: Rc<Seen>,
}

impl Client {
    /// A client of `http://ADDRESS:PORT`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let authority = url.trim_start_matches("http://").trim_end_matches('/');
        Self { authority: authority.to_owned(), host: authority.to_owned(), seen: Rc::default() }
    }

    /// The same client, which notes what it sends and receives.
    #[must_use]
    pub fn seen_by(self, seen: &Rc<Seen>) -> Self {
        Self { seen: Rc::clone(seen), ..self }
    }

    /// The same server, with another host.
    #[must_use]
    pub fn for_host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    /// The host of the requests.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    pub async fn get(&self, target: &str) -> Result<Answer, Failed> {
        self.send(Request::get(target)).await
    }

    /// Sends a request and reads the complete answer.
    pub async fn send(&self, request: Request) -> Result<Answer, Failed> {
        let open = self.open(request).await?;
        Ok(open.whole().await)
    }

    /// The same, for callers without a client.
    pub async fn send_owned(self, request: Request) -> Result<Answer, Failed> {
        self.send(request).await
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn open(&self, request: Request) -> Result<OpenAnswer, Failed> {
        let io = TokioIo::new(self.connect().await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(io).await.map_err(|error| failed("handshake")(&error))?;
        let connection = tokio::task::spawn_local(async move {
            // Errors here are reported through the answer's body.
            let _ = connection.await;
        });
        let request = self.built(request, false)?;
        finish(sender.send_request(request), connection, &self.seen).await
    }

    /// The same over HTTP/2 without TLS, by prior knowledge.
    pub async fn open_http2(&self, request: Request) -> Result<OpenAnswer, Failed> {
        let io = TokioIo::new(self.connect().await?);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(Local, io).await.map_err(|error| failed("handshake")(&error))?;
        let connection = tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        let request = self.built(request, true)?;
        finish(sender.send_request(request), connection, &self.seen).await
    }

    /// Sends these bytes and reads until the server closes, or has been silent for a while.
    pub async fn raw(&self, bytes: &[u8]) -> Result<RawAnswer, Failed> {
        self.raw_answer(bytes, RAW_SILENCE, false).await
    }

    /// The same, for bytes that get one answer: reads only that answer.
    pub async fn raw_one(&self, bytes: &[u8]) -> Result<RawAnswer, Failed> {
        self.raw_answer(bytes, PATIENCE, true).await
    }

    /// Sends a GET repeatedly on one connection, and returns how long each complete answer took.
    pub async fn gets_on_one_connection(&self, target: &str, count: usize) -> Result<Vec<Duration>, Failed> {
        let mut stream = self.connect().await?;
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        let mut took = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            exchanged(&mut stream, request.as_bytes()).await?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }

    /// Sends GETs on one connection, each a target and further fields as lines, until there are no more; returns how many answers had
    /// each status.
    pub async fn statuses_on_one_connection(
        &self,
        mut next: impl AsyncFnMut() -> Option<(String, String)>,
    ) -> Result<BTreeMap<u16, u64>, Failed> {
        let mut stream = self.connect().await?;
        let mut statuses = BTreeMap::new();
        while let Some((target, fields)) = next().await {
            let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.host);
            let answer = exchanged(&mut stream, request.as_bytes()).await?;
            *statuses.entry(RawAnswer(String::from_utf8_lossy(&answer).into_owned()).status()).or_default() += 1;
        }
        Ok(statuses)
    }

    /// Sends the bytes, ends the sending direction, and reads until the server closes or is silent.
    pub async fn raw_cut_short(&self, bytes: &[u8]) -> Result<RawAnswer, Failed> {
        let mut stream = self.connect().await?;
        stream.write_all(bytes).await.map_err(|error| failed("write")(&error))?;
        stream.shutdown().await.map_err(|error| failed("shutdown")(&error))?;
        let (mut text, mut piece) = (Vec::new(), [0; 8192]);
        while let Ok(Ok(read @ 1..)) = timeout(RAW_SILENCE, stream.read(&mut piece)).await {
            text.extend_from_slice(&piece[..read]);
        }
        Ok(RawAnswer(String::from_utf8_lossy(&text).into_owned()))
    }

    async fn raw_answer(&self, bytes: &[u8], silence: Duration, first_only: bool) -> Result<RawAnswer, Failed> {
        self.seen.raw_request(bytes);
        let mut stream = self.connect().await?;
        // A server may refuse, and close, before it has read everything.
        let written = stream.write_all(bytes).await;
        let mut text = Vec::new();
        let mut piece = [0; 8192];
        while let Ok(Ok(read @ 1..)) = timeout(silence, stream.read(&mut piece)).await {
            text.extend_from_slice(&piece[..read]);
            if first_only && is_whole(&text) {
                break;
            }
        }
        if text.is_empty() {
            written.map_err(|error| failed("write")(&error))?;
        }
        self.seen.raw_answer(&text);
        Ok(RawAnswer(String::from_utf8_lossy(&text).into_owned()))
    }

    /// A connection with nothing sent on it.
    pub async fn connect(&self) -> Result<TcpStream, Failed> {
        let stream = timeout(PATIENCE, TcpStream::connect(&self.authority))
            .await
            .map_err(|_| Failed("connecting hangs".to_owned()))?
            .map_err(|error| failed("connect")(&error))?;
        stream.set_nodelay(true).map_err(|error| failed("nodelay")(&error))?;
        Ok(stream)
    }

    fn built(&self, request: Request, absolute: bool) -> Result<http::Request<Content>, Failed> {
        self.seen.request(&request.target, &request.fields);
        let host = request.fields.iter().any(|(name, _)| name == "host");
        let uri = if absolute { format!("http://{}{}", self.host, request.target) } else { request.target };
        let mut builder = http::Request::builder().method(request.method).uri(uri);
        if !absolute && !host {
            builder = builder.header("host", &self.host);
        }
        for (name, value) in &request.fields {
            builder = builder.header(name, value);
        }
        builder.body(request.content).map_err(|error| failed("request")(&error))
    }
}

/// How long a raw connection may be silent before its answer counts as complete.
const RAW_SILENCE: Duration = Duration::from_secs(3);

async fn finish(
    answering: impl Future<Output = hyper::Result<http::Response<Incoming>>>,
    connection: tokio::task::JoinHandle<()>,
    seen: &Rc<Seen>,
) -> Result<OpenAnswer, Failed> {
    let answer = timeout(PATIENCE, answering)
        .await
        .map_err(|_| Failed("no answer came in time".to_owned()))?
        .map_err(|error| failed("no answer")(&error))?;
    let (head, body) = answer.into_parts();
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        })
        .collect();
    Ok(OpenAnswer { status: head.status.as_u16(), fields, body, broken: false, connection, seen: Rc::clone(seen) })
}

/// Runs HTTP/2's background work on the test's own thread.
#[derive(Clone)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// The complete answer to a request, on a connection that stays open.
async fn exchanged(stream: &mut TcpStream, request: &[u8]) -> Result<Vec<u8>, Failed> {
    stream.write_all(request).await.map_err(|error| failed("write")(&error))?;
    let (mut text, mut piece) = (Vec::new(), [0; 8192]);
    while !is_whole(&text) {
        let read = timeout(PATIENCE, stream.read(&mut piece)).await;
        match read.map_err(|_| Failed("no answer came in time".to_owned()))? {
            Ok(0) => return Err(Failed("the server closed the connection".to_owned())),
            Ok(read) => text.extend_from_slice(&piece[..read]),
            Err(error) => return Err(failed("read")(&error)),
        }
    }
    Ok(text)
}

/// Whether the bytes are an answer with its complete declared content.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, content)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    let declared = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
    match declared.and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) => content.len() >= length,
        None => content.ends_with("0\r\n\r\n"),
    }
}

/// The output of a server, as text.
#[derive(Debug)]
pub struct RawAnswer(pub String);

impl RawAnswer {
    /// The status of the first answer; 0 if there is none.
    #[must_use]
    pub fn status(&self) -> u16 {
        let line = self.0.lines().next().unwrap_or_default();
        let mut words = line.split(' ');
        let version = words.next().unwrap_or_default();
        if !version.starts_with("HTTP/") {
            return 0;
        }
        words.next().and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The number of answers in it.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.0.matches("HTTP/1.1 ").count()
    }
}
