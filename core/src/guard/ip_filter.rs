//! The `ip-filter` policy: admits or refuses by the client's address, before anything is looked up for the request.
//!
//! Of the networks that hold the address the one with the longest prefix decides, whichever list it is in, so a network
//! can be refused and one host in it admitted. A network in both lists refuses. An address in no network is admitted
//! only where no network is listed to be allowed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Guard, Unidentified};
use crate::bounds::NETWORKS_MAX;
use crate::codec;
use crate::event::Reason;
use crate::kinds::{PolicyKind, Uses};
use crate::problem::{Problem, ProblemKind};

/// Settings of one `ip-filter` policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct IpFilterSettings {
    /// Networks that are admitted.
    #[cbor(n(0), skip_if = "Networks::is_empty")]
    pub allow: Networks,
    /// Networks that are refused.
    #[cbor(n(1), skip_if = "Networks::is_empty")]
    pub deny: Networks,
}

impl codec::Section for IpFilterSettings {}

/// An address range in CIDR notation (RFC 4632, section 3.1; RFC 4291, section 2.3), without bits after its prefix.
///
/// The order is that in which the longest prefix is searched: the family, the longest prefixes first, the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    family: Family,
    /// Bits of the address that are not in the prefix.
    host_bits: u8,
    network: u128,
}

/// Networks in search order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Cidr>", into = "Vec<Cidr>")]
pub struct Networks(Vec<Cidr>);

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CidrError {
    /// The part before the slash is no IPv4 or IPv6 address.
    #[error("it is no IPv4 or IPv6 address, nor a network such as 10.0.0.0/8 or 2001:db8::/32")]
    Address,
    /// The part after the slash is no length of a prefix.
    #[error("the length of the prefix is no number from 0 to 32 for IPv4, or to 128 for IPv6")]
    Prefix,
    /// The address has bits set after its prefix.
    #[error("it has bits set after the prefix; the network is {0}")]
    HostBits(Cidr),
}

/// What a filter decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Admitted, by this network, or because no network is listed to be allowed.
    Admitted(Option<Cidr>),
    /// Refused, by this network, or because it is in none that is allowed.
    Refused(Option<Cidr>),
    /// Refused, because the host does not know the client's address.
    Unknown,
}

impl IpFilterSettings {
    /// Decides on a client's address.
    #[must_use]
    pub fn admit(&self, address: Option<IpAddr>) -> Admission {
        let Some(address) = address else { return Admission::Unknown };
        match (self.allow.longest(address), self.deny.longest(address)) {
            (Some(allowed), Some(denied)) if allowed.host_bits >= denied.host_bits => Admission::Refused(Some(denied)),
            (Some(allowed), _) => Admission::Admitted(Some(allowed)),
            (None, Some(denied)) => Admission::Refused(Some(denied)),
            (None, None) if self.allow.is_empty() => Admission::Admitted(None),
            (None, None) => Admission::Refused(None),
        }
    }
}

impl Guard for IpFilterSettings {
    fn check(&self, request: &Unidentified<'_>) -> Result<(), Problem> {
        let reason = match self.admit(request.address) {
            Admission::Admitted(_) => return Ok(()),
            Admission::Refused(Some(network)) => Reason::AddressDenied { network },
            Admission::Refused(None) => Reason::AddressNotAllowed,
            Admission::Unknown => Reason::AddressUnknown,
        };
        // Which network decided is for the log: it would help whoever probes the lists.
        Err(Problem::new(ProblemKind::ClientNotAdmitted, "Requests from this address are not accepted.", reason))
    }
}

impl PolicyKind for IpFilterSettings {
    fn is_coherent(&self) -> bool {
        self.allow.0.len() <= NETWORKS_MAX && self.deny.0.len() <= NETWORKS_MAX
    }

    fn uses(&self) -> Uses<'_> {
        Uses::default()
    }
}

impl Networks {
    /// The network of the longest prefix that holds the address; a binary search for each length in use.
    #[must_use]
    pub fn longest(&self, address: IpAddr) -> Option<Cidr> {
        let (family, bits) = Family::of(address);
        let mut rest = &self.0[self.0.partition_point(|known| known.family < family)..];
        while let Some(first) = rest.first().filter(|first| first.family == family) {
            let wanted = Cidr { network: truncated(bits, first.host_bits), ..*first };
            match rest.binary_search(&wanted) {
                Ok(_) => return Some(wanted),
                Err(_) => {
                    rest = &rest
                        [rest.partition_point(|known| (known.family, known.host_bits) <= (family, first.host_bits))..];
                }
            }
        }
        None
    }

