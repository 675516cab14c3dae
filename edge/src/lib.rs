//! The ports and the one request pipeline of Tollgate.
//!
//! [`serve`] is the way of a request: fixed phases in order, each a file of `pipeline/`, each asking a pure function of
//! `tollgate-core` and awaiting the [`ports`] that a host lends. What outlives requests is an [`Isolate`]: the compiled
//! configuration, remembered credentials, telemetry not yet exported.
//!
//! It makes no decision that core could make, knows no platform, spawns nothing (the adapter runs what comes after the
//! reply) and never reads YAML. Start with [`serve`], then [`Host`].
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod config;
mod isolate;
mod loading;
pub mod memory;
pub mod operator;
mod patience;
mod pipeline;
mod policies;
pub mod ports;
mod problems;
mod site;

pub use isolate::fetched;
pub use isolate::{Freshness, Isolate, IsolateSettings, OperatorSettings};
pub use loading::{BundleRecords, LoadedPart};
pub use pipeline::{Client, Served, failed, serve, unreadable};
pub use ports::Host;
