//! The first bytes of a manifest or a part: its kind, and the version of the format that follows.
//!
//! That format is the table of [sections](crate::sections), in some versions behind its length and before pages. The
//! content of a bundle changes within sections, which have separate versions.

use std::ops::Range;

use crate::RecordError;

/// A kind of binary record.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) letter: u8,
    /// The newest version of its format.
    pub(crate) version: u8,
}

pub(crate) const MANIFEST: Kind = Kind { name: "manifest", letter: b'm', version: 1 };
pub(crate) const PART: Kind = Kind { name: "part", letter: b'p', version: 2 };

/// `TG`, the kind's letter, the version.
pub(crate) const ENVELOPE_BYTES: usize = 4;

/// Whether the record has this format; a JSON record begins with a brace.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(crate) fn envelope(kind: &Kind, version: u8) -> [u8; ENVELOPE_BYTES] {
    [MAGIC[0], MAGIC[1], kind.letter, version]
}

/// Checks the envelope and returns the version.
pub(crate) fn open(bytes: &[u8], kind: &Kind) -> Result<u8, RecordError> {
    let [first, second, letter, version, ..] = bytes else {
        return Err(RecordError::damaged(kind.name, "truncated"));
    };
    if [*first, *second] != *MAGIC {
        return Err(RecordError::damaged(kind.name, "not a record"));
    }
    if *letter != kind.letter {
        let found = [MANIFEST, PART].iter().find(|known| known.letter == *letter).map_or("unknown", |known| known.name);
        return Err(RecordError::Kind { expected: kind.name, found: found.to_owned() });
    }
    if *version == 0 || *version > kind.version {
        let (found, known) = (u32::from(*version), u32::from(kind.version));
        return Err(RecordError::Version { kind: kind.name, found, known });
    }
    Ok(*version)
}

/// Adds a head to an envelope: its length, and itself.
pub(crate) fn push_head(head: &[u8], record: &mut Vec<u8>) {
    // A head never has 4 GiB: its pages would have a hundred times that.
    record.extend(u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
    record.extend(head);
}

/// The place of the head.
pub(crate) fn head(record: &[u8], kind: &Kind) -> Result<Range<usize>, RecordError> {
    let length = record.get(ENVELOPE_BYTES..HEAD_AT).and_then(|length| length.try_into().ok());
    let length = length.and_then(|length| usize::try_from(u32::from_le_bytes(length)).ok());
    let end = length.and_then(|length| length.checked_add(HEAD_AT)).filter(|end| *end <= record.len());
    end.map(|end| HEAD_AT..end).ok_or_else(|| RecordError::damaged(kind.name, "truncated"))
}

/// Where a head begins.
const HEAD_AT: usize = ENVELOPE_BYTES + 4;

const MAGIC: &[u8; 2] = b"TG";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_begins_with_its_kind() {
        let bytes = envelope(&MANIFEST, 1);
        assert_eq!(open(&bytes, &MANIFEST), Ok(1));
        let other = RecordError::Kind { expected: "part", found: "manifest".to_owned() };
        assert_eq!(open(&bytes, &PART), Err(other));
        assert_eq!(open(b"TGp\x02", &PART), Ok(2));
        for version in [0, 3] {
            let refused = Err(RecordError::Version { kind: "part", found: version.into(), known: 2 });
            assert_eq!(open(&[b'T', b'G', b'p', version], &PART), refused);
        }
        assert!(matches!(open(b"TG", &PART), Err(RecordError::Damaged { .. })));
        assert_eq!(head(b"TGm\x01\x02\0\0\0ab", &MANIFEST), Ok(8..10));
        for cut in [&b"TGm\x01\x02\0\0"[..], b"TGm\x01\x02\0\0\0a", b"TGm\x01\xff\xff\xff\xffab"] {
            assert!(matches!(head(cut, &MANIFEST), Err(RecordError::Damaged { .. })));
        }
        assert!(matches!(open(b"PK\x03\x04", &PART), Err(RecordError::Damaged { .. })));
    }
}
