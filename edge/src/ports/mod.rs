//! The ports: one trait per capability that the pipeline needs from a host.
//!
//! No `Send` bound, no boxing: plain `async fn` in traits with static dispatch, because the futures of Workers are not
//! `Send` and a native isolate stays on its thread. A failed or late call is [`Unavailable`], and policy decides what
//! happens then.
//!
//! Requests of an isolate share data only: no port provides a stream, a waker or another I/O object that a second
//! request could use, and a request never awaits the promise of another. On Workers the platform does not allow it.
//! Every port has a reference implementation with fault injection in [`crate::memory`].

mod clock;
mod content;
mod counters;
mod fetch;
mod records;
mod response_cache;
mod secrets;
mod signatures;
mod telemetry_sink;
mod upstream;

pub use clock::{Clock, Entropy};
pub(crate) use content::complete;
pub use content::{Content, ContentFault, Delivery, Gathered, GatheredContent};
pub use counters::{CounterFault, Counters};
pub use fetch::{Fetch, fetch_over};
pub use records::{KeyPage, Records, WriteFault};
pub use response_cache::{ResponseCache, Stored};
pub use secrets::Secrets;
pub use signatures::Signatures;
pub use telemetry_sink::TelemetrySink;
pub use upstream::{Upstream, UpstreamCall};

use std::net::IpAddr;
use std::rc::Rc;

use thiserror::Error;
use tollgate_core::authn::PeerCertificate;
use tollgate_core::client::Location;

/// A store or service gave no answer: it failed, or took too long.
///
/// The text is for logs; it names the store and the failure, never a key, a secret or content.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

impl Unavailable {
    /// Creates the error, with the reason for the log.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// All ports of one host: what an adapter implements.
///
/// `Clone` is cheap (a handle): the pipeline's work after the reply outlives the call and needs its own.
pub trait Host: Clone + 'static {
    /// The content of requests and responses, as a stream of the platform.
    type Content: Content;
    /// See [`Clock`].
    type Clock: Clock;
    /// See [`Entropy`].
    type Entropy: Entropy;
    /// See [`Records`].
    type Records: Records;
    /// See [`Counters`].
    type Counters: Counters;
    /// See [`ResponseCache`].
    type ResponseCache: ResponseCache<Content = Self::Content>;
    /// See [`Fetch`].
    type Fetch: Fetch;
    /// See [`Upstream`].
    type Upstream: Upstream<Content = Self::Content>;
    /// See [`Secrets`].
    type Secrets: Secrets;
    /// See [`Signatures`].
    type Signatures: Signatures;
    /// See [`TelemetrySink`].
    type TelemetrySink: TelemetrySink;

    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// The source of random bytes.
    fn entropy(&self) -> &Self::Entropy;
    /// The record store.
    fn records(&self) -> &Self::Records;
    /// The counter store.
    fn counters(&self) -> &Self::Counters;
    /// The response cache.
    fn response_cache(&self) -> &Self::ResponseCache;
    /// Requests that the gateway itself makes.
    fn fetch(&self) -> &Self::Fetch;
    /// The upstreams.
    fn upstream(&self) -> &Self::Upstream;
    /// The secrets.
    fn secrets(&self) -> &Self::Secrets;
    /// The verification of signatures.
    fn signatures(&self) -> &Self::Signatures;
    /// The telemetry sink.
    fn telemetry_sink(&self) -> &Self::TelemetrySink;
    /// Asks the platform to run the current exchange to its end, even if the client hangs up.
    ///
    /// For an exchange whose end must not be lost, such as the audit of an operator's call. A host that never cancels an
    /// exchange has nothing to do.
    fn run_to_end(&self) {}
    /// Gives a request one of the places that its client has among the requests handled at once, until the request's work
    /// ends; `false` if all are taken. Clients without a known address are one client.
    ///
    /// A host whose platform bounds the requests of a client has nothing to do.
    fn admits(&self, client: Option<IpAddr>, content: &Self::Content) -> bool {
        let _ = (client, content);
        true
    }
    /// The certificate that the client of a request has presented in its TLS handshake; asked for only if a policy reads it.
    ///
    /// A platform that does not know it has nothing to do: no client has one then, and policies that need one refuse all.
    fn client_certificate(&self, content: &Self::Content) -> Rc<PeerCertificate> {
        let _ = content;
        Rc::default()
    }
    /// Where the peer of a request's connection is; asked for only if a policy reads it.
    ///
    /// A platform that does not know it has nothing to do: conditions that read it have no value then.
    fn client_location(&self, content: &Self::Content) -> Location {
        let _ = content;
        Location::default()
    }
    /// Whether requests have the version of HTTP that the client used; on a platform that does not tell it, they have the
    /// default version.
    fn knows_http_version(&self) -> bool {
        false
    }
    /// Whether the platform joins the lines of a request's field, so that nobody can tell how many there were.
    fn joins_lines(&self) -> bool {
        false
    }
}
