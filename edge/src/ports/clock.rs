use tollgate_core::time::{MonotonicInstant, Timestamp};

/// The wall clock, a monotonic clock, and waiting.
///
/// A wrong clock changes token lifetimes and quotas, so it is the platform's own, never the client's. On Workers both
/// clocks advance only with I/O. The wall clock may step back: it is for what is stored, shared with other processes or
/// shown. Every age and deadline in an isolate's memory uses the monotonic clock, so that setting back the wall clock
/// does not extend the use of a revoked credential.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Clock {
    /// The current time of the wall clock.
    fn now(&self) -> Timestamp;

    /// The current instant of the monotonic clock; comparable only with others of the same isolate.
    ///
    /// A platform without such a clock sums up the forward steps of its wall clock
    /// ([`tollgate_core::time::ForwardSteps`]).
    fn instant(&self) -> MonotonicInstant;

    /// Returns after at least `ms` milliseconds.
    async fn sleep(&self, ms: u64);
}

/// Random bytes from the platform's cryptographic source.
pub trait Entropy {
    /// Fills the buffer with unpredictable bytes.
    ///
    /// Predictable bytes would let an attacker guess the API keys that operators have issued, and request and trace ids.
    fn fill(&self, buffer: &mut [u8]);
}
