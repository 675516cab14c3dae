//! Keys of stored responses that an isolate remembers: on most platforms a digest costs more than all other work of a look-up.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use rustc_hash::FxHasher;
use tollgate_core::authn::{MarkSecret, TextMark};
use tollgate_core::bounds::CACHE_KEYS_REMEMBERED_MAX;
use tollgate_core::cache::CacheKey;

/// Keys by the marks of what they were made of.
#[derive(Debug, Default)]
pub(super) struct CacheKeys(RefCell<HashMap<TextMark, CacheKey, BuildHasherDefault<FxHasher>>>);

impl CacheKeys {
    /// The key that is made of an input.
    pub(super) fn of(&self, input: &[u8], secret: &MarkSecret) -> CacheKey {
        let mark = TextMark::of_bytes(input, secret);
        let mut known = self.0.borrow_mut();
        if let Some(key) = known.get(&mark) {
            return key.clone();
        }
        if known.len() >= CACHE_KEYS_REMEMBERED_MAX {
            known.clear();
        }
        let key = CacheKey::digest(input);
        known.insert(mark, key.clone());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_key_is_the_digest_and_their_number_is_bounded() {
        let (keys, secret) = (CacheKeys::default(), MarkSecret::new([3; 16]));
        for n in 0..=CACHE_KEYS_REMEMBERED_MAX {
            let input = n.to_be_bytes();
            let first = keys.of(&input, &secret);
            assert_eq!((&first, &keys.of(&input, &secret)), (&CacheKey::digest(&input), &first));
            assert!(keys.0.borrow().len() <= CACHE_KEYS_REMEMBERED_MAX);
        }
        assert_eq!(keys.0.borrow().len(), 1, "the last one, after all were forgotten");
    }
}
