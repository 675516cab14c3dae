//! The versioned form of JSON records: `{"kind": …, "v": …, "data": …}`.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::Need;

/// A JSON record: data with a kind and a version.
///
/// Like that of a section ([`tollgate_core::codec`]), the version is the lowest one that a reader must support: unknown
/// members are skipped, and a member that must not be skipped needs a higher version where it is used.
pub trait Record: Serialize + DeserializeOwned {
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
    fn read(version: u32, data: &RawValue) -> Result<Self, serde_json::Error> {
        let _ = version;
        // The reader of slices is the only one in this crate: another one would be compiled for every type a second time.
        serde_json::from_slice(data.get().as_bytes())
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
    serde_json::to_vec(&Written { kind: T::KIND, v: data.least_version(), data }).unwrap_or_default()
}

/// Decodes a stored JSON record.
///
/// # Errors
/// If it is damaged, of another kind, or of an unknown version.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, RecordError> {
    if bytes.len() > T::BYTES_MAX {
        return Err(RecordError::damaged(T::KIND, format!("longer than {} bytes", T::BYTES_MAX)));
    }
    // The data is not decoded before its version is known to be supported.
    let read: Envelope<'_> =
        serde_json::from_slice(bytes).map_err(|error| RecordError::damaged(T::KIND, place(&error)))?;
    if read.kind != T::KIND {
        return Err(RecordError::Kind { expected: T::KIND, found: read.kind.chars().take(40).collect() });
    }
    if !(T::OLDEST..=T::VERSION).contains(&read.v) {
        return Err(RecordError::Version { kind: T::KIND, found: read.v, known: T::VERSION });
    }
    T::read(read.v, read.data).map_err(|error| RecordError::damaged(T::KIND, place(&error)))
}

#[derive(Serialize)]
struct Written<'a, T> {
    kind: &'static str,
    v: u32,
    data: &'a T,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    kind: Cow<'a, str>,
    v: u32,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Where the text becomes invalid, without quoting it: records may contain what must not be logged.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "not of the expected form",
        serde_json::error::Category::Eof => "truncated",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}
