//! The tables as JSON Schema 2020-12.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Absent, Key, List, Named, Object, Rule, Shape, Tagged, TextRule, pattern};

/// The metadata of the JSON Schema of one kind of file; the rest is in the table of the root object.
pub(crate) struct Document {
    /// The name of the kind of file, a part of the schema's identifier.
    pub(crate) name: &'static str,
    /// The schema's title.
    pub(crate) title: &'static str,
    /// Whether `${value.NAME}` is allowed in such a file.
    pub(crate) takes_values: bool,
}

impl Document {
    /// The schema of files with that root.
    pub(crate) fn schema(&self, root: &'static Object) -> Value {
        let mut writer = Writer { with_values: self.takes_values, defs: BTreeMap::new() };
        let mut out = Map::new();
        out.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        out.insert("$id".to_owned(), format!("urn:tollgate:schema:{}", self.name).into());
        out.insert("title".to_owned(), self.title.into());
        out.extend(writer.members(root));
        let defs = writer.defs.into_iter().map(|(name, def)| (name, def.unwrap_or_default())).collect();
        out.insert("$defs".to_owned(), Value::Object(defs));
        Value::Object(out)
    }
}

struct Writer {
    /// Whether `${value.NAME}` is allowed in place of a scalar.
    with_values: bool,
    /// The definitions; one that is being written is present without a value.
    defs: BTreeMap<String, Option<Value>>,
}

impl Writer {
    /// A mapping with known keys.
    fn members(&mut self, object: &'static Object) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("description".to_owned(), object.doc.into());
        out.insert("type".to_owned(), "object".into());
        let properties = object.all_keys().map(|key| (key.name.to_owned(), self.key(key, object))).collect();
        out.insert("properties".to_owned(), Value::Object(properties));
        let required: Vec<_> = object.all_keys().filter(|key| key.is_required()).map(|key| key.name).collect();
        if !required.is_empty() {
            out.insert("required".to_owned(), json!(required));
        }
        out.insert("additionalProperties".to_owned(), false.into());
        if !object.rules.is_empty() {
            out.insert("allOf".to_owned(), object.rules.iter().map(rule).collect());
        }
        if !object.examples.is_empty() {
            out.insert("examples".to_owned(), object.examples.iter().map(|example| parsed(example)).collect());
        }
        out
    }

    fn key(&mut self, key: &Key, object: &'static Object) -> Value {
        let outer = self.with_values;
        self.with_values = outer && !object.without_values.contains(&key.name);
        let shape = self.shape(key.shape);
        self.with_values = outer;
        let mut out = match shape {
            Value::Object(members) => members,
            other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
        };
        out.insert("description".to_owned(), description(key).into());
        if let Absent::Default(json) = key.absent {
            out.insert("default".to_owned(), parsed(json));
        }
        if !key.examples.is_empty() {
            out.insert("examples".to_owned(), key.examples.iter().map(|example| parsed(example)).collect());
        }
        Value::Object(out)
    }

    fn shape(&mut self, shape: Shape) -> Value {
        let mut options = self.options(shape);
        if self.with_values && takes_value(shape) {
            options.push(self.value_reference());
        }
        if options.len() > 1 { json!({ "anyOf": options }) } else { options.pop().unwrap_or_default() }
    }

    /// The schemas of a value, one for each way to write it.
    fn options(&mut self, shape: Shape) -> Vec<Value> {
        match shape {
            Shape::Format => vec![json!({ "const": 1 })],
            Shape::Text => vec![json!({ "type": "string" })],
            Shape::Boolean => vec![json!({ "type": "boolean" })],
            Shape::Integer(min, max) => vec![json!({ "type": "integer", "minimum": min, "maximum": max })],
            Shape::Number(min, max) => vec![json!({ "type": "number", "minimum": min, "maximum": max })],
            Shape::Word(words) => vec![json!({ "enum": words.iter().map(|(word, _)| word).collect::<Vec<_>>() })],
            Shape::Ruled(rule) => vec![self.define(rule.name, |_| ruled(rule))],
            Shape::Quantity(quantity) => vec![self.define(quantity.name(), |_| {
                json!({
                    "description": quantity.doc(),
                    "type": "string",
                    "pattern": pattern::of(quantity),
                    "examples": quantity.examples(),
                })
            })],
            Shape::List(list) => vec![self.list(list)],
            Shape::Object(object) => vec![self.object(object)],
            Shape::Tagged(tagged) => vec![self.define(tagged.head.name, |writer| writer.tagged(tagged))],
            Shape::Named(named) => vec![self.named(named)],
            Shape::AnyOf([Shape::Object(object), Shape::Object(other)]) => vec![self.either(object, other)],
            Shape::AnyOf(shapes) => shapes.iter().flat_map(|shape| self.options(*shape)).collect(),
            Shape::Anything => vec![json!({ "type": ["object", "array", "string", "number", "boolean"] })],
        }
    }

    fn object(&mut self, object: &'static Object) -> Value {
        self.define(object.name, |writer| Value::Object(writer.members(object)))
    }

