//! The record store of the native host.

use std::path::Path;

use tollgate_native::{RecordChange, RecordStore};

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
