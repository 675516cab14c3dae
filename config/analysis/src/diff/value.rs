//! Compares values of a key of a policy.

use std::collections::BTreeSet;

use tollgate_config::Rate;
use tollgate_config::policies::Value;
use tollgate_core::guard::AddressSet;

/// The requests that the new value accepts, compared with the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looseness {
    /// All requests that the old value accepts, and more.
    Looser,
    /// Fewer requests.
    Stricter,
    /// The same requests.
    Same,
    /// Some other requests, but not all of those that the old value accepts.
    Other,
}

/// Compares the addresses of accepted clients.
pub(super) fn compare_admitted(old: &AddressSet, new: &AddressSet) -> Looseness {
    match (new.covers(old), old.covers(new)) {
        (true, true) => Looseness::Same,
        (true, false) => Looseness::Looser,
        (false, true) => Looseness::Stricter,
        (false, false) => Looseness::Other,
    }
}

/// Whether both values are equivalent, such as 60/min and 1/s.
pub(super) fn is_same(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (Some(Value::Rate(old)), Some(Value::Rate(new))) => fraction(old, new) == fraction(new, old),
        _ => old == new,
    }
}

/// Compares two different values; without a value, every request is accepted.
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

/// Compares two different values; without a value, no request is accepted.
pub(super) fn granted(old: Option<&Value>, new: Option<&Value>, more_is_looser: bool) -> Looseness {
    match (old, new) {
        (Some(_), Some(_)) => compare(old, new, more_is_looser),
        _ if new.is_none() => Looseness::Stricter,
        _ => Looseness::Looser,
    }
}

/// Compares two different lists by name, of each of which a request has one item; without lists, every request is accepted.
pub(super) fn compare_each(old: Option<&Value>, new: Option<&Value>) -> Looseness {
    let named = |value: Option<&Value>| match value {
        Some(Value::Named(all)) => all.clone(),
        _ => Vec::new(),
    };
    let (old, new) = (named(old), named(new));
    // Whatever has an item of each of the first lists has one of each of the others.
    let is_within = |these: &[(String, Vec<String>)], others: &[(String, Vec<String>)]| {
        others.iter().all(|(name, items)| {
            these.iter().any(|(known, few)| known == name && few.iter().all(|item| items.contains(item)))
        })
    };
    match (is_within(&old, &new), is_within(&new, &old)) {
        (true, true) => Looseness::Same,
        (true, false) => Looseness::Looser,
        (false, true) => Looseness::Stricter,
        (false, false) => Looseness::Other,
    }
}

/// Whether the new value is greater, or contains all of the old list; `None` if neither list contains the other.
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
        // Lists by name are one set of names in lists.
        (Value::Named(old), Value::Named(new)) => {
            let (old, new) = (pairs(old), pairs(new));
            match (new.is_superset(&old), new.is_subset(&old)) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                (false, false) => None,
            }
        }
        (Value::Integer(old), Value::Integer(new))
        | (Value::DurationMs(old), Value::DurationMs(new))
        | (Value::SizeBytes(old), Value::SizeBytes(new)) => Some(new > old),
        // Strings, words and booleans have no order.
        _ => None,
    }
}

fn pairs(all: &[(String, Vec<String>)]) -> BTreeSet<(&String, &String)> {
    all.iter().flat_map(|(name, texts)| texts.iter().map(move |text| (name, text))).collect()
}

/// The numerator of a rate as a fraction with the common denominator.
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
    fn a_greater_value_is_looser_or_stricter_depending_on_the_key() {
        use Looseness::{Looser, Other, Stricter};
        let rate = |count, period_ms| Value::Rate(Rate { count, period_ms });
        check(&Value::Integer(1), &Value::Integer(2), Looser, Stricter);
        check(&rate(60, 60_000), &rate(59, 60_000), Stricter, Looser);
        check(&rate(60, 60_000), &rate(2, 1_000), Looser, Stricter);
        check(&list(&["a"]), &list(&["a", "b"]), Looser, Stricter);
        check(&list(&["a", "b"]), &list(&["b"]), Stricter, Looser);
        check(&list(&["a"]), &list(&["b"]), Other, Other);
        let named =
            |texts: &[&str]| Value::Named(vec![("a".into(), texts.iter().map(|text| (*text).into()).collect())]);
        let both = Value::Named(vec![("a".into(), vec!["x".into()]), ("b".into(), vec!["y".into()])]);
        check(&named(&["x"]), &named(&["x", "y"]), Looser, Stricter);
        check(&both, &named(&["x"]), Stricter, Looser);
        check(&named(&["y"]), &both, Other, Other);
        assert!(is_same(Some(&rate(60, 60_000)), Some(&rate(1, 1_000))));
    }

    #[test]
    fn without_a_value_every_request_is_accepted() {
        for more_is_looser in [true, false] {
            assert_eq!(compare(None, Some(&list(&["a"])), more_is_looser), Looseness::Stricter);
            assert_eq!(compare(Some(&Value::Integer(1)), None, more_is_looser), Looseness::Looser);
        }
    }
}
