//! What all kinds of limits have in common: whose requests share a quota, and what a refusal does.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU32};

use minicbor::Encode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cost::{Cost, Measure};
use super::statuses::Statuses;
use crate::authn::Principal;
use crate::cell::CellKey;
use crate::client::{ClientNetwork, Prefixes};
use crate::codec::{self, Decode};
use crate::expression::{Facts, Source};
use crate::hex;

/// Which requests share a quota: the partition key of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum LimitBy {
    /// The authenticated consumer, or the client's address if there is none.
    #[default]
    #[n(0)]
    Consumer,
    /// The client's address.
    #[n(1)]
    Address,
    /// The installation of the client: the key or certificate to which its token is bound; as for `Consumer` if it is bound to
    /// nothing.
    #[n(2)]
    Installation,
}

/// What a policy does while a store it depends on does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum OnUnavailable {
    /// Let the request pass, and report it in telemetry.
    #[n(0)]
    Open,
    /// Refuse the request with 503.
    #[n(1)]
    Closed,
}

/// Where the requests of a limit are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Consistency {
    /// Each request at the owner of its counter.
    #[default]
    #[n(0)]
    Exact,
    /// In isolates, which take permits ahead at the owner.
    #[n(1)]
    Leased,
    /// In each isolate by itself.
    #[n(2)]
    Local,
}

/// One of several values that requests of one quota have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum Part {
    /// As [`LimitBy`].
    #[n(0)]
    By(#[n(0)] LimitBy),
    /// The credential, or the client's address if there is none.
    #[n(1)]
    Credential,
    /// The route.
    #[n(2)]
    Route,
    /// The API.
    #[n(3)]
    Api,
    /// The upstream.
    #[n(4)]
    Upstream,
    /// Nothing: all requests of the gateway.
    #[n(5)]
    Gateway,
    /// What an expression reads of the request, or that it has no value.
    #[n(6)]
    Value(#[n(0)] Source),
    /// The subscription of the consumer; as for the consumer if there is none.
    #[n(7)]
    Subscription,
}

/// The settings of a limit that do not depend on how it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields, default)]
#[cbor(map)]
pub struct Counting {
    /// What the requests of one quota have in common; if it is empty, what the policy's `by` says.
    #[cbor(n(0), skip_if = "codec::is_default")]
    pub parts: Vec<Part>,
    /// Whether a refusal is only reported.
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub shadow: bool,
    /// The shares of the quota, in percent, that are reported when they are reached, in ascending order.
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub warn: Vec<NonZeroU8>,
    /// While the counter store does not answer, the share of the limit, in percent, that each isolate admits by itself.
    #[cbor(n(3), skip_if = "codec::is_default")]
    pub degrade: Option<NonZeroU8>,
    /// How long the counter store is waited for, in milliseconds; absent, as long as for all stores.
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub timeout_ms: Option<NonZeroU32>,
    /// Where requests are counted. A reader that does not know it counts exactly.
    #[serde(skip_serializing_if = "codec::is_default")]
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub consistency: Consistency,
    /// The largest number that records of plans, subscriptions and grants may give the limit; absent, they give it none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(6), skip_if = "codec::is_default")]
    pub at_most: Option<NonZeroU32>,
    /// The responses after which a request counts; absent, all of them.
    #[serde(skip_serializing_if = "codec::is_default")]
    #[cbor(n(7), skip_if = "codec::is_default")]
    pub count_when: Option<Statuses>,
    /// The claim that has the number of the limit for the caller, up to `at_most`; anything else in it has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(8), skip_if = "codec::is_default")]
    pub number_from: Option<Source>,
    /// What its quota was computed of, if it is a budget of the operator and not a limit of callers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(9), skip_if = "codec::is_default")]
    pub budget: Option<String>,
    /// What a request costs; absent, the number of its route.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cbor(n(10), skip_if = "codec::is_default")]
    pub cost: Option<Box<Cost>>,
    /// Which part of an address is counted; absent, [`Prefixes::default`].
    #[serde(skip_serializing_if = "codec::is_default")]
    #[cbor(n(11), skip_if = "codec::is_default")]
    pub prefixes: Prefixes,
    /// Whether a request goes on while the owner of its counter is asked. A reader that does not know it asks before.
    #[serde(skip_serializing_if = "codec::is_default")]
    #[cbor(n(12), skip_if = "codec::is_default")]
    pub beside: bool,
}

/// Whose requests share a quota, in either form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition<'s> {
    /// One of the partitions that have a name.
    By(LimitBy),
    /// All of these.
    Parts(&'s [Part]),
}

/// Where a request is counted, beside what expressions read of it.
#[derive(Clone, Copy, Debug)]
pub struct Whereabouts<'r> {
    /// The route's name.
    pub route: &'r str,
    /// The name of its API.
    pub api: &'r str,
    /// The name of its upstream.
    pub upstream: &'r str,
    /// The id of the consumer's subscription.
    pub subscription: Option<&'r str>,
    /// Which part of an address is counted.
    pub prefixes: Prefixes,
}

