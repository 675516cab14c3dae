//! The versioned form of records.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tollgate_core::hex;

/// A record: data with a kind and a version.
pub trait Record: Serialize + DeserializeOwned {
    /// The kind, part of the stored form.
    const KIND: &'static str;
    /// The version written today.
    const VERSION: u32;
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

/// The SHA-256 of a record's bytes, in lower-case hexadecimal: its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(&Sha256::digest(bytes)))
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex { Ok(Self(text)) } else { Err("not 64 lower-case hexadecimal digits") }
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

/// The stored form of a record: the same data has the same bytes on every machine.
#[must_use]
pub fn encode<T: Record>(data: &T) -> Vec<u8> {
    // Our own data has string keys only and no failing Serialize, so this cannot fail.
    serde_json::to_vec(&Written { kind: T::KIND, v: T::VERSION, data }).unwrap_or_default()
}

/// Reads a stored record.
///
/// # Errors
/// When it is damaged, of another kind, or of a version not known here.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, RecordError> {
    let damaged = |error: serde_json::Error| RecordError::Damaged { kind: T::KIND, reason: place(&error) };
    let read: Read<'_> = serde_json::from_slice(bytes).map_err(damaged)?;
    if read.kind != T::KIND {
        return Err(RecordError::Kind { expected: T::KIND, found: read.kind.chars().take(40).collect() });
    }
    if read.v != T::VERSION {
        return Err(RecordError::Version { kind: T::KIND, found: read.v, known: T::VERSION });
    }
    serde_json::from_str(read.data.get()).map_err(damaged)
}

/// Reads a stored record that is named by its digest.
///
/// # Errors
/// As [`decode`], and when the bytes do not have that digest.
pub fn decode_named<T: Record>(bytes: &[u8], id: &Id) -> Result<T, RecordError> {
    if Id::of(bytes) == *id { decode(bytes) } else { Err(RecordError::Digest { kind: T::KIND }) }
}

#[derive(Serialize)]
struct Written<'a, T> {
    kind: &'static str,
    v: u32,
    data: &'a T,
}

/// The data stays unread until kind and version are known to be ours.
#[derive(Deserialize)]
struct Read<'a> {
    kind: String,
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
