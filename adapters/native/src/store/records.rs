//! The record store: a table of keys and values, read by every isolate, written by publishing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Records, Unavailable, WriteFault};
use tollgate_kv_schemas::joined;

use super::{Database, StoreError};
use crate::clock::SystemClock;
use crate::faults::{Faults, FaultyStore};

/// The record store of this host, with write access; clones are the same store.
///
/// Readers never wait for a writer: the file is in write-ahead mode. Other processes may write to the same file while a
/// server runs; isolates detect it within their refresh interval.
#[derive(Clone, Debug)]
pub struct RecordStore {
    database: Database,
    writer: Arc<Mutex<Connection>>,
}

/// One change of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordChange<'a> {
    /// Writes the value under the key, and replaces an existing one.
    Put {
        /// A key of `tollgate_kv_schemas::keys`.
        key: &'a str,
        /// The value.
        value: &'a [u8],
    },
    /// Removes the key; a missing key is not an error.
    Delete {
        /// The key.
        key: &'a str,
    },
}

impl RecordStore {
    /// A store in memory, dropped with the last handle.
    ///
    /// # Errors
    /// [`StoreError`] if SQLite fails.
    pub fn in_memory() -> Result<Self, StoreError> {
        let database = Database::in_memory(APPLICATION_ID);
        Self::new(database.create(TABLES)?, database)
    }

    /// The store in an existing file.
    ///
    /// # Errors
    /// [`StoreError`] if the file is missing, damaged or not a record store.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Database::file(path, APPLICATION_ID);
        Self::new(database.open()?, database)
    }

    /// The store in a file, which is created if it does not exist.
    ///
    /// # Errors
    /// [`StoreError`] if the file is damaged, not a record store, or cannot be created.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let database = Database::file(path, APPLICATION_ID);
        Self::new(database.create(TABLES)?, database)
    }

    fn new(writer: Connection, database: Database) -> Result<Self, StoreError> {
        let writer = Arc::new(Mutex::new(writer));
        Ok(Self { database, writer })
    }

    /// Applies all changes, in order, or none.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be written.
    pub fn write(&self, changes: &[RecordChange<'_>]) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        write_all(&mut writer, changes).map_err(|e| self.database.error(e))
    }

    /// The value under a key.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        read_one(&writer, key, SystemClock::now()).map_err(|e| self.database.error(e))
    }

    /// The keys that begin with `prefix`, sorted, at most `max`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn keys(&self, prefix: &str, max: usize) -> Result<Vec<String>, StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        list_keys(&writer, prefix, max).map_err(|e| self.database.error(e))
    }

    /// A separate connection for one isolate.
    pub(crate) fn reader(&self, faults: Faults) -> Result<NativeRecords, StoreError> {
        let connection = self.database.again()?;
        Ok(NativeRecords { connection, store: self.clone(), faults })
    }

    /// Writes a record without expiry, merged with the stored one, in one transaction.
    fn write_joined(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        join_one(&mut writer, key, value).map_err(|e| self.database.error(e))
    }

    /// Writes a record with an expiry, and removes expired ones.
    fn write_until(&self, key: &str, value: &[u8], end: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        write_one(&mut writer, key, value, end, now).map_err(|e| self.database.error(e))
    }
}

/// The record store for one isolate.
#[derive(Debug)]
pub struct NativeRecords {
    connection: Connection,
    store: RecordStore,
    faults: Faults,
}

impl NativeRecords {
    /// A number that changes when another connection has written; unchanged if the store cannot be read.
    pub(crate) fn version(&self) -> Option<i64> {
        self.connection
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .ok()
    }
}

