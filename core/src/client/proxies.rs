//! The rule for proxies before the gateway: which ones are trusted, and where they name their client.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;

use http::{HeaderMap, HeaderName};
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::forwarded::{self, Element};
use super::hop::Hop;
use super::{Location, Origin};
use crate::codec::{self, Decode};
use crate::guard::Networks;
use crate::route::HostName;

/// Which proxies before the gateway are trusted, and in which field they name their client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct ProxySettings {
    /// The trusted proxies.
    #[n(0)]
    pub trusted: TrustedProxies,
    /// The field in which they name their client. No other field is read: a proxy passes on those that it does not write
    /// as its client sent them.
    #[n(1)]
    pub field: ProxyField,
    /// The fields in which they say where the client is.
    #[serde(default)]
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub location: LocationFields,
}

/// The fields, in lower case, in which trusted proxies say where the client is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct LocationFields {
    /// That of the country.
    #[serde(default)]
    #[n(0)]
    pub country: Option<String>,
    /// That of the number of the autonomous system.
    #[serde(default)]
    #[n(1)]
    pub asn: Option<String>,
}

/// The trusted proxies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
pub enum TrustedProxies {
    /// Every request passes this number of proxies; the peer of the connection is the first.
    #[n(0)]
    Count(#[n(0)] NonZeroU8),
    /// The proxies have addresses in these networks.
    #[n(1)]
    Networks(#[n(0)] Networks),
}

/// The field in which proxies name their client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum ProxyField {
    /// `X-Forwarded-For`, with `X-Forwarded-Host` and `X-Forwarded-Proto`.
    #[n(0)]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    #[n(1)]
    Forwarded,
}

impl ProxySettings {
    /// The client of a request from this peer.
    ///
    /// The hops are walked from the gateway to the client: a trusted one is believed about the next. The client is the first
    /// hop that is not trusted; if all are, it is the last one. A hop that is not an address ends the walk, and the client
    /// is unknown: no filter and no limit may take a proxy for its client.
    #[must_use]
    #[inline(never)]
    pub fn origin(&self, peer: Option<IpAddr>, https: bool, fields: &HeaderMap) -> Origin {
        let mut origin = Origin::of_peer(peer, https);
        if !self.trusts(Hop(peer), 0) {
            return origin;
        }
        match self.field {
            ProxyField::XForwardedFor => {
                let hops = lines(fields, X_FORWARDED_FOR).flat_map(|line| match line {
                    Some(line) => line.rsplit(',').collect(),
                    None => vec!["unknown"],
                });
                let hops = hops.filter(|text| !text.trim_matches([' ', '\t']).is_empty()).map(Hop::parse);
                self.walk(hops, &mut origin);
                let scheme = only(fields, X_FORWARDED_PROTO).and_then(forwarded::is_https);
                origin.https = scheme.unwrap_or(https);
                origin.host = only(fields, X_FORWARDED_HOST).and_then(|name| host(name, origin.https));
            }
            ProxyField::Forwarded => {
                let mut said = None;
                let elements = lines(fields, FORWARDED).flat_map(|line| match line.and_then(forwarded::elements) {
                    Some(elements) => elements.into_iter().rev().collect(),
                    None => vec![Element { hop: Hop(None), host: None, https: None }],
                });
                let hops = elements.map(|element| said.insert(element).hop);
                self.walk(hops, &mut origin);
                if let Some(Element { host: name, https: scheme, .. }) = said {
                    origin.https = scheme.unwrap_or(https);
                    origin.host = name.as_deref().and_then(|name| host(name, origin.https));
                }
            }
        }
        origin
    }

    /// Whether the peer of a connection is a trusted proxy.
    #[must_use]
    pub fn trusts_peer(&self, peer: Option<IpAddr>) -> bool {
        self.trusts(Hop(peer), 0)
    }

    /// Where the client of a request from this peer is, if the peer is trusted and says it.
    ///
    /// The proxies must set or remove the fields themselves. A field that is there twice says nothing.
    #[must_use]
    pub fn location(&self, peer: Option<IpAddr>, fields: &HeaderMap) -> Location {
        if !self.trusts_peer(peer) {
            return Location::default();
        }
        let said = |name: &Option<String>| {
            let name = name.as_deref().and_then(|name| HeaderName::try_from(name).ok());
            name.and_then(|name| only(fields, name)).unwrap_or_default()
        };
        Location::new(said(&self.location.country), said(&self.location.asn))
    }

