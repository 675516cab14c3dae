//! The right to fetch an answer.

use tollgate_core::time::MonotonicInstant;
use tollgate_kv_schemas::Id;

use crate::isolate::Isolate;

/// The right to fetch an answer; one request of an isolate has it at a time.
///
/// It is given back when the request is done or dropped. A platform that ends a request without dropping it (Workers)
/// leaves it to lapse.
pub(super) struct Claim<'i> {
    isolate: &'i Isolate,
    id: Id,
    until: MonotonicInstant,
}

impl<'i> Claim<'i> {
    /// Claims the right, for a time in milliseconds; the caller has checked that no other request has it.
    pub(super) fn take(isolate: &'i Isolate, id: Id, ms: u64, now: MonotonicInstant) -> Self {
        let claim = Self { isolate, id, until: now.plus_millis(ms) };
        claim.record(now);
        claim
    }

    /// Holds it for a time that begins now.
    pub(super) fn extend(&mut self, ms: u64, now: MonotonicInstant) {
        self.until = now.plus_millis(ms);
        self.record(now);
    }

    fn record(&self, now: MonotonicInstant) {
        self.isolate.fetches.borrow_mut().claim(self.id, self.until, now);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.isolate.fetches.borrow_mut().release(self.id, self.until);
    }
}
