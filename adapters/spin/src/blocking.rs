//! Calls to Spin's key-value stores, which block the whole instance.
//!
//! The default store is a SQLite file behind one lock of the process. While a call waits for it, nothing else in the
//! instance runs and no timer fires, whether the interface is asynchronous or not. So there is no timeout for a call;
//! [`SlowStore`] decides afterwards whether the next calls are made.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::rc::Rc;

use spin_sdk::wasip3::clocks::monotonic_clock;
use tollgate_core::slow_store::SlowStore;
use tollgate_core::time::MonotonicInstant;
use tollgate_edge::ports::Unavailable;

use crate::clock::{instant, nanos, nanos_after_call};

/// The store of one instance; clones share what is known about it.
#[derive(Clone, Default)]
pub(crate) struct BlockingStore(Rc<Known>);

#[derive(Default)]
struct Known {
    slow: RefCell<SlowStore>,
    calls: Cell<u64>,
}

impl BlockingStore {
    /// Awaits a call, unless the store is left alone at the moment; `what` names the caller in the error.
    pub(crate) async fn call<T, E: Display>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Unavailable> {
        let begun = self.begin(what)?;
        let answer = call.await;
        self.end(what, begun, answer)
    }

    /// The same for a call that is not asynchronous.
    pub(crate) fn run<T, E: Display>(&self, what: &str, call: impl FnOnce() -> Result<T, E>) -> Result<T, Unavailable> {
        let begun = self.begin(what)?;
        self.end(what, begun, call())
    }

    fn begin(&self, what: &str) -> Result<MonotonicInstant, Unavailable> {
        let now = instant(nanos());
        if !self.0.slow.borrow().may_be_called(now) {
            return Err(Unavailable::new(format!(
                "{what}: the store was too slow, and is left alone for some seconds"
            )));
        }
        self.0.calls.set(self.0.calls.get().wrapping_add(1));
        Ok(now)
    }

    fn end<T, E: Display>(&self, what: &str, begun: MonotonicInstant, answer: Result<T, E>) -> Result<T, Unavailable> {
        self.0.slow.borrow_mut().note(begun, instant(nanos_after_call()), answer.is_err());
        answer.map_err(|error| Unavailable::new(format!("{what}: {error}")))
    }

    /// The number of calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.get()
    }
}

/// Suspends the instance for a moment.
///
/// A blocking call removes the instance's thread from the host's scheduler. If an answer is returned before the instance
/// was suspended again, another thread sends the head while this one still hands over the content, and without
/// `TCP_NODELAY`, which Spin does not set, the content waits for the client's delayed acknowledgement: 40 ms.
pub(crate) async fn suspend() {
    // The host suspends for any time but zero, until its next tick.
    monotonic_clock::wait_for(1).await;
}
