//! Room in the bounded maps of an isolate.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use tollgate_core::authn::Principal;
use tollgate_core::bounds::{TOKENS_REMEMBERED_BYTES_MAX, TOKENS_REMEMBERED_MAX};

/// Keeps a map below its bound: when it is full, it removes the entries that are not used any more, and if few of them were,
/// some of the others, so that what is remembered never ends all at once.
///
/// Many are removed at a time, because each time all are visited. Returns whether it did so.
pub(super) fn make_room<K: Eq + Hash, V, S: BuildHasher>(
    map: &mut HashMap<K, V, S>,
    max: usize,
    is_used: impl Fn(&V) -> bool,
) -> bool {
    if map.len() < max {
        return false;
    }
    map.retain(|_, value| is_used(value));
    if map.len() > max - max / PART {
        // Keys are hashes, so these are any of them.
        let mut place = 0;
        map.retain(|_, _| {
            place += 1;
            place % PART != 0
        });
    }
    true
}

/// Keeps a map of callers below its bounds, of which one is for their bytes, before another one is added.
pub(super) fn make_room_for<K: Eq + Hash, V, S: BuildHasher>(
    map: &mut HashMap<K, V, S>,
    bytes: &mut usize,
    principal: &Principal,
    size: impl Fn(&V) -> usize,
    is_used: impl Fn(&V) -> bool,
) {
    // Of one that is replaced there is no account until then.
    *bytes += principal.size();
    let max = if *bytes > TOKENS_REMEMBERED_BYTES_MAX { map.len() } else { TOKENS_REMEMBERED_MAX };
    if make_room(map, max, is_used) {
        *bytes = principal.size() + map.values().map(size).sum::<usize>();
    }
}

/// One of so many entries is removed.
const PART: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_keeps_most_of_what_is_used() {
        let full = || (0..80).map(|n| (n, n)).collect::<HashMap<_, _>>();
        let left = |max, is_used: fn(&i32) -> bool| {
            let mut map = full();
            make_room(&mut map, max, is_used);
            map.len()
        };
        assert_eq!(left(81, |_| false), 80, "there is room");
        assert_eq!(left(80, |n| *n < 40), 40);
        assert_eq!(left(80, |_| true), 70);
        assert_eq!(left(80, |n| *n < 79), 70, "one free place would be full at once");
    }
}
