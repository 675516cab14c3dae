use proptest::prelude::*;

use super::*;
use crate::place::{FileId, Position, Span};

/// A place that differs from others.
fn place(line: u32) -> Span {
    let at = Position { line, column: 1 };
    Span { file: FileId::default(), start: at, end: at }
}

fn list(items: &[&str], replace: Option<bool>) -> Option<ListStatement> {
    let span = place(1);
    let item = |name: &&str| Item { span, names: vec![Spanned::new((*name).to_owned(), span)] };
    let items = items.iter().map(item).collect();
    Some(ListStatement { span, items, replace, locked: None })
}

fn locked_list(items: &[&str]) -> Option<ListStatement> {
    list(items, None).map(|statement| ListStatement { locked: Some(place(9)), ..statement })
}

const LEVELS: [OriginLevel; 3] = [OriginLevel::Gateway, OriginLevel::Api, OriginLevel::Operation];

fn merged(levels: &[Level; 3]) -> Effective<'_> {
    merge(&std::array::from_fn::<_, 3, _>(|n| At { level: LEVELS[n], value: &levels[n] }))
}

fn names<'a>(items: impl IntoIterator<Item = &'a &'a Item>) -> Vec<String> {
    items.into_iter().map(|item| item.title()).collect()
}

#[track_caller]
fn check(statements: [Option<ListStatement>; 3], expected: &[&str], widens: &[&str]) {
    let levels = statements.map(|authn| Level { authn, ..Level::default() });
    let effective = merged(&levels);
    assert_eq!(names(&effective.authn.items().collect::<Vec<_>>()), expected);
    assert_eq!(names(&effective.authn.widened.map_or(vec![], |(_, items)| items)), widens);
    assert_eq!(effective.violations, []);
}

#[test]
fn lists_append_from_the_gateway_down() {
    check([list(&["a"], None), None, list(&["b"], None)], &["a", "b"], &["a"]);
    check([list(&["a"], None), list(&["a", "b"], None), None], &["a", "b"], &[]);
    check([None, list(&["b"], None), None], &["b"], &[]);
}

#[test]
fn replace_and_none_begin_a_new_list() {
    check([list(&["a"], None), None, list(&["b"], Some(true))], &["b"], &[]);
    check([list(&["a"], None), list(&[], Some(true)), list(&["b"], None)], &["b"], &[]);
    check([list(&["a"], None), list(&["b"], Some(true)), list(&[], Some(true))], &[], &[]);
}

#[test]
fn an_explicit_addition_is_not_reported() {
    check([list(&["a"], None), None, list(&["b"], Some(false))], &["a", "b"], &[]);
}

/// Checks the merged lists and the violations if a lower level follows a locked list, in `authn` and in `limit`.
#[track_caller]
fn check_locked(lower: Option<ListStatement>, authn: (&[&str], Option<&str>), limit: (&[&str], Option<&str>)) {
    let of =
        |statement: Option<ListStatement>| Level { authn: statement.clone(), limit: statement, ..Level::default() };
    let levels = [of(locked_list(&["a", "b"])), of(None), of(lower)];
    let effective = merged(&levels);
    let violation = |key| effective.violations.iter().find(|v| v.key == key).map(|v| v.what);
    assert_eq!(
        (names(&effective.authn.items().collect::<Vec<_>>()).as_slice(), violation("authn")),
        (authn.0.map_owned().as_slice(), authn.1)
    );
    assert_eq!(
        (names(&effective.limit.items().collect::<Vec<_>>()).as_slice(), violation("limit")),
        (limit.0.map_owned().as_slice(), limit.1)
    );
}

trait Owned {
    fn map_owned(&self) -> Vec<String>;
}

impl Owned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn a_locked_list_cannot_be_replaced_and_only_limits_can_be_extended() {
    let both: &[&str] = &["a", "b"];
    let all: &[&str] = &["a", "b", "c"];
    check_locked(list(&["b"], None), (both, None), (both, None));
    check_locked(list(&["c"], None), (both, Some("adds to it")), (all, None));
    check_locked(list(&["c"], Some(false)), (both, Some("adds to it")), (all, None));
    check_locked(list(&["a", "b"], Some(true)), (both, Some("replaces it")), (both, Some("replaces it")));
    check_locked(list(&[], Some(true)), (both, Some("replaces it")), (both, Some("replaces it")));
}

fn cache(ttl_ms: Option<u64>, vary: bool, replace: bool, locked: bool) -> Option<CacheStatement> {
    let fields = CacheFields {
        ttl_ms: ttl_ms.map(|ms| Spanned::new(ms, place(2))),
        vary: vary.then(|| Spanned::new(Vec::new(), place(3))),
        ..CacheFields::default()
    };
    Some(CacheStatement { span: place(1), fields: Some(fields), replace, locked: locked.then(|| place(9)) })
}

fn no_cache() -> Option<CacheStatement> {
    Some(CacheStatement { span: place(1), fields: None, replace: true, locked: None })
}

/// The lifetime, whether there is a `vary`, and the keys of violations.
fn cached(
    api: Option<CacheStatement>,
    route: Option<CacheStatement>,
) -> (Option<(Option<u64>, bool)>, Vec<&'static str>) {
    let levels = [api, route, None].map(|cache| Level { cache, ..Level::default() });
    let Effective { cache, violations, .. } = merged(&levels);
    let cache = cache.map(|c| (c.ttl_ms.value.map(|ttl| ttl.value.value), c.vary.value.is_some()));
    (cache, violations.iter().map(|v| v.key).collect())
}

