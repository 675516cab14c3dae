//! Forwarding: the request that an upstream sees, the response that a client sees, and failures.
//!
//! [`Outbound`] is the request that an upstream sees: the received one plus [`Edits`]. A [`Reply`] is the same for the
//! client.

mod auth;
mod aws;
mod edits;
mod error;
mod fields;
mod forwarded;
mod framing;
mod identity;
mod identity_token;
mod names;
mod outbound;
mod reply;
mod rules;
mod texts;
mod upstream;

pub use auth::{ClientCredentials, TokenExchange, TokenType, UpstreamAuth};
pub use aws::{AwsKey, AwsRequest, AwsSettings, UNSIGNED_CONTENT, aws_digest, aws_time};
pub use edits::{Edit, Edits, Fields};
pub(crate) use error::CLIENT_GONE;
pub use error::UpstreamError;
pub use fields::{Ambiguity, PSEUDONYM, is_end_to_end, request_edits, response_edits};
pub use forwarded::{ClientFields, ForwardedFor, URL_FIELDS};
pub use framing::{Framing, FramingError, check_response, is_trimmed};
pub use identity::{Attribute, Caller, IdentityField, Told};
pub use identity_token::{IdentityToken, TokenClaim, TokenSigning, identity_claims};
pub use names::{UNREAD_IN_REQUESTS, UNREAD_IN_RESPONSES, is_never_forwarded};
pub use outbound::{Outbound, Resource};
pub use reply::{Reply, has_no_content};
pub use rules::{Fate, FieldRules, TrailerRules, filter_trailers};
pub use texts::Texts;
pub use upstream::{OwnCertificate, UpstreamSettings, UpstreamUrl, UrlError};
