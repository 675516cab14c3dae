//! The environment of a subject: stores are written and disabled, upstreams are started and stopped.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tollgate_contracts::Breach;
use tollgate_contracts::stage::{Answer, Command, Received, Store};
use tollgate_tests::upstream::Upstream;

/// The stores of a subject, for writing records and injecting faults.
pub(crate) trait Stores {
    /// Writes a record, or deletes it.
    async fn write(&self, key: &str, value: Option<&str>) -> Result<(), String>;

    /// Disables or enables a store.
    async fn set_unavailable(&self, store: Store, unavailable: bool) -> Result<(), String>;
}

/// The stage of one subject.
pub(crate) struct Stage<S> {
    stores: S,
    servers: RefCell<BTreeMap<String, Upstream>>,
}

impl<S: Stores> Stage<S> {
    pub(crate) fn new(stores: S) -> Self {
        Self { stores, servers: RefCell::default() }
    }

    pub(crate) async fn command(&self, command: &Command) -> Result<Answer, Breach> {
        match command {
            Command::Write { key, value } => done(self.stores.write(key, value.as_deref()).await),
            Command::SetUnavailable { store, unavailable } => {
                done(self.stores.set_unavailable(*store, *unavailable).await)
            }
            Command::Time => {
                let now_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
                Ok(Answer { now_ms, ..Answer::default() })
            }
            Command::Serve { tls } => {
                let server = if *tls { Upstream::start_tls().await? } else { Upstream::start().await? };
                let url = server.url();
                self.servers.borrow_mut().insert(url.clone(), server);
                Ok(Answer { url, ..Answer::default() })
            }
            Command::Stop { url } => {
                drop(self.servers.borrow_mut().remove(url));
                // The accept loop ends and closes the port when its task runs next.
                tokio::task::yield_now().await;
                Ok(Answer::default())
            }
            Command::Report { url } => self.report(url),
        }
    }

    /// Enables all stores and stops the remaining upstreams.
    pub(crate) async fn reset(&self) -> Result<(), String> {
        self.servers.borrow_mut().clear();
        for store in [Store::Records, Store::Counters, Store::ResponseCache] {
            self.stores.set_unavailable(store, false).await?;
        }
        Ok(())
    }

    fn report(&self, url: &str) -> Result<Answer, Breach> {
        let servers = self.servers.borrow();
        let report = servers.get(url).ok_or_else(|| Breach(format!("no upstream at {url}")))?.report();
        let last = report.last().map(|last| Received {
            method: last.method,
            target: last.target,
            fields: last.fields,
            content: last.content,
        });
        Ok(Answer { total: report.total(), last, ..Answer::default() })
    }
}

fn done(result: Result<(), String>) -> Result<Answer, Breach> {
    result.map(|()| Answer::default()).map_err(Breach)
}

/// Accepts requests over HTTP from subjects in other processes; returns its URL. Must be called within a `LocalSet`.
pub(crate) async fn listen<S: Stores + 'static>(stage: Rc<Stage<S>>) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stage = Rc::clone(&stage);
            let service = service_fn(move |request| answer(Rc::clone(&stage), request));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A subject that disconnects early reports that in its outcome.
            tokio::task::spawn_local(async move { drop(connection.await) });
        }
    });
    Ok(url)
}

async fn answer<S: Stores>(
    stage: Rc<Stage<S>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match carry_out(&stage, request).await {
        Ok(text) => (200, text),
        Err(breach) => (500, breach.to_string()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

async fn carry_out<S: Stores>(stage: &Stage<S>, request: Request<Incoming>) -> Result<String, Breach> {
    let content = request.into_body().collect().await?.to_bytes();
    let command = serde_json::from_slice(&content)?;
    Ok(serde_json::to_string(&stage.command(&command).await?)?)
}
