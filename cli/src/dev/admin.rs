//! The admin port of hosts that have none of their own: purges.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate_core::cache::{CacheKey, Purge, Purges};
use tollgate_core::route::{CanonicalPath, HostName};
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{MemoryHost, VirtualClock};
use tollgate_edge::{Freshness, Isolate, IsolateSettings};
use tollgate_kv_schemas::{decode, encode, keys};

use super::launcher::Handle;
use super::snapshot::Snapshot;

/// Purges stored responses of a launched host, by its record of purges.
pub(super) struct Admin {
    published: Rc<RefCell<Snapshot>>,
    host: Handle,
    /// One purge at a time: each reads the record and writes it again.
    purging: tokio::sync::Mutex<()>,
}

/// A status and what is said with it.
type Answer = (StatusCode, Value);

impl Admin {
    pub(super) fn new(published: Rc<RefCell<Snapshot>>, host: Handle) -> Rc<Self> {
        Rc::new(Self { published, host, purging: tokio::sync::Mutex::new(()) })
    }

    /// Serves until its task is dropped.
    pub(super) async fn serve(self: Rc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let admin = Rc::clone(&self);
            let service = service_fn(move |request| {
                let admin = Rc::clone(&admin);
                async move { Ok::<_, Infallible>(respond(admin.answer(request).await)) }
            });
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            tokio::task::spawn_local(async move {
                // How a connection ended is its client's affair.
                let _ = tokio::time::timeout(CONVERSATION_MAX, connection).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if !is_from_here(request.headers()) {
            return problem(StatusCode::FORBIDDEN, "requests of web pages are refused here");
        }
        match (request.uri().path(), request.method() == Method::POST) {
            ("/purge", true) => self.purge(request).await.unwrap_or_else(|refused| refused),
            ("/purge", false) => problem(StatusCode::METHOD_NOT_ALLOWED, "purges are sent with POST"),
            ("/healthz", false) => (StatusCode::OK, json!({"status": "ok"})),
            _ => problem(StatusCode::NOT_FOUND, "there are /purge and /healthz; metrics are of the native host alone"),
        }
    }

    async fn purge(&self, request: Request<Incoming>) -> Result<Answer, Answer> {
        if request.headers().get(CONTENT_TYPE).is_none_or(|media_type| media_type != "application/json") {
            return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json"));
        }
        let content = Limited::new(request.into_body(), PURGE_BYTES_MAX).collect().await;
        let content = content.map_err(|_| problem(StatusCode::PAYLOAD_TOO_LARGE, "longer than any purge"))?;
        let asked: Value = serde_json::from_slice(&content.to_bytes()).unwrap_or_default();
        let resources = self.resources(&asked).await?;
        let names: Vec<&str> =
            resources.iter().map(|key| key.as_ref().map_or("everything", CacheKey::as_str)).collect();
        let named = names.join(", ");
        let at = now();
        let written = self.write(resources.into_iter().map(|resource| Purge { resource, at })).await;
        written.map_err(|error| problem(StatusCode::SERVICE_UNAVAILABLE, &error))?;
        Ok((StatusCode::OK, json!({"purged": named})))
    }

    /// What is to be purged; `None` is everything.
    async fn resources(&self, asked: &Value) -> Result<Vec<Option<CacheKey>>, Answer> {
        let text = |name: &str| asked[name].as_str();
        match (text("url"), text("key"), asked["all"] == true) {
            (None, None, true) => Ok(vec![None]),
            (None, Some(key), false) => CacheKey::parse(key)
                .map(|key| vec![Some(key)])
                .ok_or_else(|| problem(StatusCode::BAD_REQUEST, "a key is 64 hexadecimal digits")),
            (Some(url), None, false) => match self.resources_of(url).await {
                Some(keys) if !keys.is_empty() => Ok(keys.into_iter().map(Some).collect()),
                _ => Err(problem(StatusCode::NOT_FOUND, "responses of this URL are on no cached route")),
            },
            _ => Err(problem(StatusCode::BAD_REQUEST, r#"send {"url": "…"}, {"key": "…"} or {"all": true}"#)),
        }
    }

    /// The keys under which the project stores a URL: asked of the pipeline's own isolate, on ports in memory.
    async fn resources_of(&self, url: &str) -> Option<Vec<CacheKey>> {
        let url: Uri = url.parse().ok()?;
        let name = HostName::from_authority(url.authority()?.as_str()).ok()?;
        let path = CanonicalPath::parse(url.path().as_bytes()).ok()?;
        let host = MemoryHost::new(VirtualClock::at(now()), 0, |_: &_| (0, Ok(Response::default())));
        let gateway = {
            let published = self.published.borrow();
            published.bundle.records.iter().for_each(|(key, value)| host.records.put(key.clone(), value.clone()));
            published.gateway.clone()
        };
        let isolate = Isolate::new(IsolateSettings { gateway, freshness: Freshness::EachRequest });
        Some(isolate.resources(&host, &name, &path, url.query()).await)
    }

    async fn write(&self, added: impl Iterator<Item = Purge>) -> Result<(), String> {
        let _one = self.purging.lock().await;
        let key = keys::purges(&self.published.borrow().gateway);
        let mut purges = match self.host.get(&key).await? {
            None => Purges::default(),
            Some(text) => decode(text.as_bytes()).map_err(|error| error.to_string())?,
        };
        added.for_each(|purge| purges.add(purge));
        self.host.put(&[(key, encode(&purges))]).await
    }
}

/// Whether it is no page in a browser that asks, whatever name it reached this port by.
fn is_from_here(fields: &HeaderMap) -> bool {
    let host = fields.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Uri>().ok());
    let is_local = host.as_ref().and_then(Uri::host).is_some_and(|name| name == "127.0.0.1" || name == "localhost");
    is_local && !fields.contains_key(ORIGIN)
}

fn problem(status: StatusCode, detail: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or_default();
    (status, json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail}))
}

fn respond((status, document): Answer) -> Response<Full<Bytes>> {
    let media_type = if status.is_success() { "application/json" } else { "application/problem+json" };
    let mut response = Response::new(Full::from(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    response
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A URL of the longest kind the gateway accepts, and the braces around it.
const PURGE_BYTES_MAX: usize = 16 * 1024;
const CONVERSATION_MAX: Duration = Duration::from_secs(60);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
