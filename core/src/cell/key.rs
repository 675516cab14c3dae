use std::fmt;

use crate::codec::Decode;
use crate::hmac::hmac;
use minicbor::Encode;

/// The name of a cell within its gateway, such as `consumer=acme` or `purges`.
///
/// Its length is bounded by its parts, and it contains no secrets, because it appears in stores and in their error
/// messages. The store adds the gateway's name as a prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct CellKey(#[n(0)] Box<str>);

impl CellKey {
    /// The key of a cell that counts for one partition of a kind, such as a consumer or a client address.
    #[must_use]
    pub fn partition(kind: &str, value: &str) -> Self {
        let mut text = String::with_capacity(kind.len() + 1 + value.len());
        for part in [kind, "=", value] {
            text.push_str(part);
        }
        Self(text.into_boxed_str())
    }

    /// The key of the gateway's one cell of purges.
    #[must_use]
    pub fn purges() -> Self {
        Self("purges".into())
    }

    /// A key that was stored, or one of a test.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The place of the cell among as many as a number of 16 bits has, for stores that keep several cells together.
    ///
    /// It depends on a secret of the store: whoever can choose partitions must not be able to choose those that share a place with
    /// others. `None` for the few cells of the gateway itself, which nobody chooses.
    #[must_use]
    pub fn place(&self, secret: &[u8; PLACE_SECRET_BYTES]) -> Option<u16> {
        if !self.0.contains('=') || self.0.starts_with(OF_GATEWAY) {
            return None;
        }
        let [high, low, ..] = hmac(secret, self.0.as_bytes());
        Some(u16::from_be_bytes([high, low]))
    }

    /// What partitions of it are by, such as `consumer`; of a cell that is no partition, its name.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.split_once('=').map_or(&self.0, |(kind, _)| kind)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Bytes of the secret of [`CellKey::place`].
pub const PLACE_SECRET_BYTES: usize = 16;

/// The lists of [`crate::authn::admitted`], one for each policy.
const OF_GATEWAY: &str = "idp-outage=";

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The idempotency id of an update: 16 random bytes of the request, and the step within it.
///
/// The gateway generates the bytes itself, so that no client can use the id of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct OperationId(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    [u8; 16],
);

impl OperationId {
    /// The id of the first step of the request with these random bytes.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// Its bytes.
    pub(super) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of another step of the same request: equal for equal steps, and different for every other request.
    #[must_use]
    pub const fn step(mut self, step: u8) -> Self {
        self.0[15] ^= step;
        self
    }
}
