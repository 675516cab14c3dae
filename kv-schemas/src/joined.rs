//! What a store with an atomic read and write stores under a key.

use std::borrow::Cow;

use tollgate_core::authn::{Credential, Outage, RevokedToken};
use tollgate_core::cache::Purges;
use tollgate_core::entitlement::Entitlements;

use crate::{Record, decode, encode, keys};

/// The value to store: purges, products, plans, subscriptions and grants are merged with the stored ones, revoked credentials and tokens stay revoked, every other value
/// replaces the stored one.
///
/// So two writers of one log, such as two processes with separate counters, keep each other's purges, and a rotation does not
/// undo a revocation at the same time. A stored value that cannot be read is replaced.
#[must_use]
pub fn joined<'v>(key: &str, stored: Option<&[u8]>, new: &'v [u8]) -> Cow<'v, [u8]> {
    let Some(stored) = stored else { return Cow::Borrowed(new) };
    let joined = if keys::is_purges(key) {
        both(stored, new, |stored: &Purges, purges| purges.merge(stored))
    } else if keys::is_credential(key) {
        both(stored, new, |stored: &Credential, credential| credential.revoked |= stored.revoked)
    } else if keys::is_idp_outage(key) {
        both(stored, new, keep_revoked)
    } else if keys::is_entitlements(key) {
        both(stored, new, |stored: &Entitlements, own| own.merge(stored.clone()))
    } else {
        None
    };
    joined.map_or(Cow::Borrowed(new), Cow::Owned)
}

/// Tokens that have ended since are left out, so that the list does not grow for ever.
fn keep_revoked(stored: &Outage, outage: &mut Outage) {
    let is_known = |token: &RevokedToken| outage.revoked.iter().any(|known| known.credential == token.credential);
    let is_lost = |token: &&RevokedToken| outage.changed < token.until && !is_known(token);
    let lost: Vec<RevokedToken> = stored.revoked.iter().filter(is_lost).cloned().collect();
    outage.revoked.extend(lost);
}

fn both<T: Record>(stored: &[u8], new: &[u8], join: impl FnOnce(&T, &mut T)) -> Option<Vec<u8>> {
    let (stored, mut new) = (decode::<T>(stored).ok()?, decode::<T>(new).ok()?);
    join(&stored, &mut new);
    Some(encode(&new))
}

#[cfg(test)]
mod tests {
    use tollgate_core::cache::{CacheKey, Purge};
    use tollgate_core::entitlement::Subscription;
    use tollgate_core::time::Timestamp;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn purges(numbers: &[u64]) -> Purges {
        let purge = |n: &u64| Purge { resource: CacheKey::parse(&format!("{n:064x}")), at: Timestamp::from_millis(*n) };
        numbers.iter().map(purge).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn purges_of_both_writers_are_kept_and_other_records_are_replaced() {
        let (stored, new) = (encode(&purges(&[1, 2])), encode(&purges(&[2, 3])));
        let kept: Purges = decode(&joined("g:purges", Some(&stored), &new)).unwrap();
        assert_eq!(kept.as_slice().len(), 3);
        assert_eq!(joined("g:purges", None, &new), new.as_slice());
        assert_eq!(joined("g:purges", Some(b"damaged"), &new), new.as_slice());
        assert_eq!(joined("g:credential:x", Some(&stored), &new), new.as_slice());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn subscriptions_of_two_writers_are_kept() {
        let with = |product: &str, changed, plan: &str| {
            let (id, changed) = (product.to_owned(), Timestamp::from_millis(changed));
            let (product, plan) = (product.to_owned(), plan.to_owned());
            encode(&Entitlements {
                subscriptions: vec![Subscription { id, product, plan, changed, ..Subscription::default() }],
                ..Entitlements::default()
            })
        };
        for key in ["g:entitlements:acme", "g:entitlement-entry:acme:sub-1"] {
            let kept = joined(key, Some(&with("pets", 1, "pro")), &with("maps", 2, "pro")).into_owned();
            let kept = joined(key, Some(&kept), &with("pets", 0, "free")).into_owned();
            let kept: Entitlements = decode(&kept).unwrap();
            let plans: Vec<(&str, &str)> =
                kept.subscriptions.iter().map(|one| (one.id.as_str(), one.plan.as_str())).collect();
            assert_eq!(plans, [("maps", "pro"), ("pets", "pro")]);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_revoked_token_stays_revoked_until_it_ends() {
        let at = Timestamp::from_millis;
        let revoked = |id: &str, until| RevokedToken { credential: id.into(), until: at(until), issued_until: None };
        let with = |changed, revoked| Outage { allowed: None, revoked, changed: at(changed) };
        let stored = encode(&with(1, vec![revoked("jwt-1", 9), revoked("jwt-2", 5)]));
        let kept =
            joined("g:idp-outage:staff", Some(&stored), &encode(&with(6, vec![revoked("jwt-3", 9)]))).into_owned();
        let kept: Outage = decode(&kept).unwrap();
        let ids: Vec<&str> = kept.revoked.iter().map(|token| token.credential.as_str()).collect();
        assert_eq!(ids, ["jwt-3", "jwt-1"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_revoked_credential_stays_revoked() {
        let (valid, revoked) =
            (Credential::of("k", "acme"), Credential { revoked: true, ..Credential::of("k", "acme") });
        for (stored, new, is_revoked) in [(&valid, &valid, false), (&revoked, &valid, true), (&valid, &revoked, true)] {
            let kept: Credential = decode(&joined("g:credential:x", Some(&encode(stored)), &encode(new))).unwrap();
            assert_eq!(kept.revoked, is_revoked);
        }
    }
}
