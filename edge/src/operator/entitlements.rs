//! Products, plans, subscriptions and grants: each is stored by itself, and the record that requests read is made of these entries.
//!
//! So of two calls at once none is lost: both write an entry of their own, and whichever writes the whole last has read the
//! entries of both. A store that can do so also merges the whole with what it has.

use http::StatusCode;
use tollgate_core::entitlement::{ENTITLEMENTS_MAX, Entitlements, ID_BYTES, Subscription};
use tollgate_core::operator::{
    Catalogue, Configured, EntitlementList, Entitling, EntitlingRequest, KeyQuery, KnownRecords,
};
use tollgate_core::problem::Problem;
use tollgate_kv_schemas::{decode, encode, keys};

use super::{Done, Step, Task, store_unavailable};
use crate::apart::rare;
use crate::isolate::entitlements::CATALOGUE;
use crate::ports::{Clock, Entropy, Host, KeyPage, Records};
use crate::timeout::{record, within};

/// Shows products and plans.
pub(super) async fn catalogue<H: Host>(task: &Task<'_, H>) -> Result<Done, Problem> {
    let configured = task.isolate.gateway(task.host).await.as_deref().map(Configured::of);
    let content = Catalogue { records: task.entitlements(CATALOGUE).await?, configured }.content();
    Ok(Done { status: StatusCode::OK, media_type: "application/json", content: content.into() })
}

/// Lists what a consumer is entitled to, or what a page of consumers are.
pub(super) async fn list<H: Host>(task: &Task<'_, H>) -> Result<Done, Problem> {
    let KeyQuery { consumer, cursor } = KeyQuery::parse(task.query)?;
    let (own, cursor) = match consumer {
        Some(consumer) => (task.entitlements(&consumer).await?, None),
        None => {
            let prefix = keys::all_entitlements(&task.isolate.settings.gateway);
            let page = task.page(&prefix, cursor.as_deref(), LISTED_MAX).await?;
            (task.merged(&page.keys).await?, page.cursor)
        }
    };
    let Entitlements { subscriptions, grants, .. } = own;
    Ok(Done::json(StatusCode::OK, &EntitlementList { subscriptions, grants, cursor }))
}

/// Changes one of them. It is stored before the response.
pub(super) async fn change<H: Host>(change: Entitling, task: Task<'_, H>) -> Result<Done, Problem> {
    let (isolate, host) = (task.isolate, task.host);
    let gateway = &isolate.settings.gateway;
    let request = EntitlingRequest::parse(change, &task.content, host.clock().now())?;
    isolate.refresh(host).await;
    let settings = isolate.gateway(host).await;
    let catalogue = task.entitlements(CATALOGUE).await?;
    let consumer = request.consumer().unwrap_or(CATALOGUE).to_owned();
    let own = if consumer == CATALOGUE { Entitlements::default() } else { task.entitlements(&consumer).await? };
    let (subscribed, may_be_more) =
        if request.asks_who_is_subscribed() { task.subscribed(&request).await? } else { (Vec::new(), false) };
    let known = KnownRecords {
        gateway,
        settings: settings.as_ref().and_then(|settings| settings.entitled.as_ref()),
        plans: settings.as_ref().and_then(|settings| settings.plans.as_deref()).unwrap_or_default(),
        catalogue: &catalogue,
        own: &own,
        subscribed: &subscribed,
        may_be_more,
    };
    let mut random = [0; ID_BYTES];
    host.entropy().fill(&mut random);
    let thing = request.decide(&known, host.clock().now(), Some(task.caller.to_owned()), &random)?;
    task.targets.push(thing.id().to_owned());
    let (answer, id) = (Done::json(StatusCode::OK, &thing), thing.id());
    let (mut known, entry) = if consumer == CATALOGUE {
        (catalogue, keys::catalogue_entry(gateway, thing.kind(), id))
    } else {
        task.targets.push(consumer.clone());
        (own, keys::entitlement_entry(gateway, &consumer, id))
    };
    let instant = host.clock().instant();
    let added = thing.alone();
    task.write(entry, encode(&added)).await?;
    known.merge(added);
    known.leave_out_ended(host.clock().now());
    // Once more if an entry was added meanwhile.
    for _ in 0..WRITE_ATTEMPTS {
        let written = encode(&known);
        task.write(keys_of(gateway, &consumer).0, written.clone()).await?;
        known.merge(task.entitlements(&consumer).await?);
        known.leave_out_ended(host.clock().now());
        if encode(&known) == written {
            break;
        }
    }
    isolate.entitlements.borrow_mut().put(&consumer, known, instant);
    Ok(answer)
}

impl<H: Host> Task<'_, H> {
    /// The record of a consumer, or the catalogue, with the entries that it is made of.
    pub(super) fn entitlements<'s>(&'s self, of: &'s str) -> Step<'s, Entitlements> {
        rare(async move {
            let (key, prefix) = keys_of(&self.isolate.settings.gateway, of);
            let mut all = self.page(&prefix, None, ENTITLEMENTS_MAX).await?.keys;
            // A consumer's name may be the beginning of another one with a colon.
            all.retain(|entry| !entry[prefix.len()..].contains(':'));
            all.push(key);
            self.merged(&all).await
        })
    }

    /// The subscriptions that a removal takes something from, and whether more consumers have records than were read.
    fn subscribed<'s>(&'s self, request: &'s EntitlingRequest) -> Step<'s, (Vec<Subscription>, bool)> {
        rare(async move {
            let (prefix, now) = (keys::all_entitlements(&self.isolate.settings.gateway), self.host.clock().now());
            let (mut found, mut cursor) = (Vec::new(), None::<String>);
            for _ in 0..PAGES_MAX {
                let page = self.page(&prefix, cursor.as_deref(), LISTED_MAX).await?;
                let all = self.merged(&page.keys).await?.subscriptions;
                found.extend(all.into_iter().filter(|one| request.takes_from(one, now)));
                cursor = page.cursor;
                if cursor.is_none() {
                    return Ok((found, false));
                }
            }
            Ok((found, true))
        })
    }

    /// The merge of records. They are read one after the other: a module small enough for a Worker matters more than the time of these calls.
    fn merged<'s>(&'s self, keys: &'s [String]) -> Step<'s, Entitlements> {
        rare(async move {
            let mut merged = Entitlements::default();
            for key in keys {
                if let Some(bytes) = record(self.host, key).await.map_err(|error| store_unavailable(&error))? {
                    merged.merge(decode(&bytes).map_err(|error| store_unavailable(&error))?);
                }
            }
            Ok(merged)
        })
    }

    /// A page of the keys of records.
    pub(super) fn page<'s>(&'s self, prefix: &'s str, cursor: Option<&'s str>, max: usize) -> Step<'s, KeyPage> {
        rare(async move {
            let listed = self.host.records().list(prefix, cursor, max);
            within(self.host, "the record store", listed).await.map_err(|error| store_unavailable(&error))
        })
    }
}

/// The key of the record of a consumer, or of the catalogue, and the beginning of the keys of its entries.
fn keys_of(gateway: &str, of: &str) -> (String, String) {
    if of == CATALOGUE {
        (keys::catalogue(gateway), keys::catalogue_entries(gateway))
    } else {
        (keys::entitlements(gateway, of), keys::entitlement_entries(gateway, of))
    }
}

/// Consumers of a page.
const LISTED_MAX: usize = 50;

/// Pages that are looked through for subscriptions to what is removed: the records of 200 consumers are read in a few seconds.
const PAGES_MAX: usize = 4;

/// A second write is needed only if another operator writes at the same time.
const WRITE_ATTEMPTS: usize = 3;
