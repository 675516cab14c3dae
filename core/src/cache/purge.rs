//! Purges: resources whose stored responses from before an instant are no longer used.

use serde::Serialize;

use super::CacheKey;
use crate::bounds::PURGES_MAX;
use crate::json::FromJson;
use crate::time::Timestamp;

/// One purge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromJson)]
pub struct Purge {
    /// The resource; if absent, everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<CacheKey>,
    /// Responses requested at this instant or before are purged: a response in transit may be from before the change.
    pub at: Timestamp,
}

/// All purges known to an edge, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, FromJson)]
#[serde(transparent)]
pub struct Purges(Vec<Purge>);

impl Purges {
    /// All of them, the newest last.
    #[must_use]
    pub fn as_slice(&self) -> &[Purge] {
        &self.0
    }

    /// Whether a stored response of that resource was purged after it was requested.
    #[must_use]
    pub fn covers(&self, resource: &CacheKey, requested_at: Timestamp) -> bool {
        self.0.iter().any(|p| p.at >= requested_at && p.resource.as_ref().is_none_or(|r| r == resource))
    }

    /// Adds a purge, dropping an older one of the same resource.
    ///
    /// Beyond [`PURGES_MAX`] the older half becomes one purge of everything at their latest instant: more is purged
    /// than requested, never less.
    pub fn add(&mut self, purge: Purge) {
        self.0.retain(|p| p.resource != purge.resource && purge.resource.is_some() || p.at > purge.at);
        self.0.push(purge);
        if self.0.len() > PURGES_MAX {
            let newer = self.0.split_off(PURGES_MAX / 2);
            let at = self.0.iter().map(|p| p.at).max().unwrap_or_default();
            self.0 = newer;
            self.0.insert(0, Purge { resource: None, at });
        }
    }
}

impl Purges {
    /// Adds those of another copy that this one does not cover: the order in which copies meet makes no difference.
    pub fn merge(&mut self, other: &Self) {
        for purge in &other.0 {
            let is_covered = self
                .0
                .iter()
                .any(|known| known.at >= purge.at && (known.resource.is_none() || known.resource == purge.resource));
            if !is_covered {
                self.add(purge.clone());
            }
        }
    }
}

/// The given purges, unchanged: for reading them back.
impl FromIterator<Purge> for Purges {
    fn from_iter<I: IntoIterator<Item = Purge>>(purges: I) -> Self {
        Self(purges.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn key(n: u64) -> CacheKey {
        CacheKey::parse(&format!("{n:064x}")).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn covers_what_was_stored_before_and_nothing_later() {
        let mut purges = Purges::default();
        purges.add(Purge { resource: Some(key(1)), at: Timestamp::from_millis(10) });
        assert!(purges.covers(&key(1), Timestamp::from_millis(10)));
        assert!(!purges.covers(&key(1), Timestamp::from_millis(11)));
        assert!(!purges.covers(&key(2), Timestamp::from_millis(5)));
        purges.add(Purge { resource: None, at: Timestamp::from_millis(20) });
        assert!(purges.covers(&key(2), Timestamp::from_millis(5)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn two_copies_that_meet_cover_what_either_did() {
        let of = |list: &[(u64, u64)]| -> Purges {
            list.iter().map(|(n, at)| Purge { resource: Some(key(*n)), at: Timestamp::from_millis(*at) }).collect()
        };
        let (a, b) = (of(&[(1, 10), (2, 30)]), of(&[(2, 20), (3, 5)]));
        for (mut one, other) in [(a.clone(), &b), (b.clone(), &a)] {
            one.merge(other);
            let covers = |n, at| one.covers(&key(n), Timestamp::from_millis(at));
            assert!(covers(1, 10) && covers(2, 30) && covers(3, 5) && !covers(3, 6));
            let merged = one.clone();
            one.merge(other);
            assert_eq!(one, merged);
        }
        let mut all = Purges::default();
        all.add(Purge { resource: None, at: Timestamp::from_millis(30) });
        let before = all.clone();
        all.merge(&a);
        assert_eq!(all, before);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn stays_bounded_and_never_forgets_a_purge() {
        let mut purges = Purges::default();
        for n in 0..3_000 {
            purges.add(Purge { resource: Some(key(n)), at: Timestamp::from_millis(n) });
        }
        assert!(purges.0.len() <= PURGES_MAX);
        assert!((0..3_000).all(|n| purges.covers(&key(n), Timestamp::from_millis(n))));
    }
}
