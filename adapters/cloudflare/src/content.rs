//! The content of messages: the platform's own stream, which does not pass through wasm.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use js_sys::{Array, Promise, Uint8Array};
use tollgate_core::forward::has_no_content;
use tollgate_core::telemetry::AbortedBy;
use tollgate_edge::ports::{Content, ContentFault, Delivery, Gathered, GatheredContent};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStream, Request, Response, WebSocket};

use crate::entry::UnreadIn;
use crate::task::settled;
use crate::{fields, platform};

/// Content as a stream of the platform, or bytes that the gateway generated, with the message it was received with.
#[derive(Debug)]
pub struct WorkerContent {
    body: Body,
    /// The platform's own message, which is copied and edited for sending, instead of creating a new one.
    received: Option<ReceivedMessage>,
}

#[derive(Debug)]
enum Body {
    Empty,
    Bytes(Bytes),
    /// The content of the received message, unchanged.
    Received,
    Stream(ReadableStream),
    /// The platform's handle of an upgraded connection; it exists in addition to a response's content, never as bytes.
    Socket(WebSocket),
}

/// A received message, and the edits that remove the fields that the pipeline has not seen from its copy.
#[derive(Debug)]
struct ReceivedMessage {
    message: Message,
    /// Edits in the format of `fields::write_edits`.
    hidden: String,
}

/// The platform's own message.
#[derive(Debug)]
enum Message {
    Request(Request),
    Response(Response),
}

/// The body for JavaScript, and the upgraded connection.
pub(crate) type BodyAndSocket = (JsValue, Option<WebSocket>);

/// A copy of the content, for the cache.
#[derive(Debug)]
pub struct ContentCopy {
    /// A `ReadableStream`, a `Uint8Array`, or null if there is no content.
    pub(crate) content: JsValue,
    /// The maximum number of bytes to store.
    pub(crate) max_bytes: u64,
}

impl ReceivedMessage {
    /// The length that the message declares, if its content is that of the message.
    fn length(&self) -> Option<f64> {
        match &self.message {
            Message::Request(request) => platform::declared_length(request),
            Message::Response(response) => platform::declared_length(response),
        }
    }

    fn body(&self) -> Option<ReadableStream> {
        match &self.message {
            Message::Request(request) => request.body(),
            Message::Response(response) => response.body(),
        }
    }
}

impl WorkerContent {
    /// The content of a request; `hidden` are the edits that remove the fields that the pipeline has not seen.
    #[must_use]
    pub fn of_request(request: Request, has_content: bool, hidden: String) -> Self {
        let body = if has_content { Body::Received } else { Body::Empty };
        Self { body, received: Some(ReceivedMessage { message: Message::Request(request), hidden }) }
    }

    pub(crate) fn of_response(response: Response, status: StatusCode, hidden: String) -> Self {
        let socket = if status == StatusCode::SWITCHING_PROTOCOLS { platform::socket_of(&response) } else { None };
        // The platform accepts no body for such a status, not even an empty one.
        let body = if has_no_content(status) { Body::Empty } else { socket.map_or(Body::Received, Body::Socket) };
        Self { body, received: Some(ReceivedMessage { message: Message::Response(response), hidden }) }
    }

    /// The content of a message without the message, for a stored response: it will be part of another message.
    #[must_use]
    pub fn of_message(message: &Response) -> Self {
        Self { body: message.body().map_or(Body::Empty, Body::Stream), received: None }
    }

    // `Clone::clone` creates another handle of the message; the JavaScript method `clone` would copy the message.

    /// Its received request, and the edits that remove the fields that the pipeline has not seen.
    pub(crate) fn request(&self) -> Option<(Request, &str)> {
        match self.received.as_ref()? {
            ReceivedMessage { message: Message::Request(request), hidden } => Some((Clone::clone(request), hidden)),
            ReceivedMessage { message: Message::Response(_), .. } => None,
        }
    }

    /// Its received response, and the edits that remove the fields that the pipeline has not seen.
    pub(crate) fn response(&self) -> Option<(Response, &str)> {
        match self.received.as_ref()? {
            ReceivedMessage { message: Message::Response(response), hidden } => Some((Clone::clone(response), hidden)),
            ReceivedMessage { message: Message::Request(_), .. } => None,
        }
    }

    /// The body for a copy of the received message: undefined means the message's own body.
    pub(crate) fn into_edited(self) -> BodyAndSocket {
        match self.body {
            Body::Received => (JsValue::UNDEFINED, None),
            Body::Empty | Body::Bytes(_) | Body::Stream(_) | Body::Socket(_) => self.into_made(),
        }
    }

    /// The body for a new message.
    pub(crate) fn into_made(mut self) -> BodyAndSocket {
        if let Some(stream) = self.take_stream() {
            return (stream.into(), None);
        }
        match self.body {
            Body::Socket(socket) => (JsValue::NULL, Some(socket)),
            Body::Bytes(bytes) => (Uint8Array::from(bytes.as_ref()).into(), None),
            Body::Empty | Body::Received | Body::Stream(_) => (JsValue::NULL, None),
        }
    }

    /// The body, for reading it.
    #[must_use]
    pub fn into_body(self) -> JsValue {
        self.into_made().0
    }

    /// The received request, if its content can be sent only unchanged: that of a GET or HEAD.
    fn unreplaceable(&self) -> Option<&Request> {
        let Body::Received = self.body else { return None };
        match &self.received.as_ref()?.message {
            Message::Request(request) => matches!(request.method().as_str(), "GET" | "HEAD").then_some(request),
            Message::Response(_) => None,
        }
    }

