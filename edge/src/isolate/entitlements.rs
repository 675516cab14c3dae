//! Products, plans, subscriptions and grants, as an isolate remembers them: read when a limit first asks for them, and again behind a
//! reply, so that few requests wait for the store.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use futures_util::future::join;
use rustc_hash::FxHasher;
use tollgate_core::bounds::{CREDENTIAL_FRESH_MS, CREDENTIALS_CACHED_MAX};
use tollgate_core::entitlement::{Catalogue, Entitlements};
use tollgate_core::time::MonotonicInstant;
use tollgate_kv_schemas::{Record, decode, keys};

use super::aged::Aged;
use super::room::make_room;
use super::{Freshness, Isolate};
use crate::ports::{Clock, Host, Unavailable};
use crate::timeout;

/// What an isolate remembers.
#[derive(Debug, Default)]
pub(crate) struct KnownEntitlements {
    catalogue: Option<Aged<Rc<Catalogue>>>,
    own: HashMap<Box<str>, Aged<Rc<Entitlements>>, BuildHasherDefault<FxHasher>>,
    /// Whose are read again after a reply; for nobody, the catalogue.
    due: Vec<Option<Box<str>>>,
}

/// The catalogue, and what a consumer is entitled to.
pub(crate) type Both = (Rc<Catalogue>, Rc<Entitlements>);

/// What the records say of a consumer: from memory while they are young, otherwise from the store, which is asked for both at once; from memory
/// again if the store is unavailable and they are not too old.
pub(crate) async fn of<H: Host>(isolate: &Isolate, host: &H, consumer: &str) -> Result<Both, Unavailable> {
    let now = host.clock().instant();
    let (catalogue, own) = match isolate.settings.freshness {
        Freshness::Cached => isolate.entitlements.borrow_mut().young(consumer, now),
        Freshness::EachRequest => (None, None),
    };
    if let (Some(catalogue), Some(own)) = (&catalogue, &own) {
        return Ok((Rc::clone(catalogue), Rc::clone(own)));
    }
    let catalogue = async {
        match catalogue {
            Some(known) => Ok(known),
            None => read_catalogue(isolate, host).await,
        }
    };
    let own = async {
        match own {
            Some(known) => Ok(known),
            None => read_own(isolate, host, consumer).await,
        }
    };
    let (catalogue, own) = join(catalogue, own).await;
    Ok((catalogue?, own?))
}

/// Reads again what is left to read after a reply.
pub(crate) async fn read_again<H: Host>(isolate: &Isolate, host: &H, consumer: Option<Box<str>>) {
    // What cannot be read is read before a request that needs it, once it is old.
    match consumer {
        Some(consumer) => drop(read_own(isolate, host, &consumer).await),
        None => drop(read_catalogue(isolate, host).await),
    }
}

async fn read_catalogue<H: Host>(isolate: &Isolate, host: &H) -> Result<Rc<Catalogue>, Unavailable> {
    let now = host.clock().instant();
    let read = read::<Catalogue, H>(host, &keys::catalogue(&isolate.settings.gateway)).await;
    let known = &mut isolate.entitlements.borrow_mut();
    match read {
        Ok(catalogue) => Ok(known.put_catalogue(catalogue, now)),
        Err(error) => known.catalogue.as_ref().and_then(|known| known.last(now)).ok_or(error),
    }
}

async fn read_own<H: Host>(isolate: &Isolate, host: &H, consumer: &str) -> Result<Rc<Entitlements>, Unavailable> {
    let now = host.clock().instant();
    let read = read::<Entitlements, H>(host, &keys::entitlements(&isolate.settings.gateway, consumer)).await;
    let known = &mut isolate.entitlements.borrow_mut();
    match read {
        Ok(own) => Ok(known.put(consumer, own, now)),
        Err(error) => known.own.get(consumer).and_then(|known| known.last(now)).ok_or(error),
    }
}

/// A record; nothing was said if there is none.
async fn read<T: Record + Default, H: Host>(host: &H, key: &str) -> Result<T, Unavailable> {
    let record = timeout::record(host, key).await?;
    record.map_or_else(|| Ok(T::default()), |bytes| decode(&bytes).map_err(|error| Unavailable::new(error.to_string())))
}

impl KnownEntitlements {
    /// What need not be read before a request. What becomes old soon is left to read after the reply.
    fn young(&mut self, consumer: &str, now: MonotonicInstant) -> (Option<Rc<Catalogue>>, Option<Rc<Entitlements>>) {
        let catalogue = self.catalogue.as_mut().and_then(|known| young(known, &mut self.due, None, now));
        let own = self.own.get_mut(consumer).and_then(|known| young(known, &mut self.due, Some(consumer), now));
        (catalogue, own)
    }

    /// What the catalogue is now, unless something newer was read meanwhile.
    pub(crate) fn put_catalogue(&mut self, catalogue: Catalogue, read_at: MonotonicInstant) -> Rc<Catalogue> {
        if let Some(newer) = self.catalogue.as_ref().filter(|known| known.is_newer_than(read_at)) {
            return newer.value();
        }
        let catalogue = Rc::new(catalogue);
        self.catalogue = Some(Aged::read(Rc::clone(&catalogue), read_at));
        catalogue
    }

    /// What a consumer is entitled to now, likewise.
    pub(crate) fn put(&mut self, consumer: &str, own: Entitlements, read_at: MonotonicInstant) -> Rc<Entitlements> {
        if let Some(newer) = self.own.get(consumer).filter(|known| known.is_newer_than(read_at)) {
            return newer.value();
        }
        let own = Rc::new(own);
        make_room(&mut self.own, CREDENTIALS_CACHED_MAX, |known| known.last(read_at).is_some());
        self.own.insert(consumer.into(), Aged::read(Rc::clone(&own), read_at));
        own
    }

    /// What is left to read after a reply.
    pub(crate) fn take_due(&mut self) -> Vec<Option<Box<str>>> {
        std::mem::take(&mut self.due)
    }
}

fn young<T: Clone>(
    known: &mut Aged<T>,
    due: &mut Vec<Option<Box<str>>>,
    consumer: Option<&str>,
    now: MonotonicInstant,
) -> Option<T> {
    let young = known.younger_or_ask(CREDENTIAL_FRESH_MS, now);
    if young.is_some() && due.len() < DUE_MAX && known.younger_or_ask(AGAIN_MS, now).is_none() {
        due.push(consumer.map(Box::from));
    }
    young
}

/// From this age on, a record is read again behind a reply, so that a consumer who sends requests does not wait for it.
const AGAIN_MS: u64 = CREDENTIAL_FRESH_MS / 2;

/// Reads that are left at once; each request leaves at most two, and takes all after its reply.
const DUE_MAX: usize = 100;
