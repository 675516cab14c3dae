use super::Unavailable;
use thiserror::Error;

/// Records by key: bundles, credentials, purges, and records that isolates share. Eventually consistent.
///
/// A stale answer is tolerable (a revoked credential is accepted for as long as the store is stale, which the docs
/// state); a missing one is tolerable shortly after a write. A wrong one is not: write access to this store is control
/// of the gateway.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Records {
    /// The value under a key of `tollgate_kv_schemas::keys`, or `None` if there is none or it has expired.
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Writes a value that expires after `keep_s` seconds, or somewhat later.
    ///
    /// Called after the reply, for keys of `tollgate_kv_schemas::keys` that [are written at the edge]
    /// (tollgate_kv_schemas::keys::is_written_at_edge) and no others. It is not suitable for state that several writers
    /// change: the last write wins, and readers may see it late or not at all. Such state is a cell.
    async fn write(&self, key: &str, bytes: &[u8], keep_s: u32) -> Result<(), WriteFault>;

    /// Writes a value without expiry, while an operator waits for it, or after a reply.
    ///
    /// Only for keys of records that [are kept](tollgate_kv_schemas::keys::is_kept), of which an operator bounds the number. A store with an atomic
    /// read and write stores the result of [`tollgate_kv_schemas::joined`] for both; on others the last write wins.
    async fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), WriteFault>;

    /// Lists at most `max` keys that begin with a prefix, sorted, for an operator who waits for it: the first ones, or those
    /// that follow a page of the same prefix, by the cursor of that page.
    ///
    /// A list may lag behind writes as reads do. It is not consistent with writes between two of its pages, but a key that exists
    /// throughout is listed once. A cursor that this store did not give is an error, or begins anywhere. A store may take
    /// time in proportion to all its keys. Expired keys may be listed.
    async fn list(&self, prefix: &str, cursor: Option<&str>, max: usize) -> Result<KeyPage, Unavailable>;
}

/// A page of a list of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys. Only a page without a cursor is known to be the last one.
    pub keys: Vec<String>,
    /// What the next page begins with, opaque; absent after the last one.
    pub cursor: Option<String>,
}

impl KeyPage {
    /// The page of a store that can list its keys after a given one: `keys` are sorted, and one more than `max` if there are
    /// more.
    #[must_use]
    pub fn cut(mut keys: Vec<String>, max: usize) -> Self {
        let has_more = keys.len() > max;
        keys.truncate(max);
        let cursor = keys.last().filter(|_| has_more).cloned();
        Self { keys, cursor }
    }
}

/// Why a record was not written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteFault {
    /// The key was just written, and the store accepts one write per second for each key (Workers KV).
    #[error("the record was written too often")]
    TooOften,
    /// It is larger than [`tollgate_core::bounds::WRITTEN_BYTES_MAX`], or the key must not be written this way.
    #[error("the record is too large, or may not be written this way")]
    Refused,
    /// The store failed, or took too long.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl WriteFault {
    /// Checks a write with an expiry, the same for every store.
    ///
    /// # Errors
    /// [`WriteFault::Refused`] if the key is not written at the edge, or the value is too large.
    pub fn check(key: &str, bytes: &[u8]) -> Result<(), Self> {
        Self::check_size(tollgate_kv_schemas::keys::is_written_at_edge(key), bytes)
    }

    /// Checks a write without expiry, the same for every store.
    ///
    /// # Errors
    /// [`WriteFault::Refused`] if records of the key are not kept, or the value is too large.
    pub fn check_kept(key: &str, bytes: &[u8]) -> Result<(), Self> {
        Self::check_size(tollgate_kv_schemas::keys::is_kept(key), bytes)
    }

    fn check_size(is_allowed: bool, bytes: &[u8]) -> Result<(), Self> {
        let fits = bytes.len() <= tollgate_core::bounds::WRITTEN_BYTES_MAX;
        if fits && is_allowed { Ok(()) } else { Err(Self::Refused) }
    }
}
