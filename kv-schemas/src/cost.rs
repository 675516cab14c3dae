//! The memory cost of decoding, charged before anything is allocated.
//!
//! A byte of CBOR can become an empty list of 24 bytes, and a slash can become a path segment with a node of the
//! router. So the bytes are first traversed item by item, without recursion, and each item is charged against a budget.
//! The traversal also checks that the encoding is the one that this crate writes: definite lengths, no tags, a bounded
//! depth.

use thiserror::Error;

/// Memory that may still be allocated for a record, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(usize);

/// Why bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Refused {
    #[error("truncated at byte {0}")]
    CutOff(usize),
    #[error("not of the expected form at byte {0}")]
    Form(usize),
    #[error("it takes too much memory at byte {0}")]
    Memory(usize),
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// What was not charged yet.
    pub(crate) fn left(&self) -> usize {
        self.0
    }

    /// Charges the first item of these bytes with everything in it; returns its length.
    pub(crate) fn spend_item(&mut self, bytes: &[u8]) -> Result<usize, Refused> {
        let mut walk = Walk { bytes, at: 0, left: self.0 };
        let walked = walk.item();
        self.0 = walk.left;
        walked.map(|()| walk.at)
    }
}

struct Walk<'b> {
    bytes: &'b [u8],
    at: usize,
    left: usize,
}

/// Items that remain within a list or a map.
#[derive(Clone, Copy, Default)]
struct Open {
    items: usize,
    is_map: bool,
}

impl Walk<'_> {
    fn item(&mut self) -> Result<(), Refused> {
        let mut open = [Open::default(); DEPTH_MAX];
        let mut depth = 0;
        open[0].items = 1;
        loop {
            let inner = self.head(open[depth])?;
            open[depth].items -= 1;
            if let Some(inner) = inner.filter(|inner| inner.items > 0) {
                depth += 1;
                *open.get_mut(depth).ok_or(Refused::Form(self.at))? = inner;
            }
            while open[depth].items == 0 {
                if depth == 0 {
                    return Ok(());
                }
                depth -= 1;
            }
        }
    }

    /// Skips one item, or the head of a list or a map, and returns the number of contained items.
    fn head(&mut self, within: Open) -> Result<Option<Open>, Refused> {
        let start = self.at;
        let first = *self.bytes.get(start).ok_or(Refused::CutOff(start))?;
        self.at += 1;
        let argument = self.argument(first & 0x1f)?;
        match first >> 5 {
            // In a map, every other item is a key; a number as key needs no memory.
            0 | 1 if within.is_map && within.items.is_multiple_of(2) => Ok(None),
            0 | 1 | SIMPLE => self.spend(SCALAR_COST).map(|()| None),
            BYTES | TEXT => self.text(argument).map(|()| None),
            LIST => {
                self.spend(SCALAR_COST)?;
                self.open(argument, 1).map(Some)
            }
            MAP => {
                self.spend(MAP_COST)?;
                self.open(argument, 2).map(Some)
            }
            _ => Err(Refused::Form(start)),
        }
    }

    fn argument(&mut self, info: u8) -> Result<u64, Refused> {
        let bytes = match info {
            0..24 => return Ok(u64::from(info)),
            24..28 => 1 << (info - 24),
            _ => return Err(Refused::Form(self.at - 1)),
        };
        let number = self.bytes.get(self.at..self.at + bytes).ok_or(Refused::CutOff(self.at))?;
        self.at += bytes;
        Ok(number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn text(&mut self, length: u64) -> Result<(), Refused> {
        let rest = &self.bytes[self.at..];
        let text = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let text = text.ok_or(Refused::CutOff(self.at))?;
        let cost = |byte: &u8| match byte {
            b'/' => SEGMENT_COST,
            b'|' => CHOICE_COST,
            _ => 1,
        };
        self.spend(TEXT_COST + text.iter().map(cost).sum::<usize>())?;
        self.at += text.len();
        Ok(())
    }

    /// A count cannot exceed the number of bytes, because each item has at least one.
    fn open(&self, count: u64, items_each: usize) -> Result<Open, Refused> {
        let room = (self.bytes.len() - self.at) / items_each;
        let count = usize::try_from(count).ok().filter(|count| *count <= room).ok_or(Refused::CutOff(self.at))?;
        Ok(Open { items: count * items_each, is_map: items_each == 2 })
    }

    fn spend(&mut self, cost: usize) -> Result<(), Refused> {
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(Refused::Memory(self.at))
    }
}

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;

/// The maximum nesting of lists and maps: the settings have 6 levels.
const DEPTH_MAX: usize = 16;

/// Memory of a number, or of a list without its entries: an empty `Vec` is the largest, and a growing list may have
/// twice its capacity.
const SCALAR_COST: usize = 48;

/// Memory of the largest type with members: a route.
const MAP_COST: usize = 640;

/// A string's entry in a list, and the overhead of the allocator.
const TEXT_COST: usize = 64;

/// A segment of a path template, and its node of the router.
const SEGMENT_COST: usize = 320;

/// A value of an enumerated parameter, in the template and in the router.
const CHOICE_COST: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], budget: usize, want: Result<usize, Refused>) {
        assert_eq!(Budget::new(budget).spend_item(bytes), want);
    }

    #[test]
    fn a_length_is_not_trusted_and_a_budget_is_enforced() {
        check(&[0x9a, 0xff, 0xff, 0xff, 0xff, 0x0f], 1 << 20, Err(Refused::CutOff(5)));
        check(&[0x81, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 1 << 20, Err(Refused::CutOff(10)));
        check(&[0xa2, 0, 0], 1 << 20, Err(Refused::CutOff(1)));
        check(&[0x19, 1], 1 << 20, Err(Refused::CutOff(1)));
        check(&[], 1 << 20, Err(Refused::CutOff(0)));
        check(&[&[0x99, 0x03, 0xe8][..], &[0x80; 1000]].concat(), 10_000, Err(Refused::Memory(211)));
        let slashes = [&[0x78, 100][..], &[b'/'; 100]].concat();
        check(&slashes, 30_000, Err(Refused::Memory(2)));
        check(&slashes, 33_000, Ok(102));
    }

    #[test]
    fn only_the_written_encoding_is_accepted() {
        for indefinite in [&[0x9f, 0xff][..], &[0xbf, 0xff], &[0x7f, 0x61, b'a', 0xff], &[0x5f, 0xff], &[0xff], &[0x1c]]
        {
            check(indefinite, 1 << 20, Err(Refused::Form(0)));
        }
        check(&[0xc1, 0], 1 << 20, Err(Refused::Form(0)));
        check(&[&[0x81; 15][..], &[0]].concat(), 1 << 20, Ok(16));
        check(&[&[0x81; 16][..], &[0]].concat(), 1 << 20, Err(Refused::Form(16)));
        check(&[&[0x81; 100_000][..], &[0]].concat(), usize::MAX, Err(Refused::Form(16)));
    }

    #[test]
    fn an_item_ends_where_its_last_one_does() {
        check(&[0xa2, 0, 0x83, 1, 2, 0x80, 1, 0xa0, 0xff], 1 << 20, Ok(8));
        check(&[0xf6, 0xf6], 1 << 20, Ok(1));
        check(&[0x44, 1, 2, 3, 4], 1 << 20, Ok(5));
    }
}
