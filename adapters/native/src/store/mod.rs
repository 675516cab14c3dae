//! What this host stores in SQLite: the records, and the counters, written in the background.

mod database;
mod records;

pub(crate) use database::Database;
pub use database::StoreError;
pub use records::{NativeRecords, RecordChange, RecordStore};