    /// The stream of the content, if it is one.
    fn take_stream(&mut self) -> Option<ReadableStream> {
        match std::mem::replace(&mut self.body, Body::Empty) {
            Body::Stream(stream) => Some(stream),
            Body::Received => self.received.as_ref().and_then(ReceivedMessage::body),
            other @ (Body::Empty | Body::Bytes(_) | Body::Socket(_)) => {
                self.body = other;
                None
            }
        }
    }
}

impl Content for WorkerContent {
    type Copy = ContentCopy;

    fn empty() -> Self {
        Self { body: Body::Empty, received: None }
    }

    fn from_bytes(bytes: Bytes) -> Self {
        Self { body: if bytes.is_empty() { Body::Empty } else { Body::Bytes(bytes) }, received: None }
    }

    fn left_out(&self) -> HeaderMap {
        let Some(received) = &self.received else { return HeaderMap::new() };
        let lines = match &received.message {
            Message::Request(request) => platform::left_out(request, UnreadIn::Request),
            Message::Response(response) => platform::left_out(response, UnreadIn::Response),
        };
        fields::parse(&lines, |_, _| false).0
    }

    fn is_empty(&self) -> bool {
        matches!(self.body, Body::Empty)
    }

    fn length(&self) -> Option<u64> {
        match &self.body {
            Body::Empty => Some(0),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Received | Body::Stream(_) | Body::Socket(_) => None,
        }
    }

    fn limited(mut self, max_bytes: u64) -> Self {
        if let Some(request) = self.unreplaceable() {
            platform::limit(request, to_number(max_bytes));
            return self;
        }
        if let Some(stream) = self.take_stream() {
            self.body = Body::Stream(platform::limited(&stream, to_number(max_bytes)));
        }
        self
    }

    fn tee(mut self, max_bytes: u64) -> (Self, Self::Copy) {
        let content = match self.take_stream() {
            Some(stream) => {
                let branches = stream.tee();
                self.body = Body::Stream(branches.get(0).unchecked_into());
                branches.get(1)
            }
            None => match &self.body {
                Body::Bytes(bytes) => Uint8Array::from(bytes.as_ref()).into(),
                Body::Empty | Body::Received | Body::Stream(_) | Body::Socket(_) => JsValue::NULL,
            },
        };
        (self, ContentCopy { content, max_bytes })
    }

    /// Only here is streaming content copied into the gateway's memory.
    async fn gather(mut self, bytes_max: u64) -> Result<Gathered<Self>, ContentFault> {
        let Some(stream) = self.take_stream() else {
            return Ok(match self.body {
                Body::Bytes(bytes) if bytes.len() as u64 <= bytes_max => whole(bytes),
                Body::Empty | Body::Received => whole(Bytes::new()),
                // The end of an upgraded connection cannot be awaited.
                Body::Bytes(_) | Body::Stream(_) | Body::Socket(_) => Gathered::TooLarge(self),
            });
        };
        let gathered = settled(platform::gather(&stream, to_number(bytes_max))).await.map_err(|error| {
            let exceeded_limit = platform::name_of(&error) == "QuotaExceededError";
            if exceeded_limit { ContentFault::LimitExceeded } else { ContentFault::Interrupted }
        })?;
        match gathered.dyn_into::<Uint8Array>() {
            Ok(bytes) => Ok(whole(bytes.to_vec().into())),
            Err(stream) => {
                Ok(Gathered::TooLarge(Self { body: Body::Stream(stream.unchecked_into()), received: self.received }))
            }
        }
    }

    fn replay(whole: &GatheredContent) -> Self {
        Self::from_bytes(whole.bytes.clone())
    }

    fn watched(mut self, is_counted: bool) -> (Self, impl Future<Output = Delivery> + 'static) {
        let known = match &self.body {
            Body::Empty => Some(0),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Received | Body::Stream(_) | Body::Socket(_) => None,
        };
        // The content of a GET cannot be replaced.
        let can_be = is_counted && self.unreplaceable().is_none();
        let length = self.received.as_ref().filter(|_| can_be).and_then(ReceivedMessage::length);
        let told = can_be.then(|| self.take_stream()).flatten().map(|stream| {
            let watched = platform::watched(&stream, length);
            self.body = Body::Stream(watched.get(0).unchecked_into());
            watched.get(1).unchecked_into::<Promise>()
        });
        let delivery = async move {
            let Some(told) = told else {
                let complete = known.filter(|_| is_counted).map(|bytes| Delivery::Complete { bytes });
                return complete.unwrap_or(Delivery::Unobserved);
            };
            settled(Ok(told)).await.map_or(Delivery::Unobserved, |told| delivery_of(&told.unchecked_into()))
        };
        (self, delivery)
    }
}

/// How a delivery ended that JavaScript has observed: the bytes, and who has ended it.
fn delivery_of(told: &Array) -> Delivery {
    let number = |place| told.get(place).as_f64().map_or(0, to_count);
    let bytes = number(0);
    match number(1) {
        0 => Delivery::Complete { bytes },
        1 => Delivery::Aborted { bytes, by: AbortedBy::Upstream },
        _ => Delivery::Aborted { bytes, by: AbortedBy::Client },
    }
}

/// The platform does not expose trailers.
fn whole(bytes: Bytes) -> Gathered<WorkerContent> {
    Gathered::Complete(GatheredContent { bytes, trailers: None })
}

/// The count of bytes that is a number of JavaScript.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates at the range of u64"
)]
pub(crate) fn to_count(number: f64) -> u64 {
    number as u64
}

/// JavaScript's number for a count of bytes or milliseconds; exact to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
pub(crate) fn to_number(count: u64) -> f64 {
    count as f64
}