impl Counting {
    /// The partition of a policy with these settings.
    #[must_use]
    pub const fn partition(&self, by: LimitBy) -> Partition<'_> {
        if self.parts.is_empty() { Partition::By(by) } else { Partition::Parts(self.parts.as_slice()) }
    }

    /// What it reads of a request, beside what its partition does.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let of_cost = self.cost.as_ref().and_then(|cost| match &cost.of {
            Measure::Value(source) => Some(source),
            Measure::RequestBytes | Measure::ResponseBytes | Measure::ResponseField(_) => None,
        });
        self.number_from.iter().chain(of_cost)
    }

    /// Whether what was charged may be given back when the response is known.
    #[must_use]
    pub fn may_give_back(&self) -> bool {
        self.count_when.is_some() || self.cost.as_ref().is_some_and(|cost| cost.may_be_less())
    }

    /// Whether it depends on the subscription of the consumer.
    #[must_use]
    pub fn asks_for_subscriptions(&self) -> bool {
        self.at_most.is_some() || self.counts_by_subscription()
    }

    /// Whether requests of one subscription are counted together.
    pub(super) fn counts_by_subscription(&self) -> bool {
        self.parts.contains(&Part::Subscription)
    }

    /// Whether only readers know it that know costs, prefixes and cookies: others would count something else.
    pub(super) fn is_priced(&self) -> bool {
        self.cost.is_some()
            || self.prefixes != Prefixes::default()
            || self.parts.iter().any(|part| matches!(part, Part::Value(Source::Cookie(_))))
    }

    /// Whether the cost is read of the caller.
    pub(super) fn is_priced_by_caller(&self) -> bool {
        matches!(self.cost.as_deref(), Some(Cost { of: Measure::Value(source), .. }) if source.is_of_caller())
    }

    /// Whether it says nothing that every reader has to know.
    pub(super) fn can_be_ignored(&self) -> bool {
        Self { consistency: Consistency::default(), beside: false, ..self.clone() } == Self::default()
    }

    /// Checks what the types cannot express.
    pub(super) fn is_coherent(&self) -> bool {
        self.parts.len() <= PARTS_MAX
            && self.warn.len() <= WARNINGS_MAX
            && self.warn.iter().chain(&self.degrade).all(|percent| percent.get() <= 100)
            && self.warn.is_sorted()
            && self.count_when.as_ref().is_none_or(Statuses::is_coherent)
            && self.cost.as_ref().is_none_or(|cost| cost.is_coherent())
            && self.prefixes.are_coherent()
            // What is beyond a budget is not to be called.
            && !(self.beside && self.budget.is_some())
            && self
                .number_from
                .as_ref()
                .is_none_or(|source| self.at_most.is_some() && matches!(source, Source::Claim(_)))
    }
}

impl<'s> Partition<'s> {
    /// Whether it is known before a caller is authenticated.
    #[must_use]
    pub fn is_known_before_authentication(&self) -> bool {
        match self {
            Self::By(by) => *by == LimitBy::Address,
            Self::Parts(parts) => parts.iter().all(|part| match part {
                Part::By(by) => *by == LimitBy::Address,
                Part::Credential | Part::Subscription => false,
                Part::Route | Part::Api | Part::Upstream | Part::Gateway => true,
                Part::Value(source) => !source.is_of_caller(),
            }),
        }
    }

