//! The key-value stores: one in-memory map behind both the `spin:key-value` and the `wasi:keyvalue` interface.
//!
//! Compare-and-swap behaves like Spin's SQLite store, including its weakness: a swap of a key that was absent when it
//! was read writes without comparing. A component that needs an atomic first write must ensure this itself; a test host
//! that compared would hide a missing guarantee.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An opened store, as a resource of the component.
#[derive(Clone, Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Handle {
    pub label: String,
}

/// A started compare-and-swap, as a resource of the component.
#[derive(Clone, Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Swap {
    pub label: String,
    pub key: String,
    /// The value of the key when it was last read through this resource.
    pub seen: Option<Vec<u8>>,
}

/// Which stores fail until this is changed.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// `spin:key-value`, except for keys of the response cache.
    pub records: AtomicBool,
    /// `wasi:keyvalue`, both its store and its atomics.
    pub counters: AtomicBool,
    /// `spin:key-value`, only for keys of the response cache.
    pub cache: AtomicBool,
}

impl Faults {
    /// Whether `spin:key-value` fails for the key.
    pub(crate) fn hit_key(&self, key: &str) -> bool {
        let fault = if key.contains(CACHE_KEY_PART) { &self.cache } else { &self.records };
        fault.load(Ordering::Relaxed)
    }

    pub(crate) fn hit_counters(&self) -> bool {
        self.counters.load(Ordering::Relaxed)
    }
}

/// Every store of the application, shared by all instances.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stores {
    by_label: Arc<Mutex<ByLabel>>,
}

type ByLabel = HashMap<String, BTreeMap<String, Vec<u8>>>;

impl Stores {
    pub(crate) fn get(&self, label: &str, key: &str) -> Option<Vec<u8>> {
        self.lock().get(label)?.get(key).cloned()
    }

    pub(crate) fn set(&self, label: &str, key: String, value: Vec<u8>) {
        self.lock().entry(label.to_owned()).or_default().insert(key, value);
    }

    pub(crate) fn delete(&self, label: &str, key: &str) {
        if let Some(store) = self.lock().get_mut(label) {
            store.remove(key);
        }
    }

    pub(crate) fn keys(&self, label: &str) -> Vec<String> {
        let stores = self.lock();
        stores.get(label).map(|store| store.keys().cloned().collect()).unwrap_or_default()
    }

    /// Writes the value if the key still has the value that the swap read; a swap that read no value always writes.
    pub(crate) fn swap(&self, swap: &Swap, value: Vec<u8>) -> bool {
        let mut stores = self.lock();
        let store = stores.entry(swap.label.clone()).or_default();
        if swap.seen.is_some() && store.get(&swap.key) != swap.seen.as_ref() {
            return false;
        }
        store.insert(swap.key.clone(), value);
        true
    }

    /// Adds to a number of eight little-endian bytes; an absent key counts as zero.
    ///
    /// Spin's own store panics on a value of another length and stays broken until it is restarted; here only
    /// the one call fails.
    pub(crate) fn increment(&self, label: &str, key: String, delta: i64) -> Result<i64, String> {
        let mut stores = self.lock();
        let store = stores.entry(label.to_owned()).or_default();
        let old = match store.get(&key) {
            None => 0,
            Some(bytes) => i64::from_le_bytes(
                bytes.as_slice().try_into().map_err(|_| format!("{key} is not a number of 8 bytes"))?,
            ),
        };
        let new = old.checked_add(delta).ok_or_else(|| format!("{key} would overflow"))?;
        store.insert(key, new.to_le_bytes().to_vec());
        Ok(new)
    }

    fn lock(&self) -> MutexGuard<'_, ByLabel> {
        self.by_label.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text in the keys of all stored responses, and in no key of a record.
const CACHE_KEY_PART: &str = ":cache:";

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(stores: &Stores, key: &str) -> Swap {
        Swap { label: "default".into(), key: key.into(), seen: stores.get("default", key) }
    }

    #[test]
    fn a_swap_of_a_value_that_moved_on_is_refused() {
        let stores = Stores::default();
        stores.set("default", "k".into(), b"1".to_vec());
        let late = begun(&stores, "k");
        assert!(stores.swap(&begun(&stores, "k"), b"2".to_vec()));
        assert!(!stores.swap(&late, b"3".to_vec()));
        assert_eq!(stores.get("default", "k"), Some(b"2".to_vec()));
    }

    #[test]
    fn a_swap_that_saw_nothing_overwrites_as_in_spin() {
        let stores = Stores::default();
        let late = begun(&stores, "k");
        assert!(stores.swap(&begun(&stores, "k"), b"1".to_vec()));
        assert!(stores.swap(&late, b"2".to_vec()));
        assert_eq!(stores.get("default", "k"), Some(b"2".to_vec()));
    }

    #[test]
    fn an_increment_counts_from_zero_and_refuses_what_is_no_number() {
        let stores = Stores::default();
        assert_eq!(stores.increment("default", "n".into(), 2), Ok(2));
        assert_eq!(stores.increment("default", "n".into(), -3), Ok(-1));
        stores.set("default", "n".into(), b"text".to_vec());
        assert!(stores.increment("default", "n".into(), 1).is_err());
    }

    #[test]
    fn a_fault_of_the_cache_leaves_the_records_alone() {
        let faults = Faults::default();
        faults.cache.store(true, Ordering::Relaxed);
        assert!(faults.hit_key("acme:cache:1"));
        assert!(!faults.hit_key("acme:config:active"));
    }
}
