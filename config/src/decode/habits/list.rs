//! Lists that are written as one text: `GET, POST`, `any`, `all`, `a|b`.

use http::{HeaderName, Method};
use tollgate_core::guard::Cidr;
use tollgate_core::route::HostPattern;

use super::{host, network, word};
use crate::schema::TextRule;
use crate::schema::texts::{FIELD, HOST, METHOD, NAME, NETWORK, QUERY_PARAMETER, SCOPE};

/// What to write instead of a text where a list is required; `rule` is that of its items, if they have one.
pub(in crate::decode) fn fix(rule: Option<&TextRule>, text: &str) -> String {
    let is = |known: &TextRule| rule.is_some_and(|rule| rule.name == known.name);
    let is_all = match word::all_or_none(text) {
        Some(all) => {
            if let Some(fix) = instead(rule, all) {
                return fix.to_owned();
            }
            all
        }
        None => false,
    };
    let items = if is(&NETWORK) { network::meant(text) } else { None };
    let items = items.or_else(|| (is_all && is(&HOST)).then(|| vec!["*".to_owned()]));
    let items = items.unwrap_or_else(|| parts(text).map(|part| item(rule, part)).take(ITEMS_SHOWN_MAX + 1).collect());
    let is_shown = text.len() <= SHOWN_BYTES_MAX && (1..=ITEMS_SHOWN_MAX).contains(&items.len());
    if !is_shown || !items.iter().all(|item| is_item(rule, item)) {
        let example = rule.and_then(|rule| rule.examples.first()).unwrap_or(&"a");
        return format!("write a list, such as `[{}]`", quoted(example));
    }
    let quoted: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("write the list `[{}]`", quoted.join(", "))
}

/// What to write for all or none of the items of a rule, if it is no list of items.
fn instead(rule: Option<&TextRule>, all: bool) -> Option<&'static str> {
    let (of_all, of_none) = INSTEAD.iter().find(|(name, ..)| rule.is_some_and(|rule| rule.name == *name))?.1;
    if all { of_all } else { Some(of_none) }
}

/// What to write for all items of a rule, if it is no list, and for none.
const INSTEAD: &[(&str, (Option<&str>, &str))] = &[
    (METHOD.name, (Some("remove the key: without it, all methods match"), "remove the key, or the route")),
    (
        QUERY_PARAMETER.name,
        (
            Some("remove the key: without it, the whole query is in the key and is forwarded"),
            "write `[]`: then `GET` and `HEAD` are forwarded without a query. To forward it, remove the key",
        ),
    ),
    (
        FIELD.name,
        (
            Some("list the fields on which the responses depend, or write `cache: none` if they depend on everything"),
            "remove the key: without it, only the upstream's `Vary` selects fields",
        ),
    ),
    (NAME.name, (None, "write `none` in place of the mapping")),
    (SCOPE.name, (None, "remove the key")),
    (HOST.name, (None, "remove the key")),
    (NETWORK.name, (None, "remove the key")),
];

/// The parts of a text that is written as in a format without lists.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    inner.split([',', ' ', '|', ';']).map(|part| part.trim_matches(['"', '\''])).filter(|part| !part.is_empty())
}

/// An item as it is written here.
fn item(rule: Option<&TextRule>, part: &str) -> String {
    match rule.map(|rule| rule.name) {
        Some(name) if name == METHOD.name => part.to_ascii_uppercase(),
        Some(name) if name == HOST.name => host::plain(part).unwrap_or_else(|| part.to_owned()),
        Some(_) | None => part.to_owned(),
    }
}

/// Whether an item would not be refused.
fn is_item(rule: Option<&TextRule>, item: &str) -> bool {
    match rule.map(|rule| rule.name) {
        Some(name) if name == METHOD.name => {
            Method::from_bytes(item.as_bytes()).is_ok_and(|method| ![Method::CONNECT, Method::TRACE].contains(&method))
        }
        Some(name) if name == HOST.name => item.parse::<HostPattern>().is_ok() && host::unmeant(item).is_none(),
        Some(name) if name == NETWORK.name => item.parse::<Cidr>().is_ok() && network::everywhere(item).is_none(),
        Some(name) if name == FIELD.name => HeaderName::from_bytes(item.as_bytes()).is_ok(),
        Some(_) | None => true,
    }
}

fn quoted(item: &str) -> String {
    serde_json::Value::from(item).to_string()
}

/// The longest text that is shown as a list, and the maximum number of its items.
const SHOWN_BYTES_MAX: usize = 80;
const ITEMS_SHOWN_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_place_of_a_list_has_a_list_that_is_valid() {
        for (rule, text, meant) in [
            (&METHOD, "GET", "the list `[\"GET\"]`"),
            (&METHOD, "get, post", "the list `[\"GET\", \"POST\"]`"),
            (&METHOD, "any", "remove the key"),
            (&METHOD, "*", "remove the key"),
            (&METHOD, "none", "remove the key"),
            (&METHOD, "TRACE", "such as `[\"GET\"]`"),
            (&NETWORK, "all", "the list `[\"0.0.0.0/0\", \"::/0\"]`"),
            (&NETWORK, "0.0.0.0", "the list `[\"0.0.0.0/0\"]`"),
            (&NETWORK, "10.0.0.0/255.0.0.0", "the list `[\"10.0.0.0/8\"]`"),
            (&NETWORK, "10.0.0.0/8,192.0.2.7", "the list `[\"10.0.0.0/8\", \"192.0.2.7\"]`"),
            (&NETWORK, "everybody", "such as `[\"10.0.0.0/8\"]`"),
            (&HOST, "all", "the list `[\"*\"]`"),
            (&HOST, "https://a.example/x", "the list `[\"a.example\"]`"),
            (&HOST, "a.example *.b.example", "the list `[\"a.example\", \"*.b.example\"]`"),
            (&FIELD, "*", "list the fields"),
            (&QUERY_PARAMETER, "*", "remove the key"),
            (&SCOPE, "pets.read pets.write", "the list `[\"pets.read\", \"pets.write\"]`"),
            (&SCOPE, "none", "remove the key"),
        ] {
            let found = fix(Some(rule), text);
            assert!(found.contains(meant), "{} {text}: {found}", rule.name);
        }
        assert_eq!(fix(None, "a, b"), "write the list `[\"a\", \"b\"]`");
        assert_eq!(fix(None, &"a".repeat(100)), "write a list, such as `[\"a\"]`");
    }
}
