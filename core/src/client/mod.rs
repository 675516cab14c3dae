//! The client of a request: its address, and the scheme and host that it used, if proxies stand before the gateway.
//!
//! [`ProxySettings`] is the one rule for all of it: which proxies are trusted, and in which field they name their
//! client. Filters, limits, telemetry, the audit of operators and the forwarded fields use its result, [`Origin`].
//! Without the rule, the peer of the connection is the client, and what it claims about earlier hops is ignored.

mod forwarded;
mod hop;
mod location;
mod network;
mod proxies;

pub use location::Location;
pub use network::{ClientNetwork, Prefixes};
pub use proxies::{LocationFields, ProxyField, ProxySettings, TrustedProxies};

use std::net::IpAddr;

/// What is known about the client of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address; absent if the platform does not provide it, or a trusted proxy does not know it.
    pub address: Option<IpAddr>,
    /// Whether the client's connection was encrypted.
    pub https: bool,
    /// The host that the client asked for, as a trusted proxy names it; absent if it is that of the request.
    pub host: Option<String>,
    /// The addresses of the hops before the peer of the connection, the client first, `None` for an unknown one; empty if
    /// the peer is the client.
    pub earlier: Vec<Option<IpAddr>>,
}

impl Origin {
    /// The peer of the connection as the client.
    #[must_use]
    pub fn of_peer(address: Option<IpAddr>, https: bool) -> Self {
        Self { address, https, host: None, earlier: Vec::new() }
    }
}
