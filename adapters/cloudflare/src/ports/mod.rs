//! The ports on Cloudflare, one file each, named as in `tollgate_edge::ports`.

mod clock;
mod counters;
mod fetch;
mod records;
mod response_cache;
mod secrets;
mod signatures;
mod telemetry_sink;
mod upstream;

pub(crate) use clock::timestamp;
pub use clock::{WorkerClock, WorkerEntropy};
pub use counters::ObjectCounters;
pub use fetch::WorkerFetch;
pub use records::KvRecords;
pub use response_cache::CacheApi;
pub use secrets::WorkerSecrets;
pub use signatures::WebCrypto;
pub use telemetry_sink::WorkerTelemetry;
pub use upstream::FetchUpstream;

use tollgate_edge::ports::Unavailable;
use wasm_bindgen::JsValue;

use crate::platform;

/// The error of a store that gave no answer, with the platform's message.
fn unavailable(store: &str, error: &JsValue) -> Unavailable {
    Unavailable::new(format!("{store}: {}", platform::message_of(error)))
}
