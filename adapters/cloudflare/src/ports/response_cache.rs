use http::StatusCode;
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{ResponseCache, Stored, Unavailable};
use wasm_bindgen::{JsCast, JsValue};

use super::{timestamp, unavailable};
use crate::content::{ContentCopy, WorkerContent, to_number};
use crate::platform;
use crate::task::settled;

/// The Cache API: one cache in each data centre, none on workers.dev.
///
/// The metadata stands in a field of the entry. Content is put once it is all here (`max_bytes` bounds it), because the
/// platform would store what there is of a stream that breaks off.
#[derive(Clone, Debug)]
pub struct CacheApi {
    pub(crate) gateway: String,
}

impl ResponseCache for CacheApi {
    type Content = WorkerContent;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<WorkerContent>>, Unavailable> {
        let found = settled(platform::cache_match(&self.url(key))).await.map_err(|error| unavailable(STORE, &error))?;
        if found.is_undefined() {
            return Ok(None);
        }
        let entry: &web_sys::Response = found.unchecked_ref();
        let meta = platform::cached_meta(entry).and_then(|text| StoredMeta::from_text(&text));
        Ok(meta.map(|meta| Stored { meta, content: WorkerContent::of_response(entry, StatusCode::OK) }))
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<ContentCopy>) -> Result<(), Unavailable> {
        let text = ascii(&meta.to_text());
        if text.len() > META_BYTES_MAX {
            return Ok(());
        }
        let (copy, max_bytes) = content.map_or((JsValue::NULL, 0), |copy| (copy.content, copy.max_bytes));
        let max_age = to_number(seconds_left(meta, timestamp(js_sys::Date::now())));
        settled(platform::cache_put(&self.url(key), &text, max_age, copy, to_number(max_bytes)))
            .await
            .map_err(|error| unavailable(STORE, &error))?;
        Ok(())
    }
}

impl CacheApi {
    /// A URL that no request has: what is stored is reached by its key alone.
    fn url(&self, key: &CacheKey) -> String {
        format!("https://cache.tollgate.invalid/{}/{}", self.gateway, key.as_str())
    }
}

const STORE: &str = "the Cache API";

/// Bytes of metadata in an entry's field; Cloudflare takes fields of 16 KiB, and this leaves room for the others.
const META_BYTES_MAX: usize = 15 * 1024;

fn seconds_left(meta: &StoredMeta, now: Timestamp) -> u64 {
    meta.keep_left_ms(now).div_ceil(1000)
}

/// The same JSON with ASCII alone, which is what a field takes.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\u{unit:04x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_the_same_json_in_ascii() {
        let json = r#"{"a":"é日😀\n"}"#;
        let text = ascii(json);
        assert!(text.is_ascii());
        let (was, is): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(json).unwrap(), serde_json::from_str(&text).unwrap());
        assert_eq!(was, is);
    }
}
