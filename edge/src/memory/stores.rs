use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::limit::{ChargeOutcome, ChargeRequest, CounterState, charge, refund};
use tollgate_core::secret::Secret;
use tollgate_core::time::Timestamp;

use super::{Content, Copy, Fault};
use crate::ports::{Content as _, Counters, Records, ResponseCache, Secrets, Stored, Unavailable};

/// Records in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecords {
    records: Rc<RefCell<HashMap<String, Vec<u8>>>>,
    /// What is read where `records` has nothing.
    base: Rc<HashMap<String, Vec<u8>>>,
    /// Makes reading fail.
    pub fault: Fault,
}

impl MemoryRecords {
    /// A store that begins with these records; many stores share them, and what is written to one is not in the others.
    #[must_use]
    pub fn over(base: Rc<HashMap<String, Vec<u8>>>) -> Self {
        Self { base, ..Self::default() }
    }

    /// Writes a record.
    pub fn put(&self, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.records.borrow_mut().insert(key.into(), value.into());
    }

    /// Removes a record that was written; one of those it began with stays.
    pub fn remove(&self, key: &str) {
        self.records.borrow_mut().remove(key);
    }
}

impl Records for MemoryRecords {
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        self.fault.check("the record store")?;
        Ok(self.records.borrow().get(key).or_else(|| self.base.get(key)).cloned())
    }
}

/// Counters in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryCounters {
    states: Rc<RefCell<HashMap<String, CounterState>>>,
    /// Makes charging fail.
    pub fault: Fault,
}

impl Counters for MemoryCounters {
    async fn charge(&self, request: &ChargeRequest, now: Timestamp) -> Result<ChargeOutcome, Unavailable> {
        self.fault.check("the counter store")?;
        let mut states = self.states.borrow_mut();
        let state = states.entry(request.partition.clone()).or_default();
        let (outcome, new) = charge(state, request, now);
        *state = new;
        Ok(outcome)
    }

    async fn refund(&self, request: &ChargeRequest, now: Timestamp) -> Result<(), Unavailable> {
        self.fault.check("the counter store")?;
        if let Some(state) = self.states.borrow_mut().get_mut(&request.partition) {
            *state = refund(state, request, now);
        }
        Ok(())
    }
}

/// Stored responses in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryCache {
    entries: Rc<RefCell<HashMap<CacheKey, (StoredMeta, Bytes)>>>,
    /// Makes looking up and storing fail.
    pub fault: Fault,
}

impl MemoryCache {
    /// How many entries are stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ResponseCache for MemoryCache {
    type Content = Content;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<Content>>, Unavailable> {
        self.fault.check("the response cache")?;
        let found = self.entries.borrow().get(key).cloned();
        Ok(found.map(|(meta, bytes)| Stored { meta, content: Content::from_bytes(bytes) }))
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<Copy>) -> Result<(), Unavailable> {
        self.fault.check("the response cache")?;
        let bytes = match content {
            None => Bytes::new(),
            Some(Copy(Some(bytes))) => bytes,
            Some(Copy(None)) => return Ok(()),
        };
        self.entries.borrow_mut().insert(key.clone(), (meta.clone(), bytes));
        Ok(())
    }
}

/// Secrets in memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySecrets {
    secrets: Rc<RefCell<HashMap<String, Secret>>>,
    /// Makes reading fail.
    pub fault: Fault,
}

impl MemorySecrets {
    /// Sets a secret.
    pub fn put(&self, name: impl Into<String>, value: impl Into<String>) {
        self.secrets.borrow_mut().insert(name.into(), Secret::new(value.into()));
    }
}

impl Secrets for MemorySecrets {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, Unavailable> {
        self.fault.check("the secret store")?;
        Ok(self.secrets.borrow().get(name).cloned())
    }
}