#[test]
fn members_of_cache_are_merged_and_none_disables_it() {
    let on = |ttl, vary, replace| cache(ttl, vary, replace, false);
    assert_eq!(cached(on(Some(1), true, false), on(Some(2), false, false)).0, Some((Some(2), true)));
    assert_eq!(cached(on(Some(1), true, false), on(None, false, false)).0, Some((Some(1), true)));
    assert_eq!(cached(on(Some(1), true, false), on(None, false, true)).0, Some((None, false)));
    assert_eq!(cached(on(Some(1), true, false), no_cache()).0, None);
    assert_eq!(cached(no_cache(), on(None, false, false)).0, Some((None, false)));
}

#[test]
fn locked_members_of_cache_cannot_be_set_again_but_others_can() {
    let lock = || cache(Some(1), false, false, true);
    assert_eq!(cached(lock(), cache(None, true, false, false)), (Some((Some(1), true)), vec![]));
    assert_eq!(cached(lock(), cache(Some(2), true, false, false)), (Some((Some(1), true)), vec!["cache.ttl"]));
    assert_eq!(cached(lock(), cache(None, true, true, false)), (Some((Some(1), false)), vec!["cache"]));
    assert_eq!(cached(lock(), no_cache()), (Some((Some(1), false)), vec!["cache"]));
}

fn single(value: u64, locked: bool) -> Option<Setting<u64>> {
    Some(Setting { value, span: place(1), locked: locked.then(|| place(9)) })
}

#[test]
fn the_lowest_single_value_applies_unless_a_higher_one_is_locked() {
    for (said, value, lost, violations) in [
        ([single(1, false), single(2, false), single(3, false)], 3, 2, 0),
        ([single(1, false), single(2, true), single(3, false)], 2, 1, 1),
        ([single(1, true), single(2, true), single(3, false)], 1, 0, 2),
        ([None, single(2, true), None], 2, 0, 0),
    ] {
        let levels = said.map(|body_limit| Level { body_limit, ..Level::default() });
        let effective = merged(&levels);
        let found = effective.body_limit.value.map(|at| at.value.value);
        assert_eq!(
            (found, effective.body_limit.overridden.len(), effective.violations.len()),
            (Some(value), lost, violations)
        );
    }
}

fn statement() -> impl Strategy<Value = Option<ListStatement>> {
    let items = prop::collection::btree_set(prop::sample::select(vec!["a", "b", "c", "d"]), 0..4);
    let replace = prop::sample::select(vec![None, Some(false), Some(true)]);
    (any::<bool>(), items, replace, any::<bool>()).prop_map(|(said, items, replace, locked)| {
        let items: Vec<_> = items.into_iter().collect();
        let statement = list(&items, replace)?;
        said.then(|| ListStatement { locked: locked.then(|| place(9)), ..statement })
    })
}

fn level() -> impl Strategy<Value = Level> {
    let caching = (any::<bool>(), prop::option::of(0..9_u64), any::<bool>(), any::<bool>(), any::<bool>());
    let caching = caching
        .prop_map(|(said, ttl, vary, replace, locked)| said.then(|| cache(ttl, vary, replace, locked)).flatten());
    let one = prop::option::of((0..9_u64, any::<bool>()));
    (statement(), statement(), caching, one).prop_map(|(authn, limit, cache, one)| Level {
        guard: None,
        authn,
        authz: limit.clone(),
        limit,
        cache,
        timeout: None,
        body_limit: one.and_then(|(value, locked)| single(value, locked)),
        ..Level::default()
    })
}

proptest! {
    /// A locked setting is the same for all lower levels.
    #[test]
    fn no_lower_level_overrides_a_locked_setting(higher in level(), middle in level(), lower in level()) {
        let alone = [higher.clone(), Level::default(), Level::default()];
        let top = merged(&alone);
        let all = [higher.clone(), middle, lower];
        let whole = merged(&all);
        if higher.authn.as_ref().is_some_and(|said| said.locked.is_some()) {
            prop_assert_eq!(names(&whole.authn.items().collect::<Vec<_>>()), names(&top.authn.items().collect::<Vec<_>>()));
        }
        if higher.limit.as_ref().is_some_and(|said| said.locked.is_some()) {
            prop_assert!(names(&whole.limit.items().collect::<Vec<_>>()).starts_with(&names(&top.limit.items().collect::<Vec<_>>())));
        }
        prop_assert_eq!(names(&whole.authz.items().collect::<Vec<_>>()), names(&whole.limit.items().collect::<Vec<_>>()));
        if higher.body_limit.as_ref().is_some_and(|said| said.locked.is_some()) {
            prop_assert_eq!(whole.body_limit.value, top.body_limit.value);
        }
        if higher.cache.as_ref().is_some_and(|said| said.locked.is_some()) {
            let ttl = |effective: &Effective<'_>| effective.cache.as_ref().and_then(|c| c.ttl_ms.value).map(|at| at.value.value);
            prop_assert!(whole.cache.is_some());
            prop_assert!(ttl(&top).is_none() || ttl(&whole) == ttl(&top));
        }
    }

    /// Appending is associative: it does not matter on which level a list is split.
    #[test]
    fn appending_is_associative(a in "[a-d]{0,3}", b in "[a-d]{0,3}", c in "[a-d]{0,3}") {
        let split = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let said = |items: &[String]| {
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            Level { limit: list(&items, None), ..Level::default() }
        };
        let (a, b, c) = (split(&a), split(&b), split(&c));
        let nothing: Vec<String> = Vec::new();
        let left = [said(&[a.clone(), b.clone()].concat()), said(&c), said(&nothing)];
        let right = [said(&a), said(&[b, c].concat()), said(&nothing)];
        prop_assert_eq!(names(&merged(&left).limit.items().collect::<Vec<_>>()), names(&merged(&right).limit.items().collect::<Vec<_>>()));
    }
}