    /// Whether requests of one quota are those of one caller.
    #[must_use]
    pub fn is_of_caller(&self) -> bool {
        match self {
            Self::By(by) => *by != LimitBy::Address,
            Self::Parts(parts) => parts.iter().any(|part| match part {
                Part::By(by) => *by != LimitBy::Address,
                Part::Credential | Part::Subscription => true,
                Part::Route | Part::Api | Part::Upstream | Part::Gateway | Part::Value(_) => false,
            }),
        }
    }

    /// Whether requests of one quota are those of one credential.
    #[must_use]
    pub fn is_of_credential(&self) -> bool {
        matches!(self, Self::Parts(parts) if parts.contains(&Part::Credential))
    }

    /// Whether it has this word as one of its parts.
    #[must_use]
    pub fn is_by(&self, wanted: LimitBy) -> bool {
        match self {
            Self::By(by) => *by == wanted,
            Self::Parts(parts) => parts.contains(&Part::By(wanted)),
        }
    }

    /// What it reads of a request.
    pub fn sources(&self) -> impl Iterator<Item = &'s Source> + use<'s> {
        let parts = match *self {
            Self::By(_) => &[][..],
            Self::Parts(parts) => parts,
        };
        parts.iter().filter_map(|part| match part {
            Part::Value(source) => Some(source),
            Part::By(_)
            | Part::Credential
            | Part::Subscription
            | Part::Route
            | Part::Api
            | Part::Upstream
            | Part::Gateway => None,
        })
    }

    /// The cell that counts a request.
    ///
    /// Of several parts only a digest is stored: their values may be personal, and a client may choose their length.
    #[must_use]
    pub fn cell(&self, facts: &Facts<'_>, at: &Whereabouts<'_>) -> CellKey {
        let parts = match *self {
            Self::By(by) => return cell_by(by, facts.principal, facts.address, at),
            Self::Parts([Part::By(by)]) => return cell_by(*by, facts.principal, facts.address, at),
            Self::Parts([Part::Gateway]) => return CellKey::new("gateway"),
            Self::Parts(parts) => parts,
        };
        let mut hash = Sha256::new();
        for part in parts {
            match part {
                Part::By(by) => add(&mut hash, 0, cell_by(*by, facts.principal, facts.address, at).as_str()),
                Part::Credential => match facts.principal.filter(|principal| !principal.is_anonymous) {
                    Some(principal) => add(&mut hash, 1, &principal.credential),
                    None => add(&mut hash, 0, cell_by(LimitBy::Address, None, facts.address, at).as_str()),
                },
                Part::Subscription => match at.subscription {
                    Some(id) => add(&mut hash, 7, id),
                    None => add(&mut hash, 0, cell_by(LimitBy::Consumer, facts.principal, facts.address, at).as_str()),
                },
                Part::Route => add(&mut hash, 2, at.route),
                Part::Api => add(&mut hash, 3, at.api),
                Part::Upstream => add(&mut hash, 4, at.upstream),
                Part::Gateway => {}
                Part::Value(source) => match facts.text(source) {
                    Some(text) => add(&mut hash, 5, &text),
                    None => add(&mut hash, 6, ""),
                },
            }
        }
        CellKey::partition("parts", &hex::encode(&hash.finalize()[..DIGEST_BYTES]))
    }
}

/// Adds a value to a digest: with its length, so that no two lists of values have the same bytes.
fn add(hash: &mut Sha256, kind: u8, value: &str) {
    hash.update([kind]);
    hash.update((value.len() as u64).to_be_bytes());
    hash.update(value.as_bytes());
}

