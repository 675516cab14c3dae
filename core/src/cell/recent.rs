//! Recent updates, so that an update that arrives twice is applied once.

use std::collections::VecDeque;

use crate::codec::{Decode, Failed, Reader};
use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};

use super::OperationId;

/// The updates that changed a cell recently, the oldest first.
///
/// Stored as an array of [`Entry`]. The owner of a busy cell decodes and encodes [`RECENT_MAX`] of them for each update, so
/// entries with a present-day time, whose layout has a fixed length, are copied without decoding each member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recent(VecDeque<Entry>);

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    id: OperationId,
    #[n(1)]
    at_us: u64,
    #[n(2)]
    released: bool,
}

/// The result of a recorded update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordedResult {
    /// It took effect.
    Applied,
    /// It was released: it can no longer take effect.
    Released,
}

impl Recent {
    pub(super) fn result(&self, id: OperationId) -> Option<RecordedResult> {
        let entry = self.0.iter().rev().find(|entry| entry.id == id)?;
        Some(if entry.released { RecordedResult::Released } else { RecordedResult::Applied })
    }

    /// When an update took effect that was not released since.
    pub(super) fn applied_at_us(&self, id: OperationId) -> Option<u64> {
        let entry = self.0.iter().rev().find(|entry| entry.id == id)?;
        (!entry.released).then_some(entry.at_us)
    }

    pub(super) fn add(&mut self, id: OperationId, result: RecordedResult, now_us: u64) {
        if self.0.len() >= RECENT_MAX {
            self.0.pop_front();
        }
        if self.0.capacity() == 0 {
            // Most cells are changed by one request at a time.
            self.0.reserve_exact(1);
        }
        self.0.push_back(Entry { id, at_us: now_us, released: result == RecordedResult::Released });
    }

    /// Whether the cell is changed more than [`BUSY_PER_S`] times a second.
    pub(super) fn are_busy(&self, now_us: u64) -> bool {
        let oldest = self.0.front().filter(|_| self.0.len() >= RECENT_MAX);
        oldest.is_some_and(|entry| now_us.saturating_sub(entry.at_us) < BUSY_US)
    }

    pub(super) fn forget(&mut self, now_us: u64) {
        while self.0.front().is_some_and(|entry| now_us >= entry.at_us.saturating_add(RECENT_US)) {
            self.0.pop_front();
        }
    }

    /// Until when an update must be prevented from taking effect.
    pub(super) fn released_until_us(&self) -> Option<u64> {
        let released = self.0.iter().rev().find(|entry| entry.released)?;
        Some(released.at_us.saturating_add(RECENT_US))
    }

    pub(super) fn set_back(&mut self, by_us: u64) {
        for entry in &mut self.0 {
            entry.at_us = entry.at_us.saturating_sub(by_us);
        }
    }
}

impl Entry {
    /// The encoding with a time that needs eight bytes, which is every time after 01:11:35 on 1 January 1970.
    fn to_usual_bytes(&self) -> Option<[u8; USUAL_BYTES]> {
        if self.at_us <= u64::from(u32::MAX) {
            return None;
        }
        let mut bytes = [0; USUAL_BYTES];
        bytes[..2].copy_from_slice(&USUAL_START);
        bytes[2..18].copy_from_slice(self.id.as_bytes());
        bytes[18] = U64;
        bytes[19..27].copy_from_slice(&self.at_us.to_be_bytes());
        bytes[27] = if self.released { TRUE } else { FALSE };
        Some(bytes)
    }

    /// The entry at the beginning of these bytes, if it has the usual encoding.
    fn of_usual_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<USUAL_BYTES>()?;
        let released = match bytes[27] {
            TRUE => true,
            FALSE => false,
            _ => return None,
        };
        if bytes[..2] != USUAL_START || bytes[18] != U64 {
            return None;
        }
        let id = OperationId::new(*bytes[2..].first_chunk()?);
        Some(Self { id, at_us: u64::from_be_bytes(*bytes[19..].first_chunk()?), released })
    }
}

/// An array of three; a byte string of 16 (RFC 8949, section 3).
const USUAL_START: [u8; 2] = [0x83, 0x50];
const U64: u8 = 0x1b;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const USUAL_BYTES: usize = 28;

impl<C> Encode<C> for Recent {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, context: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.array(self.0.len() as u64)?;
        for entry in &self.0 {
            match entry.to_usual_bytes() {
                Some(bytes) => encoder.writer_mut().write_all(&bytes).map_err(encode::Error::write)?,
                None => entry.encode(encoder, context)?,
            }
        }
        Ok(())
    }
}

impl Decode for Recent {
    fn blank() -> Self {
        Self(VecDeque::new())
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        let length = reader.list()?;
        self.0.reserve(length.min(RECENT_MAX));
        for _ in 0..length {
            let entry = match Entry::of_usual_bytes(reader.left()) {
                Some(entry) => {
                    reader.set_position(reader.position() + USUAL_BYTES);
                    entry
                }
                None => Entry::read_from(reader)?,
            };
            self.0.push_back(entry);
        }
        Ok(())
    }
}

/// Maximum number of updates that one cell records: 2 KB. An update that is repeated after more than these is charged
/// twice, which costs its client a permit and creates none.
pub const RECENT_MAX: usize = 64;

/// How long an update is recorded: longer than an edge waits for a reply (3 s) and for the reply to a second attempt.
pub const RECENT_MS: u64 = 10_000;

/// Half of what a Durable Object answers in a second.
const BUSY_PER_S: u64 = 500;

const BUSY_US: u64 = RECENT_MAX as u64 * 1_000_000 / BUSY_PER_S;

const RECENT_US: u64 = RECENT_MS * super::time::MICROS_PER_MS;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn entries_with_the_fixed_layout_have_the_general_encoding() {
        for at_us in [0, 9, u64::from(u32::MAX), u64::from(u32::MAX) + 1, 1_800_000_000_000_250, u64::MAX] {
            for released in [false, true] {
                let entry = Entry { id: OperationId::new([7; 16]), at_us, released };
                let general = minicbor::to_vec([&entry]).unwrap();
                let recent = Recent(VecDeque::from([entry]));
                assert_eq!(minicbor::to_vec(&recent).unwrap(), general, "{at_us} {released}");
                assert_eq!(crate::codec::decode::<Recent>(&general).unwrap(), recent, "{at_us} {released}");
                assert!(crate::codec::decode::<Recent>(&general[..general.len() - 1]).is_err());
            }
        }
    }
}
