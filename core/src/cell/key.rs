use std::fmt;

use minicbor::{Decode, Encode};

/// The name of a cell within its gateway, such as `consumer=acme` or `purges`.
///
/// Bounded by what it is made of, and free of secrets: it appears in stores and in their error messages. The store puts
/// the gateway's name in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct CellKey(#[n(0)] Box<str>);

impl CellKey {
    /// The key of a cell that counts for one partition of a kind, such as a consumer or a client address.
    #[must_use]
    pub fn partition(kind: &str, value: impl fmt::Display) -> Self {
        Self(format!("{kind}={value}").into())
    }

    /// The key of the gateway's one cell of purges.
    #[must_use]
    pub fn purges() -> Self {
        Self("purges".into())
    }

    /// A key that a store kept, or one of a test.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What makes an update recognisable when it arrives twice: 16 random bytes of the request, and the step within it.
///
/// The gateway draws the bytes itself, so that no client can use an id of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct OperationId(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    [u8; 16],
);

impl OperationId {
    /// The id of the first step of the request that these bytes were drawn for.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The id of another step of the same request: the same for the same step, and no other request's.
    #[must_use]
    pub const fn step(mut self, step: u8) -> Self {
        self.0[15] ^= step;
        self
    }
}
