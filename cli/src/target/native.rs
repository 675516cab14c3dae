//! The record store of the native host.

use std::path::Path;

use tollgate_core::time::Timestamp;
use tollgate_native::{RecordChange, RecordStore, SystemClock};

use super::{KeyValue, Target};
use crate::failure::Failure;

pub(super) fn open(path: &Path) -> Result<Target, Failure> {
    let store = RecordStore::create(path).map_err(Failure::problem)?;
    Ok(Target::Native { store, path: path.to_owned() })
}

/// One transaction.
pub(super) fn put(store: &RecordStore, records: &[KeyValue]) -> Result<(), Failure> {
    let changes: Vec<_> = records.iter().map(|(key, value)| RecordChange::Put { key, value }).collect();
    store.write(&changes).map_err(Failure::problem)
}

pub(super) fn put_until(store: &RecordStore, records: &[KeyValue], end: Timestamp) -> Result<(), Failure> {
    records
        .iter()
        .try_for_each(|(key, value)| store.write_until(key, value, end, SystemClock::now()))
        .map_err(Failure::problem)
}

pub(super) fn remove(store: &RecordStore, keys: &[String]) -> Result<(), Failure> {
    let changes: Vec<_> = keys.iter().map(|key| RecordChange::Delete { key }).collect();
    store.write(&changes).map_err(Failure::problem)
}
