//! When keys were last used: a record of the day for each key, written after a reply, once a day and isolate.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use rustc_hash::FxHasher;
use tollgate_core::authn::Principal;
use tollgate_core::bounds::CREDENTIALS_CACHED_MAX;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{KeyUse, decode, encode, keys};

use super::Isolate;
use crate::ports::Host;
use crate::timeout::{self, keep};

/// The days of the last uses that this isolate knows to be recorded, by the ids of keys.
#[derive(Debug, Default)]
pub(crate) struct Uses(HashMap<Box<str>, u64, BuildHasherDefault<FxHasher>>);

impl Uses {
    /// Whether this use is the first one of its day here, which is then known.
    pub(crate) fn is_first(&mut self, principal: &Principal, now: Timestamp) -> bool {
        let (id, day) = (principal.credential.as_str(), day(now));
        // A clock that was set back does not make a use that is recorded a new one.
        if !principal.is_of_key() || self.0.get(id).is_some_and(|known| *known >= day) {
            return false;
        }
        if self.0.len() >= CREDENTIALS_CACHED_MAX {
            self.0.clear();
        }
        self.0.insert(id.into(), day);
        true
    }
}

/// Records that a key was used on this day, unless another isolate has recorded it.
///
/// What fails is not repeated before the next day: other isolates and days record the use as well.
pub(crate) async fn record<H: Host>(isolate: &Isolate, host: &H, id: &str, now: Timestamp) {
    let key = keys::key_use(&isolate.settings.gateway, id);
    let Ok(stored) = timeout::record(host, &key).await else { return };
    let known = stored.and_then(|bytes| decode::<KeyUse>(&bytes).ok());
    if known.is_some_and(|known| day(known.last) >= day(now)) {
        return;
    }
    let last = Timestamp::from_millis(day(now) * DAY_MS);
    let _ = keep(host, &key, &encode(&KeyUse { last })).await;
}

/// Days since the epoch, in UTC.
const fn day(at: Timestamp) -> u64 {
    at.as_millis() / DAY_MS
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
