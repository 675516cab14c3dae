//! Switches that make a store answer with failure, for tests of what the gateway does then.
//!
//! The product never sets one: a server built without [`crate::ServerBuilder::faults`] gets a handle of its own that nobody
//! else holds. The cost where it is not used is one relaxed load for each call of a port.

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

/// A store that can be switched to fail.
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
    /// Makes the store fail, or work again.
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
