//! Products, plans, subscriptions and grants: each is stored by itself, and the record that requests read is made of these entries.
//!
//! So of two calls at once none is lost: both write an entry of their own, and whichever writes the whole last has read the
//! entries of both. A store that can do so also merges the whole with what it has.

use futures_util::future::join_all;
use http::StatusCode;
use tollgate_core::entitlement::{Catalogue, ENTITLEMENTS_MAX, Entitlements, ID_BYTES, Merge};
use tollgate_core::operator::{EntitlementList, Entitling, EntitlingRequest, KeyQuery, KnownRecords};
use tollgate_core::problem::Problem;
use tollgate_kv_schemas::{Record, decode, encode, keys};

use super::{Done, Step, Task, store_unavailable};
use crate::apart::rare;
use crate::ports::{Clock, Entropy, Host, Records};
use crate::timeout::{record, within};

/// Shows products and plans.
pub(super) async fn catalogue<H: Host>(task: &Task<'_, H>) -> Result<Done, Problem> {
    Ok(Done::json(StatusCode::OK, &task.catalogue().await?))
}

/// Lists what a consumer is entitled to, or what a page of consumers are.
pub(super) async fn list<H: Host>(task: &Task<'_, H>) -> Result<Done, Problem> {
    let KeyQuery { consumer, cursor } = KeyQuery::parse(task.query)?;
    let gateway = &task.isolate.settings.gateway;
    if let Some(consumer) = consumer {
        let own = entitlements_of(task, &consumer).await?;
        return Ok(Done::json(StatusCode::OK, &EntitlementList { own, cursor: None }));
    }
    let prefix = keys::all_entitlements(gateway);
    let listed = task.host.records().list(&prefix, cursor.as_deref(), LISTED_MAX);
    let page = within(task.host, "the record store", listed).await.map_err(|error| store_unavailable(&error))?;
    let mut own = Entitlements::default();
    for read in join_all(page.keys.iter().map(|key| read::<Entitlements, H>(task, key))).await {
        own.merge(read?);
    }
    Ok(Done::json(StatusCode::OK, &EntitlementList { own, cursor: page.cursor }))
}

/// Changes one of them. It is stored before the response.
pub(super) async fn change<H: Host>(change: Entitling, task: Task<'_, H>) -> Result<Done, Problem> {
    let (isolate, host) = (task.isolate, task.host);
    let gateway = &isolate.settings.gateway;
    let request = EntitlingRequest::parse(change, &task.content, host.clock().now())?;
    isolate.refresh(host).await;
    let settings = isolate.gateway(host).await;
    let catalogue = task.catalogue().await?;
    let own = match request.consumer() {
        Some(consumer) => entitlements_of(&task, consumer).await?,
        None => Entitlements::default(),
    };
    let known = KnownRecords {
        gateway,
        settings: settings.as_ref().and_then(|settings| settings.entitled.as_ref()),
        plans: settings.as_ref().and_then(|settings| settings.plans.as_deref()).unwrap_or_default(),
        catalogue: &catalogue,
        own: &own,
    };
    let mut random = [0; ID_BYTES];
    host.entropy().fill(&mut random);
    let now = host.clock().now();
    let thing = request.decide(&known, now, Some(task.caller.to_owned()), &random)?;
    task.targets.push(thing.id().to_owned());
    let answer = Done::json(StatusCode::OK, &thing);
    let consumer = thing.consumer().map(str::to_owned);
    let (kind, id) = (thing.kind(), thing.id().to_owned());
    let (added, own_added) = thing.alone();
    let instant = host.clock().instant();
    match consumer {
        Some(consumer) => {
            task.targets.push(consumer.clone());
            let (key, entries) =
                (keys::entitlements(gateway, &consumer), keys::entitlement_entries(gateway, &consumer));
            task.write(keys::entitlement_entry(gateway, &consumer, &id), encode(&own_added)).await?;
            let own = store(&task, &key, &entries, own, own_added).await?;
            isolate.entitlements.borrow_mut().put(&consumer, own, instant);
        }
        None => {
            task.write(keys::catalogue_entry(gateway, kind, &id), encode(&added)).await?;
            let whole =
                store(&task, &keys::catalogue(gateway), &keys::catalogue_entries(gateway), catalogue, added).await?;
            isolate.entitlements.borrow_mut().put_catalogue(whole, instant);
        }
    }
    Ok(answer)
}

impl<H: Host> Task<'_, H> {
    /// The products and plans.
    pub(super) fn catalogue(&self) -> Step<'_, Catalogue> {
        rare(async move {
            let gateway = &self.isolate.settings.gateway;
            whole(self, &keys::catalogue(gateway), &keys::catalogue_entries(gateway)).await
        })
    }
}

async fn entitlements_of<H: Host>(task: &Task<'_, H>, consumer: &str) -> Result<Entitlements, Problem> {
    let gateway = &task.isolate.settings.gateway;
    whole(task, &keys::entitlements(gateway, consumer), &keys::entitlement_entries(gateway, consumer)).await
}

/// Writes the whole with what is added; once more if an entry was added meanwhile.
async fn store<T: Record + Merge + Clone + PartialEq, H: Host>(
    task: &Task<'_, H>,
    key: &str,
    entries: &str,
    mut known: T,
    added: T,
) -> Result<T, Problem> {
    known.merge(added);
    for _ in 0..WRITE_ATTEMPTS {
        let mut written = known.clone();
        written.leave_out_ended(task.host.clock().now());
        task.write(key.to_owned(), encode(&written)).await?;
        let mut again = known.clone();
        again.merge(whole(task, key, entries).await?);
        if again == known {
            break;
        }
        known = again;
    }
    Ok(known)
}

/// The record under a key, with the entries that it is made of.
async fn whole<T: Record + Merge, H: Host>(task: &Task<'_, H>, key: &str, entries: &str) -> Result<T, Problem> {
    let listed = task.host.records().list(entries, None, ENTITLEMENTS_MAX);
    let page = within(task.host, "the record store", listed).await.map_err(|error| store_unavailable(&error))?;
    // A consumer's name may be the beginning of another one with a colon.
    let own = page.keys.iter().filter(|entry| !entry[entries.len()..].contains(':') || keys::is_catalogue(entry));
    let all = own.map(String::as_str).chain([key]);
    let mut whole = T::default();
    for read in join_all(all.map(|key| read::<T, H>(task, key))).await {
        whole.merge(read?);
    }
    Ok(whole)
}

async fn read<T: Record + Default, H: Host>(task: &Task<'_, H>, key: &str) -> Result<T, Problem> {
    let record = record(task.host, key).await.map_err(|error| store_unavailable(&error))?;
    let read = record.map_or_else(|| Ok(T::default()), |record| decode(&record));
    read.map_err(|error| store_unavailable(&error))
}

/// Consumers of a page.
const LISTED_MAX: usize = 50;

/// A second write is needed only if another operator writes at the same time.
const WRITE_ATTEMPTS: usize = 3;
