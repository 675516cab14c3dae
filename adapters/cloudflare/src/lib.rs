//! The Cloudflare Workers host of Tollgate: the ports implemented with KV, Durable Objects, the Cache API and `fetch`.
//!
//! It does NOT decide anything: every decision is `tollgate-core`'s, asked by the one pipeline in `tollgate-edge`. It does
//! not touch content: the platform's streams pass by it, and only fields cross between JavaScript and wasm. It does not
//! build itself: `build.mjs` beside it does, and `js/worker.mjs` is the entry that Cloudflare calls.
//!
//! Start at [`CloudflareHost`], then read one file of `ports/` for each port; [`task`] says what runs the futures.

mod content;
pub mod entry;
mod fields;
mod host;
mod outgoing;
mod platform;
pub mod ports;
pub mod task;

pub use content::{ContentCopy, WorkerContent};
pub use host::CloudflareHost;
pub use outgoing::response_of;
