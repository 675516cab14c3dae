//! Sets of addresses, for comparing filters.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Cidr;

/// A set of client addresses: IPv4, and IPv6 without the IPv4-mapped ones, which no client has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSet {
    /// The boundaries: alternately the first address inside and the first address outside, sorted.
    edges: Vec<IpAddr>,
}

impl AddressSet {
    /// The selected addresses, for a selection that is equal for all addresses within the same of these networks.
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

    /// Whether the set contains all addresses of the other.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // Between two boundaries of either set, all addresses are in the same sets as the first one.
        self.edges.iter().chain(&other.edges).all(|edge| self.has(*edge) || !other.has(*edge))
    }

    fn has(&self, address: IpAddr) -> bool {
        self.edges.partition_point(|edge| *edge <= address) % 2 == 1
    }
}

const FIRST_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const FIRST_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The first address after the IPv4-mapped ones (RFC 4291, section 2.5.5.2).
const AFTER_MAPPED: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(1 << 48));
