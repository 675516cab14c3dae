//! A fixed number of slots, for values that nothing removes.
//!
//! Spin's store has no expiry and no bound. So values that the gateway writes overwrite each other: a key has two slots,
//! selected by its digits, and a value contains its full key. Two, because with one slot, what is read together would
//! evict each other for ever if the slot is the same: a response and the index of its variants, the keys of two issuers.

use tollgate_core::time::Timestamp;

/// Number of hexadecimal digits of a key that select a slot: 4096 slots.
const DIGITS: usize = 3;

/// The slots of a key, as keys of the store.
///
/// Slots are filled in this order and never emptied: if the first has no value, neither has the key.
pub(crate) struct Slots {
    first: String,
    second: String,
}

/// The value of a slot, for a key.
pub(crate) enum Held<T> {
    /// The key's own value.
    Own(T),
    /// The value of another key, of use until then.
    Other {
        /// The epoch for what no key has.
        until: Timestamp,
    },
}

/// What the slots of a key contain.
pub(crate) struct Found<T> {
    pub(crate) value: Option<T>,
    /// Where to write the key's value: where it is, or else in place of what is of use for the shortest time.
    pub(crate) slot: String,
}

impl Slots {
    /// The slots for a name that begins with hexadecimal digits.
    pub(crate) fn new(prefix: &str, name: &str) -> Self {
        let slot = |skipped| {
            let digits: String = name.chars().skip(skipped).take(DIGITS).collect();
            format!("{prefix}:{digits}")
        };
        Self { first: slot(0), second: slot(DIGITS) }
    }

    /// Reads the second slot only if the first has the value of another key.
    pub(crate) async fn find<T, E>(
        self,
        get: impl AsyncFn(String) -> Result<Option<Vec<u8>>, E>,
        read: impl Fn(Vec<u8>) -> Held<T>,
    ) -> Result<Found<T>, E> {
        let Self { first, second } = self;
        let until = match get(first.clone()).await?.map(&read) {
            None => return Ok(Found { value: None, slot: first }),
            Some(Held::Own(value)) => return Ok(Found { value: Some(value), slot: first }),
            Some(Held::Other { until }) => until,
        };
        Ok(match get(second.clone()).await?.map(&read) {
            None => Found { value: None, slot: second },
            Some(Held::Own(value)) => Found { value: Some(value), slot: second },
            Some(Held::Other { until: other }) => {
                Found { value: None, slot: if other < until { second } else { first } }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::convert::Infallible;

    use super::*;

    /// A store whose values are a key and the end of its use.
    #[derive(Default)]
    struct Bench {
        slots: RefCell<HashMap<String, Vec<u8>>>,
        reads: RefCell<usize>,
    }

    impl Bench {
        fn find(&self, name: &str) -> Found<u8> {
            let get = async |slot: String| {
                *self.reads.borrow_mut() += 1;
                Ok::<_, Infallible>(self.slots.borrow().get(&slot).cloned())
            };
            let read = |value: Vec<u8>| match value.split_last() {
                Some((until, key)) if key == name.as_bytes() => Held::Own(*until),
                Some((until, _)) => Held::Other { until: Timestamp::from_millis(u64::from(*until)) },
                None => Held::Other { until: Timestamp::EPOCH },
            };
            let Ok(found) = futures_executor::block_on(Slots::new("g:cache", name).find(get, read));
            found
        }

        fn write(&self, name: &str, until: u8) {
            let slot = self.find(name).slot;
            self.slots.borrow_mut().insert(slot, [name.as_bytes(), &[until]].concat());
        }
    }

    #[test]
    fn two_keys_of_one_slot_are_both_kept() {
        let bench = Bench::default();
        for round in 1..4 {
            bench.write("aaa111", round);
            bench.write("aaa222", round);
            assert_eq!((bench.find("aaa111").value, bench.find("aaa222").value), (Some(round), Some(round)));
        }
        let mut names: Vec<_> = bench.slots.borrow().keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["g:cache:222", "g:cache:aaa"]);
    }

    #[test]
    fn of_two_values_the_one_of_use_for_the_shortest_time_is_overwritten() {
        for (first, second, lost) in [(9, 8, "aaa222"), (8, 9, "aaa111")] {
            let bench = Bench::default();
            bench.write("aaa111", first);
            bench.write("aaa222", second);
            bench.write("aaa222", second);
            // Its slots are those of the second key.
            bench.write("aaa222x", 10);
            let kept: Vec<_> =
                ["aaa111", "aaa222", "aaa222x"].into_iter().filter(|name| bench.find(name).value.is_some()).collect();
            assert_eq!(kept.len(), 2);
            assert!(!kept.contains(&lost), "{kept:?}");
        }
    }

    #[test]
    fn a_value_that_no_key_has_is_overwritten() {
        let bench = Bench::default();
        bench.write("aaa111", 9);
        bench.slots.borrow_mut().insert("g:cache:222".to_owned(), Vec::new());
        bench.write("aaa222", 1);
        assert!(bench.find("aaa111").value.is_some() && bench.find("aaa222").value.is_some());
    }

    #[test]
    fn a_second_slot_is_read_only_behind_the_value_of_another_key() {
        let bench = Bench::default();
        let reads = |name: &str| {
            *bench.reads.borrow_mut() = 0;
            let _ = bench.find(name);
            *bench.reads.borrow()
        };
        assert_eq!(reads("aaa111"), 1, "nothing is stored");
        bench.write("aaa111", 1);
        assert_eq!((reads("aaa111"), reads("aaa222")), (1, 2));
    }

    #[test]
    fn a_short_name_has_one_slot() {
        let slots = Slots::new("g:fetched", "ab");
        assert_eq!((slots.first.as_str(), slots.second.as_str()), ("g:fetched:ab", "g:fetched:"));
    }
}
