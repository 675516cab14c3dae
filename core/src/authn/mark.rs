//! What an isolate remembers credentials by.

use std::fmt;

use siphasher::sip128::SipHasher24;

use crate::x509::Fingerprint;

/// What a credential, or another text, is remembered by in memory: a keyed hash (SipHash-2-4 with 128 bits), for a tenth of the work of a digest.
/// Without the secret nobody can make a credential with the mark of another one, and marks reveal nothing about credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextMark(u128);

/// The secret of an isolate's [`TextMark`]s. It never leaves the isolate.
#[derive(Clone, Copy)]
pub struct MarkSecret([u8; 16]);

impl TextMark {
    /// The mark of a credential.
    #[must_use]
    pub fn of(text: &str, secret: &MarkSecret) -> Self {
        Self::of_bytes(text.as_bytes(), secret)
    }

    /// The mark of bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8], secret: &MarkSecret) -> Self {
        Self(SipHasher24::new_with_key(&secret.0).hash(bytes).as_u128())
    }
}

impl TextMark {
    /// The mark of a certificate: none that a text could have, because texts have no NUL.
    #[must_use]
    pub fn of_certificate(fingerprint: &Fingerprint, secret: &MarkSecret) -> Self {
        let mut bytes = [0; 33];
        bytes[1..].copy_from_slice(fingerprint.as_bytes());
        Self(SipHasher24::new_with_key(&secret.0).hash(&bytes).as_u128())
    }
}

impl MarkSecret {
    /// A secret of random bytes.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl fmt::Debug for MarkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkSecret(..)")
    }
}
