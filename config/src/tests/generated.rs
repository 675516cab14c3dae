//! Documents generated from the tables: the schema accepts them, and the compiler accepts their shape.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value as Json};

use super::sound::objects;
use super::validator;
use super::{findings, refusals};
use crate::decode::tests::OPENED;
use crate::diagnostic::Diagnostic;
use crate::model::FileKind;
use crate::schema::{Object, Rule, Shape, pattern};

type Values = BoxedStrategy<Json>;

/// Values of a shape; below a certain depth, only with required keys.
fn values(shape: Shape, depth: usize) -> Values {
    match shape {
        Shape::Format => Just(Json::from(1)).boxed(),
        Shape::Text => "[ -~]{0,8}".prop_map(Json::from).boxed(),
        Shape::Ruled(rule) if rule.pattern.is_empty() => "[ -~]{1,8}".prop_map(Json::from).boxed(),
        Shape::Ruled(rule) => prop_oneof![
            prop::sample::select(rule.examples).prop_map(Json::from),
            matching(rule.pattern).prop_map(Json::from)
        ]
        .boxed(),
        Shape::Boolean => any::<bool>().prop_map(Json::from).boxed(),
        Shape::Integer(min, max) => prop_oneof![Just(min), Just(max), min..=max].prop_map(Json::from).boxed(),
        Shape::Number(min, max) => (min..=max).prop_map(Json::from).boxed(),
        Shape::Quantity(quantity) => matching(&pattern::of(quantity)).prop_map(Json::from).boxed(),
        Shape::Word(words) => prop::sample::select(words).prop_map(|(word, _)| word.into()).boxed(),
        Shape::List(list) => {
            let most = list.max.min(list.min + 2);
            let items = vec(values(list.of, depth), list.min..=most);
            let unique = list.unique;
            items.prop_map(move |items| if unique { distinct(items) } else { items }.into()).boxed()
        }
        Shape::Object(object) => members(object, depth),
        Shape::Tagged(tagged) => Union::new(tagged.variants.iter().map(|(_, object)| members(object, depth))).boxed(),
        Shape::Named(named) => {
            let entry = (matching(named.names.pattern), values(named.of, depth));
            vec(entry, 0..=named.max.min(2)).prop_map(by_name).boxed()
        }
        Shape::AnyOf(shapes) => Union::new(shapes.iter().map(|shape| values(*shape, depth))).boxed(),
        Shape::Anything => {
            prop_oneof![Just(Json::from("a")), Just(Json::from(1)), Just(serde_json::json!({"a": [null]}))].boxed()
        }
    }
}

/// Strings that match a pattern of the form `^...$`.
fn matching(pattern: &str) -> BoxedStrategy<String> {
    let inner = pattern.trim_start_matches('^').trim_end_matches('$');
    string_regex(inner).expect("a pattern from which strings can be generated").boxed()
}

fn members(object: &'static Object, depth: usize) -> Values {
    let ruled: Vec<&str> = object.rules.iter().flat_map(keys_of).collect();
    let member = move |key: &'static crate::schema::Key| {
        let always = key.is_required() || ruled.contains(&key.name);
        if !always && depth >= DEPTH_MAX {
            return Just(None).boxed();
        }
        let given = values(key.shape, depth + 1).prop_map(|value| (key.name.to_owned(), value));
        if always { given.prop_map(Some).boxed() } else { weighted(0.3, given).boxed() }
    };
    let all: Vec<_> = object.all_keys().map(member).collect();
    (all, any::<prop::sample::Index>())
        .prop_map(|(found, kept)| {
            let mut map: Map<String, Json> = found.into_iter().flatten().collect();
            for rule in object.rules {
                let excluded: Vec<&str> = match rule {
                    Rule::OneOf(keys) | Rule::AtMostOneOf(keys) => {
                        let kept = keys[kept.index(keys.len())];
                        keys.iter().copied().filter(|key| *key != kept).collect()
                    }
                    Rule::Excludes(key, others) if map.contains_key(*key) => others.to_vec(),
                    Rule::Excludes(..) | Rule::SomeOf(_) | Rule::Needs(..) => Vec::new(),
                };
                excluded.iter().for_each(|key| drop(map.remove(*key)));
            }
            map.into()
        })
        .boxed()
}

fn keys_of(rule: &Rule) -> Vec<&'static str> {
    match rule {
        Rule::SomeOf(keys) | Rule::OneOf(keys) | Rule::AtMostOneOf(keys) => keys.to_vec(),
        Rule::Needs(key, other) => vec![*key, *other],
        Rule::Excludes(..) => Vec::new(),
    }
}

/// Removes items that differ only in the case of letters: as names of fields and hosts they are equal, which no schema
/// can detect.
fn distinct(items: Vec<Json>) -> Vec<Json> {
    let mut seen = Vec::new();
    let same = |item: &Json| item.to_string().to_lowercase().replace(".\"", "\"");
    items
        .into_iter()
        .filter(|item| {
            !seen.contains(&same(item)) && {
                seen.push(same(item));
                true
            }
        })
        .collect()
}

fn by_name(entries: Vec<(String, Json)>) -> Json {
    let mut map = Map::new();
    for (name, value) in entries {
        if !map.keys().any(|known| known.eq_ignore_ascii_case(&name)) {
            map.insert(name, value);
        }
    }
    map.into()
}

/// Whether a finding is about the shape of a single value, without arithmetic, which a schema cannot express.
fn is_about_shape(finding: &Diagnostic) -> bool {
    let arithmetic = ["a full burst", "content is too large", "CPU time", "the time is too"]
        .iter()
        .any(|what| finding.what.contains(what));
    // The same policy can be listed as a name and as a group of one, which the schema regards as different items.
    let listed_twice = finding.code.id() == "TG0213";
    // A valid text can look like a variable of another gateway.
    let is_guess = finding.code.id() == "TG0211" && finding.what.ends_with("is sent as it is written");
    finding.code.id().starts_with("TG02") && !arithmetic && !listed_twice && !is_guess
}

fn check(kind: FileKind, document: &Json) {
    assert_eq!(refusals(validator(kind), document), [""; 0], "{document:#}");
    let found = findings(kind, &document.to_string());
    let about_shape: Vec<_> = found.iter().filter(|finding| is_about_shape(finding)).collect();
    assert!(about_shape.is_empty(), "{found}\n{document:#}");
}

/// The depth below which documents have only required keys.
const DEPTH_MAX: usize = 6;

/// Every table has a decoder. Decoders assert that they agree with their tables.
#[test]
fn every_table_is_used_by_a_decoder() {
    let mut runner = TestRunner::deterministic();
    let mut missing: BTreeSet<&str> = objects().iter().map(|object| object.name).collect();
    for kind in FileKind::ALL {
        let documents = values(Shape::Object(kind.root()), 0);
        for _ in 0..SAMPLES {
            let document = documents.new_tree(&mut runner).unwrap().current();
            findings(*kind, &document.to_string());
            OPENED.with_borrow(|opened| missing.retain(|name| !opened.contains(name)));
            if missing.is_empty() {
                return;
            }
        }
    }
    panic!("no decoder uses {missing:?}");
}

/// The number of documents of each kind, large enough that every alternative of the tables occurs.
const SAMPLES: usize = 300;

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_compiler_accepts_the_shape_of_documents_that_a_schema_accepts(
        (kind, document) in prop::sample::select(FileKind::ALL)
            .prop_flat_map(|kind| (Just(kind), values(Shape::Object(kind.root()), 0))),
    ) {
        check(kind, &document);
    }
}
