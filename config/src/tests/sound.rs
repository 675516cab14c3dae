//! The tables are consistent, and the schemas derived from them are valid.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::refusals;
use crate::model::FileKind;
use crate::schema::{Absent, Object, Rule, Shape};

/// All objects that a kind of file can contain.
pub(crate) fn objects() -> Vec<&'static Object> {
    let mut found: Vec<&'static Object> = Vec::new();
    let mut open: Vec<Shape> = FileKind::ALL.iter().map(|kind| Shape::Object(kind.root())).collect();
    while let Some(shape) = open.pop() {
        let mut add = |object: &'static Object| {
            if !found.iter().any(|known| std::ptr::eq(*known, object)) {
                found.push(object);
                open.extend(object.all_keys().map(|key| key.shape));
            }
        };
        match shape {
            Shape::Object(object) => add(object),
            Shape::Tagged(tagged) => {
                add(tagged.head);
                tagged.variants.iter().for_each(|(_, object)| add(object));
            }
            Shape::List(list) => open.push(list.of),
            Shape::Named(named) => open.push(named.of),
            Shape::AnyOf(shapes) => open.extend(shapes),
            Shape::Format
            | Shape::Text
            | Shape::Ruled(_)
            | Shape::Boolean
            | Shape::Integer(..)
            | Shape::Number(..)
            | Shape::Quantity(_)
            | Shape::Word(_)
            | Shape::Anything => {}
        }
    }
    found
}

#[test]
fn every_schema_is_valid() {
    for kind in FileKind::ALL {
        assert!(jsonschema::draft202012::meta::validate(&kind.schema()).is_ok(), "{kind:?}");
    }
}

#[test]
fn every_object_and_key_has_a_description_and_a_unique_name() {
    let mut names = BTreeMap::new();
    for object in objects() {
        assert!(names.insert(object.name, object).is_none(), "two objects are named {}", object.name);
        assert!(object.doc.ends_with('.'), "{}: {}", object.name, object.doc);
        let mut keys = BTreeMap::new();
        for key in object.all_keys() {
            assert!(keys.insert(key.name, key).is_none(), "{} has `{}` twice", object.name, key.name);
            assert!(key.doc.ends_with('.'), "{}.{}: {}", object.name, key.name, key.doc);
            if let Absent::Means(means) = key.absent {
                assert!(!means.is_empty() && !means.ends_with('.'), "{}.{}: {means}", object.name, key.name);
            }
        }
    }
}

#[test]
fn the_keys_in_rules_and_tags_exist() {
    for object in objects() {
        for rule in object.rules {
            let keys = match rule {
                Rule::SomeOf(keys) | Rule::OneOf(keys) | Rule::AtMostOneOf(keys) => keys.to_vec(),
                Rule::Needs(key, other) => vec![*key, *other],
                Rule::Excludes(key, others) => [&[*key], *others].concat(),
            };
            assert!(keys.iter().all(|key| object.key(key).is_some_and(|key| !key.is_required())), "{}", object.name);
        }
        for key in object.all_keys() {
            let Shape::Named(named) = key.shape else { continue };
            let Shape::Tagged(tagged) = named.of else { continue };
            let words = tagged.head.key(tagged.tag).map(|key| key.shape.words()).unwrap_or_default();
            let variants: Vec<_> = tagged.variants.iter().map(|(word, _)| *word).collect();
            assert_eq!(words.iter().map(|(word, _)| *word).collect::<Vec<_>>(), variants);
            for (word, object) in tagged.variants {
                let words = object.key(tagged.tag).map(|key| key.shape.words()).unwrap_or_default();
                assert_eq!(words.iter().map(|(word, _)| *word).collect::<Vec<_>>(), [*word]);
            }
        }
    }
}

/// All mappings in a schema, including itself, but not those in examples.
fn parts(schema: &Json) -> Vec<&serde_json::Map<String, Json>> {
    let (mut found, mut open) = (Vec::new(), vec![schema]);
    while let Some(part) = open.pop() {
        match part {
            Json::Object(members) => {
                found.push(members);
                open.extend(members.iter().filter(|(key, _)| *key != "examples").map(|(_, part)| part));
            }
            Json::Array(items) => open.extend(items),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
    found
}

/// The examples and the default of a part of a schema; `None` if the part is not a schema but a mapping of properties.
fn given(part: &serde_json::Map<String, Json>) -> Option<Vec<&Json>> {
    part.get("description").filter(|description| description.is_string())?;
    let examples = part.get("examples").and_then(Json::as_array);
    Some(examples.into_iter().flatten().chain(part.get("default")).collect())
}

#[test]
fn examples_and_defaults_are_valid_for_their_keys() {
    let mut seen = 0;
    for kind in FileKind::ALL {
        let schema = kind.schema();
        for part in parts(&schema) {
            let Some(values) = given(part) else { continue };
            let mut alone = part.clone();
            alone.insert("$defs".to_owned(), schema["$defs"].clone());
            let validator = jsonschema::draft202012::new(&alone.into()).unwrap();
            for value in values {
                assert!(!value.is_null(), "an example is not JSON in {part:#?}");
                assert_eq!(refusals(&validator, value), [""; 0], "{value} in {part:#?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn no_object_of_a_schema_allows_unknown_keys() {
    for kind in FileKind::ALL {
        let schema = kind.schema();
        for part in parts(&schema).into_iter().filter(|part| part.get("type").is_some_and(|kind| kind == "object")) {
            let closed = part.get("additionalProperties").is_some_and(|more| *more != Json::Bool(true));
            // A tagged object is closed by its variants.
            let variants = part.get("allOf").is_some_and(|all| all[0]["then"].is_object());
            assert!(closed || variants, "{part:#?}");
        }
    }
}
