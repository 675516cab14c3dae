//! One hop of a request, as a proxy names it.

use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};

/// The sender of a request to a proxy; `None` if the proxy does not know it, or does not say it in a form that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop(pub(super) Option<IpAddr>);

impl Hop {
    /// Reads an element of `X-Forwarded-For`: an address, with a port or without. Any other text is an unknown hop.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim_matches([' ', '\t']);
        let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
        let v4 = || text.parse::<SocketAddrV4>().ok().map(|address| IpAddr::V4(*address.ip()));
        // A zone belongs to one machine (RFC 4007, section 6), so no other can compare the address.
        let v6 = || text.parse::<SocketAddrV6>().ok().filter(|address| address.scope_id() == 0);
        let address = text.parse().ok().or_else(bracketed).or_else(v4).or_else(|| Some(IpAddr::V6(*v6()?.ip())));
        Self(address.map(|address| address.to_canonical()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_hop_is_an_address_or_unknown() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1\t", "192.0.2.1"),
            ("192.0.2.1:443", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(Hop::parse(text), Hop(Some(address.parse().unwrap())), "{text}");
        }
        for text in ["", "unknown", "_hidden", "localhost", "192.0.2.01", "192.0.2", "1", "192.0.2.1:", "[::1", "::1]"]
        {
            assert_eq!(Hop::parse(text), Hop(None), "{text}");
        }
        for text in
            ["fe80::1%eth0", "[fe80::1%1]:80", "192.0.2.1 192.0.2.2", "\"192.0.2.1\"", "192.0.2.1:99999", "[192.0.2.1]"]
        {
            assert_eq!(Hop::parse(text), Hop(None), "{text}");
        }
    }
}
