//! Products, plans, subscriptions and grants, as an isolate remembers them: read when a limit first asks for them, and again behind a
//! reply, so that few requests wait for the store.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use futures_util::future::join;
use rustc_hash::FxHasher;
use tollgate_core::bounds::{CREDENTIAL_FRESH_MS, CREDENTIALS_CACHED_MAX};
use tollgate_core::entitlement::Entitlements;
use tollgate_core::time::MonotonicInstant;
use tollgate_kv_schemas::{decode, keys};

use super::aged::Aged;
use super::{Freshness, Isolate};
use crate::ports::{Clock, Host, Unavailable};
use crate::timeout::{Later, record};

/// What an isolate remembers, by consumers; under no name, the catalogue.
#[derive(Debug, Default)]
pub(crate) struct KnownEntitlements {
    known: HashMap<Box<str>, Aged<Rc<Entitlements>>, BuildHasherDefault<FxHasher>>,
    /// Whose are read again after a reply.
    due: Vec<Box<str>>,
}

/// The catalogue, and what a consumer is entitled to.
pub(crate) type Both = (Rc<Entitlements>, Rc<Entitlements>);

/// What the records say of a consumer. The store is asked for both at once.
pub(crate) async fn of<H: Host>(isolate: &Isolate, host: &H, consumer: &str) -> Result<Both, Unavailable> {
    let (catalogue, own) = join(
        current(isolate, host, CATALOGUE, CREDENTIAL_FRESH_MS),
        current(isolate, host, consumer, CREDENTIAL_FRESH_MS),
    )
    .await;
    Ok((catalogue?, own?))
}

/// A record: from memory while it is younger than `fresh_ms`, otherwise from the store; from memory again if the store is unavailable and it is not too old.
fn current<'h, H: Host>(
    isolate: &'h Isolate,
    host: &'h H,
    of: &'h str,
    fresh_ms: u64,
) -> Later<'h, Result<Rc<Entitlements>, Unavailable>> {
    Box::pin(async move {
        let now = host.clock().instant();
        if isolate.settings.freshness == Freshness::Cached
            && let Some(young) = isolate.entitlements.borrow_mut().young(of, fresh_ms, now)
        {
            return Ok(young);
        }
        let gateway = &isolate.settings.gateway;
        let key = if of == CATALOGUE { keys::catalogue(gateway) } else { keys::entitlements(gateway, of) };
        let read = record(host, &key).await.and_then(|record| {
            // Nothing was said if there is none.
            let read = record.map_or_else(|| Ok(Entitlements::default()), |bytes| decode(&bytes));
            read.map_err(|error| Unavailable::new(error.to_string()))
        });
        let mut known = isolate.entitlements.borrow_mut();
        match read {
            Ok(read) => Ok(known.put(of, read, now)),
            Err(error) => known.known.get(of).and_then(|known| known.last(now)).ok_or(error),
        }
    })
}

/// Reads again what is left to read after a reply. What cannot be read is read before a request that needs it, once it is old.
pub(crate) async fn read_again<H: Host>(isolate: &Isolate, host: &H) {
    let due = std::mem::take(&mut isolate.entitlements.borrow_mut().due);
    for of in due {
        drop(current(isolate, host, &of, AGAIN_MS).await);
    }
}

impl KnownEntitlements {
    /// What need not be read before a request. What becomes old soon is left to read after the reply.
    fn young(&mut self, of: &str, fresh_ms: u64, now: MonotonicInstant) -> Option<Rc<Entitlements>> {
        let known = self.known.get_mut(of)?;
        let young = known.younger_or_ask(fresh_ms, now)?;
        let is_due = known.is_older_than(AGAIN_MS, now) && self.due.len() < DUE_MAX;
        if is_due && !self.due.iter().any(|due| **due == *of) {
            self.due.push(of.into());
        }
        Some(young)
    }

    /// What the record is now, unless something newer was read meanwhile.
    pub(crate) fn put(&mut self, of: &str, read: Entitlements, read_at: MonotonicInstant) -> Rc<Entitlements> {
        if let Some(newer) = self.known.get(of).filter(|known| known.is_newer_than(read_at)) {
            return newer.value();
        }
        if self.known.len() >= CREDENTIALS_CACHED_MAX {
            self.known.clear();
        }
        let read = Rc::new(read);
        self.known.insert(of.into(), Aged::read(Rc::clone(&read), read_at));
        read
    }

    /// Whether something is left to read after a reply.
    pub(crate) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }
}

/// The name of the catalogue, which is that of no consumer.
pub(crate) const CATALOGUE: &str = "";

/// From this age on, a record is read again behind a reply, so that a consumer who sends requests does not wait for it.
const AGAIN_MS: u64 = CREDENTIAL_FRESH_MS / 2;

/// Reads that are left at once; each request leaves at most two, and takes all after its reply.
const DUE_MAX: usize = 100;