    /// Objects distinguished by the required keys of the first, so that an editor reports errors for the intended one.
    fn either(&mut self, object: &'static Object, other: &'static Object) -> Value {
        let required: Vec<_> = object.all_keys().filter(|key| key.is_required()).map(|key| key.name).collect();
        let (then, otherwise) = (self.object(object), self.object(other));
        json!({ "if": { "required": required }, "then": then, "else": otherwise })
    }

    fn list(&mut self, list: &List) -> Value {
        let mut out = Map::new();
        out.insert("type".to_owned(), "array".into());
        out.insert("items".to_owned(), self.shape(list.of));
        if list.min > 0 {
            out.insert("minItems".to_owned(), list.min.into());
        }
        if list.max < usize::MAX {
            out.insert("maxItems".to_owned(), list.max.into());
        }
        if list.unique {
            out.insert("uniqueItems".to_owned(), true.into());
        }
        Value::Object(out)
    }

    fn named(&mut self, named: &Named) -> Value {
        let mut out = Map::new();
        out.insert("type".to_owned(), "object".into());
        out.insert("propertyNames".to_owned(), self.define(named.names.name, |_| ruled(named.names)));
        out.insert("additionalProperties".to_owned(), self.shape(named.of));
        if named.max < usize::MAX {
            out.insert("maxProperties".to_owned(), named.max.into());
        }
        Value::Object(out)
    }

    /// First the tag, so that editors suggest its words; then the complete object for each word.
    fn tagged(&mut self, tagged: &Tagged) -> Value {
        let outer = std::mem::replace(&mut self.with_values, false);
        let mut out = self.members(tagged.head);
        self.with_values = outer;
        out.remove("additionalProperties");
        let variants = tagged.variants.iter().map(|(word, object)| {
            json!({
                "if": { "required": [tagged.tag], "properties": { tagged.tag: { "const": word } } },
                "then": self.object(object),
            })
        });
        out.insert("allOf".to_owned(), variants.collect());
        Value::Object(out)
    }

    fn value_reference(&mut self) -> Value {
        self.define("value-reference", |_| {
            json!({
                "description": "The value with this name, which environments assign.",
                "type": "string",
                "pattern": pattern::VALUE_REFERENCE,
            })
        })
    }

    /// A reference to a definition, which is written if it does not exist yet.
    fn define(&mut self, name: &str, write: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.defs.contains_key(name) {
            self.defs.insert(name.to_owned(), None);
            let def = write(self);
            self.defs.insert(name.to_owned(), Some(def));
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }
}

fn ruled(rule: &TextRule) -> Value {
    let mut out = Map::new();
    out.insert("description".to_owned(), rule.doc.into());
    out.insert("type".to_owned(), "string".into());
    if !rule.pattern.is_empty() {
        out.insert("pattern".to_owned(), rule.pattern.into());
    }
    out.insert("examples".to_owned(), json!(rule.examples));
    Value::Object(out)
}

fn rule(rule: &Rule) -> Value {
    let each = |keys: &[&str]| keys.iter().map(|key| json!({ "required": [key] })).collect::<Vec<_>>();
    match rule {
        Rule::SomeOf(keys) => json!({ "anyOf": each(keys) }),
        Rule::OneOf(keys) => json!({ "oneOf": each(keys) }),
        Rule::AtMostOneOf(keys) => json!({ "anyOf": [{ "oneOf": each(keys) }, { "not": { "anyOf": each(keys) } }] }),
        Rule::Needs(key, other) => json!({ "dependentRequired": { *key: [other] } }),
        Rule::Excludes(key, others) => {
            json!({ "if": { "required": [key] }, "then": { "not": { "anyOf": each(others) } } })
        }
    }
}

/// The description for editors: what the key does, the meaning of each word, and the default.
fn description(key: &Key) -> String {
    let mut out = key.doc.to_owned();
    for (word, means) in key.shape.words() {
        out.push_str(&format!("\n`{word}`: {means}"));
    }
    match key.absent {
        Absent::Refused => out.push_str("\nRequired."),
        Absent::Default(_) => {}
        Absent::Means(means) => out.push_str(&format!("\nDefault: {means}.")),
    }
    out
}

/// Whether a value reference can replace the shape: a scalar, or a list of scalars. An arbitrary string allows it anyway.
fn takes_value(shape: Shape) -> bool {
    match shape {
        Shape::Ruled(_)
        | Shape::Boolean
        | Shape::Integer(..)
        | Shape::Number(..)
        | Shape::Quantity(_)
        | Shape::Word(_) => true,
        Shape::List(list) => matches!(list.of, Shape::Text) || takes_value(list.of),
        Shape::AnyOf(shapes) => shapes.iter().any(|shape| takes_value(*shape)),
        Shape::Format | Shape::Text | Shape::Object(_) | Shape::Tagged(_) | Shape::Named(_) | Shape::Anything => false,
    }
}

/// Parses a JSON value of a table; a test parses all of them.
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}
