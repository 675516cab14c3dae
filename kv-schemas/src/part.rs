//! One part of a bundle: the settings for a host pattern, in binary.

use tollgate_core::bounds::{PART_BYTES_MAX, PART_DECODED_BYTES_MAX};
use tollgate_core::settings::SiteSettings;

use crate::binary::{self, PART};
use crate::{Id, RecordError};

/// The stored form of a part: the same settings have the same bytes on every machine.
#[must_use]
pub fn encode_part(site: &SiteSettings) -> Vec<u8> {
    binary::write(site, binary::envelope(&PART).into())
}

/// Reads a stored part by its name.
///
/// # Errors
/// When it is damaged, of another kind, of a version not known here, not what the name stands for, or not coherent.
pub fn decode_part(record: &[u8], id: &Id) -> Result<SiteSettings, RecordError> {
    bounded(record)?;
    if Id::of(record) != *id {
        return Err(RecordError::Digest { kind: PART.name });
    }
    decode_part_unnamed(record)
}

/// Reads a part whatever its name: for what is made up, and to show damage.
///
/// # Errors
/// As [`decode_part`], without the digest.
pub fn decode_part_unnamed(record: &[u8]) -> Result<SiteSettings, RecordError> {
    bounded(record)?;
    let data = binary::open(record, &PART)?;
    let (site, rest) = binary::read::<SiteSettings>(data, PART.name, PART_DECODED_BYTES_MAX)?;
    if !rest.is_empty() {
        return Err(RecordError::damaged(PART.name, "something follows it"));
    }
    if site.is_coherent() {
        return Ok(site);
    }
    Err(RecordError::damaged(PART.name, "its settings do not fit together"))
}

fn bounded(record: &[u8]) -> Result<(), RecordError> {
    if record.len() <= PART_BYTES_MAX {
        return Ok(());
    }
    Err(RecordError::damaged(PART.name, format!("longer than {PART_BYTES_MAX} bytes")))
}
