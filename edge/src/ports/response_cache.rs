use super::{Content, Unavailable};
use tollgate_core::cache::{CacheKey, StoredMeta};

/// Stored responses by key.
///
/// May forget anything at any time, and may be away: both are a miss. It must never answer with content that was
/// stored only in part, nor with one key's content under another: that would show one client's data to another.
/// Freshness, variants and purges are decided by core from the metadata, not by the store.
///
/// A newer entry is never replaced by an older one ([`StoredMeta::may_replace`], asked before each write): a response that
/// was long on its way would bring back what somebody has changed since. A store without an atomic comparison may let two
/// writes of the same moment cross.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait ResponseCache {
    /// The platform's content.
    type Content: Content;

    /// What is stored under the key. Entries whose `keep_ms` has passed may still be returned.
    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<Self::Content>>, Unavailable>;

    /// Stores the copy under the key once it is complete, unless something newer is there; a copy that gave up or broke off
    /// changes nothing.
    ///
    /// `None` stores an entry without content.
    async fn store(
        &self,
        key: &CacheKey,
        meta: &StoredMeta,
        content: Option<<Self::Content as Content>::Copy>,
    ) -> Result<(), Unavailable>;

    /// Renews the metadata of a stored response after its upstream confirmed it; its content is as before.
    ///
    /// Where anything but `confirmed` is stored by now, nothing is changed: the content would not be what was confirmed. A
    /// store that cannot change metadata alone writes the content that it has once more.
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
