//! The cache of credentials in an isolate: existing and absent ones, bounded, for fixed times.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::{Credential, KeyDigest, KeyMark, KeyText, MarkSecret, Principal};
use tollgate_core::bounds::{CREDENTIAL_ABSENT_MS, CREDENTIAL_FRESH_MS, CREDENTIALS_CACHED_MAX, REVOCATION_KEPT_MS};
use tollgate_core::time::MonotonicInstant;
use tollgate_kv_schemas::{RecordError, decode, keys};

use super::{Freshness, Isolate};
use crate::ports::{Clock, Entropy, Host, Records, Unavailable};
use crate::timeout::within;

/// The cache of credentials in an isolate.
///
/// The two kinds are bounded separately, so that invalid keys cannot evict existing ones.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// The secret of the marks; it is drawn for the first key.
    secret: Option<MarkSecret>,
    present: Remembered<Rc<Known>>,
    absent: Remembered<()>,
    /// Those that were revoked here. A store may answer for a while what was true before, so they outlast what it says.
    revoked: HashMap<KeyDigest, (Rc<Known>, MonotonicInstant)>,
}

/// What is known about keys, by their marks.
type Remembered<T> = HashMap<KeyMark, Entry<T>, BuildHasherDefault<FxHasher>>;

/// What the store said of a key.
#[derive(Debug)]
struct Entry<T> {
    digest: KeyDigest,
    found: T,
    at: MonotonicInstant,
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
    key: KeyText<'_>,
) -> Result<Option<Rc<Known>>, LookUpFailed> {
    let now = host.clock().instant();
    let remember = isolate.settings.freshness == Freshness::Cached;
    if !remember {
        return Box::pin(read_credential(isolate, host, key.digest(), None)).await;
    }
    let mark = key.mark(&isolate.credentials.borrow_mut().secret(host));
    if let Some(known) = isolate.credentials.borrow().get(mark, now) {
        return Ok(known);
    }
    // Boxed, because it is rare and would enlarge the future of every exchange.
    Box::pin(read_credential(isolate, host, key.digest(), Some((mark, now)))).await
}

/// Reads a credential, and remembers it under a mark as what was known at an instant.
async fn read_credential<H: Host>(
    isolate: &Isolate,
    host: &H,
    digest: KeyDigest,
    remembered: Option<(KeyMark, MonotonicInstant)>,
) -> Result<Option<Rc<Known>>, LookUpFailed> {
    let key = keys::credential(&isolate.settings.gateway, &digest);
    let bytes = within(host, "the record store", host.records().read(&key)).await.map_err(LookUpFailed::Unavailable)?;
    let found = bytes.map(|bytes| decode::<Credential>(&bytes)).transpose().map_err(LookUpFailed::Unusable)?;
    let found = found.map(|credential| Rc::new(Known::from(credential)));
    if let Some((mark, at)) = remembered {
        isolate.credentials.borrow_mut().put(mark, digest, found.clone(), at);
    }
    // It may have been revoked here while it was read.
    let revoked = isolate.credentials.borrow().revoked(&digest, host.clock().instant());
    Ok(revoked.or(found))
}

impl Credentials {
    fn secret<H: Host>(&mut self, host: &H) -> MarkSecret {
        *self.secret.get_or_insert_with(|| {
            let mut random = [0; 16];
            host.entropy().fill(&mut random);
            MarkSecret::new(random)
        })
    }

    #[expect(clippy::option_option, reason = "known to exist, known not to, or not known")]
    fn get(&self, mark: KeyMark, now: MonotonicInstant) -> Option<Option<Rc<Known>>> {
        if let Some(Entry { digest, found, at }) = self.present.get(&mark) {
            let fresh = || (now.millis_since(*at) < CREDENTIAL_FRESH_MS).then(|| Rc::clone(found));
            return self.revoked(digest, now).or_else(fresh).map(Some);
        }
        let Entry { digest, at, .. } = self.absent.get(&mark)?;
        let absent = (now.millis_since(*at) < CREDENTIAL_ABSENT_MS).then_some(None);
        self.revoked(digest, now).map(Some).or(absent)
    }

    /// Records that a credential was revoked, whatever the store still returns.
    pub(crate) fn revoke(&mut self, digest: KeyDigest, credential: Credential, now: MonotonicInstant) {
        make_room(&mut self.revoked, |(_, at)| now.millis_since(*at) < REVOCATION_KEPT_MS);
        self.revoked.insert(digest, (Rc::new(Known::from(credential)), now));
    }

    fn revoked(&self, digest: &KeyDigest, now: MonotonicInstant) -> Option<Rc<Known>> {
        if self.revoked.is_empty() {
            return None;
        }
        let (credential, at) = self.revoked.get(digest)?;
        (now.millis_since(*at) < REVOCATION_KEPT_MS).then(|| Rc::clone(credential))
    }

    fn put(&mut self, mark: KeyMark, digest: KeyDigest, found: Option<Rc<Known>>, at: MonotonicInstant) {
        match found {
            Some(found) => {
                self.absent.remove(&mark);
                make_room(&mut self.present, |entry| at.millis_since(entry.at) < CREDENTIAL_FRESH_MS);
                self.present.insert(mark, Entry { digest, found, at });
            }
            None => {
                self.present.remove(&mark);
                make_room(&mut self.absent, |entry| at.millis_since(entry.at) < CREDENTIAL_ABSENT_MS);
                self.absent.insert(mark, Entry { digest, found: (), at });
            }
        }
    }
}

/// Keeps a map below its bound: removes expired entries, and if that is not enough, all entries.
fn make_room<K: Eq + Hash, V, S: BuildHasher>(map: &mut HashMap<K, V, S>, is_fresh: impl Fn(&V) -> bool) {
    if map.len() >= CREDENTIALS_CACHED_MAX {
        map.retain(|_, value| is_fresh(value));
    }
    if map.len() >= CREDENTIALS_CACHED_MAX {
        map.clear();
    }
}
