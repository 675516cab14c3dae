//! Opening an SQLite database, with a clear error if it is not one of Tollgate.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

/// Why a store could not be opened or used. The texts contain the file, never a key or a value.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no file.
    #[error("there is no store at {}; publishing creates one", .0.display())]
    Missing(PathBuf),
    /// The file is not a store of this kind.
    #[error("{} is not a Tollgate store: {detail}; choose another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        detail: String,
    },
    /// The file was written by a newer Tollgate.
    #[error("the store {} has version {version}, newer than this program's {SCHEMA_VERSION}; use the newer program", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// The file's content is damaged.
    #[error("the store {} is damaged: {detail}; restore a backup, or delete it and publish again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's description.
        detail: String,
    },
    /// Another process writes the counters of the same gateway to the file.
    #[error(
        "the counters of gateway {gateway} in {} are in use by another process, and each would overwrite what the other counts; end \
         that process, let gateways share their counters in a server (--counters redis://HOST), or have each count by itself \
         (--counters FILE)",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// The gateway.
        gateway: String,
    },
    /// The file cannot be locked.
    #[error(
        "the counters in {} cannot be locked, so another process could overwrite them: {source}; name a file of a local folder that \
         can be written (--counters PATH)",
        path.display()
    )]
    NoLock {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system starts no thread that writes it.
    #[error("the store {} cannot be written: no thread can be started: {source}", path.display())]
    NoThread {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// SQLite failed.
    #[error("the store {} failed: {source}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
}

/// The location and kind of a database.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    path: PathBuf,
    in_memory: bool,
    application_id: i64,
}

impl Database {
    pub(crate) fn file(path: &Path, application_id: i64) -> Self {
        Self { path: path.to_owned(), in_memory: false, application_id }
    }

    /// An in-memory database that exists as long as a connection to it is open, and that any thread of this process can
    /// open.
    pub(crate) fn in_memory(application_id: i64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("file:/tollgate-{number}?vfs=memdb"));
        Self { path, in_memory: true, application_id }
    }

    /// Opens it, and creates it if it does not exist.
    pub(crate) fn create(&self, tables: &str) -> Result<Connection, StoreError> {
        let mut connection = self.connect(OpenFlags::SQLITE_OPEN_CREATE)?;
        if self.is_new(&connection)? {
            self.make(&mut connection, tables)?;
        }
        self.check(&connection)?;
        Ok(connection)
    }

    /// Creates the tables, unless another process has done so meanwhile.
    fn make(&self, connection: &mut Connection, tables: &str) -> Result<(), StoreError> {
        let behavior = rusqlite::TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(behavior).map_err(|e| self.error(e))?;
        if self.is_new(&transaction)? {
            let id = self.application_id;
            let mark = format!("PRAGMA application_id = {id}; PRAGMA user_version = {SCHEMA_VERSION}; {tables}");
            transaction.execute_batch(&mark).map_err(|e| self.error(e))?;
        }
        transaction.commit().map_err(|e| self.error(e))
    }

    /// Opens and checks it, if it exists.
    pub(crate) fn open(&self) -> Result<Connection, StoreError> {
        if !self.in_memory && !self.path.exists() {
            return Err(StoreError::Missing(self.path.clone()));
        }
        let connection = self.connect(OpenFlags::empty())?;
        self.check(&connection)?;
        Ok(connection)
    }

    /// A further connection to a database that has been opened and checked.
    pub(crate) fn again(&self) -> Result<Connection, StoreError> {
        self.connect(OpenFlags::empty())
    }

    pub(crate) fn error(&self, source: rusqlite::Error) -> StoreError {
        let path = self.path.clone();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => {
                StoreError::Foreign { path, detail: "it is not an SQLite database, or its beginning is damaged".into() }
            }
            Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, detail: source.to_string() },
            _ => StoreError::Failed { path, source },
        }
    }

    fn connect(&self, more: OpenFlags) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | if self.in_memory { OpenFlags::SQLITE_OPEN_URI } else { OpenFlags::empty() }
            | more;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(|e| self.error(e))?;
        connection
            .busy_timeout(BUSY_TIMEOUT)
            .and_then(|()| connection.execute_batch("PRAGMA synchronous = NORMAL;"))
            .map_err(|e| self.error(e))?;
        if !self.in_memory {
            connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).map_err(|e| self.error(e))?;
        }
        Ok(connection)
    }

    fn is_new(&self, connection: &Connection) -> Result<bool, StoreError> {
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(|e| self.error(e))?;
        Ok(tables == 0)
    }

    fn check(&self, connection: &Connection) -> Result<(), StoreError> {
        let number = |name: &str| {
            connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(|e| self.error(e))
        };
        if number("application_id")? != self.application_id {
            return Err(StoreError::Foreign {
                path: self.path.clone(),
                detail: "it is an SQLite database of another kind".into(),
            });
        }
        let version = number("user_version")?;
        if version > SCHEMA_VERSION {
            return Err(StoreError::TooNew { path: self.path.clone(), version });
        }
        let verdict: String =
            connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(|e| self.error(e))?;
        if verdict != "ok" {
            return Err(StoreError::Damaged { path: self.path.clone(), detail: verdict });
        }
        Ok(())
    }
}

/// The version of the tables.
const SCHEMA_VERSION: i64 = 1;

/// Longer than any write of Tollgate, shorter than the timeout of a client.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
