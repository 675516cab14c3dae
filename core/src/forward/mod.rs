//! Forwarding: what an upstream sees of a request, what a client sees of its answer, and what failures mean.
//!
//! [`Outbound`] is all that an upstream sees, as what came plus [`Edits`]; a [`Reply`] is the same for the client.

mod edits;
mod error;
mod fields;
mod outbound;
mod reply;
mod upstream;

pub use edits::{Edit, Edits, Fields};
pub use error::UpstreamError;
pub use fields::{ForwardedFor, PSEUDONYM, is_end_to_end, request_edits, response_edits};
pub use outbound::{Outbound, Resource};
pub use reply::Reply;
pub use upstream::{UpstreamSettings, UpstreamUrl, UrlError};
