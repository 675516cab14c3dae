//! Answers that the gateway itself fetched, shared between its isolates.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use tollgate_core::fetch::FetchAnswer;
use tollgate_core::json::FromJson;
use tollgate_core::time::Timestamp;

use crate::{Record, RecordError, decode, encode};

/// An answer and when it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedRecord {
    /// When it was fetched, by the wall clock of the isolate that fetched it.
    pub fetched_at: Timestamp,
    /// The answer.
    pub answer: FetchAnswer,
}

impl FetchedRecord {
    /// The stored form: everything but the content as a JSON record on one line, then the content unchanged.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        let head = Head {
            fetched_at: self.fetched_at,
            status: self.answer.status.as_u16(),
            fields: self.answer.fields.iter().filter_map(text).collect(),
        };
        let mut bytes = encode(&head);
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.answer.content);
        bytes
    }

    /// Decodes the result of [`Self::encode`].
    ///
    /// # Errors
    /// If it is damaged, of another kind, or of an unknown version.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, RecordError> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| RecordError::damaged(Head::KIND, "it has no content"))?;
        let head: Head = decode(&bytes[..end])?;
        let mut fields = HeaderMap::new();
        for (name, value) in &head.fields {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                fields.append(name, value);
            }
        }
        let status = StatusCode::from_u16(head.status);
        let status = status.map_err(|_| RecordError::damaged(Head::KIND, "its status is invalid"))?;
        let content = Bytes::from(bytes).slice(end + 1..);
        Ok(Self { fetched_at: head.fetched_at, answer: FetchAnswer { status, fields, content } })
    }
}

#[derive(Serialize, FromJson)]
struct Head {
    fetched_at: Timestamp,
    status: u16,
    fields: Vec<(String, String)>,
}

impl Record for Head {
    const KIND: &'static str = "fetched";
    /// Fields were bounded when they were received ([`tollgate_core::bounds::FIELD_BYTES_MAX`]); each character may be
    /// escaped.
    const BYTES_MAX: usize = 256 * 1024;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> FetchedRecord {
        let mut fields = HeaderMap::new();
        fields.insert(http::header::ETAG, HeaderValue::from_static("\"a\""));
        let content = Bytes::from_static(b"{\"keys\":\n[]}");
        FetchedRecord {
            fetched_at: Timestamp::from_micros(1_800_000_000_000_250),
            answer: FetchAnswer { status: StatusCode::OK, fields, content },
        }
    }

    const GOLDEN: &str = include_str!("../tests/golden/fetched.v1.txt");

    #[test]
    fn the_stored_form_has_these_bytes_and_is_decoded() {
        assert_eq!(String::from_utf8(sample().encode()).unwrap(), GOLDEN);
        assert_eq!(FetchedRecord::decode(GOLDEN.into()), Ok(sample()));
    }

    #[test]
    fn any_other_record_is_refused() {
        for (from, to) in [("\n", " "), ("fetched\"", "pointer\""), ("\"v\":1", "\"v\":2"), ("200", "20")] {
            assert!(FetchedRecord::decode(GOLDEN.replace(from, to).into()).is_err(), "{from}");
        }
    }
}
