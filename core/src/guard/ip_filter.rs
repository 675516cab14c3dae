//! The `ip-filter` policy: admits or refuses a request by the client's address, before any look-up.
//!
//! Of the networks that contain the address, the one with the longest prefix decides, whichever list it is in, so a
//! network can be denied and one host in it allowed. A network in both lists is denied. An address in no network is
//! admitted only if the list of allowed networks is empty.

use std::net::IpAddr;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::{AddressSet, Cidr, Guard, Networks, Unidentified};
use crate::bounds::NETWORKS_MAX;
use crate::codec::{self, Decode};
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

/// The decision of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Admitted, by this network or because the list of allowed networks is empty.
    Admitted(Option<Cidr>),
    /// Refused, by this network or because the address is in no allowed network.
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
            (Some(allowed), Some(denied)) if allowed.prefix() <= denied.prefix() => Admission::Refused(Some(denied)),
            (Some(allowed), _) => Admission::Admitted(Some(allowed)),
            (None, Some(denied)) => Admission::Refused(Some(denied)),
            (None, None) if self.allow.is_empty() => Admission::Admitted(None),
            (None, None) => Admission::Refused(None),
        }
    }

    /// The admitted addresses, independent of how the networks are written.
    #[must_use]
    pub fn admitted(&self) -> AddressSet {
        let networks = self.allow.as_slice().iter().chain(self.deny.as_slice());
        AddressSet::chosen(networks, |address| matches!(self.admit(Some(address)), Admission::Admitted(_)))
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
        // The log says which network decided; the response does not, because that would help an attacker to probe the
        // lists.
        Err(Problem::new(ProblemKind::ClientNotAdmitted, "Requests from this address are not accepted.", reason))
    }
}

impl PolicyKind for IpFilterSettings {
    fn is_coherent(&self) -> bool {
        [&self.allow, &self.deny].iter().all(|list| list.as_slice().len() <= NETWORKS_MAX)
    }

    fn uses(&self) -> Uses<'_> {
        Uses::default()
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
    fn a_network_in_both_lists_is_denied() {
        check(&["10.0.0.0/8"], &["10.0.0.0/8"], "10.0.0.1", false);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_unlisted_address_is_admitted_only_without_an_allow_list() {
        check(&[], &["10.0.0.0/8"], "192.0.2.1", true);
        check(&["10.0.0.0/8"], &[], "192.0.2.1", false);
        check(&[], &[], "192.0.2.1", true);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn families_are_separate_and_mapped_addresses_are_ipv4() {
        check(&["::/0"], &[], "192.0.2.1", false);
        check(&["0.0.0.0/0"], &[], "2001:db8::1", false);
        check(&["192.0.2.0/24"], &[], "::ffff:192.0.2.9", true);
        check(&[], &["192.0.2.0/24"], "::ffff:192.0.2.9", false);
        check(&[], &["::ffff:192.0.2.0/120"], "192.0.2.9", false);
        check(&[], &["::ffff:192.0.2.0/120"], "::ffff:192.0.2.9", false);
        check(&["::ffff:192.0.2.9"], &[], "192.0.2.9", true);
        check(&[], &["::/0"], "::ffff:192.0.2.9", true);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_unknown_address_is_refused() {
        assert_eq!(IpFilterSettings::default().admit(None), Admission::Unknown);
    }

    #[track_caller]
    fn covers(deny: &[&str], other: &[&str], want: (bool, bool)) {
        let admitted = |deny| IpFilterSettings { allow: Networks::default(), deny: networks(deny) }.admitted();
        let (admitted, other_admitted) = (admitted(deny), admitted(other));
        let found = (admitted.covers(&other_admitted), other_admitted.covers(&admitted));
        assert_eq!(found, want, "deny {deny:?} and {other:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_admitted_addresses_do_not_depend_on_how_networks_are_written() {
        covers(&["10.0.0.0/8"], &["10.0.0.0/9", "10.128.0.0/9"], (true, true));
        covers(&["10.0.0.0/8"], &["10.0.0.0/8", "10.1.0.0/16"], (true, true));
        covers(&["0.0.0.0/0", "::/0"], &["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"], (true, true));
        covers(&["10.0.0.0/8"], &["10.0.0.0/9"], (false, true));
        covers(&["10.0.0.0/9"], &["10.128.0.0/9"], (false, false));
        covers(&["::/0"], &["0.0.0.0/0"], (false, false));
        // No client has an IPv4-mapped IPv6 address.
        covers(&["::fffe:0:0/96"], &["::fffe:0:0/95"], (true, true));
    }

    fn filter() -> impl Strategy<Value = IpFilterSettings> {
        // Prefixes are short enough that the addresses below include one of every network.
        let network = |(n, prefix, is_v4): (u32, u8, bool)| {
            let bits = n.checked_shl(32 - u32::from(prefix)).unwrap_or_default();
            let v6 = u128::from(bits) << 96;
            let address = if is_v4 { IpAddr::from(bits.to_be_bytes()) } else { IpAddr::from(v6.to_be_bytes()) };
            Cidr::new(address, prefix).unwrap()
        };
        let list = || prop::collection::vec((0u32..64, 0u8..=6, any::<bool>()).prop_map(network), 0..6);
        (list(), list()).prop_map(|(allow, deny)| IpFilterSettings { allow: allow.into(), deny: deny.into() })
    }

    proptest! {
        #[test]
        fn filters_are_compared_by_every_address(a in filter(), b in filter()) {
            let v4 = (0u32..64).map(|n| IpAddr::from((n << 26).to_be_bytes()));
            let mut addresses = v4.chain((0u128..64).map(|n| IpAddr::from((n << 122).to_be_bytes())));
            let admits = |filter: &IpFilterSettings, address| matches!(filter.admit(Some(address)), Admission::Admitted(_));
            let covers = addresses.all(|address| admits(&a, address) || !admits(&b, address));
            prop_assert_eq!(a.admitted().covers(&b.admitted()), covers);
        }
    }
}
