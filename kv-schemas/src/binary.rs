//! The versioned form of manifests and parts: four bytes that say what it is, then postcard.
//!
//! postcard names no members and says no types, so it is a third of JSON's size and quick to read; what it reads is bound
//! by the version in front of it. Nothing here trusts a length: a count that is not followed by as many items is an end
//! met too early, and what is read is charged against a budget of memory before it is made.

use postcard::de_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::RecordError;

/// A kind of record that has a binary form.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) letter: u8,
}

pub(crate) const MANIFEST: Kind = Kind { name: "manifest", letter: b'm' };
pub(crate) const PART: Kind = Kind { name: "part", letter: b'p' };

/// The version of both kinds that is written today.
pub(crate) const VERSION: u8 = 2;

/// `TG`, the kind's letter, the version.
pub(crate) const ENVELOPE_BYTES: usize = 4;

/// Whether the record is in this form; a record in JSON begins with a brace.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(crate) fn envelope(kind: &Kind) -> [u8; ENVELOPE_BYTES] {
    [MAGIC[0], MAGIC[1], kind.letter, VERSION]
}

/// Takes the envelope off.
pub(crate) fn open<'b>(bytes: &'b [u8], kind: &Kind) -> Result<&'b [u8], RecordError> {
    let [first, second, letter, version, data @ ..] = bytes else {
        return Err(RecordError::damaged(kind.name, "cut off"));
    };
    if [*first, *second] != *MAGIC {
        return Err(RecordError::damaged(kind.name, "not a record"));
    }
    if *letter != kind.letter {
        let found = [MANIFEST, PART].iter().find(|known| known.letter == *letter).map_or("unknown", |known| known.name);
        return Err(RecordError::Kind { expected: kind.name, found: found.to_owned() });
    }
    if *version != VERSION {
        let (found, known) = (u32::from(*version), u32::from(VERSION));
        return Err(RecordError::Version { kind: kind.name, found, known });
    }
    Ok(data)
}

/// Adds data to a record.
pub(crate) fn write<T: Serialize>(data: &T, to: Vec<u8>) -> Vec<u8> {
    // Our own data has no failing Serialize and no sequence of unknown length, so this cannot fail.
    postcard::to_extend(data, to).unwrap_or_default()
}

/// Reads data from the front of a record; answers what follows it.
pub(crate) fn read<'b, T: Deserialize<'b>>(
    bytes: &'b [u8],
    kind: &'static str,
    budget: usize,
) -> Result<(T, &'b [u8]), RecordError> {
    let mut deserializer = postcard::Deserializer::from_flavor(Budgeted { rest: bytes, left: budget });
    let read = T::deserialize(&mut deserializer);
    let spent = deserializer.finalize();
    match (read, spent) {
        (Ok(data), Ok(Budgeted { rest, .. })) => Ok((data, rest)),
        (Err(error), Ok(Budgeted { rest, left })) => {
            let at = bytes.len() - rest.len();
            let what = match error {
                _ if left == 0 => "it takes too much memory",
                postcard::Error::DeserializeUnexpectedEnd => "cut off",
                _ => "not of the expected form",
            };
            Err(RecordError::damaged(kind, format!("{what} at byte {at}")))
        }
        (_, Err(_)) => Err(RecordError::damaged(kind, "unreadable")),
    }
}

/// The bytes still to read, and how much memory may still be made of them.
struct Budgeted<'b> {
    rest: &'b [u8],
    left: usize,
}

impl Budgeted<'_> {
    fn spend(&mut self, cost: usize) -> postcard::Result<()> {
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(postcard::Error::DeserializeUnexpectedEnd)
    }
}

impl<'b> Flavor<'b> for Budgeted<'b> {
    type Remainder = Self;
    type Source = &'b [u8];

    fn pop(&mut self) -> postcard::Result<u8> {
        self.spend(SCALAR_COST)?;
        let (first, rest) = self.rest.split_first().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A count beyond the bytes that are left gets no room in advance; one within them at most what serde gives.
    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        let parts = |of: u8| taken.iter().filter(|byte| **byte == of).count();
        self.spend(TEXT_COST + count + parts(b'/') * SEGMENT_COST + parts(b'|') * CHOICE_COST)?;
        self.rest = rest;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<Self> {
        Ok(self)
    }
}

const MAGIC: &[u8; 2] = b"TG";

/// Memory that a byte of a number, a tag or a length may come to: an empty `Vec` is the largest.
const SCALAR_COST: usize = 24;

/// What an allocator adds to a text.
const TEXT_COST: usize = 16;

/// A segment of a path template, and the node of the router that it may come to.
const SEGMENT_COST: usize = 320;

/// A value of a parameter that takes one of a few, there and in the router.
const CHOICE_COST: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], budget: usize, want: &str) {
        let error = read::<Vec<String>>(bytes, "part", budget).unwrap_err();
        assert_eq!(error, RecordError::damaged("part", want));
    }

    #[test]
    fn a_length_is_not_believed_and_a_budget_is_kept() {
        check(&[0xff, 0xff, 0xff, 0xff, 0x0f], 1 << 20, "cut off at byte 5");
        check(&[1, 0xff, 0xff, 0xff, 0x0f], 1 << 20, "cut off at byte 5");
        check(&[1, 1, 0xff], 1 << 20, "not of the expected form at byte 3");
        check(&[0xff; 12], 1 << 20, "not of the expected form at byte 10");
        check(&[&[0xe8, 0x07][..], &[0; 1000]].concat(), 1000, "it takes too much memory at byte 26");
        let slashes = write(&vec!["/".repeat(100)], Vec::new());
        check(&slashes, 30_000, "it takes too much memory at byte 2");
        assert_eq!(read::<Vec<String>>(&slashes, "part", 40_000).unwrap().0.len(), 1);
    }

    #[test]
    fn what_a_record_is_stands_in_front() {
        let bytes = envelope(&MANIFEST);
        assert_eq!(open(&bytes, &MANIFEST), Ok(&[][..]));
        let other = RecordError::Kind { expected: "part", found: "manifest".to_owned() };
        assert_eq!(open(&bytes, &PART), Err(other));
        assert_eq!(open(b"TGp\x03", &PART), Err(RecordError::Version { kind: "part", found: 3, known: 2 }));
        assert!(matches!(open(b"TG", &PART), Err(RecordError::Damaged { .. })));
        assert!(matches!(open(b"PK\x03\x04", &PART), Err(RecordError::Damaged { .. })));
    }
}