    /// Walks the hops, the one nearest to the gateway first.
    fn walk(&self, hops: impl Iterator<Item = Hop>, origin: &mut Origin) {
        for (at, hop) in hops.enumerate() {
            let hop = if at < HOPS_MAX { hop } else { Hop(None) };
            origin.earlier.push(hop.0);
            origin.address = hop.0;
            if hop.0.is_none() || !self.trusts(hop, at + 1) {
                break;
            }
        }
        origin.earlier.reverse();
    }

    /// Whether a hop is a trusted proxy; `passed` proxies are between it and the gateway.
    fn trusts(&self, hop: Hop, passed: usize) -> bool {
        match &self.trusted {
            TrustedProxies::Count(count) => passed < usize::from(count.get()),
            TrustedProxies::Networks(networks) => hop.0.is_some_and(|address| networks.longest(address).is_some()),
        }
    }

    /// Whether proxies are trusted by their addresses, so that no peer is trusted only because of where it connects.
    #[must_use]
    pub const fn trusts_networks(&self) -> bool {
        match self.trusted {
            TrustedProxies::Networks(_) => true,
            TrustedProxies::Count(_) => false,
        }
    }

    /// Whether the rule trusts nobody whom the other does not trust.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let less = match (&self.trusted, &other.trusted) {
            (TrustedProxies::Count(own), TrustedProxies::Count(others)) => own <= others,
            (TrustedProxies::Networks(own), TrustedProxies::Networks(others)) => {
                own.as_slice().iter().all(|network| others.as_slice().iter().any(|other| other.covers(network)))
            }
            (TrustedProxies::Count(_), TrustedProxies::Networks(_))
            | (TrustedProxies::Networks(_), TrustedProxies::Count(_)) => false,
        };
        less && self.field == other.field && self.location == other.location
    }
}

impl fmt::Display for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trusted {
            TrustedProxies::Count(count) => write!(f, "{count}")?,
            TrustedProxies::Networks(networks) => {
                for (at, network) in networks.as_slice().iter().enumerate() {
                    write!(f, "{}{network}", if at > 0 { "," } else { "" })?;
                }
            }
        }
        write!(f, " in {}", self.field.as_str())?;
        let LocationFields { country, asn } = &self.location;
        country.iter().chain(asn).try_for_each(|name| write!(f, ", {name}"))
    }
}

