use std::rc::Rc;

use js_sys::Uint8Array;
use tollgate_edge::ports::{KeyPage, Records, Unavailable, WriteFault};
use wasm_bindgen::JsCast;
use worker::Env;

use super::unavailable;
use crate::platform;
use crate::task::settled;

/// Workers KV: the namespace bound as `TOLLGATE_RECORDS`.
///
/// A record that the gateway writes has KV's own expiry, of at least 60 s; other data centres see it within that time.
#[derive(Clone, Debug)]
pub struct KvRecords(pub(crate) Rc<Env>);

impl Records for KvRecords {
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let value = settled(platform::kv_get(&self.0, key, CACHE_TTL_SECS))
            .await
            .map_err(|error| unavailable("Workers KV", &error))?;
        Ok(value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec))
    }

    async fn write(&self, key: &str, bytes: &[u8], keep_s: u32) -> Result<(), WriteFault> {
        WriteFault::check(key, bytes)?;
        self.put(key, bytes, Some(keep_s)).await
    }

    async fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), WriteFault> {
        WriteFault::check_kept(key, bytes)?;
        self.put(key, bytes, None).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>, max: usize) -> Result<KeyPage, Unavailable> {
        let limit = u32::try_from(max).unwrap_or(LIST_MAX).min(LIST_MAX);
        let listed = settled(platform::kv_list(&self.0, prefix, cursor, limit))
            .await
            .map_err(|error| unavailable("Workers KV", &error))?;
        let text = listed.as_string().unwrap_or_default();
        let mut lines = text.split('\n').map(str::to_owned);
        let cursor = lines.next().filter(|cursor| !cursor.is_empty());
        Ok(KeyPage { keys: lines.collect(), cursor })
    }
}

impl KvRecords {
    async fn put(&self, key: &str, bytes: &[u8], keep_s: Option<u32>) -> Result<(), WriteFault> {
        settled(platform::kv_put(&self.0, key, bytes.to_vec(), keep_s)).await.map(drop).map_err(|error| {
            // "KV PUT failed: 429 Too Many Requests": more than one write per second for one key.
            if platform::message_of(&error).contains("429") {
                return WriteFault::TooOften;
            }
            unavailable("Workers KV", &error).into()
        })
    }
}

/// What KV lists at once.
const LIST_MAX: u32 = 1_000;

/// How long a data centre may use its own copy: the minimum that KV allows.
const CACHE_TTL_SECS: u32 = 30;
