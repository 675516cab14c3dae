//! The cache of credentials in an isolate: existing and absent ones, bounded, for fixed times.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tollgate_core::authn::{Credential, KeyDigest, Principal};
use tollgate_core::bounds::{CREDENTIAL_ABSENT_MS, CREDENTIAL_FRESH_MS, CREDENTIALS_CACHED_MAX, REVOCATION_KEPT_MS};
use tollgate_core::time::MonotonicInstant;
use tollgate_kv_schemas::{RecordError, decode, keys};

use super::{Freshness, Isolate};
use crate::ports::{Clock, Host, Records, Unavailable};
use crate::timeout::within;

/// The cache of credentials in an isolate.
///
/// The two kinds are bounded separately, so that invalid keys cannot evict existing ones.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    present: HashMap<KeyDigest, (Rc<Known>, MonotonicInstant)>,
    absent: HashMap<KeyDigest, MonotonicInstant>,
    /// Those that were revoked here. A store may answer for a while what was true before, so they outlast what it says.
    revoked: HashMap<KeyDigest, (Rc<Known>, MonotonicInstant)>,
}

/// A credential with its principal, which is created once and shared by the records of its exchanges.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) credential: Credential,
    pub(crate) principal: Arc<Principal>,
}

impl From<Credential> for Known {
    fn from(credential: Credential) -> Self {
        let principal = Arc::new(Principal::from(&credential));
        Self { credential, principal }
    }
}

/// Why a credential could not be looked up.
#[derive(Debug)]
pub(crate) enum LookUpFailed {
    Unavailable(Unavailable),
    Unusable(RecordError),
}

/// The credential of a key, from memory or from the store; `None` if there is none.
pub(crate) async fn credential<H: Host>(
    isolate: &Isolate,
    host: &H,
    digest: KeyDigest,
) -> Result<Option<Rc<Known>>, LookUpFailed> {
    let now = host.clock().instant();
    let remember = isolate.settings.freshness == Freshness::Cached;
    if remember && let Some(known) = isolate.credentials.borrow().get(&digest, now) {
        return Ok(known);
    }
    // Boxed, because it is rare and would enlarge the future of every exchange.
    Box::pin(read_credential(isolate, host, digest, now, remember)).await
}

async fn read_credential<H: Host>(
    isolate: &Isolate,
    host: &H,
    digest: KeyDigest,
    now: MonotonicInstant,
    remember: bool,
) -> Result<Option<Rc<Known>>, LookUpFailed> {
    let key = keys::credential(&isolate.settings.gateway, &digest);
    let bytes = within(host, "the record store", host.records().read(&key)).await.map_err(LookUpFailed::Unavailable)?;
    let found = bytes.map(|bytes| decode::<Credential>(&bytes)).transpose().map_err(LookUpFailed::Unusable)?;
    let found = found.map(|credential| Rc::new(Known::from(credential)));
    if remember {
        isolate.credentials.borrow_mut().put(digest, found.clone(), now);
    }
    // It may have been revoked here while it was read.
    let revoked = isolate.credentials.borrow().revoked(&digest, host.clock().instant());
    Ok(revoked.or(found))
}

impl Credentials {
    #[expect(clippy::option_option, reason = "known to exist, known not to, or not known")]
    fn get(&self, digest: &KeyDigest, now: MonotonicInstant) -> Option<Option<Rc<Known>>> {
        if let Some(revoked) = self.revoked(digest, now) {
            return Some(Some(revoked));
        }
        if let Some((credential, at)) = self.present.get(digest) {
            return (now.millis_since(*at) < CREDENTIAL_FRESH_MS).then(|| Some(Rc::clone(credential)));
        }
        let at = self.absent.get(digest)?;
        (now.millis_since(*at) < CREDENTIAL_ABSENT_MS).then_some(None)
    }

    /// Records that a credential was revoked, whatever the store still returns.
    pub(crate) fn revoke(&mut self, digest: KeyDigest, credential: Credential, now: MonotonicInstant) {
        self.present.remove(&digest);
        self.absent.remove(&digest);
        make_room(&mut self.revoked, |(_, at)| now.millis_since(*at) < REVOCATION_KEPT_MS);
        self.revoked.insert(digest, (Rc::new(Known::from(credential)), now));
    }

    fn revoked(&self, digest: &KeyDigest, now: MonotonicInstant) -> Option<Rc<Known>> {
        let (credential, at) = self.revoked.get(digest)?;
        (now.millis_since(*at) < REVOCATION_KEPT_MS).then(|| Rc::clone(credential))
    }

    fn put(&mut self, digest: KeyDigest, found: Option<Rc<Known>>, now: MonotonicInstant) {
        match found {
            Some(credential) => {
                self.absent.remove(&digest);
                make_room(&mut self.present, |(_, at)| now.millis_since(*at) < CREDENTIAL_FRESH_MS);
                self.present.insert(digest, (credential, now));
            }
            None => {
                self.present.remove(&digest);
                make_room(&mut self.absent, |at| now.millis_since(*at) < CREDENTIAL_ABSENT_MS);
                self.absent.insert(digest, now);
            }
        }
    }
}

/// Keeps a map below its bound: removes expired entries, and if that is not enough, all entries.
fn make_room<V>(map: &mut HashMap<KeyDigest, V>, is_fresh: impl Fn(&V) -> bool) {
    if map.len() >= CREDENTIALS_CACHED_MAX {
        map.retain(|_, value| is_fresh(value));
    }
    if map.len() >= CREDENTIALS_CACHED_MAX {
        map.clear();
    }
}
