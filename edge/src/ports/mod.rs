//! The ports: one trait per capability that a host lends to the pipeline.
//!
//! No `Send` bound, no boxing: plain `async fn` in traits with static dispatch, because the futures of Workers are not
//! `Send` and a native isolate stays on its thread. An answer that fails or comes late is [`Unavailable`], and policy
//! decides what happens then.
//!
//! What requests of an isolate share is data: no port hands out a stream, a waker or another I/O object that a second
//! request could touch, and a request never awaits the promise of another. On Workers the platform fails whoever does.
//! Every port has a reference implementation with a fault switch in [`crate::memory`].

mod clock;
mod content;
mod counters;
mod fetch;
mod records;
mod response_cache;
mod secrets;
mod telemetry_sink;
mod upstream;

pub use clock::{Clock, Entropy};
pub use content::{Content, ContentFault, Delivery, Gathered, Whole};
pub use counters::{CounterFault, Counters};
pub use fetch::{Fetch, fetch_over};
pub use records::{Records, WriteFault};
pub use response_cache::{ResponseCache, Stored};
pub use secrets::Secrets;
pub use telemetry_sink::TelemetrySink;
pub use upstream::{Upstream, UpstreamCall};

use thiserror::Error;

/// A store or service gave no answer: it failed, or took too long.
///
/// The text is for logs; it names the store and the failure, never a key, a secret or content.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

impl Unavailable {
    /// An absence of an answer, with its reason for the log.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// All ports of one host: what an adapter implements.
///
/// `Clone` is cheap (a handle): the pipeline's work after the reply outlives the call and keeps one.
pub trait Host: Clone + 'static {
    /// The content of requests and responses as the platform streams it.
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
    /// The way of the gateway's own requests.
    fn fetch(&self) -> &Self::Fetch;
    /// The way to upstreams.
    fn upstream(&self) -> &Self::Upstream;
    /// The secrets.
    fn secrets(&self) -> &Self::Secrets;
    /// Where telemetry goes.
    fn telemetry_sink(&self) -> &Self::TelemetrySink;
}
