//! Every decision of the Tollgate gateway, as pure functions.
//!
//! Core decides; it does nothing else. It has no I/O, no clock, no randomness, no async and no unsafe code: time,
//! random bytes and stored state are arguments, and the decision is the result. `tollgate-edge` calls it and awaits
//! I/O; adapters implement the I/O on a platform. So the same decisions are made in a Worker, in a Spin component, on a
//! server, in the command line and in tests. `core/clippy.toml` bans functions that would break this.
//!
//! It does not read YAML (`tollgate-config` does) and does not access stores (`tollgate-kv-schemas` defines the
//! records).
//!
//! Where to start: [`settings::RouteSettings`] has all settings of a route. Each phase of an exchange has a module here
//! with the settings of its policies, the pure decision, and its tests: [`route`], [`guard`], [`authn`], [`authz`], [`limit`],
//! [`cache`], [`forward`]. [`kinds`] lists the kinds of policy and their slots. The result of a decision is a
//! [`problem::Problem`] or an [`event::Event`].
#![warn(missing_docs)]
#![forbid(unsafe_code)]

// What the crate's macros write names it.
extern crate self as tollgate_core;

use crc::{CRC_32_ISO_HDLC, Crc, Table};

pub mod authn;
pub mod authz;
pub mod bounds;
pub mod cache;
mod canonical;
pub mod cell;
pub mod client;
pub mod codec;
mod credential_place;
pub mod entitlement;
pub mod event;
pub mod expression;
pub mod fetch;
mod field_name;
pub mod forward;
pub mod guard;
pub mod hex;
mod hmac;
pub mod jose;
pub mod json;
pub mod kinds;
pub mod limit;
pub mod oauth;
pub mod operator;
pub mod order;
mod outage;
mod policy_name;
pub mod problem;
pub mod query;
pub mod route;
pub mod secret;
pub mod settings;
pub mod slow_store;
pub mod structured;
pub mod telemetry;
pub mod text;
pub mod time;
mod token_id;
pub mod x509;

/// The CRC-32 of bytes (ISO-HDLC), with a table of 1 KB: one that reads many bytes at once has 16, and a key has 40 bytes.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    static CRC_32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
    CRC_32.checksum(bytes)
}
