use super::Unavailable;

/// Records by key: bundles, credentials, purges. Eventually consistent.
///
/// A stale answer is tolerable (a revoked credential lives on for as long as the store is stale, which the docs state);
/// a missing one is tolerable shortly after a write. A wrong one is not: whoever can write here owns the gateway.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Records {
    /// The value under a key of `tollgate_kv_schemas::keys`, or `None` if there is none.
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable>;
}
