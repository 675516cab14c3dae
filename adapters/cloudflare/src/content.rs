//! The content of messages: the platform's own stream, which never passes through wasm.

use bytes::Bytes;
use http::StatusCode;
use js_sys::Uint8Array;
use tollgate_edge::ports::{Content, ContentFault, Delivery, Gathered, Whole};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStream, Request, Response, WebSocket};

use crate::platform;
use crate::task::settled;

/// Content as the platform streams it, or a few bytes of the gateway's own, with the message that it came with.
#[derive(Debug)]
pub struct WorkerContent {
    body: Body,
    /// The platform's own message, which is copied and edited on the way out in place of making a new one.
    came: Option<Came>,
}

#[derive(Debug)]
enum Body {
    Empty,
    Bytes(Bytes),
    /// That of the message that came, untouched.
    Came,
    Stream(ReadableStream),
    /// The platform's handle of an upgraded connection; it exists beside a response's content, never as bytes.
    Socket(WebSocket),
}

/// A message as it came, and the edits without which its copy would carry fields that the pipeline has not seen.
#[derive(Debug)]
struct Came {
    message: Message,
    /// Edits in the form of `fields::write_edits`.
    hidden: String,
}

/// The platform's own message.
#[derive(Debug)]
enum Message {
    Request(Request),
    Response(Response),
}

/// What JavaScript takes for a body, and the upgraded connection.
pub(crate) type BodyAndSocket = (JsValue, Option<WebSocket>);

/// A second reading of the content, for the cache.
#[derive(Debug)]
pub struct ContentCopy {
    /// A `ReadableStream`, a `Uint8Array`, or null where there is no content.
    pub(crate) content: JsValue,
    /// How many bytes may be stored.
    pub(crate) max_bytes: u64,
}

impl Came {
    fn body(&self) -> Option<ReadableStream> {
        match &self.message {
            Message::Request(request) => request.body(),
            Message::Response(response) => response.body(),
        }
    }
}

impl WorkerContent {
    /// The content of a request; `hidden` are the edits that hide what the pipeline has not seen of it.
    #[must_use]
    pub fn of_request(request: Request, has_content: bool, hidden: String) -> Self {
        let body = if has_content { Body::Came } else { Body::Empty };
        Self { body, came: Some(Came { message: Message::Request(request), hidden }) }
    }

    pub(crate) fn of_response(response: Response, status: StatusCode, hidden: String) -> Self {
        let socket = if status == StatusCode::SWITCHING_PROTOCOLS { platform::socket_of(&response) } else { None };
        let body = socket.map_or(Body::Came, Body::Socket);
        Self { body, came: Some(Came { message: Message::Response(response), hidden }) }
    }

    /// The content of a message alone, as of a stored one: it will be part of another.
    #[must_use]
    pub fn of_message(message: &Response) -> Self {
        Self { body: message.body().map_or(Body::Empty, Body::Stream), came: None }
    }

    // `Clone::clone` is another handle of the message; its own `clone` would copy the message.

    /// The request that came with it, and the edits that hide what the pipeline has not seen of it.
    pub(crate) fn request(&self) -> Option<(Request, &str)> {
        match self.came.as_ref()? {
            Came { message: Message::Request(request), hidden } => Some((Clone::clone(request), hidden)),
            Came { message: Message::Response(_), .. } => None,
        }
    }

    /// The response that came with it, and the edits that hide what the pipeline has not seen of it.
    pub(crate) fn response(&self) -> Option<(Response, &str)> {
        match self.came.as_ref()? {
            Came { message: Message::Response(response), hidden } => Some((Clone::clone(response), hidden)),
            Came { message: Message::Request(_), .. } => None,
        }
    }

    /// What a copy of the message that came is made with: undefined stands for the message's own body.
    pub(crate) fn into_edited(self) -> BodyAndSocket {
        match self.body {
            Body::Came => (JsValue::UNDEFINED, None),
            Body::Empty | Body::Bytes(_) | Body::Stream(_) | Body::Socket(_) => self.into_made(),
        }
    }

    /// What a message of the gateway's own is made with.
    pub(crate) fn into_made(mut self) -> BodyAndSocket {
        if let Some(stream) = self.take_stream() {
            return (stream.into(), None);
        }
        match self.body {
            Body::Socket(socket) => (JsValue::NULL, Some(socket)),
            Body::Bytes(bytes) => (Uint8Array::from(bytes.as_ref()).into(), None),
            Body::Empty | Body::Came | Body::Stream(_) => (JsValue::NULL, None),
        }
    }

    /// The body alone, for whoever reads it.
    #[must_use]
    pub fn into_body(self) -> JsValue {
        self.into_made().0
    }

    /// The stream of the content, if it is one.
    fn take_stream(&mut self) -> Option<ReadableStream> {
        match std::mem::replace(&mut self.body, Body::Empty) {
            Body::Stream(stream) => Some(stream),
            Body::Came => self.came.as_ref().and_then(Came::body),
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
        Self { body: Body::Empty, came: None }
    }

    fn from_bytes(bytes: Bytes) -> Self {
        Self { body: if bytes.is_empty() { Body::Empty } else { Body::Bytes(bytes) }, came: None }
    }

    fn is_empty(&self) -> bool {
        matches!(self.body, Body::Empty)
    }

    fn limited(mut self, max_bytes: u64) -> Self {
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
                Body::Empty | Body::Came | Body::Stream(_) | Body::Socket(_) => JsValue::NULL,
            },
        };
        (self, ContentCopy { content, max_bytes })
    }

    /// Content that streams is copied into the gateway's memory here, and nowhere else.
    async fn gather(mut self, bytes_max: u64) -> Result<Gathered<Self>, ContentFault> {
        let Some(stream) = self.take_stream() else {
            return Ok(match self.body {
                Body::Bytes(bytes) if bytes.len() as u64 <= bytes_max => whole(bytes),
                Body::Empty | Body::Came => whole(Bytes::new()),
                // An upgraded connection has no end that could be waited for.
                Body::Bytes(_) | Body::Stream(_) | Body::Socket(_) => Gathered::TooLarge(self),
            });
        };
        let gathered = settled(platform::gather(&stream, to_number(bytes_max))).await.map_err(|error| {
            let passed_limit = platform::name_of(&error) == "QuotaExceededError";
            if passed_limit { ContentFault::PassedLimit } else { ContentFault::Broken }
        })?;
        match gathered.dyn_into::<Uint8Array>() {
            Ok(bytes) => Ok(whole(bytes.to_vec().into())),
            Err(stream) => {
                Ok(Gathered::TooLarge(Self { body: Body::Stream(stream.unchecked_into()), came: self.came }))
            }
        }
    }

    fn replay(whole: &Whole) -> Self {
        Self::from_bytes(whole.bytes.clone())
    }

    fn watched(self) -> (Self, impl Future<Output = Delivery> + 'static) {
        (self, std::future::ready(Delivery::Unobserved))
    }
}

/// The platform shows no trailers.
fn whole(bytes: Bytes) -> Gathered<WorkerContent> {
    Gathered::Whole(Whole { bytes, trailers: None })
}

/// JavaScript's number for a count of bytes or milliseconds; exact to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
pub(crate) fn to_number(count: u64) -> f64 {
    count as f64
}
