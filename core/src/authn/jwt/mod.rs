//! The `jwt` policy: a signed token (RFC 7519) whose issuer the policy trusts.
//!
//! The policy lists algorithms, issuers and audiences; the token only selects among them (RFC 8725). Whether its signature
//! is that of a key of the issuer is verified before its claims are read for anything.

mod claims;
mod place;
mod settings;

pub use claims::{ClaimError, Identity};
pub use place::{TokenPlace, TokenPresented};
pub use settings::{ClaimRule, JwtSettings, KeySource, ScopeRule};
