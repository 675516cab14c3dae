//! The digests of content (RFC 9530).

use http::HeaderMap;
use sha2::{Digest, Sha256, Sha512};

use super::base::combined;
use crate::authn::MessageError;
use crate::structured::Members;

/// A hash of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentHash {
    /// `sha-256`.
    Sha256,
    /// `sha-512`.
    Sha512,
}

impl ContentHash {
    /// The name in `Content-Digest`; in upper case that of FIPS 180.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    /// The digest, for platforms that do not compute it themselves.
    #[must_use]
    pub fn digest(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(content).to_vec(),
            Self::Sha512 => Sha512::digest(content).to_vec(),
        }
    }
}

/// The digests in `Content-Digest` whose hash is known: at least one, and all of them have to be right.
///
/// # Errors
/// If it is missing, or has no known digest, or one that is no digest.
pub fn content_digests(fields: &HeaderMap) -> Result<Vec<(ContentHash, Vec<u8>)>, MessageError> {
    let text = combined(fields, "content-digest").ok().flatten().ok_or(MessageError::Digest)?;
    let digests = Members::dictionary(&text).map_err(|_| MessageError::Digest)?;
    if digests.repeats {
        return Err(MessageError::Digest);
    }
    let mut known = Vec::new();
    for hash in [ContentHash::Sha256, ContentHash::Sha512] {
        if let Some(member) = digests.get(hash.name()) {
            known.push((hash, member.as_bytes().ok_or(MessageError::Digest)?.to_vec()));
        }
    }
    if known.is_empty() { Err(MessageError::Digest) } else { Ok(known) }
}
