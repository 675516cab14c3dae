//! Responses: the upstream's own response, copied and edited, or a new one.

use tollgate_core::forward::Reply;
use wasm_bindgen::JsValue;
use web_sys::Response;

use crate::content::{BodyAndSocket, WorkerContent};
use crate::platform::Exchange;
use crate::{fields, platform};

/// Answers a request.
pub(crate) fn answer(exchange: &Exchange, reply: Reply<WorkerContent>) {
    let Outgoing { received, status, fields, content: (body, socket) } = outgoing(reply);
    platform::answer(exchange, received, status, &fields, body, socket);
}

/// The platform's response for a reply.
///
/// # Errors
/// If the platform does not accept the response.
pub fn response_of(reply: Reply<WorkerContent>) -> Result<Response, JsValue> {
    let Outgoing { received, status, fields, content: (body, socket) } = outgoing(reply);
    platform::response_of(received, status, &fields, body, socket)
}

struct Outgoing {
    /// The response to copy.
    received: Option<Response>,
    status: u16,
    /// The edits of the copy, or all fields as JSON.
    fields: String,
    content: BodyAndSocket,
}

fn outgoing(reply: Reply<WorkerContent>) -> Outgoing {
    let status = reply.status().as_u16();
    if reply.passes_through()
        && let Some((received, hidden)) = reply.content().response()
    {
        let mut edits = String::with_capacity(EDITS_BYTES_USUAL);
        edits.push_str(hidden);
        fields::write_edits(&mut edits, reply.edits(), |_| true);
        return Outgoing {
            received: Some(received),
            status,
            fields: edits,
            content: reply.into_content().into_edited(),
        };
    }
    let fields = fields::to_json(&reply.fields().to_map());
    Outgoing { received: None, status, fields, content: reply.into_content().into_made() }
}

/// Capacity of the edits of a typical response.
const EDITS_BYTES_USUAL: usize = 256;
