//! The content of messages: the platform's own stream, which never passes through wasm.

use bytes::Bytes;
use http::StatusCode;
use js_sys::Uint8Array;
use tollgate_edge::ports::{Content, ContentFault, Delivery, Gathered, Whole};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStream, Request, Response, WebSocket};

use crate::platform;
use crate::task::settled;

/// Content as the platform streams it, or a few bytes of the gateway's own.
#[derive(Debug)]
pub struct WorkerContent(Form);

#[derive(Debug)]
enum Form {
    Empty,
    Bytes(Bytes),
    /// The client's request, whose content goes on as it comes.
    Request(Request),
    Stream(ReadableStream),
    /// The platform's handle of an upgraded connection; it exists beside a response's content, never as bytes.
    Socket(WebSocket),
}

/// A second reading of the content, for the cache.
#[derive(Debug)]
pub struct ContentCopy {
    /// A `ReadableStream`, a `Uint8Array`, or null where there is no content.
    pub(crate) content: JsValue,
    /// How many bytes may be stored.
    pub(crate) max_bytes: u64,
}

impl WorkerContent {
    pub(crate) fn of_request(request: Request, has_content: bool) -> Self {
        Self(if has_content { Form::Request(request) } else { Form::Empty })
    }

    pub(crate) fn of_response(response: &Response, status: StatusCode) -> Self {
        if status == StatusCode::SWITCHING_PROTOCOLS
            && let Some(socket) = platform::socket_of(response)
        {
            return Self(Form::Socket(socket));
        }
        Self(response.body().map_or(Form::Empty, Form::Stream))
    }

    /// What a `Response` is made with: its body, and the upgraded connection.
    #[must_use]
    pub fn into_response_parts(self) -> (JsValue, Option<WebSocket>) {
        match self.0 {
            Form::Socket(socket) => (JsValue::NULL, Some(socket)),
            Form::Request(request) => (request.body().into(), None),
            Form::Empty => (JsValue::NULL, None),
            Form::Bytes(bytes) => (Uint8Array::from(bytes.as_ref()).into(), None),
            Form::Stream(stream) => (stream.into(), None),
        }
    }

    /// What a `Request` is made with: its body, or the request that carries it.
    pub(crate) fn into_request_parts(self) -> (JsValue, Option<Request>) {
        match self.0 {
            Form::Request(request) => (JsValue::NULL, Some(request)),
            form @ (Form::Empty | Form::Bytes(_) | Form::Stream(_) | Form::Socket(_)) => {
                (Self(form).into_response_parts().0, None)
            }
        }
    }

    fn into_stream(self) -> Result<ReadableStream, Self> {
        match self.0 {
            Form::Stream(stream) => Ok(stream),
            Form::Request(request) => request.body().ok_or(Self(Form::Empty)),
            form @ (Form::Empty | Form::Bytes(_) | Form::Socket(_)) => Err(Self(form)),
        }
    }
}

impl Content for WorkerContent {
    type Copy = ContentCopy;

    fn empty() -> Self {
        Self(Form::Empty)
    }

    fn from_bytes(bytes: Bytes) -> Self {
        Self(if bytes.is_empty() { Form::Empty } else { Form::Bytes(bytes) })
    }

    fn is_empty(&self) -> bool {
        matches!(self.0, Form::Empty)
    }

    fn limited(self, max_bytes: u64) -> Self {
        match self.into_stream() {
            Ok(stream) => Self(Form::Stream(platform::limited(&stream, to_number(max_bytes)))),
            Err(other) => other,
        }
    }

    fn tee(self, max_bytes: u64) -> (Self, Self::Copy) {
        let (client, content) = match self.into_stream() {
            Ok(stream) => {
                let branches = stream.tee();
                (Self(Form::Stream(branches.get(0).unchecked_into())), branches.get(1))
            }
            Err(Self(Form::Bytes(bytes))) => {
                let copy = Uint8Array::from(bytes.as_ref()).into();
                (Self(Form::Bytes(bytes)), copy)
            }
            Err(other) => (other, JsValue::NULL),
        };
        (client, ContentCopy { content, max_bytes })
    }

    /// Content that streams is copied into the gateway's memory here, and nowhere else.
    async fn gather(self, bytes_max: u64) -> Result<Gathered<Self>, ContentFault> {
        let stream = match self.into_stream() {
            Ok(stream) => stream,
            Err(Self(Form::Bytes(bytes))) if bytes.len() as u64 <= bytes_max => return Ok(whole(bytes)),
            Err(Self(Form::Empty)) => return Ok(whole(Bytes::new())),
            // An upgraded connection has no end that could be waited for.
            Err(other) => return Ok(Gathered::TooLarge(other)),
        };
        let gathered = settled(platform::gather(&stream, to_number(bytes_max))).await.map_err(|error| {
            let passed_limit = platform::name_of(&error) == "QuotaExceededError";
            if passed_limit { ContentFault::PassedLimit } else { ContentFault::Broken }
        })?;
        match gathered.dyn_into::<Uint8Array>() {
            Ok(bytes) => Ok(whole(bytes.to_vec().into())),
            Err(stream) => Ok(Gathered::TooLarge(Self(Form::Stream(stream.unchecked_into())))),
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
