use std::rc::Rc;

use tollgate_core::bounds::STORED_CONTENT_BYTES_MAX;
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{ResponseCache, Stored, Unavailable};
use wasm_bindgen::{JsCast, JsValue};

use super::{timestamp, unavailable};
use crate::content::{ContentCopy, WorkerContent, to_count, to_number};
use crate::platform;
use crate::task::settled;

/// The Cache API: one cache in each data centre, none on workers.dev.
///
/// The metadata is in a field of the entry. Content is put when all of it has arrived (bounded by `max_bytes`), because
/// the platform would store an interrupted stream partially. The platform has no compare-and-write: the stored entry is
/// read just before a write, after the content has arrived, so that only two simultaneous writes can overtake each other.
#[derive(Clone, Debug)]
pub struct CacheApi {
    pub(crate) gateway: Rc<str>,
}

impl ResponseCache for CacheApi {
    type Content = WorkerContent;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<WorkerContent>>, Unavailable> {
        let found = self.entry(key).await?;
        Ok(found.map(|(meta, entry)| Stored { meta, content: WorkerContent::of_message(&entry) }))
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<ContentCopy>) -> Result<(), Unavailable> {
        let content = match content {
            None => JsValue::NULL,
            Some(copy) => match settled(platform::gather_copy(&copy.content, to_number(copy.max_bytes))).await {
                Ok(content) if !content.is_undefined() => content,
                Ok(_) | Err(_) => return Ok(()),
            },
        };
        let stored = self.entry(key).await?;
        let now = timestamp(js_sys::Date::now());
        let may_replace = meta.may_replace(stored.as_ref().map(|(stored, _)| stored), now);
        if may_replace && meta.is_length_of_content(to_count(platform::length_of(&content))) {
            self.put(key, meta, content).await?;
        }
        Ok(())
    }

    /// The platform cannot change fields alone, so the stored content is put again, with the renewed fields.
    async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable> {
        match self.entry(key).await? {
            Some((stored, entry)) if stored == *confirmed => {
                let content = entry.body().map_or(JsValue::NULL, JsValue::from);
                let max_bytes = to_number(STORED_CONTENT_BYTES_MAX);
                match settled(platform::gather_copy(&content, max_bytes)).await {
                    Ok(content) if !content.is_undefined() => self.put(key, renewed, content).await,
                    Ok(_) | Err(_) => Ok(()),
                }
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl CacheApi {
    async fn entry(&self, key: &CacheKey) -> Result<Option<(StoredMeta, web_sys::Response)>, Unavailable> {
        let found = settled(platform::cache_match(&self.url(key))).await.map_err(|error| unavailable(STORE, &error))?;
        let Ok(entry) = found.dyn_into::<web_sys::Response>() else { return Ok(None) };
        let meta = platform::cached_meta(&entry).and_then(|text| StoredMeta::from_text(&text));
        Ok(meta.map(|meta| (meta, entry)))
    }

    async fn put(&self, key: &CacheKey, meta: &StoredMeta, content: JsValue) -> Result<(), Unavailable> {
        let text = ascii(&meta.to_text());
        if text.len() > META_BYTES_MAX {
            return Ok(());
        }
        let max_age = to_number(seconds_left(meta, timestamp(js_sys::Date::now())));
        settled(platform::cache_put(&self.url(key), &text, max_age, content))
            .await
            .map_err(|error| unavailable(STORE, &error))?;
        Ok(())
    }

    /// A URL that no request can have, so that entries can be found by their key only.
    fn url(&self, key: &CacheKey) -> String {
        format!("https://cache.tollgate.invalid/{}/{}", self.gateway, key.as_str())
    }
}

const STORE: &str = "the Cache API";

/// Bytes of metadata in an entry's field; Cloudflare allows 16 KiB of fields, and this leaves room for the others.
const META_BYTES_MAX: usize = 15 * 1024;

fn seconds_left(meta: &StoredMeta, now: Timestamp) -> u64 {
    meta.keep_left_ms(now).div_ceil(1000)
}

/// The same JSON in ASCII only, as a field requires.
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
