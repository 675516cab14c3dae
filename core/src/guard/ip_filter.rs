//! The `ip-filter` policy: admits or refuses by the client's address, before anything is looked up for the request.
//!
//! Of the networks that hold the address the one with the longest prefix decides, whichever list it is in, so a network
//! can be refused and one host in it admitted. A network in both lists refuses. An address in no network is admitted
//! only where no network is listed to be allowed.

use std::net::IpAddr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Cidr, Guard, Networks, Unidentified};
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
            (Some(allowed), Some(denied)) if allowed.prefix() <= denied.prefix() => Admission::Refused(Some(denied)),
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
        [&self.allow, &self.deny].iter().all(|list| list.as_slice().len() <= NETWORKS_MAX)
    }

    fn uses(&self) -> Uses<'_> {
        Uses::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        check(&[], &["::ffff:192.0.2.0/120"], "192.0.2.9", false);
        check(&[], &["::ffff:192.0.2.0/120"], "::ffff:192.0.2.9", false);
        check(&["::ffff:192.0.2.9"], &[], "192.0.2.9", true);
        check(&[], &["::/0"], "::ffff:192.0.2.9", true);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_unknown_address_is_refused() {
        assert_eq!(IpFilterSettings::default().admit(None), Admission::Unknown);
    }
}
