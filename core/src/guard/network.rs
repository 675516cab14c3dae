//! Networks in CIDR notation, and lists of networks that are searched by address.
//!
//! An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) is treated as the IPv4 address, in a list as well as of a
//! client: `::ffff:10.0.0.0/104` is `10.0.0.0/8`. An IPv6 network with a shorter prefix, such as `::/0`, contains no
//! IPv4 address; otherwise a list for all IPv6 clients would match all clients.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::{Decode, Failed, Reader};
use crate::json::{FromJson, Unfit, Value, form};
use crate::order;

/// A network in CIDR notation (RFC 4632, section 3.1; RFC 4291, section 2.3), without non-zero bits after its prefix.
///
/// The order is that of the search for the longest prefix: by family, longest prefixes first, then by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    family: Family,
    /// Bits of the address that are not in the prefix.
    host_bits: u8,
    network: u128,
}

/// Networks in search order, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Cidr>", into = "Vec<Cidr>")]
pub struct Networks {
    all: Vec<Cidr>,
    /// The prefix lengths in use, in search order.
    lengths: Vec<Length>,
}

/// The networks of one family with one prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Length {
    family: Family,
    host_bits: u8,
    /// The place after the last of them; the first is after those of the length before.
    end: usize,
}

/// Why a text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CidrError {
    /// The part before the slash is not an IPv4 or IPv6 address.
    #[error("it is neither an IPv4 or IPv6 address nor a network such as 10.0.0.0/8 or 2001:db8::/32")]
    Address,
    /// The part after the slash is not a valid prefix length.
    #[error("the prefix length is not a number from 0 to 32 for IPv4, or to 128 for IPv6")]
    Prefix,
    /// The address is IPv4-mapped, and the prefix is shorter than that of all IPv4-mapped addresses.
    #[error("it is an IPv4 address mapped into IPv6, and such a prefix has 96 to 128 bits")]
    Mapped,
    /// The address has bits set after its prefix.
    #[error("it has bits set after the prefix; the network is {0}")]
    HostBits(Cidr),
}

impl Networks {
    /// The networks, which are in search order.
    fn sorted(all: Vec<Cidr>) -> Self {
        let mut lengths: Vec<Length> = Vec::new();
        for (at, Cidr { family, host_bits, .. }) in all.iter().enumerate() {
            match lengths.last_mut() {
                Some(last) if (last.family, last.host_bits) == (*family, *host_bits) => last.end = at + 1,
                _ => lengths.push(Length { family: *family, host_bits: *host_bits, end: at + 1 }),
            }
        }
        Self { all, lengths }
    }

    /// Some networks in any order, such as those of a key. Not for thousands: each is put into its place.
    pub(crate) fn of_few(networks: Vec<Cidr>) -> Self {
        let mut all: Vec<Cidr> = Vec::with_capacity(networks.len());
        for network in networks {
            if let Err(place) = all.binary_search(&network) {
                all.insert(place, network);
            }
        }
        Self::sorted(all)
    }

    /// The network with the longest prefix that contains the address; a binary search for each prefix length in use.
    #[must_use]
    pub fn longest(&self, address: IpAddr) -> Option<Cidr> {
        let (family, bits) = Family::of(address);
        let mut start = 0;
        for length in &self.lengths {
            let networks = self.all.get(start..length.end).unwrap_or_default();
            start = length.end;
            if length.family == family {
                let network = truncated(bits, length.host_bits);
                if networks.binary_search_by(|known| known.network.cmp(&network)).is_ok() {
                    return Some(Cidr { family, host_bits: length.host_bits, network });
                }
            }
        }
        None
    }

    /// The networks, in search order.
    #[must_use]
    pub fn as_slice(&self) -> &[Cidr] {
        &self.all
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl From<Vec<Cidr>> for Networks {
    fn from(mut networks: Vec<Cidr>) -> Self {
        order::sort_by(&mut networks, |one, other| one < other);
        networks.dedup();
        Self::sorted(networks)
    }
}

impl From<Networks> for Vec<Cidr> {
    fn from(networks: Networks) -> Self {
        networks.all
    }
}

impl FromJson for Networks {
    fn blank() -> Self {
        Self::default()
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        let Value::List(texts) = value else { return Err(Unfit::VALUE) };
        let networks = texts.iter().map(|text| form::text(text)?.parse().map_err(|_| Unfit::VALUE));
        *self = Self::of_few(networks.collect::<Result<_, _>>()?);
        Ok(())
    }
}

impl<C> Encode<C> for Networks {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, context: &mut C) -> Result<(), encode::Error<W::Error>> {
        self.all.encode(encoder, context)
    }
}

impl Decode for Networks {
    fn blank() -> Self {
        Self::default()
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        let networks = Vec::<Cidr>::read_from(reader)?;
        // Written in search order; sorting is not an edge's work.
        if !networks.windows(2).all(|pair| pair[0] < pair[1]) {
            return reader.fail("networks in search order");
        }
        *self = Self::sorted(networks);
        Ok(())
    }
}

/// Stored as bytes: the address, then the length of the prefix.
impl<C> Encode<C> for Cidr {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        let mut bytes = self.network.to_be_bytes().to_vec();
        bytes.drain(..bytes.len() - usize::from(self.family.bits() / 8));
        bytes.push(self.prefix());
        encoder.bytes(&bytes)?.ok()
    }
}

impl Decode for Cidr {
    fn blank() -> Self {
        Self { family: Family::V4, host_bits: 0, network: 0 }
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        let network = reader.bytes()?.split_last().and_then(|(prefix, address)| {
            let v4 = <[u8; 4]>::try_from(address).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from)).ok()?;
            Self::new(address, *prefix).ok()
        });
        match network {
            Some(network) => *self = network,
            None => return reader.fail("a network"),
        }
        Ok(())
    }
}

