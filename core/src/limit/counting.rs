//! What all kinds of limits have in common: whose requests share a quota, and what a refusal does.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU32};

use minicbor::Encode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::statuses::Statuses;
use crate::authn::Principal;
use crate::cell::CellKey;
use crate::client::ClientNetwork;
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
}

impl Counting {
    /// The partition of a policy with these settings.
    #[must_use]
    pub const fn partition(&self, by: LimitBy) -> Partition<'_> {
        if self.parts.is_empty() { Partition::By(by) } else { Partition::Parts(self.parts.as_slice()) }
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

    /// Whether it says nothing that every reader has to know.
    pub(super) fn can_be_ignored(&self) -> bool {
        Self { consistency: Consistency::default(), ..self.clone() } == Self::default()
    }

    /// Checks what the types cannot express.
    pub(super) fn is_coherent(&self) -> bool {
        self.parts.len() <= PARTS_MAX
            && self.warn.len() <= WARNINGS_MAX
            && self.warn.iter().chain(&self.degrade).all(|percent| percent.get() <= 100)
            && self.warn.is_sorted()
            && self.count_when.as_ref().is_none_or(Statuses::is_coherent)
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
            Self::By(by) => return cell_by(by, facts.principal, facts.address),
            Self::Parts([Part::By(by)]) => return cell_by(*by, facts.principal, facts.address),
            Self::Parts([Part::Gateway]) => return CellKey::new("gateway"),
            Self::Parts(parts) => parts,
        };
        let mut hash = Sha256::new();
        for part in parts {
            match part {
                Part::By(by) => add(&mut hash, 0, cell_by(*by, facts.principal, facts.address).as_str()),
                Part::Credential => match facts.principal.filter(|principal| !principal.is_anonymous) {
                    Some(principal) => add(&mut hash, 1, &principal.credential),
                    None => add(&mut hash, 0, cell_by(LimitBy::Address, None, facts.address).as_str()),
                },
                Part::Subscription => match at.subscription {
                    Some(id) => add(&mut hash, 7, id),
                    None => add(&mut hash, 0, cell_by(LimitBy::Consumer, facts.principal, facts.address).as_str()),
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

fn cell_by(by: LimitBy, principal: Option<&Principal>, address: Option<IpAddr>) -> CellKey {
    match (by, principal) {
        (LimitBy::Installation, Some(Principal { confirmation: Some(bound), .. })) => {
            CellKey::partition("installation", &bound.installation())
        }
        (LimitBy::Consumer | LimitBy::Installation, Some(principal)) if !principal.is_anonymous => {
            CellKey::partition("consumer", &principal.consumer)
        }
        (LimitBy::Consumer | LimitBy::Installation | LimitBy::Address, _) => {
            address.map_or_else(ClientNetwork::unknown_cell, |address| ClientNetwork::of(address).cell())
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
        let at = Whereabouts { route: "pets.list", api: "pets", upstream: "main", subscription: None };
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
}
