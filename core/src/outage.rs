//! What is admitted while an identity provider is away: tokens that were verified before, of some consumers, for some time; and the
//! tokens that an operator has revoked.
//!
//! [`OutageRules`] is what a policy allows at most, [`Outage`] what an operator has said, [`KnownToken`] what is known of a token
//! that was verified while its provider answered.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::bounds::ROUTE_LIST_MAX;
use crate::cell::{CellKey, CellOperations, Listed, Operation, OperationId, Terms, Update};
use crate::codec::{self, Decode};
use crate::json::FromJson;
use crate::order;
use crate::time::Timestamp;
use crate::token_id::{digest_of_token, is_same_credential};

/// What a policy allows while its provider is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct OutageRules {
    /// The consumers whose tokens may be admitted; none if tokens of the policy can only be revoked.
    #[n(0)]
    pub consumers: Vec<String>,
    /// How long an outage may last, in seconds.
    #[n(1)]
    pub for_s: u32,
    /// How long after its end a token may be admitted, in seconds.
    #[serde(default)]
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub late_s: u32,
    /// After how many seconds without the provider an isolate admits tokens by itself; absent, only when an operator has said so.
    #[serde(default)]
    #[n(3)]
    pub after_s: Option<u32>,
}

/// The rules of a policy, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct OutagePolicy {
    /// The policy.
    #[n(0)]
    pub policy: String,
    /// Its rules.
    #[n(1)]
    pub rules: OutageRules,
}

/// What an operator has said about the outage of a policy's provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct Outage {
    /// Whose tokens are admitted, and until when. The last one is kept after its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Allowance>,
    /// The tokens that were revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<RevokedToken>,
    /// When this was said.
    #[serde(default)]
    pub changed: Timestamp,
}

/// Whose tokens are admitted, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct Allowance {
    /// The consumers.
    pub consumers: Vec<String>,
    /// When it was said.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// The name of the operator's token.
    pub by: String,
}

/// A token that was revoked, or those of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct RevokedToken {
    /// Its public id, as in logs; or [`JTI`] and the id that its issuer gave it; or [`OF_CONSUMER`] and the consumer.
    pub credential: String,
    /// Until when it is refused: it would not have been accepted any more in any case.
    pub until: Timestamp,
    /// Of a consumer, the tokens that were issued until then, or that do not say when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_until: Option<Timestamp>,
}

/// The revoked tokens of an outage in the order of their names, so that a request looks at those with its own names only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations(Vec<RevokedToken>);

/// Before an id of a token in [`RevokedToken::credential`] that its issuer gave it (`jti`).
pub const JTI: &str = "jti:";

/// Before the name of a consumer in [`RevokedToken::credential`].
pub const OF_CONSUMER: &str = "consumer:";

/// What a token says of itself, by which it can be revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFacts {
    /// When it was issued.
    pub issued: Option<Timestamp>,
    /// Its id, given by its issuer.
    pub id: Option<String>,
}

/// A token that was verified while its provider answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromJson)]
pub struct KnownToken {
    /// Its public id, as in logs.
    pub credential: String,
    /// Its consumer.
    pub consumer: String,
    /// When it was verified first.
    pub verified: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// What the provider said of it, if the token itself does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Whether the provider has said since that it is not valid any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

impl OutageRules {
    /// Nothing is admitted, but tokens can be revoked.
    #[must_use]
    pub const fn only_revocation() -> Self {
        Self { consumers: Vec::new(), for_s: 0, late_s: 0, after_s: None }
    }

    /// Whether it admits anything.
    #[must_use]
    pub const fn admits(&self) -> bool {
        !self.consumers.is_empty()
    }

    pub(crate) fn is_coherent(&self) -> bool {
        if !self.admits() {
            return *self == Self::only_revocation();
        }
        (1..=ROUTE_LIST_MAX).contains(&self.consumers.len())
            && (1..=OUTAGE_S_MAX).contains(&self.for_s)
            && self.late_s <= OUTAGE_S_MAX
            && self.after_s.is_none_or(|after_s| after_s > 0)
    }

    /// Whether tokens of a consumer may be admitted.
    #[must_use]
    pub fn names(&self, consumer: &str) -> bool {
        self.consumers.iter().any(|named| named == consumer)
    }

    /// Whether an isolate that has not reached the provider for this time admits tokens by itself.
    #[must_use]
    pub fn opens_after(&self, away_ms: u64) -> bool {
        let open = |after_s: u32| {
            let from_ms = u64::from(after_s) * 1_000;
            (from_ms..from_ms + u64::from(self.for_s) * 1_000).contains(&away_ms)
        };
        self.after_s.is_some_and(open)
    }
}

impl RevokedToken {
    /// What its tokens have in common, with its kind: tokens with another name are not revoked by it.
    fn name(&self) -> (&str, &str) {
        let of_kind = |kind: &'static str| Some((kind, self.credential.strip_prefix(kind)?));
        let id = || ("", digest_of_token(&self.credential).unwrap_or(&self.credential));
        of_kind(JTI).or_else(|| of_kind(OF_CONSUMER)).unwrap_or_else(id)
    }

