//! The native host of Tollgate: the gateway as a server on tokio, hyper and SQLite, for any machine.
//!
//! It holds no decisions: what happens to a request is `tollgate-edge`'s pipeline, asked once for each. It reads no project
//! files (`tollgate-config` does) and parses no command line (`tollgate` does). It needs no other service: records and
//! counters are kept in SQLite, responses in memory.
//!
//! Where to start: [`Settings`] and a [`RecordStore`] make a [`Server`] by way of [`Server::builder`]; it listens from
//! [`ServerBuilder::bind`] on and serves in [`Server::run`].
//!
//! - Each isolate is a thread with a runtime, listeners, upstream connections and gateway state of its own; the kernel
//!   spreads connections over them. They share counters and stored responses behind sharded locks, metrics
//!   behind one that is taken after the reply, and nothing else.
//! - An exchange runs in a task of its own, to its end: a client that goes away loses no record and keeps no refund, and a
//!   panic costs one exchange.
//! - [`faults`] is for tests: switches that make a store fail. A server that was given none has them off.
//!
//! Left out: upgrades (WebSocket), HTTP/3, client certificates, the `PROXY` protocol, reloading a certificate, a bound on
//! how slowly a client may send content. A head that hyper cannot read is answered by hyper: 400, 414 or 431 without a
//! problem document, and without a record.

mod admin;
mod clock;
mod content;
mod counters;
pub mod faults;
mod fetch;
mod host;
mod local;
mod log;
mod response_cache;
mod secrets;
mod server;
mod settings;
mod store;
mod telemetry;
mod upstream;

pub use clock::{SystemClock, SystemEntropy};
pub use content::{ContentCopy, ContentError, NativeContent};
pub use counters::NativeCounters;
pub use fetch::NativeFetch;
pub use host::NativeHost;
pub use response_cache::NativeResponseCache;
pub use secrets::SecretSource;
pub use server::{ListenError, Server, ServerBuilder, StartError, TlsError};
pub use settings::{AdminSettings, Listen, Settings, TlsFiles};
pub use store::{NativeRecords, RecordChange, RecordStore, StoreError};
pub use telemetry::NativeTelemetrySink;
pub use upstream::{NativeUpstream, TrustError, client_config};
