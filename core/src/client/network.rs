use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::cell::CellKey;
use crate::codec::Decode;
use crate::text::decimal;

/// Whom an address is counted for: itself, or its /64 network, because a client with IPv6 usually has a whole one.
///
/// An IPv6 address that stands for an IPv4 address is this one: an IPv4-mapped one, and one of the translators of RFC 6052, whose clients
/// would otherwise all be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientNetwork(IpAddr);

/// How many bits of an address are those of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct Prefixes {
    /// Of an IPv4 address.
    #[n(0)]
    pub ipv4: u8,
    /// Of an IPv6 address.
    #[n(1)]
    pub ipv6: u8,
}

/// Those of [`ClientNetwork`].
impl Default for Prefixes {
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}

impl Prefixes {
    /// The least prefixes: networks of one provider.
    pub const LEAST: Self = Self { ipv4: 8, ipv6: 16 };
    /// The longest ones: single addresses.
    pub const MOST: Self = Self { ipv4: 32, ipv6: 128 };

    /// Whether they are within the bounds.
    pub(crate) fn are_coherent(self) -> bool {
        (Self::LEAST.ipv4..=Self::MOST.ipv4).contains(&self.ipv4)
            && (Self::LEAST.ipv6..=Self::MOST.ipv6).contains(&self.ipv6)
    }

    /// The cell that counts for an address, such as `address=192.0.2.0/24`; with the usual prefix that of [`ClientNetwork::cell`].
    #[must_use]
    pub fn cell(self, address: IpAddr) -> CellKey {
        let usual = Self::default();
        let (network, prefix) = match counted(address) {
            IpAddr::V4(address) if self.ipv4 < usual.ipv4 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.ipv4)).unwrap_or(0);
                (IpAddr::from(Ipv4Addr::from(u32::from(address) & mask)), self.ipv4)
            }
            IpAddr::V6(address) if self.ipv6 != usual.ipv6 => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.ipv6.into())).unwrap_or(0);
                (Ipv6Addr::from(u128::from(address) & mask).into(), self.ipv6)
            }
            address => return ClientNetwork::of(address).cell(),
        };
        CellKey::partition(CELL_KIND, &format!("{network}/{prefix}"))
    }
}

impl ClientNetwork {
    /// The network that an address is counted for.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match counted(address) {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }

    /// The cell that counts for it, such as `address=192.0.2.1` or `address=2001:db8:0:1::/64`.
    #[must_use]
    pub fn cell(self) -> CellKey {
        match self.0 {
            IpAddr::V4(address) => {
                let mut text = String::with_capacity(IPV4_LENGTH_MAX);
                for (at, octet) in address.octets().into_iter().enumerate() {
                    if at > 0 {
                        text.push('.');
                    }
                    decimal(&mut text, octet.into());
                }
                CellKey::partition(CELL_KIND, &text)
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                CellKey::partition(CELL_KIND, &format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"))
            }
        }
    }

    /// The cell that counts for all clients whose address is unknown.
    #[must_use]
    pub fn unknown_cell() -> CellKey {
        CellKey::partition(CELL_KIND, "unknown")
    }
}

/// The IPv4 address that an IPv6 address stands for, or the address itself.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if u128::from(v6) >> 32 == TRANSLATED => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        address => address,
    }
}

/// The prefix 64:ff9b::/96, in which translators put the IPv4 addresses of clients (RFC 6052, section 2.1).
const TRANSLATED: u128 = 0x0064_ff9b_0000_0000_0000_0000;

const CELL_KIND: &str = "address";

const IPV4_LENGTH_MAX: usize = "255.255.255.255".len();

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> ClientNetwork {
        ClientNetwork::of(text.parse().unwrap())
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("64:ff9b::192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("64:ff9b::192.0.2.1"), of("64:ff9b::192.0.2.2"));
        assert_eq!(of("64:ff9b:1::192.0.2.1"), of("64:ff9b:1::192.0.2.2"), "a network of its own");
    }

    #[test]
    fn a_limit_may_count_larger_or_smaller_networks() {
        for (ipv4, ipv6, address, cell) in [
            (32, 64, "192.0.2.1", "address=192.0.2.1"),
            (24, 64, "192.0.2.1", "address=192.0.2.0/24"),
            (9, 64, "::ffff:10.255.2.1", "address=10.128.0.0/9"),
            (24, 64, "2001:db8::1", "address=2001:db8:0:0::/64"),
            (32, 48, "64:ff9b::192.0.2.1", "address=192.0.2.1"),
            (24, 128, "64:ff9b::192.0.2.1", "address=192.0.2.0/24"),
            (24, 128, "::ffff:192.0.2.1", "address=192.0.2.0/24"),
            (32, 48, "2001:db8:a:b::1", "address=2001:db8:a::/48"),
            (32, 56, "2001:db8:a:bcd::1", "address=2001:db8:a:b00::/56"),
            (32, 128, "2001:db8::1", "address=2001:db8::1/128"),
            (32, 56, "192.0.2.1", "address=192.0.2.1"),
        ] {
            let prefixes = Prefixes { ipv4, ipv6 };
            assert!(prefixes.are_coherent());
            assert_eq!(prefixes.cell(address.parse().unwrap()).as_str(), cell);
        }
        for (ipv4, ipv6) in [(7, 64), (33, 64), (32, 15), (32, 129)] {
            assert!(!Prefixes { ipv4, ipv6 }.are_coherent());
        }
    }

    #[test]
    fn the_cell_names_the_address_or_its_network() {
        for (address, cell) in [
            ("192.0.2.1", "address=192.0.2.1"),
            ("::ffff:255.255.255.255", "address=255.255.255.255"),
            ("2001:db8::1", "address=2001:db8:0:0::/64"),
            ("2001:db8:a:b:c::1", "address=2001:db8:a:b::/64"),
        ] {
            assert_eq!(of(address).cell().as_str(), cell);
        }
    }
}
