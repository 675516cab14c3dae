//! The first bytes of a manifest or a part: its kind, and the version of the format that follows.
//!
//! That format is the table of [sections](crate::sections). Its version changes only if the table itself changes, which
//! is not expected: the content of a bundle changes within sections, which have separate versions.

use crate::RecordError;

/// A kind of binary record.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) letter: u8,
}

pub(crate) const MANIFEST: Kind = Kind { name: "manifest", letter: b'm' };
pub(crate) const PART: Kind = Kind { name: "part", letter: b'p' };

/// The version of the format of both kinds.
pub(crate) const VERSION: u8 = 1;

/// `TG`, the kind's letter, the version.
pub(crate) const ENVELOPE_BYTES: usize = 4;

/// Whether the record has this format; a JSON record begins with a brace.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(crate) fn envelope(kind: &Kind) -> [u8; ENVELOPE_BYTES] {
    [MAGIC[0], MAGIC[1], kind.letter, VERSION]
}

/// Removes the envelope.
pub(crate) fn open<'b>(bytes: &'b [u8], kind: &Kind) -> Result<&'b [u8], RecordError> {
    let [first, second, letter, version, data @ ..] = bytes else {
        return Err(RecordError::damaged(kind.name, "truncated"));
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

const MAGIC: &[u8; 2] = b"TG";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_begins_with_its_kind() {
        let bytes = envelope(&MANIFEST);
        assert_eq!(open(&bytes, &MANIFEST), Ok(&[][..]));
        let other = RecordError::Kind { expected: "part", found: "manifest".to_owned() };
        assert_eq!(open(&bytes, &PART), Err(other));
        assert_eq!(open(b"TGp\x02", &PART), Err(RecordError::Version { kind: "part", found: 2, known: 1 }));
        assert!(matches!(open(b"TG", &PART), Err(RecordError::Damaged { .. })));
        assert!(matches!(open(b"PK\x03\x04", &PART), Err(RecordError::Damaged { .. })));
    }
}
