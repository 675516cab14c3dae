//! What this host keeps in SQLite: the records, and the counters behind the requests.

mod database;
mod records;

pub(crate) use database::Database;
pub use database::StoreError;
pub use records::{NativeRecords, RecordChange, RecordStore};
