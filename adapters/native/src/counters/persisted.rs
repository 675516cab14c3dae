//! The counters' file.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use tollgate_core::cell::{Cell, CellError, CellKey};
use tollgate_core::time::Timestamp;

use super::lock;
use super::shard::Kept;
use crate::store::{Database, StoreError};

#[derive(Debug)]
pub(super) struct CounterFile {
    database: Database,
    connection: Connection,
    gateway: String,
    /// The last field: the connection is closed before another process opens its own.
    _lock: File,
}

impl CounterFile {
    pub(super) fn create(path: &Path, gateway: &str) -> Result<Self, StoreError> {
        let database = Database::file(path, APPLICATION_ID);
        let connection = database.create(TABLES)?;
        let lock = lock::take(path, gateway, LOCK_PATIENCE)?;
        Ok(Self { database, connection, gateway: gateway.to_owned(), _lock: lock })
    }

    /// The cells that are not idle, those with the latest idle instant first.
    pub(super) fn load(&self, now: Timestamp, most: usize) -> Result<Vec<(CellKey, Kept)>, StoreError> {
        self.select(now, most).map_err(|e| self.database.error(e))
    }

    fn select(&self, now: Timestamp, most: usize) -> rusqlite::Result<Vec<(CellKey, Kept)>> {
        let mut statement = self.connection.prepare(
            "SELECT key, state FROM cell WHERE gateway = ?1 AND idle_at_ms > ?2 ORDER BY idle_at_ms DESC LIMIT ?3",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![self.gateway, millis(now), most], |row| {
            // No partition has a key that is no text.
            let Ok(key) = row.get_ref(0)?.as_str() else { return Ok(None) };
            let state = row.get_ref(1)?.as_blob().map_or(Err(CellError::Damaged), Cell::from_bytes);
            Ok(Some((CellKey::new(key), state)))
        })?;
        rows.filter_map(Result::transpose).collect()
    }

    pub(super) fn write(&mut self, changed: &[(CellKey, Cell)], now: Timestamp) -> Result<(), StoreError> {
        if changed.is_empty() {
            return Ok(());
        }
        self.replace(changed, now).map_err(|e| self.database.error(e))
    }

    fn replace(&mut self, changed: &[(CellKey, Cell)], now: Timestamp) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (key, cell) in changed {
            let idle_at_ms = cell.idle_at().map_or(i64::MAX, millis);
            if idle_at_ms <= millis(now) {
                transaction
                    .prepare_cached("DELETE FROM cell WHERE gateway = ?1 AND key = ?2")?
                    .execute(params![self.gateway, key.as_str()])?;
            } else {
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO cell (gateway, key, idle_at_ms, state) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![self.gateway, key.as_str(), idle_at_ms, cell.to_bytes()])?;
            }
        }
        transaction.commit()
    }

    /// Deletes idle cells, a bounded number at a time.
    pub(super) fn forget_idle(&self, now: Timestamp) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM cell WHERE (gateway, key) IN (SELECT gateway, key FROM cell WHERE idle_at_ms <= ?1 LIMIT 1000)")
            .and_then(|mut statement| statement.execute([millis(now)]))
            .map(drop)
            .map_err(|e| self.database.error(e))
    }
}

fn millis(instant: Timestamp) -> i64 {
    i64::try_from(instant.as_millis()).unwrap_or(i64::MAX)
}

/// How long another process has to end, as at a restart that overlaps.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// "TGCT": the kind of SQLite database this is.
const APPLICATION_ID: i64 = 0x5447_4354;
const TABLES: &str = "CREATE TABLE cell (gateway TEXT NOT NULL, key TEXT NOT NULL, idle_at_ms INTEGER NOT NULL,
    state BLOB NOT NULL, PRIMARY KEY (gateway, key)) WITHOUT ROWID;
    CREATE INDEX cell_idle ON cell (idle_at_ms);";
