//! `POST /purge`: takes stored responses out of use, at every isolate with its next look at the records.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body::Body;
use hyper::body::Incoming;
use serde_json::Value;
use std::future::poll_fn;
use std::pin::Pin;
use thiserror::Error;
use tollgate_core::cache::{CacheKey, Purge, Purges};
use tollgate_core::route::{CanonicalPath, HostName};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::keys;

use super::{Admin, Answer, problem, respond};
use crate::clock::SystemClock;
use crate::store::{RecordChange, RecordStore};

/// What is to be purged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PurgeTarget {
    /// Everything.
    All,
    /// The resource of this key.
    Key(CacheKey),
    /// The resource that this URL names; an answer to HEAD is stored under the same.
    Url(Uri),
}

/// Why a purge was not published.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the purge could not be published: {0}")]
pub struct PurgeError(String);

/// Writes a purge of the resource, or of everything where there is none, into the gateway's purges record.
///
/// # Errors
/// [`PurgeError`] when the store cannot be read or written, or holds purges of an unknown form.
pub fn publish_purge(
    store: &RecordStore,
    gateway: &str,
    resource: Option<&CacheKey>,
    now: Timestamp,
) -> Result<(), PurgeError> {
    let unpublished = |error: &dyn std::fmt::Display| PurgeError(error.to_string());
    let key = keys::purges(gateway);
    let mut purges = match store.read(&key).map_err(|e| unpublished(&e))? {
        None => Purges::default(),
        Some(bytes) => tollgate_kv_schemas::decode(&bytes).map_err(|e| unpublished(&e))?,
    };
    purges.add(Purge { resource: resource.cloned(), at: now });
    let value = tollgate_kv_schemas::encode(&purges);
    let change = RecordChange::Put { key: &key, value: &value };
    store.write(&[change]).map_err(|e| unpublished(&e))
}

impl Admin {
    pub(super) async fn purge(&self, request: Request<Incoming>) -> Answer {
        if !is_json(request.headers()) {
            let detail = "send a JSON object, with Content-Type: application/json";
            return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
        }
        let Some(content) = gather(request.into_body()).await else {
            return problem(StatusCode::PAYLOAD_TOO_LARGE, "the request is longer than any purge");
        };
        let Some(target) = target(&content) else {
            let detail = r#"send {"key": "<64 hexadecimal digits>"}, {"url": "https://host/path", "method": "GET"} or {"all": true}"#;
            return problem(StatusCode::BAD_REQUEST, detail);
        };
        let resources = match target {
            PurgeTarget::All => vec![None],
            PurgeTarget::Key(key) => vec![Some(key)],
            PurgeTarget::Url(url) => match self.resources(&url).await {
                Some(resources) if !resources.is_empty() => resources.into_iter().map(Some).collect(),
                _ => return problem(StatusCode::NOT_FOUND, "responses of this URL are on no cached route"),
            },
        };
        let now = SystemClock::now();
        for resource in &resources {
            if let Err(error) = publish_purge(&self.store, &self.gateway, resource.as_ref(), now) {
                return problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
            }
        }
        // Entries lie under keys of their own; isolates pass by purged ones, and they go when their time is over.
        if resources.contains(&None) {
            self.shared.response_cache.clear();
        }
        let names: Vec<&str> = resources.iter().map(|key| key.as_ref().map_or("all", CacheKey::as_str)).collect();
        let done = serde_json::json!({"purged": names.join(", ")});
        respond(StatusCode::OK, "application/json", done.to_string().into())
    }

    async fn resources(&self, url: &Uri) -> Option<Vec<CacheKey>> {
        self.isolate.refresh(&self.host).await;
        let name = HostName::from_authority(url.authority()?.as_str()).ok()?;
        let path = CanonicalPath::parse(url.path().as_bytes()).ok()?;
        Some(self.isolate.resources(&self.host, &name, &path, url.query()).await)
    }
}

fn is_json(fields: &HeaderMap) -> bool {
    let media_type = fields.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|name| name.trim().eq_ignore_ascii_case("application/json"))
}

async fn gather(mut content: Incoming) -> Option<Vec<u8>> {
    let mut gathered = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut content).poll_frame(cx)).await {
        let data: Bytes = frame.ok()?.into_data().unwrap_or_default();
        if gathered.len() + data.len() > PURGE_BYTES_MAX {
            return None;
        }
        gathered.extend_from_slice(&data);
    }
    Some(gathered)
}

fn target(content: &[u8]) -> Option<PurgeTarget> {
    let Ok(Value::Object(asked)) = serde_json::from_slice(content) else {
        return None;
    };
    let field = |name: &str| asked.get(name).and_then(Value::as_str);
    if asked.get("all").is_some_and(|all| *all == Value::Bool(true)) && asked.len() == 1 {
        return Some(PurgeTarget::All);
    }
    let known = asked.keys().all(|name| matches!(name.as_str(), "key" | "url" | "method"));
    match (field("key"), field("url")) {
        (Some(key), None) if asked.len() == 1 => CacheKey::parse(key).map(PurgeTarget::Key),
        (None, Some(url)) if known => {
            let url: Uri = url.parse().ok()?;
            url.authority()?;
            let method = asked.get("method").is_none_or(|m| m == "GET" || m == "HEAD");
            method.then_some(PurgeTarget::Url(url))
        }
        _ => None,
    }
}

/// A URL of the longest kind the gateway accepts, and the braces around it.
const PURGE_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_strictly() {
        let key = "ab".repeat(32);
        let parsed = CacheKey::parse(&key).unwrap();
        let json = |text: &str| target(text.as_bytes());
        assert_eq!(json(&format!(r#"{{"key":"{key}"}}"#)), Some(PurgeTarget::Key(parsed)));
        let url = Some(PurgeTarget::Url("http://h/p?q".parse().unwrap()));
        assert_eq!(json(r#"{"url":"http://h/p?q"}"#), url);
        assert_eq!(json(r#"{"url":"http://h/p?q","method":"HEAD"}"#), url);
        assert_eq!(json(r#"{"all":true}"#), Some(PurgeTarget::All));
        for bad in [
            "",
            r#"{"all":false}"#,
            r#"{"all":true,"url":"http://h/"}"#,
            "[]",
            "{}",
            r#"{"key":"x"}"#,
            r#"{"url":"/p"}"#,
            r#"{"url":"http://h/","tag":"t"}"#,
            r#"{"url":"http://h/","method":5}"#,
        ] {
            assert_eq!(json(bad), None, "{bad}");
        }
    }

    #[test]
    fn published_purges_add_up_in_the_record() {
        let store = RecordStore::in_memory().unwrap();
        let key = |n: u8| CacheKey::parse(&format!("{n:064x}")).unwrap();
        for n in [1, 2] {
            publish_purge(&store, "g", Some(&key(n)), Timestamp::from_millis(100)).unwrap();
        }
        let bytes = store.read(&keys::purges("g")).unwrap().unwrap();
        let purges: Purges = tollgate_kv_schemas::decode(&bytes).unwrap();
        let old = Timestamp::from_millis(50);
        assert!(purges.covers(&key(1), old) && purges.covers(&key(2), old) && !purges.covers(&key(3), old));
    }
}