impl Records for NativeRecords {
    // A read takes a few microseconds from the page cache, less than passing it to another thread.
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        self.faults.check(FaultyStore::Records)?;
        let read = read_one(&self.connection, key, SystemClock::now());
        read.map_err(|error| Unavailable::new(format!("the record store failed: {error}")))
    }

    // Another process that publishes may lock the file for longer than a thread with requests may block.
    async fn write(&self, key: &str, bytes: &[u8], keep_s: u32) -> Result<(), WriteFault> {
        WriteFault::check(key, bytes)?;
        self.faults.check(FaultyStore::Records)?;
        let (store, key, bytes) = (self.store.clone(), key.to_owned(), bytes.to_vec());
        let now = SystemClock::now();
        let end = now.plus_millis(u64::from(keep_s).saturating_mul(1_000));
        blocking(move || store.write_until(&key, &bytes, end, now)).await
    }

    async fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), WriteFault> {
        WriteFault::check_kept(key, bytes)?;
        self.faults.check(FaultyStore::Records)?;
        let (store, key, bytes) = (self.store.clone(), key.to_owned(), bytes.to_vec());
        blocking(move || store.write_joined(&key, &bytes)).await
    }
}

async fn blocking(write: impl FnOnce() -> Result<(), StoreError> + Send + 'static) -> Result<(), WriteFault> {
    match tokio::task::spawn_blocking(write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Unavailable::new(error.to_string()).into()),
        Err(_) => Err(Unavailable::new("the record store was closed").into()),
    }
}

fn read_one(connection: &Connection, key: &str, now: Timestamp) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT value FROM record WHERE key = ?1 AND (expires_at_us IS NULL OR expires_at_us > ?2)")?
        .query_row(params![key, micros(now)], |row| row.get(0))
        .optional()
}

fn write_one(
    connection: &mut Connection,
    key: &str,
    value: &[u8],
    end: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO record (key, value, expires_at_us) VALUES (?1, ?2, ?3)")?
        .execute(params![key, value, micros(end)])?;
    transaction.prepare_cached("DELETE FROM record WHERE expires_at_us <= ?1")?.execute([micros(now)])?;
    transaction
        .prepare_cached(
            "DELETE FROM record WHERE key IN (SELECT key FROM record WHERE expires_at_us IS NOT NULL
             AND rtrim(key, '0123456789abcdef') = rtrim(?1, '0123456789abcdef')
             ORDER BY expires_at_us DESC LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![key, EXPIRING_MAX])?;
    transaction.commit()
}

fn join_one(connection: &mut Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let stored: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT value FROM record WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO record (key, value) VALUES (?1, ?2)")?
        .execute(params![key, joined(key, stored.as_deref(), value)])?;
    transaction.commit()
}

/// Every timestamp fits.
fn micros(instant: Timestamp) -> i64 {
    i64::try_from(instant.as_micros()).unwrap_or(i64::MAX)
}

fn write_all(connection: &mut Connection, changes: &[RecordChange<'_>]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for change in changes {
        match *change {
            RecordChange::Put { key, value } => transaction
                .prepare_cached("INSERT OR REPLACE INTO record (key, value) VALUES (?1, ?2)")?
                .execute(params![key, value])?,
            RecordChange::Delete { key } => {
                transaction.prepare_cached("DELETE FROM record WHERE key = ?1")?.execute([key])?
            }
        };
    }
    transaction.commit()
}

fn list_keys(connection: &Connection, prefix: &str, max: usize) -> rusqlite::Result<Vec<String>> {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT key FROM record WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1 ORDER BY key LIMIT ?2",
        )?
        .query_map(params![prefix, max], |row| row.get(0))?
        .collect()
}

/// "TGRS": the kind of SQLite database this is.
const APPLICATION_ID: i64 = 0x5447_5253;
const TABLES: &str =
    "CREATE TABLE record (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, expires_at_us INTEGER) WITHOUT ROWID;
    CREATE INDEX record_expiry ON record (expires_at_us) WHERE expires_at_us IS NOT NULL;
    CREATE INDEX record_kind_expiry ON record (rtrim(key, '0123456789abcdef'), expires_at_us)
        WHERE expires_at_us IS NOT NULL;";

/// Maximum number of records of one kind that a gateway wrote: those that expire first are removed. Finding them takes
/// a fraction of a millisecond.
///
/// Of one kind are keys that differ in their last segment alone, which is hexadecimal. Each action of the audit is a kind,
/// so that many purges do not push out what was recorded of keys.
const EXPIRING_MAX: i64 = 10_000;

