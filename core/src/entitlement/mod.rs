//! What consumers are entitled to, as records of operators: products, plans, subscriptions and grants.
//!
//! [`Entitlements`] are the products and plans of a gateway (its catalogue), or the subscriptions and grants of one consumer. Each thing is also stored by itself, as
//! entitlements with nothing else: the whole is the merge of these entries. [`Entitled`] is what they say of one request.

mod entitled;

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use self::entitled::in_period;
pub use self::entitled::{Entitled, Numbers};
use crate::hex;
use crate::json::FromJson;
use crate::time::Timestamp;

/// What a gateway sells, or what a consumer is entitled to: the products and plans of the gateway, or the subscriptions and grants of a
/// consumer.
///
/// Of each thing it is known when it was written: of two records, the newer parts are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct Entitlements {
    /// The products, by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<Product>,
    /// The plans, by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<Plan>,
    /// The subscriptions, by their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<Subscription>,
    /// The grants, by their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
}

/// A product: APIs that consumers subscribe to together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The names of its APIs; empty, all.
    #[serde(default)]
    pub apis: Vec<String>,
    /// Whether it was removed: it is kept so that no older record brings it back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub removed: bool,
    /// Who wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When this was written.
    #[serde(default)]
    pub changed: Timestamp,
}

/// A plan: numbers that replace those of limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// The product that can be subscribed to with it; absent, it is for credentials and claims only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its numbers; a limit without any has its own.
    #[serde(default)]
    pub limits: Vec<PlanNumbers>,
    /// Whether it was removed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub removed: bool,
    /// Who wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When this was written.
    #[serde(default)]
    pub changed: Timestamp,
}

/// The numbers of a plan for one limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct PlanNumbers {
    /// The name of the limit's policy.
    pub policy: String,
    /// The requests per period, in a window, or at the same time.
    pub count: u32,
    /// The period of a rate, in milliseconds; absent, that of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_ms: Option<u32>,
    /// The burst of a rate; absent, the count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

/// The subscription of a consumer to a product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct Subscription {
    /// Its public id, which consumer and product determine: a consumer has one subscription to a product.
    #[serde(default)]
    pub id: String,
    /// The consumer.
    pub consumer: String,
    /// The product.
    pub product: String,
    /// The plan.
    pub plan: String,
    /// When it begins.
    #[serde(default)]
    pub from: Timestamp,
    /// When it ends; absent, it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When this was written.
    #[serde(default)]
    pub changed: Timestamp,
}

/// A raise of a limit for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct Grant {
    /// Its public id.
    #[serde(default)]
    pub id: String,
    /// The consumer.
    pub consumer: String,
    /// The product whose subscription it raises; absent, all requests of the consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The name of the limit's policy.
    pub policy: String,
    /// The number that it raises the limit to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// What it raises the limit to, in percent of what it is otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// When it begins.
    #[serde(default)]
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Why it was given.
    pub why: String,
    /// Who has validated the partner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validated_by: Option<String>,
    /// Whether it was revoked.
    #[serde(default, skip_serializing_if = "is_false")]
    pub revoked: bool,
    /// Who gave or revoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When this was written.
    #[serde(default)]
    pub changed: Timestamp,
}

/// As they are written: `burst=100/s:200`.
impl fmt::Display for PlanNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.policy, self.count)?;
        match self.period_ms {
            None => {}
            Some(1_000) => f.write_str("/s")?,
            Some(60_000) => f.write_str("/min")?,
            Some(3_600_000) => f.write_str("/h")?,
            Some(86_400_000) => f.write_str("/d")?,
            Some(ms) if ms % 1_000 == 0 => write!(f, "/{}s", ms / 1_000)?,
            Some(ms) => write!(f, "/{ms}ms")?,
        }
        self.burst.map_or(Ok(()), |burst| write!(f, ":{burst}"))
    }
}

impl Entitlements {
    /// Takes over what the other one has more, or newer.
    pub fn merge(&mut self, other: Self) {
        merge(&mut self.products, other.products, |product| (&product.name, product.changed));
        merge(&mut self.plans, other.plans, |plan| (&plan.name, plan.changed));
        merge(&mut self.subscriptions, other.subscriptions, |one| (&one.id, one.changed));
        merge(&mut self.grants, other.grants, |grant| (&grant.id, grant.changed));
    }

