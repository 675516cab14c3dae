//! The key-value stores: one map behind both the `spin:key-value` and the `wasi:keyvalue` interface.
//!
//! The map is in memory, and if it is kept each change is in a file before its call returns. It costs what Spin's SQLite file costs: one lock of the process around every call, a delay
//! for each commit, and calls that block the thread. While a call blocks, its whole instance stands still, and no timer
//! of it fires. Another process can hold the database; then a call fails after [`BUSY_MAX`].
//!
//! Compare-and-swap behaves like Spin's SQLite store, including its weakness: a swap of a key that was absent when it
//! was read writes without comparing. A component that needs an atomic first write must ensure this itself; a test host
//! that compared would hide a missing guarantee.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::Journal;

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
    database: Arc<Mutex<Database>>,
    /// Calls neither block the thread nor wait for a commit, like those of a store in memory.
    at_once: bool,
}

#[derive(Debug, Default)]
struct Database {
    by_label: ByLabel,
    /// All changes, in their order.
    journal: Option<Journal>,
    /// Until when another process holds it.
    held_until: Option<Instant>,
}

/// The delay of a commit: a sync of a file on an ordinary disk.
const COMMIT: Duration = Duration::from_millis(1);
/// How long a call waits for another process: the default of the library that Spin uses.
const BUSY_MAX: Duration = Duration::from_secs(5);

impl Stores {
    /// Stores that cost as little as they can.
    pub(crate) fn at_once() -> Self {
        Self { at_once: true, ..Self::default() }
    }

    /// Stores that are kept in a folder.
    pub(crate) fn kept(folder: &Path) -> Result<Self, String> {
        let file = folder.join("stores.journal");
        let told = |error: std::io::Error| format!("{}: {error}", file.display());
        let mut by_label = ByLabel::new();
        let (journal, changes) = Journal::open(&file).map_err(told)?;
        for (label, key, value) in changes {
            let store = by_label.entry(label).or_default();
            match value {
                Some(value) => store.insert(key, value),
                None => store.remove(&key),
            };
        }
        let database = Database { by_label, journal: Some(journal), held_until: None };
        Ok(Self { database: Arc::new(Mutex::new(database)), at_once: false })
    }

    pub(crate) fn get(&self, label: &str, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.read(|stores| stores.get(label)?.get(key).cloned())
    }

    pub(crate) fn set(&self, label: &str, key: &str, value: Vec<u8>) -> Result<(), String> {
        self.write(label, key, |_| Ok((Some(value), ())))
    }

    pub(crate) fn delete(&self, label: &str, key: &str) -> Result<(), String> {
        self.write(label, key, |_| Ok((None, ())))
    }

    pub(crate) fn keys(&self, label: &str) -> Result<Vec<String>, String> {
        self.read(|stores| stores.get(label).map(|store| store.keys().cloned().collect()).unwrap_or_default())
    }

    /// Writes the value if the key still has the value that the swap read; a swap that read no value always writes.
    pub(crate) fn swap(&self, swap: &Swap, value: Vec<u8>) -> Result<bool, String> {
        self.write(&swap.label, &swap.key, |now| {
            let is_lost = swap.seen.is_some() && now != swap.seen.as_ref();
            Ok(if is_lost { (now.cloned(), false) } else { (Some(value), true) })
        })
    }

    /// Adds to a number of eight little-endian bytes; an absent key counts as zero.
    ///
    /// Spin's own store panics on a value of another length and stays broken until it is restarted; here only
    /// the one call fails.
    pub(crate) fn increment(&self, label: &str, key: &str, delta: i64) -> Result<i64, String> {
        self.write(label, key, |now| {
            let old = match now {
                None => 0,
                Some(bytes) => i64::from_le_bytes(
                    bytes.as_slice().try_into().map_err(|_| format!("{key} is not a number of 8 bytes"))?,
                ),
            };
            let new = old.checked_add(delta).ok_or_else(|| format!("{key} would overflow"))?;
            Ok((Some(new.to_le_bytes().to_vec()), new))
        })
    }

    /// Lets another process hold the database for so long.
    pub(crate) fn hold(&self, time: Duration) {
        self.database.lock().unwrap_or_else(PoisonError::into_inner).held_until = Some(Instant::now() + time);
    }

    fn read<T>(&self, read: impl FnOnce(&ByLabel) -> T) -> Result<T, String> {
        self.blocking(|| Ok(read(&self.locked()?.by_label)))
    }

