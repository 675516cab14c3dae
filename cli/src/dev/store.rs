//! The record store of the running host, of any kind.

use tollgate_kv_schemas::{Bundle, Publication};
use tollgate_native::{RecordChange, RecordStore};

use super::launcher::Handle;
use crate::target::KeyValue;

/// The store from which the running host reads its records.
#[derive(Clone)]
pub(super) enum Store {
    Native(RecordStore),
    Launched(Handle),
}

impl Store {
    /// Publishes a bundle, with credentials before it; then removes keys.
    pub(super) async fn publish(
        &self,
        bundle: &Bundle,
        credentials: &[KeyValue],
        delete: &[String],
    ) -> Result<(), String> {
        let key = bundle.pointer_key();
        let publication =
            Publication::begin(bundle, self.read(&key).await?.as_deref()).map_err(|error| error.to_string())?;
        self.write(credentials, &[]).await?;
        self.write(publication.content(), &[]).await?;
        let stored = self.read(&key).await?;
        let pointer = publication.pointer(stored.as_deref()).map_err(|error| error.to_string())?;
        if let Self::Native(store) = self {
            // Another program may publish to the same file.
            if !store.swap(&key, stored.as_deref(), &pointer).map_err(|error| error.to_string())? {
                return Err(publication.moved(self.read(&key).await?.as_deref()).to_string());
            }
            return self.write(&[], delete).await;
        }
        self.write(&[(key, pointer)], delete).await
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Native(store) => store.read(key).map_err(|error| error.to_string()),
            Self::Launched(handle) => Ok(handle.get(key).await?.map(String::into_bytes)),
        }
    }

    /// Writes the records in their order, then removes keys.
    async fn write(&self, put: &[KeyValue], delete: &[String]) -> Result<(), String> {
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
