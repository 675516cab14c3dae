//! Tollgate as a Spin component.
//!
//! It lends `tollgate-edge` what Spin has: the key-value store for records, stored responses and counters
//! (`wasi:keyvalue`'s compare-and-swap), outbound HTTP for upstreams and telemetry, variables for secrets, standard
//! output for the log. It holds no decisions, and it does not keep anything that must outlive an instance: Spin drops
//! one after a second without work. It does not speak to Redis or other services, and its counters must not be kept in a
//! store that Spin keeps in Redis, whose compare-and-swap there is broken. It sends no `Host` but the upstream's own
//! authority, which is all that outbound HTTP here can say, and cannot drop fields that a client's `Connection` named,
//! because Spin keeps that field to itself.
//!
//! Every file of `src/` but this one is one port or the form of messages; begin with [`SpinHost`]. It is built with
//! `cargo build --profile wasm --target wasm32-wasip2 -p tollgate-spin` and described to Spin by `spin.toml`.

mod component;
mod content;
mod counters;
mod host;
mod message;
mod store;
mod upstream;

pub use component::Component;
pub use content::{ContentCopy, SpinContent};
pub use counters::SpinCounters;
pub use host::{SpinClock, SpinEntropy, SpinHost, SpinSecrets, SpinTelemetrySink};
pub use message::{from_host_response, to_host};
pub use store::{SpinRecords, SpinResponseCache};
pub use upstream::SpinUpstream;
