//! The gateway as a client of an authorization server (RFC 6749): how it proves who it is, and the form of its requests.
//!
//! Nothing here is sent: [`ClientRequest`] is the content and the credentials of a request, which the edge sends. Secrets and
//! tokens are in the content or in the field `Authorization`, never in a URL (RFC 6750, section 5.3).

mod client;
mod form;
mod refusal;
mod token;

pub use client::{ClientAuthentication, ClientRequest, Proof, assertion_claims};
pub use form::add as add_parameter;
pub use refusal::refusal;
pub use token::{GrantError, Granted};
