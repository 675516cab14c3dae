//! Forwarding: where a request goes, which fields go with it, and what upstream failures mean.

mod error;
mod fields;
mod upstream;

pub use error::UpstreamError;
pub use fields::{ForwardedFor, PSEUDONYM, is_end_to_end, request_fields, response_fields};
pub use upstream::{UpstreamSettings, UpstreamUrl, UrlError};
