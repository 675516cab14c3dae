//! The `introspection` policy: the authorization server is asked what a token means (RFC 7662).
//!
//! The token itself says nothing to the gateway. The server's answer is checked like the claims of a signed token, but for what
//! follows from asking the server itself: that it issued the token, and that the token is not revoked.

mod answer;
mod settings;

pub use answer::{AnswerError, is_token_text};
pub use settings::{IntrospectionSettings, SignedAnswers};
