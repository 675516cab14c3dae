//! The ports and the one request pipeline of Tollgate.
//!
//! [`serve`] handles a request: fixed phases in order, each a file of `pipeline/`, each calling pure functions of
//! `tollgate-core` and awaiting the [`ports`] that a host implements. The state that is kept between requests is an
//! [`Isolate`]: the compiled configuration, cached credentials, telemetry that is not exported yet.
//!
//! It makes no decision that core could make, is independent of the platform, spawns nothing (the adapter runs the work
//! after the reply) and never reads YAML. Start with [`serve`], then [`Host`].
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod apart;
mod config;
mod isolate;
mod loading;
pub mod memory;
mod near_cache;
pub mod operator;
mod pipeline;
mod policies;
pub mod ports;
mod problems;
mod site;
mod timeout;

pub use isolate::fetched;
pub use isolate::{Freshness, Isolate, IsolateSettings, OperatorSettings};
pub use loading::{BundleRecords, LoadedPart};
pub use near_cache::{NearCache, NearResponses};
pub use pipeline::{Client, Served, failed, overloaded, serve, unreadable};
pub use ports::Host;
