//! The versioned form of records in JSON: `{"kind": …, "v": …, "data": …}`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

/// A record in JSON: data with a kind and a version.
pub trait Record: Serialize + DeserializeOwned {
    /// The kind, part of the stored form.
    const KIND: &'static str;
    /// The version written today.
    const VERSION: u32;
    /// The oldest version whose data has the same form.
    const SINCE: u32 = Self::VERSION;
}

/// Why a stored record cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Not a record at all, or cut off.
    #[error("the {kind} record is damaged: {reason}")]
    Damaged {
        /// The kind that was expected.
        kind: &'static str,
        /// Where it stops making sense; no content.
        reason: String,
    },
    /// A record of another kind.
    #[error("a {expected} record was expected, this is a {found} record")]
    Kind {
        /// The kind that was expected.
        expected: &'static str,
        /// The kind it is.
        found: String,
    },
    /// A version this program does not know.
    #[error(
        "the {kind} record has version {found}, this program knows versions up to {known}: update the gateway first, or publish with an older tollgate"
    )]
    Version {
        /// The kind.
        kind: &'static str,
        /// The version it has.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// Bytes that do not belong to the name they are stored under.
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

/// The stored form of a record in JSON: the same data has the same bytes on every machine.
#[must_use]
pub fn encode<T: Record>(data: &T) -> Vec<u8> {
    // Our own data has string keys only and no failing Serialize, so this cannot fail.
    serde_json::to_vec(&Written { kind: T::KIND, v: T::VERSION, data }).unwrap_or_default()
}

/// Reads a stored record in JSON.
///
/// # Errors
/// When it is damaged, of another kind, or of a version not known here.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, RecordError> {
    let read = open(bytes, T::KIND)?;
    if !(T::SINCE..=T::VERSION).contains(&read.v) {
        return Err(RecordError::Version { kind: T::KIND, found: read.v, known: T::VERSION });
    }
    from_json(read.data, T::KIND)
}

/// Takes the envelope off; the data stays unread until its version is known to be one of ours.
pub(crate) fn open<'b>(bytes: &'b [u8], kind: &'static str) -> Result<Envelope<'b>, RecordError> {
    let read: Envelope<'b> =
        serde_json::from_slice(bytes).map_err(|error| RecordError::damaged(kind, place(&error)))?;
    if read.kind != kind {
        return Err(RecordError::Kind { expected: kind, found: read.kind.chars().take(40).collect() });
    }
    Ok(read)
}

pub(crate) fn from_json<'b, T: Deserialize<'b>>(data: &'b RawValue, kind: &'static str) -> Result<T, RecordError> {
    serde_json::from_str(data.get()).map_err(|error| RecordError::damaged(kind, place(&error)))
}

#[derive(Serialize)]
struct Written<'a, T> {
    kind: &'static str,
    v: u32,
    data: &'a T,
}

#[derive(Deserialize)]
pub(crate) struct Envelope<'a> {
    kind: String,
    pub(crate) v: u32,
    #[serde(borrow)]
    pub(crate) data: &'a RawValue,
}

/// Where the text stops making sense, without quoting it: records may hold what logs must not.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "not of the expected form",
        serde_json::error::Category::Eof => "cut off",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}
