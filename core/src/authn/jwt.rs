//! The `jwt` policy: a signed token (RFC 7519) whose issuer the policy trusts.
//!
//! The policy lists algorithms, issuers and audiences; the token only selects among them (RFC 8725). Whether its signature
//! is that of a key of the issuer is verified before its claims are read for anything.

mod claims;
mod settings;

pub(super) use claims::is_name;
pub use claims::{ClaimError, Identity};
use sha2::{Digest, Sha256};

use super::public_id;

/// A public id of a token for records and logs: the beginning of its digest, which reveals nothing about it.
#[must_use]
pub fn token_id(token: &str) -> String {
    public_id("jwt", &Sha256::digest(token.as_bytes())[..PUBLIC_ID_BYTES])
}

const PUBLIC_ID_BYTES: usize = 8;

pub use settings::{ClaimRule, JwtSettings, KeySource, ScopeRule};
