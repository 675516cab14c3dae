//! The canonical form of events: bytes that are equal on every host for equal decisions, and their hash.

use std::sync::Arc;

/// Takes the canonical bytes of events and hashes them.
///
/// The hash is for equality, not for security: 64 bits, mixed eight bytes at a time. Each piece is hashed with its length,
/// so that the boundaries of pieces matter. It does not depend on the platform.
#[derive(Clone, Debug)]
pub struct Canonical(u64);

/// An argument of a reason.
pub trait Argument {
    /// Adds the argument's canonical bytes; what differs between hosts or instants adds none.
    fn canonical(&self, out: &mut Canonical);
}

/// An argument that belongs to one host or one instant: a platform's description of a failure, a time, an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local<T>(pub T);

impl Canonical {
    /// The hash of no pieces.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }

    /// Adds a piece.
    pub const fn add(&mut self, piece: &[u8]) {
        self.mix(piece.len() as u64);
        let mut rest = piece;
        while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
            self.mix(u64::from_le_bytes(*chunk));
            rest = after;
        }
        if !rest.is_empty() {
            let mut word = 0;
            let mut at = rest.len();
            while at > 0 {
                at -= 1;
                word = word << 8 | rest[at] as u64;
            }
            self.mix(word);
        }
    }

    /// Adds a number.
    pub const fn number(&mut self, number: u64) {
        self.mix(number);
    }

    /// The hash of what was added.
    #[must_use]
    pub(crate) const fn finish(self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    /// The exclusive or of the high and the low half of a 128-bit product: one multiplication mixes all bits.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product")]
    const fn mix(&mut self, word: u64) {
        let product = (self.0 ^ word) as u128 * MULTIPLIER as u128;
        self.0 = (product as u64 ^ (product >> 64) as u64).rotate_left(23).wrapping_add(MULTIPLIER);
    }
}

/// The number that stands for a fixed word, or for a name that is hashed once.
#[must_use]
pub(crate) const fn mark(word: &str) -> u64 {
    let mut out = Canonical::new();
    out.add(word.as_bytes());
    out.finish()
}

/// 2^64 divided by the golden ratio: odd, and its bits are spread evenly.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl<T> Argument for Local<T> {
    fn canonical(&self, _: &mut Canonical) {}
}

impl<T: std::fmt::Display> std::fmt::Display for Local<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Argument for u16 {
    fn canonical(&self, out: &mut Canonical) {
        out.number(u64::from(*self));
    }
}

impl Argument for u32 {
    fn canonical(&self, out: &mut Canonical) {
        out.number(u64::from(*self));
    }
}

impl Argument for u64 {
    fn canonical(&self, out: &mut Canonical) {
        out.number(*self);
    }
}

impl Argument for usize {
    fn canonical(&self, out: &mut Canonical) {
        out.number(*self as u64);
    }
}

impl Argument for &'static str {
    fn canonical(&self, out: &mut Canonical) {
        out.add(self.as_bytes());
    }
}

impl Argument for Arc<str> {
    fn canonical(&self, out: &mut Canonical) {
        out.add(self.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn hash(pieces: &[&str]) -> u64 {
        let mut out = Canonical::new();
        pieces.iter().for_each(|piece| out.add(piece.as_bytes()));
        out.finish()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn equal_on_every_platform_and_boundaries_matter() {
        let lists: [&[&str]; 9] =
            [&[], &[""], &["", ""], &["a"], &["a", ""], &["a", "b"], &["ab"], &["\0"], &["abcdefghi", "abcdefgh"]];
        for (at, list) in lists.iter().enumerate() {
            assert!(lists[..at].iter().all(|other| hash(other) != hash(list)), "{list:?}");
        }
        assert_eq!(hash(&["route", "pass"]), hash(&["route", "pass"]));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn local_arguments_are_excluded() {
        let (mut one, mut other) = (Canonical::new(), Canonical::new());
        Local("a").canonical(&mut one);
        Local("b").canonical(&mut other);
        assert_eq!(one.finish(), other.finish());
    }
}
