//! Sorting lists of some dozens of entries in little code: each type that the library's sorts are used with adds 4 KiB to a Worker.

/// Sorts in place: in the order of `n log n` comparisons, whatever the order was. Equal entries may change places.
pub fn sort_by<T>(items: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    let count = items.len();
    // The first half of the steps makes a heap, the second takes the largest entry from it, again and again.
    for step in (0..count + count / 2).rev() {
        let (mut top, end) = if step >= count {
            (step - count, count)
        } else {
            items.swap(0, step);
            (0, step)
        };
        loop {
            let mut child = 2 * top + 1;
            if child >= end {
                break;
            }
            if child + 1 < end && is_less(&items[child], &items[child + 1]) {
                child += 1;
            }
            if !is_less(&items[top], &items[child]) {
                break;
            }
            items.swap(top, child);
            top = child;
        }
    }
}

/// These names, each once, in ascending order.
#[must_use]
pub fn each_once(mut names: Vec<String>) -> Vec<String> {
    sort_by(&mut names, |one, other| one < other);
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_the_library(mut items in prop::collection::vec(0_u8..40, 0..70)) {
            let mut sorted = items.clone();
            sorted.sort_unstable();
            sort_by(&mut items, |one, other| one < other);
            prop_assert_eq!(items, sorted);
        }
    }

    #[test]
    fn names_are_there_once() {
        let names = ["b", "a", "b", "", "a"].map(str::to_owned).to_vec();
        assert_eq!(each_once(names), ["", "a", "b"]);
    }
}
