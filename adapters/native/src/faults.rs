//! Fault injection: switches that make stores fail, for tests.
//!
//! In production they are always off: a server built without [`crate::ServerBuilder::faults`] gets a private handle. If
//! unused, the cost is one relaxed load for each call of a port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tollgate_edge::ports::Unavailable;

/// A handle to the fault switches of one server; clones are the same switches.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    switches: Arc<Switches>,
}

#[derive(Debug, Default)]
struct Switches {
    records: AtomicBool,
    counters: AtomicBool,
    response_cache: AtomicBool,
}

/// A store that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultyStore {
    /// The record store.
    Records,
    /// The counters.
    Counters,
    /// The response cache.
    ResponseCache,
}

impl Faults {
    /// Turns the fault of a store on or off.
    pub fn set(&self, store: FaultyStore, failing: bool) {
        self.switch(store).store(failing, Ordering::Relaxed);
    }

    pub(crate) fn check(&self, store: FaultyStore) -> Result<(), Unavailable> {
        if self.switch(store).load(Ordering::Relaxed) {
            return Err(Unavailable::new("switched to fail by a test"));
        }
        Ok(())
    }

    fn switch(&self, store: FaultyStore) -> &AtomicBool {
        match store {
            FaultyStore::Records => &self.switches.records,
            FaultyStore::Counters => &self.switches.counters,
            FaultyStore::ResponseCache => &self.switches.response_cache,
        }
    }
}