#[cfg(test)]
mod tests {
    use tollgate_core::cache::{CacheKey, Purge, Purges};
    use tollgate_kv_schemas::{decode, encode};

    use super::*;

    fn put<'a>(key: &'a str, value: &'a str) -> RecordChange<'a> {
        RecordChange::Put { key, value: value.as_bytes() }
    }

    fn read(records: &NativeRecords, key: &str) -> Option<Vec<u8>> {
        let waiting = std::pin::pin!(records.read(key));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match waiting.poll(&mut context) {
            std::task::Poll::Ready(answer) => answer.unwrap(),
            std::task::Poll::Pending => panic!("reads are direct"),
        }
    }

    fn check_store(store: &RecordStore) {
        let reader = store.reader(Faults::default()).unwrap();
        let before = reader.version();
        assert_eq!(read(&reader, "g:a"), None);
        store.write(&[put("g:a", "1"), put("g:b", "2"), put("h:a", "3")]).unwrap();
        assert_eq!(read(&reader, "g:a").as_deref(), Some(&b"1"[..]));
        assert_ne!(reader.version(), before);
        assert_eq!(store.keys("g:", 10).unwrap(), ["g:a", "g:b"]);
        store.write(&[put("g:a", "9"), RecordChange::Delete { key: "g:b" }]).unwrap();
        assert_eq!(read(&reader, "g:a").as_deref(), Some(&b"9"[..]));
        assert_eq!(read(&reader, "g:b"), None);
        assert_eq!(store.read("h:a").unwrap().as_deref(), Some(&b"3"[..]));
    }

    #[test]
    fn a_store_in_memory_is_shared_by_its_readers_on_any_thread() {
        let store = RecordStore::in_memory().unwrap();
        check_store(&store);
        let there = std::thread::spawn(move || {
            let reader = store.reader(Faults::default()).unwrap();
            read(&reader, "g:a")
        });
        assert_eq!(there.join().unwrap().as_deref(), Some(&b"9"[..]));
        assert_eq!(RecordStore::in_memory().unwrap().read("g:a").unwrap(), None);
    }

