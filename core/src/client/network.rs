use std::net::{IpAddr, Ipv6Addr};

use crate::cell::CellKey;
use crate::text::decimal;

/// Whom an address is counted for: itself, or its /64 network, because a client with IPv6 usually has a whole one.
///
/// An IPv4-mapped IPv6 address is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// The network that an address is counted for.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
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
