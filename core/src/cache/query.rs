//! The query of requests to a cached route.

use std::borrow::Cow;

use super::CacheSettings;
use crate::order;
use crate::query::decoded;
use crate::route::{Predicate, Subject};

/// The query that is forwarded with a GET or HEAD: only the parameters of the key and those that select the route, so that
/// no other parameter can change the response that others get. They are in the order of their names.
#[must_use]
pub fn forwarded_query<'q>(
    settings: &CacheSettings,
    when: &[Predicate],
    query: Option<&'q str>,
) -> Option<Cow<'q, str>> {
    let (query, Some(names)) = (query?, &settings.key_query) else { return query.map(Cow::Borrowed) };
    let selects_route =
        |name: &str| when.iter().any(|predicate| matches!(&predicate.of, Subject::Query(n) if n == name));
    selected(query, |name| names.iter().any(|n| n == name) || selects_route(name)).map(Cow::Owned)
}

/// The parameters with these names, however they are escaped, in the order of their names: the order of the values of one
/// name can matter, that of names does not.
fn selected(query: &str, is_selected: impl Fn(&str) -> bool) -> Option<String> {
    let named = |(at, pair)| (parameter_name(pair), at, pair);
    let mut pairs: Vec<(Cow<'_, str>, usize, &str)> =
        query.split('&').enumerate().map(named).filter(|(name, ..)| is_selected(name)).collect();
    order::sort_by(&mut pairs, |one, other| (&one.0, one.1) < (&other.0, other.1));
    let pairs: Vec<&str> = pairs.into_iter().map(|(.., pair)| pair).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

/// The name of a parameter, without escapes. One that is not UTF-8 stays as it is.
fn parameter_name(pair: &str) -> Cow<'_, str> {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    match decoded(name) {
        Cow::Borrowed(_) => Cow::Borrowed(name),
        Cow::Owned(bytes) => String::from_utf8(bytes).map_or(Cow::Borrowed(name), Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::CacheCredentials;
    use crate::route::Test;
    use wasm_bindgen_test::wasm_bindgen_test;

    const ALL: CacheSettings =
        CacheSettings { ttl_ms: None, vary: vec![], credentials: CacheCredentials::Never, key_query: None };

    #[track_caller]
    fn check_query(when: &[Predicate], query: &str, want: Option<&str>) {
        let names = Some(vec!["q".into(), "filter[a b]".into()]);
        let s = CacheSettings { key_query: names, ..ALL };
        assert_eq!(forwarded_query(&s, when, Some(query)).as_deref(), want, "{query}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_parameters_of_the_key_are_forwarded_in_any_spelling() {
        check_query(&[], "q=1", Some("q=1"));
        check_query(&[], "utm=x&q=1&session=y", Some("q=1"));
        check_query(&[], "%71=2&q=1&%71", Some("%71=2&q=1&%71"));
        check_query(&[], "filter%5ba+b%5D=1&q", Some("filter%5ba+b%5D=1&q"));
        check_query(&[], "q=1;admin=1&q%00=3&Q=4&q[]=5&%=6&%7=7&%zz=8&%ff=9", Some("q=1;admin=1"));
        // PHP reads these as the parameters of the key.
        check_query(&[], "+q=1&%20q=2&[q]=3&filter_a+b]=4&q=5", Some("q=5"));
        check_query(&[], "a=1", None);
        check_query(&[], "", None);
        let when = [Predicate { of: Subject::Query("v".into()), test: Test::Present }];
        check_query(&when, "z=1&v=2&q=1", Some("q=1&v=2"));
        assert_eq!(forwarded_query(&ALL, &[], Some("b&a=%71")).as_deref(), Some("b&a=%71"));
    }
}