    #[test]
    fn a_store_in_a_file_outlives_the_process_that_wrote_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        check_store(&RecordStore::create(&path).unwrap());
        let again = RecordStore::open(&path).unwrap();
        assert_eq!(again.read("g:a").unwrap().as_deref(), Some(&b"9"[..]));
    }

    #[test]
    fn readers_on_many_threads_read_while_another_writes() {
        for store in [RecordStore::in_memory().unwrap(), {
            let folder = tempfile::tempdir().unwrap().keep();
            RecordStore::create(&folder.join("r.db")).unwrap()
        }] {
            store.write(&[put("k", "00000000")]).unwrap();
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let store = store.clone();
                    std::thread::spawn(move || {
                        let reader = store.reader(Faults::default()).unwrap();
                        (0..2000).for_each(|_| assert_eq!(read(&reader, "k").unwrap().len(), 8));
                    })
                })
                .collect();
            for n in 0..200 {
                store.write(&[put("k", &format!("{n:08}"))]).unwrap();
            }
            readers.into_iter().for_each(|r| r.join().unwrap());
        }
    }

    #[test]
    fn a_record_is_removed_after_its_expiry_and_kept_without_one() {
        let store = RecordStore::in_memory().unwrap();
        let at = Timestamp::from_millis;
        store.write(&[put("k", "1")]).unwrap();
        store.write_until("a", b"2", at(10), at(0)).unwrap();
        let read = |key: &str, ms| read_one(&store.writer.lock().unwrap(), key, at(ms)).unwrap();
        assert_eq!((read("a", 9).as_deref(), read("a", 10)), (Some(&b"2"[..]), None));
        store.write_until("b", b"3", at(20), at(10)).unwrap();
        assert_eq!(store.keys("", 10).unwrap(), ["b", "k"], "what has ended is deleted");
        store.write(&[put("b", "4")]).unwrap();
        assert_eq!(read("b", 1_000).as_deref(), Some(&b"4"[..]), "published over it");
    }

    #[test]
    fn purges_of_two_processes_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.db");
        RecordStore::create(&path).unwrap();
        let purge = |n: u64| Purge { resource: CacheKey::parse(&format!("{n:064x}")), at: Timestamp::from_millis(n) };
        let writers = [0, 1].map(|process| {
            let store = RecordStore::open(&path).unwrap();
            std::thread::spawn(move || {
                // Each has only its own purges, like a process with separate counters.
                let mut own = Purges::default();
                for n in 0..100 {
                    own.add(purge(process * 100 + n));
                    store.write_joined("g:purges", &encode(&own)).unwrap();
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let kept = RecordStore::open(&path).unwrap().read("g:purges").unwrap().unwrap();
        let kept: Purges = decode(&kept).unwrap();
        assert_eq!(kept.as_slice().len(), 200);
    }

    #[test]
    fn records_with_an_expiry_are_bounded_by_kind_and_those_that_expire_first_are_removed() {
        let store = RecordStore::in_memory().unwrap();
        store.write(&[put("g:audit:purge.new:0", "1")]).unwrap();
        let at = Timestamp::from_millis;
        let others = ["g:audit:key.new:1", "g:audit:key.revoke:1", "g:fetched:1", "h:audit:purge.new:1"];
        for key in others {
            store.write_until(key, b"1", at(1), Timestamp::EPOCH).unwrap();
        }
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1)
            INSERT INTO record SELECT 'g:audit:purge.new:' || printf('%08x', i), x'00', (i + 1) * 1000 FROM n";
        store.writer.lock().unwrap().execute(fill, [EXPIRING_MAX]).unwrap();
        let after_all = at(u64::try_from(EXPIRING_MAX + 2).unwrap());
        store.write_until("g:audit:purge.new:ffffffff", b"2", after_all, Timestamp::EPOCH).unwrap();
        let has = |key: &str| read_one(&store.writer.lock().unwrap(), key, Timestamp::EPOCH).unwrap().is_some();
        let purges = ["00000001", "00000002", "ffffffff", "0"].map(|name| has(&format!("g:audit:purge.new:{name}")));
        assert_eq!(purges, [false, true, true, true], "the last one has no end");
        assert!(others.into_iter().all(has));
        assert_eq!(store.keys("", 20_000).unwrap().len(), 10_000 + 1 + others.len());
    }

    #[test]
    fn a_failed_batch_changes_nothing() {
        let store = RecordStore::in_memory().unwrap();
        store
            .writer
            .lock()
            .unwrap()
            .execute_batch(
                "CREATE TRIGGER t BEFORE INSERT ON record WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END;",
            )
            .unwrap();
        assert!(store.write(&[put("good", "1"), put("bad", "2")]).is_err());
        assert_eq!(store.read("good").unwrap(), None);
    }

    #[test]
    fn a_store_with_a_fault_is_unavailable() {
        let store = RecordStore::in_memory().unwrap();
        let faults = Faults::default();
        let reader = store.reader(faults.clone()).unwrap();
        faults.set(FaultyStore::Records, true);
        let waiting = std::pin::pin!(reader.read("k"));
        let answer = waiting.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(matches!(answer, std::task::Poll::Ready(Err(_))));
    }

    #[track_caller]
    fn check_refused(content: &[u8], expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        std::fs::write(&path, content).unwrap();
        let error = RecordStore::open(&path).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("records.db"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_a_store_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = RecordStore::open(&folder.path().join("none.db")).unwrap_err();
        assert!(missing.to_string().contains("there is no store at"));
        check_refused(b"this is a text file, and long enough to be looked at as one", "not an SQLite database");
        check_refused(b"", "another kind");
    }

    #[test]
    fn a_damaged_store_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.db");
        let store = RecordStore::create(&path).unwrap();
        let value = "x".repeat(3000);
        let keys: Vec<String> = (0..200).map(|n| format!("key-{n}")).collect();
        let changes: Vec<_> = keys.iter().map(|k| put(k, &value)).collect();
        store.write(&changes).unwrap();
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8192].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let error = RecordStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
}