    /// Changes the value of a key: `change` gets the value, and returns the new one with the result of the call.
    fn write<T>(
        &self,
        label: &str,
        key: &str,
        change: impl FnOnce(Option<&Vec<u8>>) -> Result<(Option<Vec<u8>>, T), String>,
    ) -> Result<T, String> {
        self.blocking(|| {
            let mut database = self.locked()?;
            let Database { by_label, journal, .. } = &mut *database;
            let store = by_label.entry(label.to_owned()).or_default();
            let (value, result) = change(store.get(key))?;
            if let Some(journal) = journal {
                journal.write(label, key, value.as_deref()).map_err(|error| error.to_string())?;
            }
            match value {
                Some(value) => store.insert(key.to_owned(), value),
                None => store.remove(key),
            };
            if !self.at_once {
                std::thread::sleep(COMMIT);
            }
            Ok(result)
        })
    }

    fn blocking<T>(&self, call: impl FnOnce() -> T) -> T {
        if self.at_once { call() } else { tokio::task::block_in_place(call) }
    }

    /// The database, once nobody else in this process and no other process holds it. As in Spin a call that waits for
    /// the other process keeps the lock of this one.
    fn locked(&self) -> Result<MutexGuard<'_, Database>, String> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = database.held_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if !wait.is_zero() {
            std::thread::sleep(wait.min(BUSY_MAX));
        }
        if wait > BUSY_MAX { Err("database is locked".to_owned()) } else { Ok(database) }
    }
}

type ByLabel = HashMap<String, BTreeMap<String, Vec<u8>>>;

/// A text in the keys of all stored responses, and in no key of a record.
const CACHE_KEY_PART: &str = ":cache:";

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(stores: &Stores, key: &str) -> Swap {
        Swap { label: "default".into(), key: key.into(), seen: stores.get("default", key).unwrap() }
    }

    #[test]
    fn a_swap_of_a_value_that_moved_on_is_refused() {
        let stores = Stores::default();
        stores.set("default", "k", b"1".to_vec()).unwrap();
        let late = begun(&stores, "k");
        assert_eq!(stores.swap(&begun(&stores, "k"), b"2".to_vec()), Ok(true));
        assert_eq!(stores.swap(&late, b"3".to_vec()), Ok(false));
        assert_eq!(stores.get("default", "k"), Ok(Some(b"2".to_vec())));
    }

    #[test]
    fn a_swap_that_saw_nothing_overwrites_as_in_spin() {
        let stores = Stores::default();
        let late = begun(&stores, "k");
        assert_eq!(stores.swap(&begun(&stores, "k"), b"1".to_vec()), Ok(true));
        assert_eq!(stores.swap(&late, b"2".to_vec()), Ok(true));
        assert_eq!(stores.get("default", "k"), Ok(Some(b"2".to_vec())));
    }

    #[test]
    fn an_increment_counts_from_zero_and_refuses_what_is_no_number() {
        let stores = Stores::default();
        assert_eq!(stores.increment("default", "n", 2), Ok(2));
        assert_eq!(stores.increment("default", "n", -3), Ok(-1));
        stores.set("default", "n", b"text".to_vec()).unwrap();
        assert!(stores.increment("default", "n", 1).is_err());
    }

    #[test]
    fn the_next_process_finds_what_was_kept_and_passes_over_a_change_that_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::kept(folder.path()).unwrap();
        stores.set("default", "a", b"1".to_vec()).unwrap();
        stores.set("other", "a", b"2".to_vec()).unwrap();
        stores.set("default", "b", b"3".to_vec()).unwrap();
        stores.delete("default", "b").unwrap();
        drop(stores);
        let file = folder.path().join("stores.journal");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.extend([9, 0, 0, 0, 1]);
        std::fs::write(&file, bytes).unwrap();
        for value in [b"1".to_vec(), b"4".to_vec()] {
            let stores = Stores::kept(folder.path()).unwrap();
            assert_eq!(stores.get("default", "a"), Ok(Some(value)));
            assert_eq!(stores.get("default", "b"), Ok(None));
            assert_eq!(stores.get("other", "a"), Ok(Some(b"2".to_vec())));
            stores.set("default", "a", b"4".to_vec()).unwrap();
        }
    }

    #[test]
    fn a_call_waits_while_another_process_holds_the_database() {
        let stores = Stores::default();
        let begun = Instant::now();
        stores.hold(Duration::from_millis(50));
        assert_eq!(stores.get("default", "k"), Ok(None));
        assert!(begun.elapsed() >= Duration::from_millis(50));
    }

    #[test]
    fn a_fault_of_the_cache_leaves_the_records_alone() {
        let faults = Faults::default();
        faults.cache.store(true, Ordering::Relaxed);
        assert!(faults.hit_key("acme:cache:1"));
        assert!(!faults.hit_key("acme:config:active"));
    }
}
