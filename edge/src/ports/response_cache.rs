use super::{Content, Unavailable};
use tollgate_core::cache::{CacheKey, StoredMeta};

/// Stored responses by key.
///
/// It may drop anything at any time, and may be unavailable: both are a miss. It must never return content that was
/// stored partially, nor the content of another key: that would show one client's data to another. Freshness, variants
/// and purges are decided by core from the metadata, not by the store.
///
/// A newer entry is never replaced by an older one, and nothing is stored long after it was requested
/// ([`StoredMeta::may_replace`], checked before each write, when the copy is complete): a slow response would restore content
/// that has been changed since. In a store without an atomic comparison, two simultaneous writes may overtake each other.
///
/// Content of another length than announced ([`StoredMeta::is_length_of_content`]) is not stored: a client would wait for the
/// rest, or take it for the next response.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait ResponseCache {
    /// The platform's content.
    type Content: Content;

    /// The stored response of the key. Entries whose `keep_ms` has passed may still be returned.
    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<Self::Content>>, Unavailable>;

    /// Stores the copy under the key when it is complete, unless a newer entry is stored; an abandoned or interrupted
    /// copy changes nothing.
    ///
    /// `None` stores an entry without content.
    async fn store(
        &self,
        key: &CacheKey,
        meta: &StoredMeta,
        content: Option<<Self::Content as Content>::Copy>,
    ) -> Result<(), Unavailable>;

    /// Renews the metadata of a stored response after its upstream confirmed it; the content is unchanged.
    ///
    /// If another entry than `confirmed` is stored by now, nothing is changed, because its content is not what was
    /// confirmed. A store that cannot change metadata alone writes the existing content again.
    async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable>;
}

/// A stored response.
#[derive(Debug)]
pub struct Stored<C> {
    /// Everything but the content.
    pub meta: StoredMeta,
    /// The content.
    pub content: C,
}
