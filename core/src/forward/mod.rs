//! Forwarding: the request that an upstream sees, the response that a client sees, and failures.
//!
//! [`Outbound`] is the request that an upstream sees: the received one plus [`Edits`]. A [`Reply`] is the same for the
//! client.

mod edits;
mod error;
mod fields;
mod framing;
mod outbound;
mod reply;
mod upstream;

pub use edits::{Edit, Edits, Fields};
pub use error::UpstreamError;
pub use fields::{ForwardedFor, PSEUDONYM, filter_trailers, is_end_to_end, reads_as, request_edits, response_edits};
pub use framing::{Framing, FramingError, check_response};
pub use outbound::{Outbound, Resource};
pub use reply::Reply;
pub use upstream::{UpstreamSettings, UpstreamUrl, UrlError};
