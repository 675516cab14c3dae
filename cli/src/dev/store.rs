//! The running host's record store, whichever host it is.

use tollgate_native::{RecordChange, RecordStore};

use super::launcher::Handle;
use crate::target::KeyValue;

/// Where the running host reads its records.
#[derive(Clone)]
pub(super) enum Store {
    Native(RecordStore),
    Launched(Handle),
}

impl Store {
    /// Writes the records in their order, then removes keys.
    pub(super) async fn write(&self, put: &[KeyValue], delete: &[String]) -> Result<(), String> {
        match self {
            Self::Native(store) => {
                let puts = put.iter().map(|(key, value)| RecordChange::Put { key, value });
                let deletes = delete.iter().map(|key| RecordChange::Delete { key });
                let changes: Vec<_> = puts.chain(deletes).collect();
                store.write(&changes).map_err(|error| error.to_string())
            }
            Self::Launched(handle) => {
                handle.put(put).await?;
                if delete.is_empty() { Ok(()) } else { handle.delete(delete).await }
            }
        }
    }
}
