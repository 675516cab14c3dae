//! The record store: a table of keys and values, read by every isolate, written by publishing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{KeyPage, Records, Unavailable, WriteFault};
use tollgate_kv_schemas::joined;
use tollgate_kv_schemas::keys::is_usage;

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

    /// Writes the value under a key if what is there is still `before`; answers whether it was.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn swap(&self, key: &str, before: Option<&[u8]>, value: &[u8]) -> Result<bool, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        swap_one(&mut writer, key, before, value).map_err(|e| self.database.error(e))
    }

    /// The value under a key.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        read_one(&writer, key, SystemClock::now()).map_err(|e| self.database.error(e))
    }

    /// When the record under a key ends, if there is one that does.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn end_of(&self, key: &str) -> Result<Option<Timestamp>, StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        end_of(&writer, key).map_err(|e| self.database.error(e))
    }

    /// The keys that begin with `prefix`, sorted, at most `max`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn keys(&self, prefix: &str, max: usize) -> Result<Vec<String>, StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        list_keys(&writer, prefix, "", max).map_err(|e| self.database.error(e))
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
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be written.
    pub fn write_until(&self, key: &str, value: &[u8], end: Timestamp, now: Timestamp) -> Result<(), StoreError> {
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

    async fn list(&self, prefix: &str, cursor: Option<&str>, max: usize) -> Result<KeyPage, Unavailable> {
        self.faults.check(FaultyStore::Records)?;
        let listed = list_keys(&self.connection, prefix, cursor.unwrap_or_default(), max.saturating_add(1));
        let keys = listed.map_err(|error| Unavailable::new(format!("the record store failed: {error}")))?;
        Ok(KeyPage::cut(keys, max))
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

fn end_of(connection: &Connection, key: &str) -> rusqlite::Result<Option<Timestamp>> {
    let end: Option<Option<i64>> = connection
        .prepare_cached("SELECT expires_at_us FROM record WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(end.flatten().and_then(|end_us| u64::try_from(end_us).ok()).map(Timestamp::from_micros))
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
    // Batches of usage end by their time only.
    if is_usage(key) {
        return transaction.commit();
    }
    transaction
        .prepare_cached(
            "DELETE FROM record WHERE key IN (SELECT key FROM record WHERE expires_at_us IS NOT NULL
             AND rtrim(key, '0123456789abcdef') = rtrim(?1, '0123456789abcdef')
             ORDER BY expires_at_us DESC LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![key, EXPIRING_MAX])?;
    transaction.commit()
}

fn swap_one(connection: &mut Connection, key: &str, before: Option<&[u8]>, value: &[u8]) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    if stored(&transaction, key)?.as_deref() != before {
        return Ok(false);
    }
    put(&transaction, key, value)?;
    transaction.commit()?;
    Ok(true)
}

fn join_one(connection: &mut Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let stored = stored(&transaction, key)?;
    put(&transaction, key, &joined(key, stored.as_deref(), value))?;
    transaction.commit()
}

/// A record whether it has ended or not.
fn stored(connection: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.prepare_cached("SELECT value FROM record WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// Writes a record without an end.
fn put(connection: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO record (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])
}

/// Every timestamp fits.
fn micros(instant: Timestamp) -> i64 {
    i64::try_from(instant.as_micros()).unwrap_or(i64::MAX)
}

fn write_all(connection: &mut Connection, changes: &[RecordChange<'_>]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for change in changes {
        match *change {
            RecordChange::Put { key, value } => put(&transaction, key, value)?,
            RecordChange::Delete { key } => {
                transaction.prepare_cached("DELETE FROM record WHERE key = ?1")?.execute([key])?
            }
        };
    }
    transaction.commit()
}

/// The keys that begin with a prefix and come after one, sorted: a range of the table, at whose end it is left.
fn list_keys(connection: &Connection, prefix: &str, after: &str, max: usize) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT key FROM record WHERE key >= ?1 AND key > ?2 ORDER BY key")?;
    let found = statement.query_map(params![prefix, after], |row| row.get::<_, String>(0))?;
    found.take_while(|key| key.as_ref().is_ok_and(|key| key.starts_with(prefix))).take(max).collect()
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
mod tests;