    fn is_of(&self, credential: &str, consumer: &str, facts: Option<&TokenFacts>) -> bool {
        if let Some(id) = self.credential.strip_prefix(JTI) {
            return facts.is_some_and(|facts| facts.id.as_deref() == Some(id));
        }
        let Some(own) = self.credential.strip_prefix(OF_CONSUMER) else {
            return is_same_credential(&self.credential, credential);
        };
        let issued = facts.and_then(|facts| facts.issued).zip(self.issued_until);
        own == consumer && issued.is_none_or(|(issued, last)| issued <= last)
    }
}

impl KnownToken {
    /// For how long this record is of use, if a token may be admitted for `late_s` seconds after its end.
    #[must_use]
    pub fn keep_s(&self, late_s: u32, now: Timestamp) -> u32 {
        let left_s = self.ends.millis_since(now).div_ceil(1_000).saturating_add(late_s.into());
        u32::try_from(left_s).unwrap_or(u32::MAX).min(KNOWN_S_MAX)
    }
}

impl Revocations {
    /// Those of an outage.
    #[must_use]
    pub fn of(outage: &Outage) -> Self {
        let mut all = outage.revoked.clone();
        order::sort_by(&mut all, |one, other| one.name() < other.name());
        Self(all)
    }

    /// Whether the token with this public id, of this consumer, is revoked now.
    #[must_use]
    pub fn include(&self, credential: &str, consumer: &str, facts: Option<&TokenFacts>, now: Timestamp) -> bool {
        let has = |kind, text| {
            let start = self.0.partition_point(|revoked| revoked.name() < (kind, text));
            let mut named = self.0[start..].iter().take_while(|revoked| revoked.name() == (kind, text));
            named.any(|revoked| now < revoked.until && revoked.is_of(credential, consumer, facts))
        };
        !self.0.is_empty()
            && (has("", digest_of_token(credential).unwrap_or(credential))
                || has(OF_CONSUMER, consumer)
                || facts.and_then(|facts| facts.id.as_deref()).is_some_and(|id| has(JTI, id)))
    }
}

impl Outage {
    /// What an operator allows now: never longer than the policy does, whatever a record says.
    #[must_use]
    pub fn allowance(&self, rules: &OutageRules, now: Timestamp) -> Option<&Allowance> {
        let longest_ms = u64::from(rules.for_s) * 1_000;
        self.allowed.as_ref().filter(|allowed| now < allowed.until.min(allowed.from.plus_millis(longest_ms)))
    }
}

/// The update that adds a token to those that were admitted while the provider of a policy was away, and the cell that lists them.
#[must_use]
pub fn admitted(policy: &str, known: &KnownToken, now: Timestamp, id: OperationId) -> Update {
    let listed = Listed {
        name: known.credential.as_str().into(),
        text: known.consumer.as_str().into(),
        first: now,
        last: now,
        ends: known.ends,
        kept_until: now.plus_millis(LISTED_MS),
    };
    update(policy, Operation::List(listed), id)
}

/// The update that reads these tokens.
#[must_use]
pub fn read_admitted(policy: &str, id: OperationId) -> Update {
    update(policy, Operation::ReadList, id)
}

fn update(policy: &str, operation: Operation, id: OperationId) -> Update {
    let cell = CellKey::partition("idp-outage", policy);
    Update {
        terms: Terms { id, hold_ms: None, refund_ms: None },
        cells: vec![CellOperations { cell, operations: vec![operation] }],
    }
}

/// The longest outage that a policy may allow, and the longest time after the end of a token: a day.
pub const OUTAGE_S_MAX: u32 = 24 * 60 * 60;

/// How long the record of a token is kept at most: longer than tokens are valid, except those without an end.
const KNOWN_S_MAX: u32 = 31 * 24 * 60 * 60;

/// How long it is listed that a token was admitted: long enough for an incident to be examined.
const LISTED_MS: u64 = 31 * 24 * 60 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn rules() -> OutageRules {
        OutageRules { consumers: vec!["staff:ada".into()], for_s: 3_600, late_s: 600, after_s: None }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_operator_allows_never_more_than_the_policy() {
        let until = |ms| {
            let (consumers, until) = (vec!["staff:ada".into()], NOW.plus_millis(ms));
            let allowed = Allowance { consumers, from: NOW, until, reason: "r".into(), by: "ci".into() };
            Outage { allowed: Some(allowed), ..Outage::default() }
        };
        let is_open = |outage: &Outage, ms| outage.allowance(&rules(), NOW.plus_millis(ms)).is_some();
        assert!(is_open(&until(60_000), 59_999) && !is_open(&until(60_000), 60_000));
        assert!(is_open(&until(9_000_000), 3_599_999) && !is_open(&until(9_000_000), 3_600_000));
        assert!(!is_open(&Outage::default(), 0));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_is_revoked_by_its_id_its_jti_or_its_consumer() {
        let revoked = |credential: &str, issued_until| RevokedToken {
            credential: credential.into(),
            until: NOW.plus_millis(9_000),
            issued_until,
        };
        let all = vec![revoked("jwt-00ff", None), revoked("jti:7", None), revoked("consumer:staff:ada", Some(NOW))];
        let revocations = Revocations::of(&Outage { revoked: all, ..Outage::default() });
        let facts = |id: &str, ms| TokenFacts { id: Some(id.into()), issued: Some(NOW.plus_millis(ms)) };
        let check = |credential: &str, consumer: &str, facts: Option<TokenFacts>, is_revoked: bool| {
            assert_eq!(
                revocations.include(credential, consumer, facts.as_ref(), NOW),
                is_revoked,
                "{credential} {facts:?}"
            );
            let later = NOW.plus_millis(9_000);
            assert!(!revocations.include(credential, consumer, facts.as_ref(), later), "it has ended");
        };
        check("jwt-00ff", "bob", None, true);
        check("token-00ff", "bob", None, true);
        check("jwt-00fe", "bob", Some(facts("8", 0)), false);
        check("jwt-00fe", "bob", Some(facts("7", 0)), true);
        check("jwt-00fe", "staff:ada", Some(facts("8", 0)), true);
        check("jwt-00fe", "staff:ada", Some(facts("8", 1)), false);
        check("jwt-00fe", "staff:ada", Some(TokenFacts::default()), true);
        check("jwt-00fe", "staff:adam", None, false);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_order_of_names_finds_what_a_look_at_all_finds() {
        const NAMES: [&str; 9] =
            ["jwt-00", "token-00", "jwt-01", "key-00", "jti:", "jti:a", "consumer:a", "consumer:", "zz"];
        let name = |n: usize| RevokedToken {
            credential: NAMES[n % NAMES.len()].into(),
            until: NOW.plus_millis(1 + n as u64 % 3),
            issued_until: n.is_multiple_of(2).then_some(NOW),
        };
        for seed in 0..200 {
            let revoked: Vec<_> = (0..seed % 12).map(|n| name(seed * 7 + n * n * 5)).collect();
            let revocations = Revocations::of(&Outage { revoked: revoked.clone(), ..Outage::default() });
            for (credential, consumer, id) in NAMES
                .iter()
                .flat_map(|one| ["", "a", "b"].map(|other| (*one, other, Some(other))))
                .chain([("jwt-01", "b", None)])
            {
                let facts = TokenFacts { id: id.map(str::to_owned), issued: Some(NOW.plus_millis(seed as u64 % 2)) };
                let now = NOW.plus_millis(1);
                let all = revoked.iter().any(|one| now < one.until && one.is_of(credential, consumer, Some(&facts)));
                assert_eq!(
                    revocations.include(credential, consumer, Some(&facts), now),
                    all,
                    "{credential} {revoked:?}"
                );
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_stated_condition_opens_after_its_time_and_ends_by_itself() {
        let rules = OutageRules { after_s: Some(60), for_s: 600, ..rules() };
        assert_eq!([59_999, 60_000, 659_999, 660_000].map(|ms| rules.opens_after(ms)), [false, true, true, false]);
        assert!(!super::tests::rules().opens_after(u64::MAX));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_record_is_kept_as_long_as_it_is_of_use() {
        let kept = |ends| {
            let (credential, consumer) = ("jwt-1".into(), "staff:ada".into());
            KnownToken { credential, consumer, verified: NOW, ends, answer: None, withdrawn: false }.keep_s(600, NOW)
        };
        assert_eq!((kept(NOW.plus_millis(1_500)), kept(Timestamp::MAX)), (602, KNOWN_S_MAX));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rules_are_bounded() {
        let with = |change: fn(&mut OutageRules)| {
            let mut rules = rules();
            change(&mut rules);
            rules.is_coherent()
        };
        assert!(with(|_| ()) && with(|rules| rules.late_s = 0));
        assert!(!with(|rules| rules.consumers.clear()) && !with(|rules| rules.for_s = 0));
        assert!(OutageRules::only_revocation().is_coherent() && !OutageRules::only_revocation().admits());
        assert!(!with(|rules| rules.for_s = OUTAGE_S_MAX + 1) && !with(|rules| rules.late_s = OUTAGE_S_MAX + 1));
        assert!(!with(|rules| rules.after_s = Some(0)));
    }
}
