//! The environment of a host during a check, controlled by the suite's own process.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use serde::{Deserialize, Serialize};
use tollgate_core::forward::Outbound;
use tollgate_edge::ports::{Content, Host, Upstream, UpstreamCall};

use crate::{Breach, Subject};

/// A command to the stage.
#[derive(Debug, Serialize, Deserialize)]
pub enum Command {
    /// Writes a record, or deletes it.
    Write { key: String, value: Option<String> },
    /// Makes a store unavailable, or available again.
    SetUnavailable { store: Store, unavailable: bool },
    /// Returns the time of day: [`Answer::now_ms`].
    Time,
    /// Starts an upstream, whose behaviour a request's query selects: [`Answer::url`].
    Serve { tls: bool },
    /// Stops an upstream and closes its port.
    Stop { url: String },
    /// Returns what an upstream received: [`Answer::total`] and [`Answer::last`].
    Report { url: String },
}

/// A store that can be made unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Store {
    Records,
    Counters,
    ResponseCache,
}

/// The result of a command; other members are empty.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    pub now_ms: u64,
    pub url: String,
    /// The number of requests that an upstream received.
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

/// Sends a command to the stage's address, with the subject's own upstream port.
///
/// # Errors
/// If the stage cannot be reached or the command fails.
pub async fn ask<S: Subject>(subject: &S, address: &str, command: &Command) -> Result<Answer, Breach> {
    let uri: Uri = address.parse()?;
    let fields = host_field(&uri)?;
    let content = Content::from_bytes(Bytes::from(serde_json::to_vec(command)?));
    let request = Outbound::new(&Method::POST, uri, &fields, true);
    let answer = subject.host().upstream().send(&request, content, &STAGE_CALL).await?;
    let status = answer.status();
    let content = subject.read(answer.into_body()).await?;
    ensure!(status.is_success(), "the stage: {}", String::from_utf8_lossy(&content));
    Ok(serde_json::from_slice(&content)?)
}

/// The field `Host` of a request to this URI.
pub(crate) fn host_field(uri: &Uri) -> Result<HeaderMap, Breach> {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    Ok(HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(host)?)]))
}

const STAGE_CALL: UpstreamCall<'static> =
    UpstreamCall { connect_timeout_ms: 5_000, timeout_ms: Some(20_000), certificate: None, runs_to_end: false };

pub(crate) async fn write<S: Subject>(subject: &S, key: &str, value: Option<&str>) -> Result<(), Breach> {
    subject.command(&Command::Write { key: key.to_owned(), value: value.map(str::to_owned) }).await.map(drop)
}

pub(crate) async fn set_unavailable<S: Subject>(subject: &S, store: Store, unavailable: bool) -> Result<(), Breach> {
    subject.command(&Command::SetUnavailable { store, unavailable }).await.map(drop)
}

/// An upstream that the stage runs; the suite stops those that a check does not stop.
pub(crate) struct Server {
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn start<S: Subject>(subject: &S) -> Result<Self, Breach> {
        let Answer { url, .. } = subject.command(&Command::Serve { tls: false }).await?;
        Ok(Self { url })
    }

    /// An upstream with an untrusted certificate.
    pub(crate) async fn start_tls<S: Subject>(subject: &S) -> Result<Self, Breach> {
        let Answer { url, .. } = subject.command(&Command::Serve { tls: true }).await?;
        Ok(Self { url })
    }

    pub(crate) async fn stop<S: Subject>(self, subject: &S) -> Result<String, Breach> {
        subject.command(&Command::Stop { url: self.url.clone() }).await?;
        Ok(self.url)
    }

    pub(crate) async fn report<S: Subject>(&self, subject: &S) -> Result<Answer, Breach> {
        subject.command(&Command::Report { url: self.url.clone() }).await
    }
}
