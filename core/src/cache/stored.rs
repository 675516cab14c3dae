//! The metadata of a stored response.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::bounds::CLOCK_SKEW_MS;
use crate::time::Timestamp;

/// A stored response without its content, or the index of a response that varies.
///
/// Serializable, because every store keeps it as text next to the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredMeta {
    /// The version of this record's format.
    pub v: u8,
    /// The status of the response.
    pub status: u16,
    /// Its fields, end-to-end ones only, in order; values that are not UTF-8 are not stored at all.
    pub fields: Vec<(String, String)>,
    /// When it was stored or last validated.
    pub stored_at: Timestamp,
    /// When the request that it answers, or that last validated it, was sent: the later of two is the newer response.
    pub requested_at: Timestamp,
    /// Its age in milliseconds at `stored_at`, from the upstream's `Age` field.
    pub initial_age_ms: u64,
    /// How long it is fresh after `stored_at`, in milliseconds.
    pub fresh_ms: u64,
    /// How long a store must keep it after `stored_at`, in milliseconds: time of freshness plus time for revalidation.
    pub keep_ms: u64,
    /// Length of the content in bytes, where known.
    pub content_bytes: Option<u64>,
    /// For the index of a response that varies: the names of its `Vary` field, sorted. Its content is empty, and only
    /// variants requested at its `stored_at` or later belong to it. No names: nothing is stored, see [`Self::nothing`].
    pub varies_on: Option<Vec<String>>,
}

impl StoredMeta {
    /// The version that is written.
    pub const VERSION: u8 = 1;

    /// An entry that replaces an invalidated response: an index without variants.
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

    /// The index for this response, which is a variant: valid from `since`, kept as long as the variant.
    #[must_use]
    pub fn index(&self, names: Vec<String>, since: Timestamp) -> Self {
        let keep_ms = self.stored_at.millis_since(since).saturating_add(self.keep_ms);
        Self { stored_at: since, keep_ms, varies_on: Some(names), content_bytes: None, fields: Vec::new(), ..*self }
    }

    /// The text for the store.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses [`StoredMeta::to_text`]; text of another version or format is `None`, which is a miss.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_slice::<Self>(text.as_bytes()).ok().filter(|meta| meta.v == Self::VERSION)
    }

    /// Whether it may replace the stored entry: not if that answers a later request.
    ///
    /// A response that was long in transit must not restore what a change or a newer response has replaced. A stored
    /// entry further in the future than clocks can differ is ignored: a clock was set back, and otherwise nothing would
    /// be stored until it has caught up.
    #[must_use]
    pub fn may_replace(&self, stored: &Self, now: Timestamp) -> bool {
        self.requested_at >= stored.requested_at || stored.requested_at > now.plus_millis(CLOCK_SKEW_MS)
    }

    /// Whether the store may drop it.
    #[must_use]
    pub fn is_gone(&self, now: Timestamp) -> bool {
        now >= self.stored_at.plus_millis(self.keep_ms)
    }

    /// Its age, in milliseconds.
    #[must_use]
    pub fn age_ms(&self, now: Timestamp) -> u64 {
        self.initial_age_ms.saturating_add(now.millis_since(self.stored_at))
    }

    /// The status as a type.
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK)
    }

    /// The fields as a map; a field that is no longer valid is omitted.
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

    /// Milliseconds for which it may be kept from `now` on, for stores with their own expiry.
    #[must_use]
    pub fn keep_left_ms(&self, now: Timestamp) -> u64 {
        self.stored_at.plus_millis(self.keep_ms).millis_since(now)
    }
}

/// How long a store keeps an entry without content; its absence means the same.
const NOTHING_KEEP_MS: u64 = 60_000;

/// The key of a stored response: a digest, so that it reveals nothing about the request and has a fixed length.
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

    /// Parses 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| Self(text.to_owned()))
    }
}
