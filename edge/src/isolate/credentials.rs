//! The cache of credentials in an isolate: existing and absent ones, bounded, for fixed times.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::{Credential, KeyDigest, KeyText, MarkSecret, Principal, TextMark};
use tollgate_core::bounds::{CREDENTIAL_ABSENT_MS, CREDENTIAL_FRESH_MS, CREDENTIALS_CACHED_MAX, REVOCATION_KEPT_MS};
use tollgate_core::time::MonotonicInstant;
use tollgate_core::x509::Fingerprint;
use tollgate_kv_schemas::{RecordError, decode, keys};

use super::room::make_room;
use super::{Freshness, Isolate};
use crate::apart::rare;
use crate::ports::{Clock, Host, Unavailable};
use crate::timeout::record;

/// The cache of credentials in an isolate.
///
/// The two kinds are bounded separately, so that invalid keys cannot evict existing ones.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    present: Remembered<Rc<Known>>,
    absent: Remembered<()>,
    /// Those that were revoked here. A store may answer for a while what was true before, so they outlast what it says.
    revoked: HashMap<KeyDigest, (Rc<Known>, MonotonicInstant)>,
}

/// What is known about keys, by their marks.
type Remembered<T> = HashMap<TextMark, Entry<T>, BuildHasherDefault<FxHasher>>;

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
    look_up(isolate, host, |secret| key.mark(secret), || key.digest()).await
}

/// The credential of a certificate, likewise.
pub(crate) async fn registered<H: Host>(
    isolate: &Isolate,
    host: &H,
    fingerprint: &Fingerprint,
) -> Result<Option<Rc<Known>>, LookUpFailed> {
    let mark = |secret: &MarkSecret| TextMark::of_certificate(fingerprint, secret);
    look_up(isolate, host, mark, || KeyDigest::of_certificate(fingerprint)).await
}

/// The link of an identity, from the store: what it says is remembered with the token.
pub(crate) async fn link<H: Host>(
    isolate: &Isolate,
    host: &H,
    digest: KeyDigest,
) -> Result<Option<Rc<Known>>, LookUpFailed> {
    read_credential(isolate, host, digest, None).await
}

/// The credential with a mark in memory, or with a digest in the store.
async fn look_up<H: Host>(
    isolate: &Isolate,
    host: &H,
    mark: impl Fn(&MarkSecret) -> TextMark,
    digest: impl Fn() -> KeyDigest,
) -> Result<Option<Rc<Known>>, LookUpFailed> {
    let now = host.clock().instant();
    let remember = isolate.settings.freshness == Freshness::Cached;
    if !remember {
        return rare(read_credential(isolate, host, digest(), None)).await;
    }
    let mark = mark(&isolate.mark_secret(host));
    if let Some(known) = isolate.credentials.borrow().get(mark, now) {
        return Ok(known);
    }
    rare(read_credential(isolate, host, digest(), Some((mark, now)))).await
}

/// Reads a credential, and remembers it under a mark as what was known at an instant.
async fn read_credential<H: Host>(
    isolate: &Isolate,
    host: &H,
    digest: KeyDigest,
    remembered: Option<(TextMark, MonotonicInstant)>,
) -> Result<Option<Rc<Known>>, LookUpFailed> {
    let key = keys::credential(&isolate.settings.gateway, &digest);
    let bytes = record(host, &key).await.map_err(LookUpFailed::Unavailable)?;
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
    #[expect(clippy::option_option, reason = "known to exist, known not to, or not known")]
    fn get(&self, mark: TextMark, now: MonotonicInstant) -> Option<Option<Rc<Known>>> {
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
        // It may leave the list of revoked keys, if that is full, before these are old.
        self.present.retain(|_, entry| entry.digest != digest);
        self.absent.retain(|_, entry| entry.digest != digest);
        make_room(&mut self.revoked, CREDENTIALS_CACHED_MAX, |(_, at)| now.millis_since(*at) < REVOCATION_KEPT_MS);
        self.revoked.insert(digest, (Rc::new(Known::from(credential)), now));
    }

    /// A link that had ended was written again.
    pub(crate) fn renew(&mut self, digest: &KeyDigest) {
        self.revoked.remove(digest);
    }

    fn revoked(&self, digest: &KeyDigest, now: MonotonicInstant) -> Option<Rc<Known>> {
        if self.revoked.is_empty() {
            return None;
        }
        let (credential, at) = self.revoked.get(digest)?;
        (now.millis_since(*at) < REVOCATION_KEPT_MS).then(|| Rc::clone(credential))
    }

    fn put(&mut self, mark: TextMark, digest: KeyDigest, found: Option<Rc<Known>>, at: MonotonicInstant) {
        match found {
            Some(found) => {
                self.absent.remove(&mark);
                make_room(&mut self.present, CREDENTIALS_CACHED_MAX, |entry| {
                    at.millis_since(entry.at) < CREDENTIAL_FRESH_MS
                });
                self.present.insert(mark, Entry { digest, found, at });
            }
            None => {
                self.present.remove(&mark);
                make_room(&mut self.absent, CREDENTIALS_CACHED_MAX, |entry| {
                    at.millis_since(entry.at) < CREDENTIAL_ABSENT_MS
                });
                self.absent.insert(mark, Entry { digest, found: (), at });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::authn::ApiKey;

    fn credential(n: u32) -> (KeyDigest, Credential) {
        let mut random = [0; 32];
        random[..4].copy_from_slice(&n.to_be_bytes());
        let key = ApiKey::generate("test", &random).expect("`test` is an environment");
        (key.digest(), Credential { revoked: true, ..Credential::of(key.public_id(), "acme") })
    }

    #[test]
    fn a_revoked_key_is_forgotten_even_if_it_left_the_list_of_revoked_ones() {
        let (now, mut all) = (MonotonicInstant::default(), Credentials::default());
        let key = ApiKey::generate("test", &[7; 32]).expect("`test` is an environment");
        let text = KeyText::parse(key.expose()).expect("it is a key");
        let mark = text.mark(&MarkSecret::new([1; 16]));
        let known = Rc::new(Known::from(Credential { revoked: false, ..credential(0).1 }));
        all.put(mark, text.digest(), Some(known), now);
        assert!(all.get(mark, now).is_some());
        all.revoke(text.digest(), credential(0).1, now);
        for n in 0..=u32::try_from(CREDENTIALS_CACHED_MAX).unwrap_or(u32::MAX) {
            let (digest, credential) = credential(n);
            all.revoke(digest, credential, now);
        }
        let is_valid = |known: &Rc<Known>| !known.credential.revoked;
        assert!(!all.get(mark, now).flatten().as_ref().is_some_and(is_valid));
    }
}
