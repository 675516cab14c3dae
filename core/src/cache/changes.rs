//! When resources were last changed by unsafe methods, as far as one isolate knows (RFC 9111, section 4.4).

use super::CacheKey;
use crate::hex;
use crate::time::Timestamp;

/// The latest change of each resource, in buckets by the resource's hash.
///
/// Its size is fixed, however many resources are changed, and no change is forgotten. Resources that share a bucket share
/// their changes, so a change also affects the stored responses of one in 4,096 other resources.
#[derive(Clone, Debug, Default)]
pub struct Changes(Vec<Option<Timestamp>>);

/// Buckets: three hexadecimal digits of the hash. Together they have 64 KB, which an isolate without changes does not need.
const BUCKETS: usize = 16 * 16 * 16;

impl Changes {
    /// Records a change.
    pub fn add(&mut self, resource: &CacheKey, at: Timestamp) {
        if self.0.is_empty() {
            self.0 = vec![None; BUCKETS];
        }
        let latest = &mut self.0[bucket(resource)];
        *latest = (*latest).max(Some(at));
    }

    /// Whether the resource was changed after a response was requested, or at the same instant.
    #[must_use]
    pub fn covers(&self, resource: &CacheKey, requested_at: Timestamp) -> bool {
        self.0.get(bucket(resource)).copied().flatten().is_some_and(|at| at >= requested_at)
    }
}

fn bucket(resource: &CacheKey) -> usize {
    let digits = resource.as_str().bytes().take(3).filter_map(hex::digit);
    digits.fold(0, |bucket, digit| bucket * 16 + usize::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// A key with these first three digits.
    fn key(first: u64) -> CacheKey {
        CacheKey::parse(&format!("{first:03x}{:061x}", 7)).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_change_affects_what_was_requested_until_then() {
        let ms = Timestamp::from_millis;
        let mut changes = Changes::default();
        assert!(!changes.covers(&key(0x100), ms(0)));
        changes.add(&key(0x100), ms(10));
        changes.add(&key(0x100), ms(7));
        assert!(changes.covers(&key(0x100), ms(10)) && !changes.covers(&key(0x100), ms(11)));
        assert!(!changes.covers(&key(0x200), ms(5)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn many_changes_are_all_kept_and_leave_most_others_alone() {
        let ms = Timestamp::from_millis;
        let mut changes = Changes::default();
        for n in 0..2_048 {
            changes.add(&key(n), ms(n));
        }
        assert!((0..2_048).all(|n| changes.covers(&key(n), ms(n))));
        assert!((2_048..4_096).all(|n| !changes.covers(&key(n), ms(0))));
    }
}