    /// Leaves out what has ended so long ago that nobody asks for it.
    pub fn leave_out_ended(&mut self, now: Timestamp) {
        self.products.retain(|product| !product.removed || is_kept(product.changed, now));
        self.plans.retain(|plan| !plan.removed || is_kept(plan.changed, now));
        self.subscriptions.retain(|one| one.until.is_none_or(|until| is_kept(until.max(one.changed), now)));
        self.grants.retain(|grant| is_kept(grant.until.max(grant.changed), now));
    }

    /// How many things it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.products.len() + self.plans.len() + self.subscriptions.len() + self.grants.len()
    }

    /// The product of this name.
    #[must_use]
    pub fn product(&self, name: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.name == name && !product.removed)
    }

    /// The plan of this name.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.name == name && !plan.removed)
    }
}

impl Product {
    /// Whether an API is one of its own.
    #[must_use]
    pub fn has(&self, api: &str) -> bool {
        self.apis.is_empty() || self.apis.iter().any(|own| own == api)
    }
}

impl Subscription {
    /// The id of the subscription of a consumer to a product.
    #[must_use]
    pub fn id_of(consumer: &str, product: &str) -> String {
        let digest = Sha256::new().chain_update(consumer).chain_update([0]).chain_update(product).finalize();
        format!("{SUBSCRIPTION}{}", hex::encode(&digest[..ID_BYTES]))
    }

    /// Whether it applies now.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

impl Grant {
    /// The id of a new grant.
    #[must_use]
    pub fn new_id(random: &[u8; ID_BYTES]) -> String {
        format!("{GRANT}{}", hex::encode(random))
    }

    /// Whether it applies now.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        !self.revoked && self.from <= now && now < self.until
    }
}

/// Merges two lists in the order of their keys.
fn merge<T>(own: &mut Vec<T>, other: Vec<T>, key: impl Fn(&T) -> (&String, Timestamp)) {
    for thing in other {
        let place = own.binary_search_by(|known| key(known).0.cmp(key(&thing).0));
        match place {
            Ok(place) => {
                if key(&own[place]).1.cmp(&key(&thing).1) == Ordering::Less {
                    own[place] = thing;
                }
            }
            Err(place) => own.insert(place, thing),
        }
    }
}

fn is_kept(ended: Timestamp, now: Timestamp) -> bool {
    now < ended.plus_millis(ENDED_KEPT_MS)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Before the ids of subscriptions and grants.
const SUBSCRIPTION: &str = "sub-";
const GRANT: &str = "grant-";

/// Of ids: among a thousand grants of a consumer, the probability that two have one id is 1 in 500 million.
pub const ID_BYTES: usize = 6;

/// Things of one record: a request may have to read them, and an operator's call reads the entry of each.
pub const ENTITLEMENTS_MAX: usize = 256;

/// How long what has ended is listed: longer than any window is usual.
const ENDED_KEPT_MS: u64 = 40 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn plan(name: &str, changed: u64, removed: bool) -> Entitlements {
        let changed = Timestamp::from_millis(changed);
        Entitlements {
            plans: vec![Plan { name: name.into(), changed, removed, ..Plan::default() }],
            ..Entitlements::default()
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_written_later_is_kept_in_whatever_order_records_are_merged() {
        let all = [plan("pro", 1, false), plan("free", 2, false), plan("pro", 3, true), plan("pro", 2, false)];
        let (mut one, mut other) = (Entitlements::default(), Entitlements::default());
        all.iter().cloned().for_each(|entry| one.merge(entry));
        all.iter().rev().cloned().for_each(|entry| other.merge(entry));
        assert_eq!(one, other);
        assert_eq!((one.count(), one.plan("pro"), one.plan("free").is_some()), (2, None, true));
        one.leave_out_ended(Timestamp::from_millis(ENDED_KEPT_MS + 3));
        assert_eq!(one.count(), 1, "a removed plan is left out after a while");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_consumer_has_one_subscription_to_a_product() {
        let id = Subscription::id_of("acme", "pets");
        assert_eq!((id.len(), Subscription::id_of("acme", "pets")), (16, id.clone()));
        assert_ne!(id, Subscription::id_of("acmep", "ets"));
    }
}
