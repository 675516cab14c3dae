use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which addresses a request that the gateway itself makes may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressRule {
    /// Only addresses of the public Internet: no private, loopback, link-local or other special ones.
    #[default]
    Public,
    /// Any address, for services inside the gateway's own network.
    Any,
}

impl AddressRule {
    /// The rule for a service that may be in the gateway's own network, or may not.
    #[must_use]
    pub const fn with_private(is_private: bool) -> Self {
        if is_private { Self::Any } else { Self::Public }
    }
}

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum RefusedTarget {
    /// It is not an absolute `http` or `https` URL with a host and without user information.
    #[error("it is not an http or https URL")]
    Url,
    /// Its address is not public.
    #[error("its address is not public")]
    Address,
}

impl AddressRule {
    /// Checks the URL itself: its scheme, and its host if that is an address or a name of this machine.
    ///
    /// A host that resolves names must also check each resolved address with [`Self::allows`].
    ///
    /// # Errors
    /// If the rule refuses the URL.
    pub fn check_url(self, url: &Uri) -> Result<(), RefusedTarget> {
        let authority = url.authority().ok_or(RefusedTarget::Url)?;
        let is_http = matches!(url.scheme_str(), Some("http" | "https"));
        if !is_http || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(RefusedTarget::Url);
        }
        if self.allows_host(authority.host()) { Ok(()) } else { Err(RefusedTarget::Address) }
    }

    /// Whether it allows an address.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Any, _) => true,
            (Self::Public, IpAddr::V4(address)) => is_public_v4(address),
            (Self::Public, IpAddr::V6(address)) => is_public_v6(address),
        }
    }

    fn allows_host(self, host: &str) -> bool {
        if self == Self::Any {
            return true;
        }
        if let Some(literal) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            return literal.parse().is_ok_and(|address: Ipv6Addr| self.allows(address.into()));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return self.allows(address.into());
        }
        is_public_name(name)
    }
}

/// Whether a name, without the root's trailing dot, can be in the public Internet.
fn is_public_name(name: &str) -> bool {
    // Resolvers search for a single label in the network's own domains. No valid name has an empty label.
    let Some((front, last)) = name.rsplit_once('.') else { return false };
    // URL parsers treat names that end in a number as addresses in other notations: `127.1`, `0x7f.1`, `2130706433`.
    let is_address = is_number(last);
    let is_local = LOCAL_NAMES.iter().any(|local| last.eq_ignore_ascii_case(local));
    let is_valid = !last.is_empty() && !front.split('.').any(str::is_empty);
    is_valid && !is_address && !is_local
}

/// Top-level names without hosts in the public Internet. `example` is not among them: resolvers do not treat it
/// specially (RFC 6761, section 6.5).
const LOCAL_NAMES: [&str; 15] = [
    // RFC 6761; RFC 6762; RFC 7686; RFC 9476; ICANN's name for private use.
    "localhost",
    "invalid",
    "test",
    "local",
    "onion",
    "alt",
    "internal",
    // Infrastructure: reverse zones of private addresses (RFC 6761), home networks (RFC 8375), resolvers (RFC 9462).
    "arpa",
    // Not delegated, and in use inside networks (RFC 6762, appendix G; ICANN's reports on collisions of names).
    "corp",
    "home",
    "intranet",
    "lan",
    "localdomain",
    "mail",
    "private",
];

fn is_number(label: &str) -> bool {
    let digits = label.as_bytes();
    match digits {
        [b'0', b'x' | b'X', hex @ ..] => hex.iter().all(u8::is_ascii_hexdigit),
        _ => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
    }
}

/// Whether the address is not in the IANA registry of special addresses (RFC 6890 and its successors).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // This network, private, loopback; multicast and the reserved addresses above it.
        (0 | 10 | 127 | 224..=255, ..) => false,
        // Shared address space of carriers (RFC 6598).
        (100, 64..=127, _) => false,
        // Link-local.
        (169, 254, _) => false,
        // Private.
        (172, 16..=31, _) | (192, 168, _) => false,
        // Protocol assignments, documentation, relays of 6to4.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113) => false,
        // Benchmarks.
        (198, 18 | 19, _) => false,
        _ => true,
    }
}

/// Global unicast (RFC 4291), without its special parts; an address that embeds an IPv4 address is checked as that
/// address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Mapped (RFC 4291) and translated (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => embedded(high, low),
        // Protocol assignments, Teredo among them (RFC 2928), and documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(url: &str, want: Result<(), RefusedTarget>) {
        assert_eq!(AddressRule::Public.check_url(&url.parse().unwrap()), want, "{url}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn public_names_and_addresses_are_allowed() {
        for host in ["example.com", "example.com.", "8.8.8.8", "172.32.0.1", "[2606:4700::1111]", "[64:ff9b::808:808]"]
        {
            check(&format!("https://{host}:8443/keys"), Ok(()));
        }
        for host in ["test.example.com", "local.dev", "issuer.example", "home.arpa.example.com", "8.8.8.8."] {
            check(&format!("https://{host}/keys"), Ok(()));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn special_addresses_and_local_names_are_refused() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "printer.local",
            "metadata.google.internal",
            "127.0.0.1",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[fe80::1]",
            "[fd00::1]",
            "[ff02::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::a00:1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[2001:db8::1]",
        ] {
            check(&format!("http://{host}/"), Err(RefusedTarget::Address));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn addresses_in_other_notations_are_refused() {
        for host in ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "1.2.3.4.5", "127.0.0.1."] {
            check(&format!("http://{host}/"), Err(RefusedTarget::Address));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn names_with_empty_labels_or_a_single_label_are_refused() {
        for host in [
            "localhost..",
            "a.localhost..",
            "127.0.0.1..",
            "example.com..",
            "example..com",
            ".example.com",
            ".com",
            "..",
            ".",
            "metadata",
            "kubernetes.",
        ] {
            check(&format!("http://{host}/"), Err(RefusedTarget::Address));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn names_without_a_public_host_are_refused() {
        for top in LOCAL_NAMES {
            check(&format!("http://a.{top}/"), Err(RefusedTarget::Address));
            check(&format!("http://a.b.{}./", top.to_ascii_uppercase()), Err(RefusedTarget::Address));
        }
        for host in ["router.home.arpa", "1.0.0.10.in-addr.arpa", "localhost.localdomain", "api.svc.cluster.local"] {
            check(&format!("http://{host}/"), Err(RefusedTarget::Address));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn invalid_urls_are_refused_under_any_rule() {
        for url in ["/path", "ftp://example.com/", "https://user@example.com/", "https://user:pass@10.0.0.1/"] {
            assert_eq!(AddressRule::Any.check_url(&url.parse().unwrap()), Err(RefusedTarget::Url), "{url}");
        }
        assert_eq!(AddressRule::Any.check_url(&"http://127.0.0.1:9/".parse().unwrap()), Ok(()));
    }
}
