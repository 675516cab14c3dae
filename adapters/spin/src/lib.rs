//! Tollgate as a Spin component.
//!
//! It implements the ports of `tollgate-edge` on Spin: the key-value store for records, stored responses and counters
//! (`wasi:keyvalue`'s compare-and-swap), outbound HTTP for upstreams and telemetry, variables for secrets, standard
//! output for the log. It makes no decisions, and it keeps nothing that must outlive an instance: Spin drops one after
//! a second without work. Counters can be in a Redis server instead, by outbound Redis; but not in a key-value
//! store that Spin keeps in Redis, where compare-and-swap is not atomic. The only `Host` that it can send is the upstream's own
//! authority, because outbound HTTP supports no other. It cannot time out a call to a store, because the call blocks the instance.
//! It cannot remove fields that a client's `Connection` names, because Spin does not expose that field.
//!
//! Every other file of `src/` is one port or the conversion of messages; start with [`SpinHost`]. `spin.toml` is its
//! manifest and has the command that builds it.

mod blocking;
mod clock;
mod component;
mod content;
mod counters;
mod host;
mod message;
mod slots;
mod store;
mod upstream;

pub use clock::SpinClock;
pub use component::Component;
pub use content::{ContentCopy, SpinContent};
pub use counters::{ChosenCounters, RedisCounters, SpinCounters};
pub use host::{SpinEntropy, SpinHost, SpinSecrets, SpinTelemetrySink};
pub use message::{from_host_response, to_host};
pub use store::{SpinRecords, SpinResponseCache};
pub use upstream::SpinUpstream;
