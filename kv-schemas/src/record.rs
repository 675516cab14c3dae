//! The versioned form of JSON records: `{"kind": …, "v": …, "data": …}`.

use serde::Serialize;
use thiserror::Error;
use tollgate_core::json::{Broken, FromJson, RECORD_VALUES_MAX, Unfit, Value, ValueError, to_text};

use crate::Need;

/// A JSON record: data with a kind and a version.
///
/// Like that of a section ([`tollgate_core::codec`]), the version is the lowest one that a reader must support: unknown
/// members are skipped, and a member that must not be skipped needs a higher version where it is used.
pub trait Record: Serialize + FromJson {
    /// The kind, part of the stored form.
    const KIND: &'static str;
    /// The newest version that this program reads.
    const VERSION: u32 = 1;
    /// The oldest version that this program reads: the previous one, once there are releases.
    const OLDEST: u32 = 1;
    /// The maximum length in bytes.
    const BYTES_MAX: usize;

    /// The lowest version that a reader must support to use this data.
    fn least_version(&self) -> u32 {
        Self::OLDEST
    }

    /// Decodes data that was written with a version between [`Self::OLDEST`] and [`Self::VERSION`].
    ///
    /// A record whose members changed their meaning converts those of the previous version here.
    ///
    /// # Errors
    /// If it does not have the form of that version.
    fn read(version: u32, data: Value) -> Result<Self, Unfit> {
        let _ = version;
        Self::from_json(data)
    }
}

/// Why a stored record cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Not a record, or truncated.
    #[error("the {kind} record is damaged: {reason}")]
    Damaged {
        /// The expected kind.
        kind: &'static str,
        /// Where it becomes invalid, without content.
        reason: String,
    },
    /// A name without its record: not written, or not visible yet.
    #[error("there is no {kind} record of the name that the bundle has for it")]
    Missing {
        /// The expected kind.
        kind: &'static str,
    },
    /// A record of another kind.
    #[error("a {expected} record was expected, this is a {found} record")]
    Kind {
        /// The expected kind.
        expected: &'static str,
        /// The actual kind.
        found: String,
    },
    /// A version that this program does not support.
    #[error(
        "the {kind} record has version {found}, this program supports versions up to {known}: update the gateway first, or publish with an older tollgate"
    )]
    Version {
        /// The kind.
        kind: &'static str,
        /// Its version.
        found: u32,
        /// The newest supported version.
        known: u32,
    },
    /// A part of a bundle that this program does not support.
    #[error("this program does not know {need}: update the gateway first, or publish with an older tollgate")]
    Unknown {
        /// The kind and version.
        need: Need,
    },
    /// A part of a bundle in a version that this program no longer reads.
    #[error("this program does not read {need} any more: publish with a tollgate as new as the gateway")]
    TooOld {
        /// The kind and version.
        need: Need,
    },
    /// Bytes that do not match the id under which they are stored.
    #[error("the {kind} record's content does not have the digest it is named by")]
    Digest {
        /// The kind.
        kind: &'static str,
    },
}

impl RecordError {
    pub(crate) fn damaged(kind: &'static str, reason: impl Into<String>) -> Self {
        Self::Damaged { kind, reason: reason.into() }
    }
}

/// The stored form of a JSON record: equal data has equal bytes on every machine.
#[must_use]
pub fn encode<T: Record>(data: &T) -> Vec<u8> {
    // The data of records has string keys only and no failing Serialize, so this cannot fail.
    to_text(&Written { kind: T::KIND, v: data.least_version(), data }).into_bytes()
}

/// Decodes a stored JSON record.
///
/// # Errors
/// If it is damaged, of another kind, or of an unknown version.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, RecordError> {
    if bytes.len() > T::BYTES_MAX {
        return Err(RecordError::damaged(T::KIND, format!("longer than {} bytes", T::BYTES_MAX)));
    }
    let Envelope { v, data } = open(bytes, T::KIND, (T::OLDEST, T::VERSION))?;
    T::read(v, data).map_err(|unfit| RecordError::damaged(T::KIND, unfit_place(unfit)))
}

/// The data, and its version: it is not read before its version is known to be supported.
fn open(bytes: &[u8], kind: &'static str, (oldest, newest): (u32, u32)) -> Result<Envelope, RecordError> {
    let value =
        Value::parse_within(bytes, RECORD_VALUES_MAX).map_err(|broken| RecordError::damaged(kind, place(&broken)))?;
    let unfit = |unfit| RecordError::damaged(kind, unfit_place(unfit));
    let Stored { kind: found, v, data } = Stored::from_json(value).map_err(unfit)?;
    if found != kind {
        return Err(RecordError::Kind { expected: kind, found: found.chars().take(40).collect() });
    }
    if !(oldest..=newest).contains(&v) {
        return Err(RecordError::Version { kind, found: v, known: newest });
    }
    Ok(Envelope { v, data })
}

#[derive(Serialize)]
struct Written<'a, T> {
    kind: &'static str,
    v: u32,
    data: &'a T,
}

#[derive(FromJson)]
struct Stored {
    kind: String,
    v: u32,
    data: Value,
}

struct Envelope {
    v: u32,
    data: Value,
}

/// Where the text becomes invalid, without quoting it: records may contain what must not be logged.
fn place(broken: &Broken) -> String {
    let Broken { why, line, column, .. } = broken;
    match why {
        _ if broken.is_truncated => format!("truncated at line {line} column {column}"),
        ValueError::Syntax => format!("not JSON at line {line} column {column}"),
        why => format!("{why} at line {line} column {column}"),
    }
}

fn unfit_place(Unfit { member }: Unfit) -> String {
    match member {
        "" => "not of the expected form".to_owned(),
        member => format!("its member `{member}` is missing, or not of the expected form"),
    }
}