    /// The networks, in search order.
    #[must_use]
    pub fn as_slice(&self) -> &[Cidr] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<Cidr>> for Networks {
    fn from(mut networks: Vec<Cidr>) -> Self {
        networks.sort_unstable();
        networks.dedup();
        Self(networks)
    }
}

impl From<Networks> for Vec<Cidr> {
    fn from(networks: Networks) -> Self {
        networks.0
    }
}

impl<C> Encode<C> for Networks {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, context: &mut C) -> Result<(), encode::Error<W::Error>> {
        self.0.encode(encoder, context)
    }
}

impl<'b, C> Decode<'b, C> for Networks {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        codec::list::<C, Cidr>(decoder, context).map(Self::from)
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

impl<'b, C> Decode<'b, C> for Cidr {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let at = decoder.position();
        let network = decoder.bytes()?.split_last().and_then(|(prefix, address)| {
            let v4 = <[u8; 4]>::try_from(address).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from)).ok()?;
            Self::new(address, *prefix).ok()
        });
        network.ok_or_else(|| decode::Error::message("a network").at(at))
    }
}

impl Cidr {
    /// The network of an address and the length of its prefix.
    ///
    /// # Errors
    /// When the prefix is longer than an address, or bits are set after it.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let (family, bits) = match address {
            IpAddr::V4(address) => (Family::V4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (Family::V6, address.to_bits()),
        };
        let host_bits = family.bits().checked_sub(prefix).ok_or(CidrError::Prefix)?;
        let network = Self { family, host_bits, network: truncated(bits, host_bits) };
        if network.network == bits { Ok(network) } else { Err(CidrError::HostBits(network)) }
    }

    /// Whether the network holds every address of the other.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.family == other.family
            && self.host_bits >= other.host_bits
            && truncated(other.network, self.host_bits) == self.network
    }

    const fn prefix(&self) -> u8 {
        self.family.bits() - self.host_bits
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Reads `address/prefix`, or an address alone, which is a network of one.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let whole = if address.is_ipv4() { Family::V4 } else { Family::V6 }.bits();
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let prefix = prefix.map_or(Some(whole), digits).ok_or(CidrError::Prefix)?;
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
        match self.family {
            Family::V4 => write!(f, "{}", Ipv4Addr::from_bits(u32::try_from(self.network).unwrap_or_default()))?,
            Family::V6 => write!(f, "{}", Ipv6Addr::from_bits(self.network))?,
        }
        write!(f, "/{}", self.prefix())
    }
}

/// An address family. Its order is a part of the search order.
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

    /// The family of a client, and its address; an IPv4 address mapped into IPv6 (RFC 4291, section 2.5.5.2) is the IPv4
    /// client that it stands for, or a list of IPv4 networks would not hold it.
    fn of(address: IpAddr) -> (Self, u128) {
        match address.to_canonical() {
            IpAddr::V4(address) => (Self::V4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (Self::V6, address.to_bits()),
        }
    }
}

/// The address without its last bits.
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

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Cidr>>().into()
    }

    #[track_caller]
    fn check(allow: &[&str], deny: &[&str], address: &str, want: bool) {
        let settings = IpFilterSettings { allow: networks(allow), deny: networks(deny) };
        let admitted = matches!(settings.admit(address.parse().ok()), Admission::Admitted(_));
        assert_eq!(admitted, want, "{address} with allow {allow:?} and deny {deny:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_longest_prefix_decides_whichever_list_it_is_in() {
        check(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.2.0.1", true);
        check(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.0.1", false);
        check(&["10.1.2.3"], &["10.1.0.0/16"], "10.1.2.3", true);
        check(&["2001:db8::/32"], &["2001:db8:1::/48"], "2001:db8:1::1", false);
        check(&["2001:db8::/32"], &["2001:db8:1::/48"], "2001:db8:2::1", true);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_network_in_both_lists_refuses() {
        check(&["10.0.0.0/8"], &["10.0.0.0/8"], "10.0.0.1", false);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_in_no_list_passes_only_where_nothing_is_allowed_by_name() {
        check(&[], &["10.0.0.0/8"], "192.0.2.1", true);
        check(&["10.0.0.0/8"], &[], "192.0.2.1", false);
        check(&[], &[], "192.0.2.1", true);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn families_are_apart_and_mapped_addresses_are_ipv4() {
        check(&["::/0"], &[], "192.0.2.1", false);
        check(&["0.0.0.0/0"], &[], "2001:db8::1", false);
        check(&["192.0.2.0/24"], &[], "::ffff:192.0.2.9", true);
        check(&[], &["192.0.2.0/24"], "::ffff:192.0.2.9", false);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_unknown_address_is_refused() {
        assert_eq!(IpFilterSettings::default().admit(None), Admission::Unknown);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn networks_are_read_strictly_and_written_back_the_same() {
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

    fn cidr() -> impl Strategy<Value = Cidr> {
        // Few addresses, so that networks nest and meet.
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
