//! A table of sections, followed by the sections: the format of parts and manifests.
//!
//! ```text
//! table: CBOR, [[kind, version, length], …] | section | section | …
//! ```
//!
//! A section is one CBOR item (RFC 8949), with definite lengths and without tags. Its kind defines its content; its
//! version is the lowest one that a reader must support. The table alone shows whether a reader supports all sections.

use minicbor::{Encode, Encoder};
use tollgate_core::codec::{self, Decode as _, Failed, Fault, Reader};

use crate::cost::Budget;
use crate::{Need, RecordError};

/// Sections while decoding: the reader of each kind checks its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section<'b> {
    pub(crate) kind: &'b str,
    pub(crate) version: u16,
    pub(crate) body: &'b [u8],
    /// Where the body begins, behind the start of the table.
    pub(crate) start: usize,
}

/// Sections while encoding.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    table: Vec<(&'static str, u16, usize)>,
    bodies: Vec<u8>,
}

impl Sections {
    /// Adds a section with one item.
    pub(crate) fn push<T: Encode<()>>(&mut self, kind: &'static str, version: u16, item: &T) {
        let start = self.bodies.len();
        write(item, &mut self.bodies);
        self.table.push((kind, version, self.bodies.len() - start));
    }

    /// Adds a section without content, which requires readers to support the kind in this version.
    pub(crate) fn push_mark(&mut self, kind: &'static str, version: u16) {
        self.table.push((kind, version, 0));
    }

    /// What a reader must support, sorted, each kind in the newest version that occurs.
    pub(crate) fn needs(&self) -> impl Iterator<Item = Need> {
        self.table.iter().map(|(kind, version, _)| Need::new(kind, *version))
    }

    /// Adds table and sections to a record.
    pub(crate) fn write(self, mut record: Vec<u8>) -> Vec<u8> {
        write(&self.table, &mut record);
        record.extend(self.bodies);
        record
    }
}

/// Decodes a table and splits the sections; every byte belongs to one.
pub(crate) fn read<'b>(
    bytes: &'b [u8],
    record: &'static str,
    budget: &mut Budget,
) -> Result<Vec<Section<'b>>, RecordError> {
    let table_bytes = budget.spend_item(bytes).map_err(|why| RecordError::damaged(record, why.to_string()))?;
    let (table, mut rest) = bytes.split_at(table_bytes);
    let truncated = || RecordError::damaged(record, "truncated");
    let mut entries = Reader::new(table);
    let malformed = |Failed, entries: &Reader<'_>| RecordError::damaged(record, place(entries.fault()));
    let count = entries.list().map_err(|failed| malformed(failed, &entries))?;
    let mut sections = Vec::with_capacity(count);
    for _ in 0..count {
        let (kind, version, length) = entry(&mut entries).map_err(|failed| malformed(failed, &entries))?;
        let (body, after) = rest.split_at_checked(length).ok_or_else(truncated)?;
        sections.push(Section { kind, version, body, start: bytes.len() - rest.len() });
        rest = after;
    }
    if rest.is_empty() { Ok(sections) } else { Err(RecordError::damaged(record, "extra bytes after its sections")) }
}

/// Reads an entry of the table: a kind, its version, and the length of the section.
fn entry<'b>(entries: &mut Reader<'b>) -> Result<(&'b str, u16, usize), Failed> {
    if entries.list()? != 3 {
        return entries.fail("an entry of the table");
    }
    Ok((entries.text()?, u16::read_from(entries)?, usize::read_from(entries)?))
}

impl Section<'_> {
    /// Checks that the section's version is in this range, and decodes its members in that version.
    pub(crate) fn read<T: codec::Section>(&self, record: &'static str, budget: &mut Budget) -> Result<T, RecordError> {
        let mut value = None;
        self.read_with(record, (T::OLDEST, T::VERSION), budget, &mut |members| {
            value = Some(T::read(self.version, members)?);
            Ok(())
        })?;
        value.ok_or_else(|| self.damaged(record, UNREAD))
    }

    /// The same for a section with entries in a list.
    pub(crate) fn read_list<T: codec::Section>(
        &self,
        record: &'static str,
        budget: &mut Budget,
    ) -> Result<Vec<T>, RecordError> {
        let room = self.body.len() / ENTRY_BYTES_MIN;
        let mut list = Vec::new();
        self.read_with(record, (T::OLDEST, T::VERSION), budget, &mut |entries| {
            let count = entries.list()?;
            list.reserve_exact(count.min(room));
            for _ in 0..count {
                list.push(T::read(self.version, entries)?);
            }
            Ok(())
        })?;
        Ok(list)
    }

    /// The same for a section with a name and members. A function for each kind, so that a Worker compiles those that it reads.
    #[inline(never)]
    pub(crate) fn read_named<T: codec::Section>(
        &self,
        record: &'static str,
        budget: &mut Budget,
    ) -> Result<(String, T), RecordError> {
        let (mut name, mut value) = (String::new(), None);
        self.read_with(record, (T::OLDEST, T::VERSION), budget, &mut |pair| {
            if pair.list()? != 2 {
                return pair.fail("a name and members");
            }
            name.decode(pair)?;
            value = Some(T::read(self.version, pair)?);
            Ok(())
        })?;
        Ok((name, value.ok_or_else(|| self.damaged(record, UNREAD))?))
    }

    /// Checks the version of a section that is a mark.
    pub(crate) fn check_version(&self, known: (u16, u16)) -> Result<(), RecordError> {
        Need::new(self.kind, self.version).check(Some(known))
    }

    /// One function for all kinds.
    fn read_with(
        &self,
        record: &'static str,
        known: (u16, u16),
        budget: &mut Budget,
        read: &mut dyn FnMut(&mut Reader<'_>) -> Result<(), Failed>,
    ) -> Result<(), RecordError> {
        self.check_version(known)?;
        let length = budget.spend_item(self.body).map_err(|why| self.damaged(record, &why.to_string()))?;
        if length != self.body.len() {
            return Err(self.damaged(record, "extra bytes after it"));
        }
        let mut reader = Reader::new(self.body);
        match read(&mut reader) {
            Ok(()) if reader.position() == self.body.len() => Ok(()),
            Ok(()) => Err(self.damaged(record, UNREAD)),
            Err(Failed) => Err(self.damaged(record, &place(reader.fault()))),
        }
    }

    fn damaged(&self, record: &'static str, why: &str) -> RecordError {
        RecordError::damaged(record, format!("section {}: {why}", self.kind))
    }
}

const UNREAD: &str = "not of the expected form";

/// A list has room for so many entries from the start as its bytes can hold; more of them make it grow.
///
/// Upstreams and routes that a compiler writes are longer.
const ENTRY_BYTES_MIN: usize = 32;

/// Adds an item to a record.
pub(crate) fn write<T: Encode<()>>(item: &T, to: &mut Vec<u8>) {
    // Writing to memory does not fail, and neither does any `Encode` of the settings.
    let _ = Encoder::new(to).encode(item);
}

/// Where the bytes become invalid, without quoting them: records may contain what must not be logged.
pub(crate) fn place(fault: Fault) -> String {
    format!("not of the expected form at byte {}", fault.at)
}
