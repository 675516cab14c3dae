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
pub(crate) use error::CLIENT_GONE;
pub use error::UpstreamError;
pub use fields::{
    ForwardedFor, PSEUDONYM, filter_trailers, is_end_to_end, overrides_method, reads_as, request_edits, response_edits,
    tells_url,
};
pub use framing::{Framing, FramingError, check_response};
pub use outbound::{Outbound, Resource};
pub use reply::{Reply, has_no_content};
pub use upstream::{UpstreamSettings, UpstreamUrl, UrlError};
