//! The native host of Tollgate: the gateway as a server with tokio, hyper and SQLite.
//!
//! It makes no decisions: it calls the pipeline of `tollgate-edge` once for each request. It reads no project files
//! (`tollgate-config` does) and parses no command line (`tollgate` does). It needs no other service: records and
//! counters are in SQLite, responses in memory. Counters can be in Redis instead.
//!
//! Where to start: [`Server::builder`] creates a [`Server`] from [`Settings`] and a [`RecordStore`]; it listens from
//! [`ServerBuilder::bind`] on and serves in [`Server::run`].
//!
//! - Each isolate is a thread with its own runtime, listeners, upstream connections and gateway state; the kernel
//!   distributes connections over them. They share counters and stored responses with sharded locks, metrics with one lock
//!   that is taken after the reply, and the bounds of connections and exchanges; they share nothing else.
//! - An exchange runs to completion (`server/work.rs`): if the client disconnects, its call to the upstream ends, the exchange
//!   is still recorded and refunds are made, and a panic affects one exchange only. It counts as open until its work ends.
//! - Connections and exchanges are bounded; deadlines hold whether or not the client reads (`server/delivering.rs`), and a
//!   client that still sends gets its response (`server/lingering.rs`).
//! - [`faults`] is for tests: switches that make a store fail. They are off by default.
//!
//! Not implemented: upgrades (WebSocket), HTTP/3, client certificates, the `PROXY` protocol, reloading a certificate, a
//! minimum rate of a client's content. hyper itself answers a head that it cannot parse: 400 or 431 without a
//! problem document, and without a record.

mod admin;
mod allocator;
mod clients;
mod clock;
mod content;
mod counters;
pub mod faults;
mod fetch;
mod host;
mod local;
mod log;
mod places;
mod response_cache;
mod secrets;
mod server;
mod settings;
mod signatures;
mod stderr;
mod store;
mod telemetry;
mod upstream;

pub use allocator::Allocator;
pub use clock::{SystemClock, SystemEntropy};
pub use content::{BrokenOff, ContentCopy, ContentError, NativeContent};
pub use counters::{ChosenCounters, NativeCounters, RedisAddress, RedisAddressError, RedisCounters, RedisSettings};
pub use fetch::NativeFetch;
pub use host::NativeHost;
pub use response_cache::NativeResponseCache;
pub use secrets::SecretSource;
pub use server::{ListenError, Server, ServerBuilder, StartError, TlsError};
pub use settings::{AdminSettings, ClientAuthorities, Listen, Settings, TlsFiles};
pub use store::{NativeRecords, RecordChange, RecordStore, StoreError};
pub use telemetry::NativeTelemetrySink;
pub use upstream::{CertificateFault, NativeUpstream, TrustError, check_certificate, client_config};
