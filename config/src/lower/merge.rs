//! The fixed merge of the three levels: gateway, API, route.
//!
//! Maps merge key by key, the lower level's key counts. Phase lists append, higher levels first; `replace: true` or
//! `none` starts a list anew. A single value of a lower level takes the place of the higher one's.

use crate::model::level::{CacheFields, CacheStatement, Level, ListStatement};
use crate::source::{Span, Spanned};

/// What is in force for a route.
#[derive(Debug)]
pub(super) struct Effective<'p> {
    pub(super) authn: Vec<&'p Spanned<String>>,
    /// Whether any level says who may call.
    pub(super) authn_stated: bool,
    /// A list that adds to a higher one without saying that adding is meant, and the policies that it adds to.
    pub(super) authn_widened: Option<(Span, Vec<&'p Spanned<String>>)>,
    pub(super) limit: Vec<&'p Spanned<String>>,
    pub(super) cache: Option<CacheFields>,
    pub(super) body_limit: Option<u64>,
}

/// Merges the levels, the highest first.
pub(super) fn merge<'p>(levels: &[&'p Level]) -> Effective<'p> {
    let authn: Vec<_> = levels.iter().filter_map(|level| level.authn.as_ref()).collect();
    let limit: Vec<_> = levels.iter().filter_map(|level| level.limit.as_ref()).collect();
    Effective {
        authn_stated: !authn.is_empty(),
        authn_widened: widened(&authn),
        authn: append(&authn),
        limit: append(&limit),
        cache: cache(levels.iter().filter_map(|level| level.cache.as_ref())),
        body_limit: levels.iter().rev().find_map(|level| level.body_limit),
    }
}

fn append<'p>(statements: &[&'p ListStatement]) -> Vec<&'p Spanned<String>> {
    let mut items: Vec<&Spanned<String>> = Vec::new();
    for statement in statements {
        if statement.replace == Some(true) {
            items.clear();
        }
        for item in &statement.items {
            // A policy that a higher level put in force already is in force.
            if !items.iter().any(|known| known.value == item.value) {
                items.push(item);
            }
        }
    }
    items
}

fn widened<'p>(statements: &[&'p ListStatement]) -> Option<(Span, Vec<&'p Spanned<String>>)> {
    let (last, higher) = statements.split_last()?;
    let inherited: Vec<_> =
        append(higher).into_iter().filter(|known| !last.items.iter().any(|item| item.value == known.value)).collect();
    (last.replace.is_none() && !inherited.is_empty()).then_some((last.span, inherited))
}

fn cache<'p>(statements: impl Iterator<Item = &'p CacheStatement>) -> Option<CacheFields> {
    statements.fold(None, |higher, statement| match statement {
        CacheStatement::Off => None,
        CacheStatement::On(fields) if fields.replace => Some(fields.clone()),
        CacheStatement::On(fields) => {
            let higher = higher.unwrap_or_default();
            Some(CacheFields {
                ttl_ms: fields.ttl_ms.or(higher.ttl_ms),
                vary: fields.vary.clone().or(higher.vary),
                credentials: fields.credentials.or(higher.credentials),
                key_query: fields.key_query.clone().or(higher.key_query),
                replace: false,
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileId, Span};

    fn list(items: &[&str], replace: Option<bool>) -> Option<ListStatement> {
        let span = Span::beginning_of(FileId::default());
        let items = items.iter().map(|item| Spanned::new((*item).to_owned(), span)).collect();
        Some(ListStatement { span, items, replace })
    }

    #[track_caller]
    fn check(statements: [Option<ListStatement>; 3], expected: &[&str], widens: &[&str]) {
        let levels = statements.map(|authn| Level { authn, ..Level::default() });
        let effective = merge(&[&levels[0], &levels[1], &levels[2]]);
        let names = |items: &[&Spanned<String>]| items.iter().map(|i| i.value.clone()).collect::<Vec<_>>();
        assert_eq!(names(&effective.authn), expected);
        assert_eq!(names(&effective.authn_widened.map_or(vec![], |(_, items)| items)), widens);
    }

    #[test]
    fn lists_append_from_the_gateway_down() {
        check([list(&["a"], None), None, list(&["b"], None)], &["a", "b"], &["a"]);
        check([list(&["a"], None), list(&["a", "b"], None), None], &["a", "b"], &[]);
        check([None, list(&["b"], None), None], &["b"], &[]);
    }

    #[test]
    fn replacing_and_none_start_anew() {
        check([list(&["a"], None), None, list(&["b"], Some(true))], &["b"], &[]);
        check([list(&["a"], None), list(&[], Some(true)), list(&["b"], None)], &["b"], &[]);
        check([list(&["a"], None), list(&["b"], Some(true)), list(&[], Some(true))], &[], &[]);
    }

    #[test]
    fn adding_on_purpose_is_not_remarked_on() {
        check([list(&["a"], None), None, list(&["b"], Some(false))], &["a", "b"], &[]);
    }

    #[test]
    fn cache_members_merge_and_none_turns_it_off() {
        let on = |ttl_ms, vary: bool, replace| {
            let vary = vary.then(Vec::new);
            Some(CacheStatement::On(CacheFields { ttl_ms, vary, replace, ..CacheFields::default() }))
        };
        let merged = |api: Option<CacheStatement>, route: Option<CacheStatement>| {
            let levels = [api, route].map(|cache| Level { cache, ..Level::default() });
            merge(&[&levels[0], &levels[1]]).cache.map(|c| (c.ttl_ms, c.vary.is_some()))
        };
        assert_eq!(merged(on(Some(1), true, false), on(Some(2), false, false)), Some((Some(2), true)));
        assert_eq!(merged(on(Some(1), true, false), on(None, false, false)), Some((Some(1), true)));
        assert_eq!(merged(on(Some(1), true, false), on(None, false, true)), Some((None, false)));
        assert_eq!(merged(on(Some(1), true, false), Some(CacheStatement::Off)), None);
        assert_eq!(merged(Some(CacheStatement::Off), on(None, false, false)), Some((None, false)));
    }
}
