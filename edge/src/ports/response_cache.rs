use super::{Content, Unavailable};
use tollgate_core::cache::{CacheKey, StoredMeta};

/// Stored responses by key.
///
/// May forget anything at any time, and may be away: both are a miss. It must never answer with content that was
/// stored only in part, nor with one key's content under another: that would show one client's data to another.
/// Freshness, variants and purges are decided by core from the metadata, not by the store.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait ResponseCache {
    /// The platform's content.
    type Content: Content;

    /// What is stored under the key. Entries whose `keep_ms` has passed may still be returned.
    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<Self::Content>>, Unavailable>;

    /// Stores the copy under the key once it is complete; a copy that gave up or broke off leaves nothing behind.
    ///
    /// `None` stores an entry without content.
    async fn store(
        &self,
        key: &CacheKey,
        meta: &StoredMeta,
        content: Option<<Self::Content as Content>::Copy>,
    ) -> Result<(), Unavailable>;
}

/// A stored response.
#[derive(Debug)]
pub struct Stored<C> {
    /// Everything but the content.
    pub meta: StoredMeta,
    /// The content.
    pub content: C,
}
