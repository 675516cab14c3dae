use super::Unavailable;
use tollgate_core::limit::{ChargeOutcome, ChargeRequest};
use tollgate_core::time::Timestamp;

/// Atomic counters, kept per partition.
///
/// The platform owns atomicity (a Durable Object, a compare-and-swap loop, a lock); `tollgate_core::limit::charge` and
/// `refund` own the arithmetic. A store may forget a partition once `CounterState::idle_at` has passed, not earlier:
/// a forgotten state gives an attacker a fresh burst. Two charges of one partition must never both see the same state.
/// The partition is namespaced by the gateway's name by the implementation, as record keys are.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Counters {
    /// Makes all charges of the request, or none.
    ///
    /// `now` is the caller's clock; an implementation whose counters live elsewhere may use the clock of that place.
    async fn charge(&self, request: &ChargeRequest, now: Timestamp) -> Result<ChargeOutcome, Unavailable>;

    /// Gives back what a granted request charged. Called after the reply; a lost refund is tolerable.
    async fn refund(&self, request: &ChargeRequest, now: Timestamp) -> Result<(), Unavailable>;
}
