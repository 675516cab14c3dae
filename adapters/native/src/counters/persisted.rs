//! The counters' file.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};
use tollgate_core::limit::CounterState;
use tollgate_core::time::Timestamp;

use crate::store::{Database, StoreError};

#[derive(Debug)]
pub(super) struct CounterFile {
    database: Database,
    connection: Connection,
    gateway: String,
}

impl CounterFile {
    pub(super) fn create(path: &Path, gateway: &str) -> Result<Self, StoreError> {
        let database = Database::file(path, APPLICATION_ID);
        let connection = database.create(TABLES)?;
        Ok(Self { database, connection, gateway: gateway.to_owned() })
    }

    /// The live partitions, those that stay live longest first.
    pub(super) fn load(&self, now: Timestamp, most: usize) -> Result<Vec<(String, CounterState)>, StoreError> {
        self.select(now, most).map_err(|e| self.database.error(e))
    }

    fn select(&self, now: Timestamp, most: usize) -> rusqlite::Result<Vec<(String, CounterState)>> {
        let mut statement = self.connection.prepare(
            "SELECT partition, state FROM counter WHERE gateway = ?1 AND idle_at_ms > ?2 ORDER BY idle_at_ms DESC LIMIT ?3",
        )?;
        let rows = statement
            .query_map(params![self.gateway, millis(now), i64::try_from(most).unwrap_or(i64::MAX)], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
            })?;
        rows.map(|row| row.map(|(partition, bytes)| (partition, CounterState::from_bytes(&bytes).unwrap_or_default())))
            .collect()
    }

    pub(super) fn write(&mut self, changed: &[(String, CounterState)], now: Timestamp) -> Result<(), StoreError> {
        if changed.is_empty() {
            return Ok(());
        }
        self.replace(changed, now).map_err(|e| self.database.error(e))
    }

    fn replace(&mut self, changed: &[(String, CounterState)], now: Timestamp) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (partition, state) in changed {
            let idle_at = state.idle_at();
            if idle_at <= now {
                transaction
                    .prepare_cached("DELETE FROM counter WHERE gateway = ?1 AND partition = ?2")?
                    .execute(params![self.gateway, partition])?;
            } else {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO counter (gateway, partition, idle_at_ms, state) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![self.gateway, partition, millis(idle_at), state.to_bytes()])?;
            }
        }
        transaction.commit()
    }

    /// Deletes partitions that have become idle, some at a time.
    pub(super) fn forget_idle(&self, now: Timestamp) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM counter WHERE (gateway, partition) IN (SELECT gateway, partition FROM counter WHERE idle_at_ms <= ?1 LIMIT 1000)")
            .and_then(|mut statement| statement.execute([millis(now)]))
            .map(drop)
            .map_err(|e| self.database.error(e))
    }
}

fn millis(instant: Timestamp) -> i64 {
    i64::try_from(instant.as_millis()).unwrap_or(i64::MAX)
}

/// "TGCT": the kind of SQLite database this is.
const APPLICATION_ID: i64 = 0x5447_4354;
const TABLES: &str =
    "CREATE TABLE counter (gateway TEXT NOT NULL, partition TEXT NOT NULL, idle_at_ms INTEGER NOT NULL,
    state BLOB NOT NULL, PRIMARY KEY (gateway, partition)) WITHOUT ROWID;
    CREATE INDEX counter_idle ON counter (idle_at_ms);";
