//! The SQLite file in which Spin keeps its default key-value store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use super::KeyValue;
use crate::failure::Failure;

/// The default store of a Spin application.
pub(crate) struct SpinStore {
    connection: std::cell::RefCell<Connection>,
    path: PathBuf,
}

impl SpinStore {
    /// Opens the file, and creates it and its folder if Spin has not done so yet.
    pub(super) fn open(path: PathBuf) -> Result<Self, Failure> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::problem(format!("{}: {error}", folder.display())))?;
        }
        let open = || {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.execute_batch(TABLE)?;
            connection.prepare("SELECT store, key, value FROM spin_key_value LIMIT 0")?;
            Ok(connection)
        };
        let connection = open().map_err(|error| explain(&path, &error))?;
        Ok(Self { connection: connection.into(), path })
    }

    pub(super) fn name(&self) -> String {
        format!("{} (Spin's default key-value store)", self.path.display())
    }

    /// One transaction.
    pub(super) fn put(&self, records: &[KeyValue]) -> Result<(), Failure> {
        let mut connection = self.connection.borrow_mut();
        let mut write = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (key, value) in records {
                transaction.prepare_cached(PUT)?.execute(params![STORE, key, value])?;
            }
            transaction.commit()
        };
        write().map_err(|error| explain(&self.path, &error))
    }

    /// One transaction.
    pub(super) fn remove(&self, keys: &[String]) -> Result<(), Failure> {
        let mut connection = self.connection.borrow_mut();
        let mut remove = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for key in keys {
                transaction.prepare_cached(REMOVE)?.execute(params![STORE, key])?;
            }
            transaction.commit()
        };
        remove().map_err(|error| explain(&self.path, &error))
    }

    /// Writes the value if what is there is still `before`; answers whether it was.
    pub(super) fn swap(&self, key: &str, before: Option<&[u8]>, value: &[u8]) -> Result<bool, Failure> {
        let mut connection = self.connection.borrow_mut();
        let mut swap = || -> rusqlite::Result<bool> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if read(&transaction, key)?.as_deref() != before {
                return Ok(false);
            }
            transaction.execute(PUT, params![STORE, key, value])?;
            transaction.commit()?;
            Ok(true)
        };
        swap().map_err(|error| explain(&self.path, &error))
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        read(&self.connection.borrow(), key).map_err(|error| explain(&self.path, &error))
    }

    pub(super) fn keys(&self, prefix: &str, max: usize) -> Result<Vec<String>, Failure> {
        let connection = self.connection.borrow();
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let list = || -> rusqlite::Result<Vec<String>> {
            connection.prepare(KEYS)?.query_map(params![STORE, prefix, max], |row| row.get(0))?.collect()
        };
        list().map_err(|error| explain(&self.path, &error))
    }
}

fn read(connection: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.query_row(GET, params![STORE, key], |row| row.get(0)).optional()
}

fn explain(path: &Path, error: &rusqlite::Error) -> Failure {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            Failure::problem(format!("{path} is not an SQLite file; choose another --store"))
        }
        _ => Failure::problem(format!("{path}: {error}")),
    }
}

/// The path that `spin up` uses, next to spin.toml.
pub(super) const DEFAULT_FILE: &str = ".spin/sqlite_key_value.db";

/// The store of `key_value_stores = ["default"]`.
const STORE: &str = "default";

/// The table as Spin creates it (spin-key-value-spin, `KeyValueSqlite`); unchanged from Spin 1.0 to 3.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS spin_key_value (
    store TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (store, key)
)";
const PUT: &str = "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
    ON CONFLICT (store, key) DO UPDATE SET value = excluded.value";
const GET: &str = "SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2";
const REMOVE: &str = "DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2";
const KEYS: &str = "SELECT key FROM spin_key_value WHERE store = ?1 AND substr(key, 1, length(?2)) = ?2
    ORDER BY key LIMIT ?3";

/// Spin's own writes are short.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_records_are_found_where_spin_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".spin/sqlite_key_value.db");
        let store = SpinStore::open(path.clone()).unwrap();
        store.put(&[("g:a".into(), b"1".to_vec()), ("g:b".into(), b"2".to_vec())]).unwrap();
        store.put(&[("g:a".into(), b"3".to_vec())]).unwrap();
        assert_eq!(store.get("g:a").unwrap(), Some(b"3".to_vec()));
        assert_eq!(store.get("g:c").unwrap(), None);
        assert_eq!(store.keys("g:", 2).unwrap(), ["g:a", "g:b"]);
        let swaps = [(None, false), (Some(&b"1"[..]), false), (Some(b"3"), true)];
        assert!(swaps.iter().all(|(before, swapped)| store.swap("g:a", *before, b"4").unwrap() == *swapped));
        assert_eq!(store.get("g:a").unwrap(), Some(b"4".to_vec()));
        let rows: i64 = Connection::open(path)
            .unwrap()
            .query_row("SELECT count(*) FROM spin_key_value WHERE store = 'default'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 2);
    }

    #[test]
    fn another_kind_of_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "a text that is certainly longer than a header of SQLite would have to be".repeat(3))
            .unwrap();
        let refused = SpinStore::open(path).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("notes.txt is not an SQLite file"), "{refused}");
    }
}
