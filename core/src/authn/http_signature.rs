//! The `http-signature` policy: a request that its sender signed (RFC 9421), with the digest of its content (RFC 9530).
//!
//! A request names what it signed; the policy says what that must be. Everything but the signature itself is checked first, by
//! [`HttpSignatureSettings::presented`] and [`PresentedSignature::check`]; then the platform verifies the signature over
//! [`PresentedSignature::base`], and only then the content is read, for
//! [`content_digests`].

mod base;
mod digest;
mod presented;
mod settings;

pub use base::SignedRequest;
pub use digest::{ContentHash, content_digests};
pub use presented::{PresentedSignature, SIGNATURE_ALGORITHMS};
pub use settings::{HttpSignatureSettings, SharedKeyError, SigningKeys, component, shared_key};

#[cfg(test)]
mod tests;
