//! What a store with an atomic read and write stores under a key.

use std::borrow::Cow;

use tollgate_core::cache::Purges;

use crate::{decode, encode, keys};

/// The value to store: purges are merged with the stored ones, every other value replaces the stored one.
///
/// So two writers of one log, such as two processes with separate counters, keep each other's purges. A stored value
/// that cannot be read is replaced.
#[must_use]
pub fn joined<'v>(key: &str, stored: Option<&[u8]>, new: &'v [u8]) -> Cow<'v, [u8]> {
    let stored = stored.filter(|_| keys::is_purges(key)).and_then(|bytes| decode::<Purges>(bytes).ok());
    let (Some(stored), Ok(mut purges)) = (stored, decode::<Purges>(new)) else {
        return Cow::Borrowed(new);
    };
    purges.merge(&stored);
    Cow::Owned(encode(&purges))
}

#[cfg(test)]
mod tests {
    use tollgate_core::cache::{CacheKey, Purge};
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
}
