use tollgate_core::time::Timestamp;

/// The time of day, and waiting.
///
/// A wrong clock moves token lifetimes and quotas, so it is the platform's own, never the client's. It may stand still
/// between two I/O answers (Workers) and may step back; core's arithmetic saturates.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Clock {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// Returns after `ms` milliseconds or somewhat later.
    async fn sleep(&self, ms: u64);
}

/// Random bytes from the platform's cryptographic source.
pub trait Entropy {
    /// Fills the buffer with unpredictable bytes.
    ///
    /// Predictable bytes would let an attacker guess request and trace ids; no key is made from them at the edge.
    fn fill(&self, buffer: &mut [u8]);
}
