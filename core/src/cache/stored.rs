//! What is kept of a stored response beside its content.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::bounds::CLOCK_SKEW_MS;
use crate::time::Timestamp;

/// A stored response without its content, or the index of a response that varies.
///
/// Serializable, because every store keeps it as text beside the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredMeta {
    /// The version of this record's form.
    pub v: u8,
    /// The status of the response.
    pub status: u16,
    /// Its fields, end-to-end ones only, in order; values that are not UTF-8 are not stored at all.
    pub fields: Vec<(String, String)>,
    /// When it was stored or last validated.
    pub stored_at: Timestamp,
    /// When the request was sent that it answers, or that last validated it: of two, the one with the later is the newer.
    pub requested_at: Timestamp,
    /// Its age in milliseconds at `stored_at`, from the upstream's `Age` field.
    pub initial_age_ms: u64,
    /// How long it is fresh after `stored_at`, in milliseconds.
    pub fresh_ms: u64,
    /// Until when a store must keep it, counted from `stored_at` in milliseconds: fresh time and time for revalidation.
    pub keep_ms: u64,
    /// Length of the content in bytes, where known.
    pub content_bytes: Option<u64>,
    /// For the index of a response that varies: the names of its `Vary` field, sorted. Its content is empty, and only
    /// variants requested at its `stored_at` or later belong to it. No names: nothing is stored, see [`Self::nothing`].
    pub varies_on: Option<Vec<String>>,
}

impl StoredMeta {
    /// The version written today.
    pub const VERSION: u8 = 1;

    /// An entry that takes the place of a response that was changed: an index without variants.
    #[must_use]
    pub const fn nothing(now: Timestamp) -> Self {
        Self {
            v: Self::VERSION,
            status: 200,
            fields: Vec::new(),
            stored_at: now,
            requested_at: now,
            initial_age_ms: 0,
            fresh_ms: 0,
            keep_ms: NOTHING_KEEP_MS,
            content_bytes: None,
            varies_on: Some(Vec::new()),
        }
    }

    /// The index that leads to this response, a variant: begun at `since`, kept as long as the variant.
    #[must_use]
    pub fn index(&self, names: Vec<String>, since: Timestamp) -> Self {
        let keep_ms = self.stored_at.millis_since(since).saturating_add(self.keep_ms);
        Self { stored_at: since, keep_ms, varies_on: Some(names), content_bytes: None, fields: Vec::new(), ..*self }
    }

    /// The text a store keeps.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads [`StoredMeta::to_text`]; text of another version or form is `None`, which is a miss.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|meta| meta.v == Self::VERSION)
    }

    /// Whether it may take the place of what is stored: not where that answers a later request.
    ///
    /// A response that was long on its way must not bring back what a change or a newer response has replaced. What claims
    /// to be from further in the future than clocks differ does not count: a clock was set back, and until it has caught
    /// up nothing would be stored.
    #[must_use]
    pub fn may_replace(&self, stored: &Self, now: Timestamp) -> bool {
        self.requested_at >= stored.requested_at || stored.requested_at > now.plus_millis(CLOCK_SKEW_MS)
    }

    /// Whether the store may forget it.
    #[must_use]
    pub fn is_gone(&self, now: Timestamp) -> bool {
        now >= self.stored_at.plus_millis(self.keep_ms)
    }

    /// The status as a type.
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK)
    }

    /// The fields as a map; a field no longer valid is left out.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        self.fields
            .iter()
            .filter_map(|(n, v)| {
                Some((HeaderName::try_from(n.as_str()).ok()?, HeaderValue::try_from(v.as_str()).ok()?))
            })
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    /// Milliseconds for which it may be kept from `now` on, for stores with an expiry of their own.
    #[must_use]
    pub fn keep_left_ms(&self, now: Timestamp) -> u64 {
        self.stored_at.plus_millis(self.keep_ms).millis_since(now)
    }
}

/// How long a store has to keep an entry that stands for nothing; forgotten, it says the same.
const NOTHING_KEEP_MS: u64 = 60_000;

/// The key of a stored response: a digest, so that it says nothing of the request and has one length.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheKey(String);

impl CacheKey {
    /// The key for the given digest in lower-case hexadecimal.
    pub(crate) fn from_digest(digest: [u8; 32]) -> Self {
        Self(crate::hex::encode(&digest))
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| Self(text.to_owned()))
    }
}