fn cell_by(by: LimitBy, principal: Option<&Principal>, address: Option<IpAddr>, at: &Whereabouts<'_>) -> CellKey {
    match (by, principal) {
        (LimitBy::Installation, Some(Principal { confirmation: Some(bound), .. })) => {
            CellKey::partition("installation", &bound.installation())
        }
        (LimitBy::Consumer | LimitBy::Installation, Some(principal)) if !principal.is_anonymous => {
            CellKey::partition("consumer", &principal.consumer)
        }
        (LimitBy::Consumer | LimitBy::Installation | LimitBy::Address, _) => {
            address.map_or_else(ClientNetwork::unknown_cell, |address| at.prefixes.cell(address))
        }
    }
}

/// Maximum number of values that requests of one quota have in common.
pub const PARTS_MAX: usize = 8;

/// Maximum number of shares that one limit reports.
pub const WARNINGS_MAX: usize = 4;

/// Half of a SHA-256: two partitions with one digest are found by nobody in 2^64 tries.
const DIGEST_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::with_facts;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn cell(parts: &[Part], principal: Option<&Principal>) -> String {
        let (subscription, prefixes) = (None, Prefixes::default());
        let at = Whereabouts { route: "pets.list", api: "pets", upstream: "main", subscription, prefixes };
        with_facts(principal, |facts| Partition::Parts(parts).cell(facts, &at).as_str().to_owned())
    }

    fn caller(consumer: &str, credential: &str) -> Principal {
        Principal::new(consumer.into(), credential.into(), None, vec![])
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_part_that_has_a_name_is_the_partition_of_that_name() {
        let acme = caller("acme", "c1");
        assert_eq!(cell(&[Part::By(LimitBy::Consumer)], Some(&acme)), "consumer=acme");
        assert_eq!(cell(&[Part::Gateway], None), "gateway");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn requests_share_a_quota_if_all_parts_are_equal() {
        let by = [Part::By(LimitBy::Consumer), Part::Route];
        let (one, other) = (caller("acme", "c1"), caller("acme", "c2"));
        assert_eq!(cell(&by, Some(&one)), cell(&by, Some(&other)));
        assert_ne!(cell(&by, Some(&one)), cell(&by, Some(&caller("globex", "c3"))));
        let by = [Part::Credential];
        assert_ne!(cell(&by, Some(&one)), cell(&by, Some(&other)));
        assert_eq!(cell(&by, Some(&one)).len(), "parts=".len() + 32);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_value_is_told_from_every_value_and_values_do_not_run_together() {
        let value = |name: &str| Part::Value(Source::Parameter(name.into()));
        let cells = [
            cell(&[value("id")], None),
            cell(&[value("absent")], None),
            cell(&[value("id"), value("absent")], None),
            cell(&[value("absent"), value("id")], None),
            cell(&[Part::Api, Part::Upstream], None),
            cell(&[Part::Upstream, Part::Api], None),
        ];
        let different: std::collections::BTreeSet<&String> = cells.iter().collect();
        assert_eq!(different.len(), cells.len());
    }

    /// What two requests can differ in.
    #[derive(Clone, Default)]
    struct Asked {
        consumer: &'static str,
        credential: &'static str,
        subscription: Option<&'static str>,
        claim: &'static str,
        address: &'static str,
        cookie: &'static str,
        field: &'static str,
        query: &'static str,
        path: &'static str,
        host: &'static str,
        country: &'static str,
        route: &'static str,
        api: &'static str,
        upstream: &'static str,
    }

    impl Asked {
        fn cell(&self, counting: &Counting) -> String {
            let claims = crate::jose::Members::parse(self.claim.as_bytes()).unwrap();
            let principal = caller(self.consumer, self.credential).with_claims(&[vec!["tenant".to_owned()]], &claims);
            let mut fields = http::HeaderMap::new();
            fields.insert("x-tenant", self.field.parse().unwrap());
            fields.insert("cookie", self.cookie.parse().unwrap());
            let (method, path) = (http::Method::GET, crate::route::CanonicalPath::parse(self.path.as_bytes()).unwrap());
            let host = crate::route::HostName::from_authority(self.host).unwrap();
            let template = "/pets/{id}".parse().unwrap();
            let location = crate::client::Location::new(self.country, "");
            let head =
                crate::route::RequestHead { method: &method, path: &path, query: Some(self.query), fields: &fields };
            let facts = Facts {
                head,
                host: &host,
                template: &template,
                address: self.address.parse().ok(),
                location: &location,
                principal: Some(&principal),
                now: crate::time::Timestamp::from_millis(0),
            };
            let Self { route, api, upstream, subscription, .. } = *self;
            let at = Whereabouts { route, api, upstream, subscription, prefixes: counting.prefixes };
            counting.partition(LimitBy::Address).cell(&facts, &at).as_str().to_owned()
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn each_value_that_requests_can_have_in_common_is_a_partition_of_its_own() {
        let one = Asked {
            consumer: "acme",
            credential: "c1",
            subscription: Some("sub-1"),
            claim: r#"{"tenant":"a"}"#,
            address: "2001:db8:0:1::1",
            cookie: "session=a; theme=x",
            field: "a",
            query: "shop=a&page=1",
            path: "/pets/1",
            host: "a.test",
            country: "DE",
            route: "r1",
            api: "a1",
            upstream: "u1",
        };
        let value = Part::Value;
        let cases: [(Part, Asked); 14] = [
            (Part::By(LimitBy::Consumer), Asked { consumer: "beta", ..one.clone() }),
            (Part::Credential, Asked { credential: "c2", ..one.clone() }),
            (Part::Subscription, Asked { subscription: Some("sub-2"), ..one.clone() }),
            (value(Source::Claim(vec!["tenant".into()])), Asked { claim: r#"{"tenant":"b"}"#, ..one.clone() }),
            (Part::By(LimitBy::Address), Asked { address: "2001:db8:0:2::1", ..one.clone() }),
            (value(Source::Header("x-tenant".into())), Asked { field: "b", ..one.clone() }),
            (value(Source::Cookie("session".into())), Asked { cookie: "session=b; theme=x", ..one.clone() }),
            (value(Source::Query("shop".into())), Asked { query: "shop=b&page=1", ..one.clone() }),
            (value(Source::Parameter("id".into())), Asked { path: "/pets/2", ..one.clone() }),
            (value(Source::Host), Asked { host: "b.test", ..one.clone() }),
            (value(Source::Country), Asked { country: "AT", ..one.clone() }),
            (Part::Route, Asked { route: "r2", ..one.clone() }),
            (Part::Api, Asked { api: "a2", ..one.clone() }),
            (Part::Upstream, Asked { upstream: "u2", ..one }),
        ];
        for (part, _) in &cases {
            let counting = Counting { parts: vec![part.clone()], ..Counting::default() };
            let cell = one.cell(&counting);
            for (differs, other) in &cases {
                assert_eq!(
                    other.cell(&counting) == cell,
                    differs != part,
                    "{part:?} and a request with another {differs:?}"
                );
            }
            let is_named = matches!(part, Part::By(_));
            assert!(
                is_named || (cell.starts_with("parts=") && cell.len() == "parts=".len() + 32),
                "{cell}: no value is stored"
            );
        }
        let tuple = Counting {
            parts: cases[..PARTS_MAX].iter().map(|(part, _)| part.clone()).collect(),
            ..Counting::default()
        };
        for (place, (_, other)) in cases.iter().enumerate() {
            assert_eq!(other.cell(&tuple) == one.cell(&tuple), place >= PARTS_MAX, "a tuple has all of its values");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_policy_chooses_how_much_of_an_address_counts() {
        let at = |address: &'static str, ipv6: u8| {
            let counting = Counting { prefixes: Prefixes { ipv4: 24, ipv6 }, ..Counting::default() };
            let (consumer, credential, claim, path, host) = ("acme", "c1", "{}", "/pets/1", "a.test");
            Asked { consumer, credential, claim, path, host, address, ..Asked::default() }.cell(&counting)
        };
        assert_eq!(at("2001:db8:0:1ff::1", 56), at("2001:db8:0:100::1", 56));
        assert_ne!(at("2001:db8:0:1ff::1", 64), at("2001:db8:0:100::1", 64));
        assert_eq!(at("192.0.2.1", 64), at("192.0.2.254", 64));
        assert_eq!(at("192.0.2.1", 64), "address=192.0.2.0/24");
    }
}
