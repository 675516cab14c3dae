//! Formats values as they are written in the configuration.

use tollgate_core::cache::CacheCredentials;
use tollgate_core::settings::RouteSettings;

use crate::model::level::{CREDENTIALS, Timeout};
use crate::model::when::Condition;
use crate::place::Spanned;
pub(super) use crate::schema::written::{duration, rate, size};

pub(super) fn timeout(timeout: Timeout) -> String {
    match timeout {
        Timeout::Unbounded => "none".to_owned(),
        Timeout::Millis(ms) => duration(ms),
    }
}

pub(super) fn list(items: &[Spanned<String>]) -> String {
    texts(items.iter().map(|item| item.value.as_str()))
}

pub(super) fn texts<'t>(items: impl Iterator<Item = &'t str>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// The scopes of a route in one statement.
pub(super) fn scopes(route: &RouteSettings) -> String {
    let sets = route.accepted_scopes();
    let alternative = |set: &Vec<&str>| match set.as_slice() {
        [scope] => (*scope).to_owned(),
        all => format!("{{all: {}}}", texts(all.iter().copied())),
    };
    match sets.as_slice() {
        [all] => texts(all.iter().copied()),
        sets => format!("{{any: [{}]}}", sets.iter().map(alternative).collect::<Vec<_>>().join(", ")),
    }
}

pub(super) fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Present => "present".to_owned(),
        Condition::Absent => "absent".to_owned(),
        Condition::OneOf { values, .. } => match values.as_slice() {
            [value] => value.value.clone(),
            values => list(values),
        },
    }
}

pub(super) fn credentials(value: CacheCredentials) -> String {
    word(CREDENTIALS, value)
}

fn word<T: PartialEq + Copy>(words: &[(&str, T)], value: T) -> String {
    words.iter().find(|(_, known)| *known == value).map_or_else(String::new, |(word, _)| (*word).to_owned())
}