impl Cidr {
    /// The network of an address and a prefix length.
    ///
    /// # Errors
    /// If the prefix is longer than an address, or too short for an IPv4-mapped one, or bits are set after it.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let (family, bits) = Family::of(address);
        let prefix = match (address, family) {
            (IpAddr::V6(_), Family::V4) => prefix.checked_sub(MAPPED_PREFIX).ok_or(CidrError::Mapped)?,
            _ => prefix,
        };
        let host_bits = family.bits().checked_sub(prefix).ok_or(CidrError::Prefix)?;
        let network = Self { family, host_bits, network: truncated(bits, host_bits) };
        if network.network == bits { Ok(network) } else { Err(CidrError::HostBits(network)) }
    }

    /// Whether the network contains every address of the other.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.family == other.family
            && self.host_bits >= other.host_bits
            && truncated(other.network, self.host_bits) == self.network
    }

    /// Its first address.
    pub(crate) fn first(&self) -> IpAddr {
        self.family.address(self.network)
    }

    /// The first address after it; `None` if its last address is the last one of the family.
    pub(super) fn after(&self) -> Option<IpAddr> {
        let size = 1_u128.checked_shl(self.host_bits.into())?;
        let after = self.network.checked_add(size).filter(|after| truncated(*after, self.family.bits()) == 0)?;
        Some(self.family.address(after))
    }

    /// Its prefix length, in bits of an address of its family.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.family.bits() - self.host_bits
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Parses `address/prefix`, or an address alone, which is a network of one address.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let full = if address.is_ipv4() { Family::V4 } else { Family::V6 }.bits();
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let prefix = prefix.map_or(Some(full), digits).ok_or(CidrError::Prefix)?;
        Self::new(address, prefix)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(network: Cidr) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix())
    }
}

/// An address family. Its order is part of the search order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The address with these bits, which fit into the family.
    fn address(self, bits: u128) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()).into(),
            Self::V6 => Ipv6Addr::from_bits(bits).into(),
        }
    }

    /// The family of an address, and its bits.
    fn of(address: IpAddr) -> (Self, u128) {
        match address.to_canonical() {
            IpAddr::V4(address) => (Self::V4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (Self::V6, address.to_bits()),
        }
    }
}

/// The length of the common prefix of all IPv4-mapped addresses.
const MAPPED_PREFIX: u8 = 96;

/// The address with its last bits set to zero.
const fn truncated(address: u128, host_bits: u8) -> u128 {
    match address.checked_shr(host_bits as u32) {
        Some(network) => network << host_bits,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn networks_are_parsed_strictly_and_printed_unchanged() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "::/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.1".parse::<Cidr>().unwrap().to_string(), "192.0.2.1/32");
        for text in ["", "10.0.0/8", "010.0.0.0/8", "a", "10.0.0.0/8/8", "fe80::1%eth0"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/999"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Prefix), "{text}");
        }
        let network = "10.0.0.0/8".parse().unwrap();
        assert_eq!("10.1.0.0/8".parse::<Cidr>(), Err(CidrError::HostBits(network)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_network_mapped_into_ipv6_is_the_ipv4_network() {
        for (mapped, network) in [
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:c000:200/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(mapped.parse::<Cidr>().map(|network| network.to_string()).as_deref(), Ok(network), "{mapped}");
        }
        let network = "10.0.0.0/8".parse().unwrap();
        assert_eq!("::ffff:10.1.0.0/104".parse::<Cidr>(), Err(CidrError::HostBits(network)));
        for text in ["::ffff:10.0.0.0/8", "::ffff:0:0/95"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Mapped), "{text}");
        }
        assert_eq!("::ffff:10.0.0.0/129".parse::<Cidr>(), Err(CidrError::Prefix));
        assert_eq!("::/0".parse::<Cidr>().unwrap().to_string(), "::/0");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_stored_network_mapped_into_ipv6_is_the_ipv4_network_too() {
        let mapped = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 0, 120]].concat();
        let stored = [&[0x81, 0x51][..], &mapped].concat();
        let read: Networks = crate::codec::decode(&stored).unwrap();
        assert_eq!(read.as_slice(), ["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(minicbor::to_vec(&read).unwrap(), [0x81, 0x45, 192, 0, 2, 0, 24]);
    }

    fn cidr() -> impl Strategy<Value = Cidr> {
        // Few addresses, so that networks overlap.
        let v4 = (0u32..64, 0u8..=32).prop_map(|(n, prefix)| (IpAddr::from((n << 26).to_be_bytes()), prefix));
        let v6 = (0u128..64, 0u8..=128).prop_map(|(n, prefix)| (IpAddr::from((n << 122).to_be_bytes()), prefix));
        prop_oneof![v4, v6].prop_map(|(address, prefix)| match Cidr::new(address, prefix) {
            Ok(network) | Err(CidrError::HostBits(network)) => network,
            Err(error) => panic!("{error}"),
        })
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_a_scan_of_all_networks(
            list in proptest::collection::vec(cidr(), 0..40), n in 0u32..64, is_v4: bool,
        ) {
            let address = if is_v4 { IpAddr::from((n << 26).to_be_bytes()) } else { IpAddr::from((u128::from(n) << 122).to_be_bytes()) };
            let one = Cidr::new(address, if is_v4 { 32 } else { 128 }).unwrap();
            let scanned = list.iter().filter(|network| network.covers(&one)).min_by_key(|network| network.host_bits).copied();
            prop_assert_eq!(Networks::from(list).longest(address), scanned);
        }
    }
}
