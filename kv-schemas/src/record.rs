//! The versioned form of records in JSON: `{"kind": …, "v": …, "data": …}`.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::Need;

/// A record in JSON: data with a kind and a version.
///
/// The version is the least one that a reader must know, as that of a section is ([`tollgate_core::codec`]): members
/// that are not known are skipped, and whoever adds one that may not be skipped raises the version where it is used.
pub trait Record: Serialize + DeserializeOwned {
    /// The kind, part of the stored form.
    const KIND: &'static str;
    /// The newest version that this program reads.
    const VERSION: u32 = 1;
    /// The oldest version that this program reads: the one before, once there are releases to read from.
    const OLDEST: u32 = 1;
    /// The most bytes that are read.
    const BYTES_MAX: usize;

    /// The least version that a reader must know to do what the data says.
    fn least_version(&self) -> u32 {
        Self::OLDEST
    }

    /// Reads data that was written with a version between [`Self::OLDEST`] and [`Self::VERSION`].
    ///
    /// Here a record whose members changed their meaning turns those of the version before into today's.
    ///
    /// # Errors
    /// When it does not have the form of that version.
    fn read(version: u32, data: &RawValue) -> Result<Self, serde_json::Error> {
        let _ = version;
        serde_json::from_str(data.get())
    }
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
    /// A name without its record: not written, or not to be read here yet.
    #[error("there is no {kind} record of the name that the bundle has for it")]
    Missing {
        /// The kind that was expected.
        kind: &'static str,
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
    /// A part of a bundle that this program does not know, by name.
    #[error("this program does not know {need}: update the gateway first, or publish with an older tollgate")]
    Unknown {
        /// What it would have to know.
        need: Need,
    },
    /// A part of a bundle in a version that this program reads no more, by name.
    #[error("this program does not read {need} any more: publish with a tollgate as new as the gateway")]
    TooOld {
        /// What it would have to know.
        need: Need,
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
    serde_json::to_vec(&Written { kind: T::KIND, v: data.least_version(), data }).unwrap_or_default()
}

/// Reads a stored record in JSON.
///
/// # Errors
/// When it is damaged, of another kind, or of a version not known here.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, RecordError> {
    if bytes.len() > T::BYTES_MAX {
        return Err(RecordError::damaged(T::KIND, format!("longer than {} bytes", T::BYTES_MAX)));
    }
    // The data stays unread until its version is known to be one of ours.
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
