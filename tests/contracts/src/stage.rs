//! What happens around a host while it is checked, done by the suite's own process.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use serde::{Deserialize, Serialize};
use tollgate_core::forward::Outbound;
use tollgate_edge::ports::{Content, Host, Upstream, UpstreamCall};

use crate::{Breach, Subject};

/// Something the stage can do.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Writes a record, or deletes it.
    Write { key: String, value: Option<String> },
    /// Makes a store fail, or work again.
    Away { store: Store, away: bool },
    /// Tells the time of day: [`Answer::now_ms`].
    Time,
    /// Starts an upstream, which does as a request's query says: [`Answer::url`].
    Serve { tls: bool },
    /// Ends it; its port is closed.
    Stop { url: String },
    /// Tells what it received: [`Answer::total`] and [`Answer::last`].
    Report { url: String },
}

/// A store with a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Store {
    Records,
    Counters,
    ResponseCache,
}

/// What an order gave; all else is empty.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    pub now_ms: u64,
    pub url: String,
    /// How many requests an upstream received.
    pub total: usize,
    pub last: Option<Received>,
}

/// A request as an upstream received it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Received {
    pub method: String,
    pub target: String,
    pub fields: Vec<(String, String)>,
    /// The beginning of the content, as text.
    pub content: String,
}

impl Received {
    /// All values of a field in one line.
    pub(crate) fn field(&self, name: &str) -> String {
        let lines = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Passes an order to the stage's address, over the subject's own way to upstreams.
///
/// # Errors
/// When the stage cannot be reached or cannot do it.
pub async fn ask<S: Subject>(subject: &S, address: &str, order: &Order) -> Result<Answer, Breach> {
    let uri: Uri = address.parse()?;
    let fields = host_field(&uri)?;
    let content = Content::from_bytes(Bytes::from(serde_json::to_vec(order)?));
    let request = Outbound::new(&Method::POST, uri, &fields, true);
    let answer = subject.host().upstream().send(&request, content, &PATIENT).await?;
    let status = answer.status();
    let content = subject.read(answer.into_body()).await?;
    ensure!(status.is_success(), "the stage: {}", String::from_utf8_lossy(&content));
    Ok(serde_json::from_slice(&content)?)
}

/// The field `Host` of a request to this URI, and no other.
pub(crate) fn host_field(uri: &Uri) -> Result<HeaderMap, Breach> {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    Ok(HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(host)?)]))
}

const PATIENT: UpstreamCall = UpstreamCall { connect_timeout_ms: 5_000, timeout_ms: Some(20_000) };

pub(crate) async fn write<S: Subject>(subject: &S, key: &str, value: Option<&str>) -> Result<(), Breach> {
    subject.order(&Order::Write { key: key.to_owned(), value: value.map(str::to_owned) }).await.map(drop)
}

pub(crate) async fn away<S: Subject>(subject: &S, store: Store, away: bool) -> Result<(), Breach> {
    subject.order(&Order::Away { store, away }).await.map(drop)
}

/// An upstream that the stage runs; the suite ends what a check leaves behind.
pub(crate) struct Server {
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn start<S: Subject>(subject: &S) -> Result<Self, Breach> {
        let Answer { url, .. } = subject.order(&Order::Serve { tls: false }).await?;
        Ok(Self { url })
    }

    /// One with a certificate that nobody vouches for.
    pub(crate) async fn start_tls<S: Subject>(subject: &S) -> Result<Self, Breach> {
        let Answer { url, .. } = subject.order(&Order::Serve { tls: true }).await?;
        Ok(Self { url })
    }

    pub(crate) async fn stop<S: Subject>(self, subject: &S) -> Result<String, Breach> {
        subject.order(&Order::Stop { url: self.url.clone() }).await?;
        Ok(self.url)
    }

    pub(crate) async fn report<S: Subject>(&self, subject: &S) -> Result<Answer, Breach> {
        subject.order(&Order::Report { url: self.url.clone() }).await
    }
}
