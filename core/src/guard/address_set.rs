//! Sets of addresses, to compare what filters admit.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Cidr;

/// Addresses of clients: IPv4, and IPv6 without those mapped from IPv4, which no client has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSet {
    /// The addresses at which it begins and ends, in turn and in order.
    edges: Vec<IpAddr>,
}

impl AddressSet {
    /// The addresses that are chosen, by a choice that is the same for all addresses in the same of these networks.
    pub(super) fn chosen<'n>(networks: impl Iterator<Item = &'n Cidr>, chosen: impl Fn(IpAddr) -> bool) -> Self {
        let mut candidates = BTreeSet::from([FIRST_V4, FIRST_V6, AFTER_MAPPED]);
        for network in networks {
            candidates.insert(network.first());
            candidates.extend(network.after());
        }
        let mut edges = Vec::new();
        for address in candidates.into_iter().filter(|address| address.to_canonical() == *address) {
            let is_in = edges.len() % 2 == 1;
            if chosen(address) != is_in {
                edges.push(address);
            }
        }
        Self { edges }
    }

    /// Whether the set has all addresses of the other.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // Between two edges of either, all addresses are in the same sets as the first of them.
        self.edges.iter().chain(&other.edges).all(|edge| self.has(*edge) || !other.has(*edge))
    }

    fn has(&self, address: IpAddr) -> bool {
        self.edges.partition_point(|edge| *edge <= address) % 2 == 1
    }
}

const FIRST_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const FIRST_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The first address after those mapped from IPv4 (RFC 4291, section 2.5.5.2).
const AFTER_MAPPED: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(1 << 48));
