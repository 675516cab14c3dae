//! Values of a policy's key, compared.

use std::collections::BTreeSet;

use tollgate_config::Rate;
use tollgate_config::policies::Value;
use tollgate_core::guard::AddressSet;

/// What the new value lets pass, held to the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looseness {
    /// All that passed, and more.
    Looser,
    /// Less.
    Stricter,
    /// The same.
    Same,
    /// Some that did not pass, and not all that did.
    Other,
}

/// Compares the clients that are let pass.
pub(super) fn compare_admitted(old: &AddressSet, new: &AddressSet) -> Looseness {
    match (new.covers(old), old.covers(new)) {
        (true, true) => Looseness::Same,
        (true, false) => Looseness::Looser,
        (false, true) => Looseness::Stricter,
        (false, false) => Looseness::Other,
    }
}

/// Whether both mean the same: 60/min and 1/s do.
pub(super) fn is_same(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (Some(Value::Rate(old)), Some(Value::Rate(new))) => fraction(old, new) == fraction(new, old),
        _ => old == new,
    }
}

/// Compares two values that are not the same; where there is none, everything passes.
pub(super) fn compare(old: Option<&Value>, new: Option<&Value>, more_is_looser: bool) -> Looseness {
    let (Some(old), Some(new)) = (old, new) else {
        return if new.is_none() { Looseness::Looser } else { Looseness::Stricter };
    };
    match has_more(old, new) {
        Some(more) if more == more_is_looser => Looseness::Looser,
        Some(_) => Looseness::Stricter,
        None => Looseness::Other,
    }
}

/// Whether the new value is the greater, or has all of the old and more; `None` where neither has all of the other.
fn has_more(old: &Value, new: &Value) -> Option<bool> {
    match (old, new) {
        (Value::Rate(old), Value::Rate(new)) => Some(fraction(new, old) > fraction(old, new)),
        (Value::List(old), Value::List(new)) => {
            let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
            match (new.is_superset(&old), new.is_subset(&old)) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                (false, false) => None,
            }
        }
        (Value::Integer(old), Value::Integer(new))
        | (Value::DurationMs(old), Value::DurationMs(new))
        | (Value::SizeBytes(old), Value::SizeBytes(new)) => Some(new > old),
        // Texts, words and truth have no order.
        _ => None,
    }
}

/// A rate as a fraction with the denominator of both.
fn fraction(rate: &Rate, other: &Rate) -> u64 {
    u64::from(rate.count) * u64::from(other.period_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Value {
        Value::List(items.iter().map(|item| (*item).to_owned()).collect())
    }

    #[track_caller]
    fn check(old: &Value, new: &Value, more_is_looser: Looseness, more_is_stricter: Looseness) {
        assert_eq!(compare(Some(old), Some(new), true), more_is_looser, "{old} {new}");
        assert_eq!(compare(Some(old), Some(new), false), more_is_stricter, "{old} {new}");
    }

    #[test]
    fn what_has_more_is_looser_or_stricter_as_the_key_says() {
        use Looseness::{Looser, Other, Stricter};
        let rate = |count, period_ms| Value::Rate(Rate { count, period_ms });
        check(&Value::Integer(1), &Value::Integer(2), Looser, Stricter);
        check(&rate(60, 60_000), &rate(59, 60_000), Stricter, Looser);
        check(&rate(60, 60_000), &rate(2, 1_000), Looser, Stricter);
        check(&list(&["a"]), &list(&["a", "b"]), Looser, Stricter);
        check(&list(&["a", "b"]), &list(&["b"]), Stricter, Looser);
        check(&list(&["a"]), &list(&["b"]), Other, Other);
        assert!(is_same(Some(&rate(60, 60_000)), Some(&rate(1, 1_000))));
    }

    #[test]
    fn where_there_is_no_value_everything_passes() {
        for more_is_looser in [true, false] {
            assert_eq!(compare(None, Some(&list(&["a"])), more_is_looser), Looseness::Stricter);
            assert_eq!(compare(Some(&Value::Integer(1)), None, more_is_looser), Looseness::Looser);
        }
    }
}
