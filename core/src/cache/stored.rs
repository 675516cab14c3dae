//! The metadata of a stored response.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::bounds::{CLOCK_SET_BACK_MS_MAX, CLOCK_SKEW_MS, STORED_WITHIN_MS};
use crate::json::{FromJson, RECORD_VALUES_MAX, Value, to_text};
use crate::time::Timestamp;

/// A stored response without its content, or the index of a response that varies.
///
/// Serializable, because every store keeps it as text next to the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJson)]
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

    /// An entry that replaces an invalidated response: an index without variants, valid from `at`.
    #[must_use]
    pub const fn nothing(at: Timestamp) -> Self {
        Self {
            v: Self::VERSION,
            status: 200,
            fields: Vec::new(),
            stored_at: at,
            requested_at: at,
            initial_age_ms: 0,
            fresh_ms: 0,
            // Afterwards its absence means the same: no response from before may be stored any more.
            keep_ms: STORED_WITHIN_MS + CLOCK_SKEW_MS,
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
        to_text(self)
    }

    /// Parses [`StoredMeta::to_text`]; text of another version or format is `None`, which is a miss.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let value = Value::parse_within(text.as_bytes(), RECORD_VALUES_MAX).ok()?;
        Self::from_json(value).ok().filter(|meta| meta.v == Self::VERSION)
    }

    /// Whether it may be written in place of what is stored: not if that answers a later request, nor long after its own.
    ///
    /// A response that was long in transit must not restore what a change or a newer response has replaced, nor arrive
    /// after the entry that recorded the change was dropped. A stored entry further in the future than clocks can differ is
    /// ignored: a clock was set back, and otherwise nothing would be stored until it has caught up.
    #[must_use]
    pub fn may_replace(&self, stored: Option<&Self>, now: Timestamp) -> bool {
        now <= self.requested_at.plus_millis(STORED_WITHIN_MS)
            && stored.is_none_or(|stored| !stored.outlasts(self, now))
    }

    fn outlasts(&self, other: &Self, now: Timestamp) -> bool {
        let is_change = self.varies_on.as_ref().is_some_and(Vec::is_empty);
        if is_change {
            // A response that was requested in the instant of a change may be from before it.
            let is_credible = self.requested_at <= now.plus_millis(CLOCK_SET_BACK_MS_MAX);
            return is_credible && other.requested_at <= self.requested_at && *other != *self;
        }
        self.requested_at > other.requested_at && self.requested_at <= now.plus_millis(CLOCK_SKEW_MS)
    }

    /// Whether content of so many bytes is what the response announced: any other is incomplete, or another response's.
    #[must_use]
    pub fn is_length_of_content(&self, bytes: u64) -> bool {
        self.content_bytes.is_none_or(|announced| announced == bytes)
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

/// The key of a stored response: a digest, so that it reveals nothing about the request and has a fixed length.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, FromJson)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_response_to_an_earlier_request_replaces_none_to_a_later_one() {
        let at = Timestamp::from_millis;
        let meta = |requested_at, stored_at| StoredMeta {
            stored_at,
            fresh_ms: 10_000,
            keep_ms: 10_000,
            varies_on: None,
            ..StoredMeta::nothing(requested_at)
        };
        let (slow, quick) = (meta(at(0), at(9)), meta(at(5), at(6)));
        let may = |new: &StoredMeta, stored: &StoredMeta| new.may_replace(Some(stored), at(9));
        assert!(!may(&slow, &quick) && may(&quick, &slow) && may(&slow, &slow) && slow.may_replace(None, at(9)));
        assert!(may(&slow, &meta(at(3_600_000), at(3_600_000))), "a clock was set back");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_response_requested_before_a_change_is_never_stored_after_it() {
        let (at, day_ms) = (Timestamp::from_millis, 86_400_000);
        let requested = |ms| StoredMeta { varies_on: None, ..StoredMeta::nothing(at(ms)) };
        let change = StoredMeta::nothing(at(1_000));
        assert!(!requested(1_000).may_replace(Some(&change), at(1_001)), "in the same instant");
        assert!(requested(1_001).may_replace(Some(&change), at(1_001)));
        assert!(change.may_replace(Some(&requested(1_000)), at(1_001)));
        // When the entry of the change may have been dropped, it is too late to store a response from before.
        let dropped = at(1_000 + change.keep_ms);
        assert!(
            !requested(1_000).may_replace(None, dropped)
                && requested(1_000 + change.keep_ms).may_replace(None, dropped)
        );
        // A clock that was set back since the change.
        assert!(!requested(1_000).may_replace(Some(&StoredMeta::nothing(at(day_ms))), at(1_001)));
        assert!(requested(1_000).may_replace(Some(&StoredMeta::nothing(at(2 * day_ms))), at(1_001)));
    }
}
