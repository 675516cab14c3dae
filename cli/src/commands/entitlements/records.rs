//! The records: at a running gateway, or in the store of a host, where they are changed by the same rules.

use serde_json::{Value, json};
use tollgate_core::entitlement::{ENTITLEMENTS_MAX, Entitlements, ID_BYTES};
use tollgate_core::operator::{
    Catalogue, Configured, EntitlementList, Entitling, EntitlingRequest, KnownRecords, Resource,
};
use tollgate_kv_schemas::{Manifest, Pointer, RecordError, decode, encode, keys};

use super::super::key::place::Keys;
use super::super::key::{now, random, user};
use crate::failure::Failure;
use crate::target::Target;

/// The products and plans.
pub(super) fn catalogue(place: &Keys<'_>) -> Result<Entitlements, Failure> {
    match place {
        Keys::Running(gateway) => gateway.ask(Resource::ShowCatalogue, &[]),
        Keys::Stored { target, gateway } => whole(target, &keys::catalogue(gateway), &keys::catalogue_entries(gateway)),
    }
}

/// The products and plans, with what the configuration has beside them, as far as it is known.
pub(super) fn known(place: &Keys<'_>) -> Result<Catalogue, Failure> {
    match place {
        Keys::Running(gateway) => gateway.ask(Resource::ShowCatalogue, &[]),
        Keys::Stored { target, gateway } => {
            let configured = published(target, gateway).ok().map(|manifest| Configured::of(&manifest.gateway));
            Ok(Catalogue { records: catalogue(place)?, configured })
        }
    }
}

/// The subscriptions and grants of a consumer, or of all.
pub(super) fn entitlements(place: &Keys<'_>, consumer: Option<&str>) -> Result<Entitlements, Failure> {
    match (place, consumer) {
        (Keys::Running(gateway), _) => {
            let (mut all, mut cursor) = (Entitlements::default(), None::<String>);
            loop {
                let parameters = [("consumer", consumer), ("cursor", cursor.as_deref())];
                let page: EntitlementList = gateway.ask(Resource::ListEntitlements, &parameters)?;
                let EntitlementList { subscriptions, grants, cursor: after } = page;
                all.merge(Entitlements { subscriptions, grants, ..Entitlements::default() });
                match after {
                    Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                    Some(_) | None => return Ok(all),
                }
            }
        }
        (Keys::Stored { target, gateway }, Some(consumer)) => {
            whole(target, &keys::entitlements(gateway, consumer), &keys::entitlement_entries(gateway, consumer))
        }
        (Keys::Stored { target, gateway }, None) => {
            let mut all = Entitlements::default();
            for key in target.keys(&keys::all_entitlements(gateway), usize::MAX)? {
                all.merge(read(target, &key)?);
            }
            Ok(all)
        }
    }
}

/// Changes a thing, and answers it.
pub(super) fn change(place: &Keys<'_>, change: Entitling, content: &Value) -> Result<Value, Failure> {
    match place {
        Keys::Running(gateway) => gateway.send(Resource::Entitle(change), "", Some(content)),
        Keys::Stored { target, gateway } => change_stored(place, target, gateway, change, content),
    }
}

fn change_stored(
    place: &Keys<'_>,
    target: &Target,
    gateway: &str,
    change: Entitling,
    content: &Value,
) -> Result<Value, Failure> {
    let settings = published(target, gateway)?.gateway;
    let content = serde_json::to_vec(content).map_err(Failure::problem)?;
    let refused = |problem: tollgate_core::problem::Problem| Failure::problem(problem.into_parts().detail);
    let request = EntitlingRequest::parse(change, &content, now()).map_err(refused)?;
    let catalogue = catalogue(place)?;
    let own = request.consumer().map_or_else(|| Ok(Entitlements::default()), |one| entitlements(place, Some(one)))?;
    let mut subscribed = Vec::new();
    if request.asks_who_is_subscribed() {
        subscribed = entitlements(place, None)?.subscriptions;
        subscribed.retain(|one| request.takes_from(one, now()));
    }
    let known = KnownRecords {
        gateway,
        settings: settings.entitled.as_ref(),
        plans: settings.plans.as_deref().unwrap_or_default(),
        catalogue: &catalogue,
        own: &own,
        subscribed: &subscribed,
        may_be_more: false,
    };
    let mut id = [0; ID_BYTES];
    id.copy_from_slice(&random()?[..ID_BYTES]);
    let thing = request.decide(&known, now(), user(), &id).map_err(refused)?;
    let answer = json!(thing);
    let (consumer, kind, id) = (thing.consumer().map(str::to_owned), thing.kind(), thing.id().to_owned());
    let added = thing.alone();
    match consumer {
        Some(consumer) => {
            target.put(&[(keys::entitlement_entry(gateway, &consumer, &id), encode(&added))])?;
            let entries = keys::entitlement_entries(gateway, &consumer);
            store(target, &keys::entitlements(gateway, &consumer), &entries, &added)?;
        }
        None => {
            target.put(&[(keys::catalogue_entry(gateway, kind, &id), encode(&added))])?;
            store(target, &keys::catalogue(gateway), &keys::catalogue_entries(gateway), &added)?;
        }
    }
    Ok(answer)
}

/// Writes the whole with what is added, unless somebody else writes it meanwhile: then once more.
fn store(target: &Target, key: &str, entries: &str, added: &Entitlements) -> Result<(), Failure> {
    for _ in 0..WRITE_ATTEMPTS {
        let before = target.get(key)?;
        let mut known = whole(target, key, entries)?;
        known.merge(added.clone());
        known.leave_out_ended(now());
        let value = encode(&known);
        match target.swap(key, before.as_deref(), &value)? {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => return target.put(&[(key.to_owned(), value)]),
        }
    }
    Err(Failure::problem(format!("{} is being changed by others: run the command again", target.name())))
}

/// The record under a key, with the entries that it is made of.
fn whole(target: &Target, key: &str, entries: &str) -> Result<Entitlements, Failure> {
    let mut whole = read(target, key)?;
    for entry in target.keys(entries, ENTITLEMENTS_MAX)? {
        // A consumer's name may be the beginning of another one with a colon.
        if !entry[entries.len()..].contains(':') {
            whole.merge(read(target, &entry)?);
        }
    }
    Ok(whole)
}

fn read(target: &Target, key: &str) -> Result<Entitlements, Failure> {
    let read = target.get(key)?.map_or_else(|| Ok(Entitlements::default()), |record| decode(&record));
    read.map_err(|error| unreadable(key, &error))
}

/// The configuration that is published in the store.
pub(crate) fn published(target: &Target, gateway: &str) -> Result<Manifest, Failure> {
    let pointer = decode::<Pointer>(&target.pointer(gateway)?);
    let bundle = pointer.map_err(|error| unreadable(&keys::active(gateway), &error))?.newest.bundle;
    let key = keys::manifest(gateway, &bundle);
    let missing = || Failure::problem(format!("{} has no record {key}: publish the project again", target.name()));
    let record = target.get(&key)?.ok_or_else(missing)?;
    Manifest::decode(record, &bundle).map_err(|error| unreadable(&key, &error))
}

fn unreadable(key: &str, error: &RecordError) -> Failure {
    Failure::problem(format!("{key}: {error}"))
}

/// Commands at the same time.
const WRITE_ATTEMPTS: usize = 20;
