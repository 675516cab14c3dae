use js_sys::Uint8Array;
use tollgate_edge::ports::{Records, Unavailable};
use wasm_bindgen::JsCast;
use worker::Env;

use super::unavailable;
use crate::platform;
use crate::task::settled;

/// Workers KV: the namespace bound as `TOLLGATE_RECORDS`.
#[derive(Clone, Debug)]
pub struct KvRecords(pub(crate) Env);

impl Records for KvRecords {
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let value = settled(platform::kv_get(&self.0, key, CACHE_TTL_SECS))
            .await
            .map_err(|error| unavailable("Workers KV", &error))?;
        Ok(value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec))
    }
}

/// How long a data centre may answer from its own copy: the shortest that KV takes.
const CACHE_TTL_SECS: u32 = 30;