impl ProxyField {
    /// The field's name, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// Hops that are walked at most: more than proxies that a request passes before a gateway.
const HOPS_MAX: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED: HeaderName = http::header::FORWARDED;

/// The lines of a field, the last one first; `None` for one that is not text.
fn lines(fields: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Option<&str>> {
    fields.get_all(name).iter().rev().map(|line| line.to_str().ok())
}

/// The value of a field that has only one.
fn only(fields: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut lines = fields.get_all(name).iter();
    let value = lines.next()?.to_str().ok()?.trim_matches([' ', '\t']);
    (lines.next().is_none() && !value.contains(',')).then_some(value)
}

/// A valid host in its one spelling, with the port unless it is the default of the scheme.
fn host(text: &str, https: bool) -> Option<String> {
    HostName::with_port(text).ok().map(|(host, port)| host.authority(port, https).unwrap_or_else(|| host.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn rule(trusted: &str, field: ProxyField) -> ProxySettings {
        let trusted = match trusted.parse() {
            Ok(count) => TrustedProxies::Count(count),
            Err(_) => {
                let networks: Vec<_> = trusted.split(' ').map(|text| text.parse().unwrap()).collect();
                TrustedProxies::Networks(networks.into())
            }
        };
        ProxySettings { trusted, field, location: LocationFields::default() }
    }

    fn fields(name: &'static str, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (HeaderName::from_static(name), line.parse().unwrap())).collect()
    }

    /// The client's address, and all hops, for a request from 10.0.0.1.
    #[track_caller]
    fn check(trusted: &str, lines: &[&str], address: Option<&str>, earlier: &str) {
        let origin = rule(trusted, ProxyField::XForwardedFor).origin(
            Some("10.0.0.1".parse().unwrap()),
            false,
            &fields("x-forwarded-for", lines),
        );
        assert_eq!(origin.address, address.map(|text| text.parse().unwrap()), "{trusted} {lines:?}");
        let text = |hop: &Option<IpAddr>| hop.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let hops: Vec<String> = origin.earlier.iter().map(text).collect();
        assert_eq!(hops.join(" "), earlier, "{trusted} {lines:?}");
        // The same hops in the other field.
        let line =
            lines.join(",").split(',').map(|hop| format!("for=\"{}\"", hop.trim())).collect::<Vec<_>>().join(",");
        let line = if lines.is_empty() { String::new() } else { line };
        let other = rule(trusted, ProxyField::Forwarded).origin(
            Some("10.0.0.1".parse().unwrap()),
            false,
            &fields("forwarded", &[&line]),
        );
        assert_eq!(other, origin, "{line}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_client_is_the_first_hop_that_is_not_trusted() {
        check("10.0.0.0/8", &["203.0.113.9"], Some("203.0.113.9"), "203.0.113.9");
        check("10.0.0.0/8", &["1.1.1.1, 203.0.113.9, 10.0.0.2"], Some("203.0.113.9"), "203.0.113.9 10.0.0.2");
        check("10.0.0.0/8", &["1.1.1.1", "203.0.113.9", "10.0.0.2"], Some("203.0.113.9"), "203.0.113.9 10.0.0.2");
        check("10.0.0.0/8 203.0.113.0/24", &["1.1.1.1, 203.0.113.9"], Some("1.1.1.1"), "1.1.1.1 203.0.113.9");
        check("10.0.0.0/8", &["10.0.0.3, 10.0.0.2"], Some("10.0.0.3"), "10.0.0.3 10.0.0.2");
        check("10.0.0.0/8", &[], Some("10.0.0.1"), "");
        check("192.0.2.0/24", &["203.0.113.9"], Some("10.0.0.1"), "");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_count_is_the_number_of_trusted_hops() {
        check("1", &["1.1.1.1, 203.0.113.9"], Some("203.0.113.9"), "203.0.113.9");
        check("2", &["1.1.1.1, 203.0.113.9, 10.0.0.2"], Some("203.0.113.9"), "203.0.113.9 10.0.0.2");
        check("3", &["203.0.113.9"], Some("203.0.113.9"), "203.0.113.9");
        check("1", &[], Some("10.0.0.1"), "");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_hop_that_is_no_address_makes_the_client_unknown() {
        for bad in ["unknown", "_hidden", "10.0.0", "10.0.0.2.example", "10.0.0.0/8", "10.0.0.2 10.0.0.3"] {
            check("10.0.0.0/8", &[&format!("203.0.113.9, {bad}, 10.0.0.2")], None, "unknown 10.0.0.2");
            check("2", &[&format!("203.0.113.9, {bad}")], None, "unknown");
        }
        // Left of the client, everything is what the client says.
        check("1", &["%, 203.0.113.9"], Some("203.0.113.9"), "203.0.113.9");
        let long = vec!["10.0.0.2"; HOPS_MAX + 5].join(",");
        let origin = rule("10.0.0.0/8", ProxyField::XForwardedFor).origin(
            Some("10.0.0.1".parse().unwrap()),
            false,
            &fields("x-forwarded-for", &[&long]),
        );
        assert_eq!((origin.address, origin.earlier.len()), (None, HOPS_MAX + 1));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_the_field_of_the_rule_is_read() {
        let mut both = fields("x-forwarded-for", &["192.0.2.1"]);
        both.extend(fields("forwarded", &["for=192.0.2.2;proto=https;host=\"b.test:443\""]));
        both.extend(fields("x-forwarded-host", &["A.test.:8443"]));
        both.extend(fields("x-forwarded-proto", &["http"]));
        let peer = Some("10.0.0.1".parse().unwrap());
        let found = |field| {
            let Origin { address, https, host, .. } = rule("1", field).origin(peer, true, &both);
            (address.unwrap().to_string(), https, host.unwrap())
        };
        assert_eq!(found(ProxyField::XForwardedFor), ("192.0.2.1".to_owned(), false, "a.test:8443".to_owned()));
        assert_eq!(found(ProxyField::Forwarded), ("192.0.2.2".to_owned(), true, "b.test".to_owned()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_scheme_or_host_with_two_meanings_is_not_believed() {
        let peer = Some("10.0.0.1".parse().unwrap());
        for (name, lines) in [
            ("x-forwarded-proto", &["https, http"][..]),
            ("x-forwarded-proto", &["https", "https"]),
            ("x-forwarded-proto", &["wss"]),
            ("x-forwarded-host", &["a.test, b.test"]),
            ("x-forwarded-host", &["a b"]),
        ] {
            let origin = rule("1", ProxyField::XForwardedFor).origin(peer, false, &fields(name, lines));
            assert_eq!((origin.https, origin.host), (false, None), "{lines:?}");
        }
        let untrusted = fields("x-forwarded-proto", &["https"]);
        assert!(!rule("192.0.2.0/24", ProxyField::XForwardedFor).origin(peer, false, &untrusted).https);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn where_the_client_is_is_believed_of_trusted_proxies_only() {
        let names = LocationFields { country: Some("cf-ipcountry".into()), asn: Some("x-asn".into()) };
        let rule = ProxySettings { location: names, ..rule("10.0.0.0/8", ProxyField::XForwardedFor) };
        let found = |peer: &str, lines: &[(&'static str, &str)]| {
            let fields =
                lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
            let Location { country, asn } = rule.location(peer.parse().ok(), &fields);
            (country.unwrap_or_default(), asn.unwrap_or_default())
        };
        let both = [("cf-ipcountry", "DE"), ("x-asn", " 3320")];
        assert_eq!(found("10.0.0.1", &both), ("DE".to_owned(), 3_320));
        for peer in ["192.0.2.1", "unknown"] {
            assert_eq!(found(peer, &both), (String::new(), 0), "{peer}");
        }
        for lines in [
            &[("cf-ipcountry", "DE"), ("cf-ipcountry", "DE")][..],
            &[("cf-ipcountry", "DE, FR")],
            &[("cf-ipcountry", "XX"), ("x-asn", "AS1")],
            &[("x-country", "DE")],
        ] {
            assert_eq!(found("10.0.0.1", lines), (String::new(), 0), "{lines:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_unknown_peer_is_in_no_network() {
        let sent = fields("x-forwarded-for", &["192.0.2.1"]);
        assert_eq!(rule("0.0.0.0/0", ProxyField::XForwardedFor).origin(None, false, &sent).address, None);
        assert!(rule("1", ProxyField::XForwardedFor).origin(None, false, &sent).address.is_some());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_rule_is_compared_by_whom_it_trusts() {
        let within =
            |one: &str, other: &str| rule(one, ProxyField::Forwarded).is_within(&rule(other, ProxyField::Forwarded));
        assert!(within("1", "2") && !within("2", "1"));
        assert!(within("10.1.0.0/16", "10.0.0.0/8 192.0.2.1") && !within("10.0.0.0/8", "10.1.0.0/16"));
        assert!(!within("1", "10.0.0.0/8") && !within("10.0.0.0/8", "1"));
        assert!(!rule("1", ProxyField::Forwarded).is_within(&rule("1", ProxyField::XForwardedFor)));
        assert_eq!(rule("10.0.0.0/8 ::1", ProxyField::Forwarded).to_string(), "10.0.0.0/8,::1/128 in forwarded");
    }

    proptest! {
        /// What is left of the first hop that is not trusted has no influence.
        #[test]
        fn a_client_cannot_choose_its_address(sent in "[0-9a-f:., \"\\\\;=_-]{0,60}", trusted in 0u8..4) {
            let proxies: String = (0..trusted).map(|n| format!(", 10.0.0.{n}")).collect();
            let line = format!("{sent}, 203.0.113.9{proxies}");
            for rule in [rule("10.0.0.0/8", ProxyField::XForwardedFor), rule(&(trusted + 1).to_string(), ProxyField::XForwardedFor)] {
                let origin = rule.origin(Some("10.9.9.9".parse().unwrap()), false, &fields("x-forwarded-for", &[&line]));
                prop_assert_eq!(origin.address, Some("203.0.113.9".parse().unwrap()));
                prop_assert_eq!(origin.earlier.len(), usize::from(trusted) + 1);
            }
        }
    }
}
