//! The Cloudflare Workers host of Tollgate: the ports implemented with KV, Durable Objects, the Cache API and `fetch`.
//!
//! It makes no decisions: the pipeline in `tollgate-edge` calls `tollgate-core` for every decision. It does not read
//! content: the platform's streams do not pass through it, and only fields cross between JavaScript and wasm.
//! `build.mjs` builds the Worker, and `js/worker.mjs` is the entry point that Cloudflare calls.
//!
//! Start at [`CloudflareHost`], then read one file of `ports/` for each port; [`task`] runs the futures.

mod certificate;
mod content;
pub mod entry;
mod fields;
mod host;
mod lifetime;
mod outgoing;
mod platform;
pub mod ports;
pub mod task;

pub use content::{ContentCopy, WorkerContent};
pub use host::CloudflareHost;
pub use outgoing::response_of;
