//! Restricts a path parameter to the values that its schema allows, if the schema is unambiguous.
//!
//! If a parameter were restricted too much, requests that the upstream would accept would be refused. So a schema
//! restricts the values only if it has one simple constraint; otherwise any value matches, as without a schema.

use std::fmt;

use super::documents::{Site, entries, get, text};
use super::resolver::Resolver;
use crate::source::{Node, Value};

/// The values that a path parameter accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Narrowing {
    Integer,
    Uuid,
    Boolean,
    /// One of these words.
    Words(Vec<String>),
}

impl fmt::Display for Narrowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer => f.write_str("int"),
            Self::Uuid => f.write_str("uuid"),
            Self::Boolean => f.write_str("bool"),
            Self::Words(words) => write!(f, "({})", words.join("|")),
        }
    }
}

/// The values that a parameter's definition allows.
pub(super) fn of_parameter<'d>(parameter: Site<'d>, resolver: &mut Resolver<'d>) -> Option<Narrowing> {
    let is_simple = get(parameter.node, "style").is_none_or(|style| text(style) == Some("simple"));
    if !is_simple || get(parameter.node, "content").is_some() {
        return None;
    }
    let mut schema = parameter.get("schema")?;
    if schema.get("$ref").is_some() {
        // From 3.1 on, keys next to a reference apply too.
        let is_alone = entries(schema.node)
            .iter()
            .all(|entry| entry.key.value == "$ref" || ANNOTATIONS.contains(&entry.key.value.as_str()));
        if !is_alone {
            return None;
        }
        schema = resolver.follow(schema).ok()?;
    }
    of_schema(schema.node)
}

fn of_schema(schema: &Node) -> Option<Narrowing> {
    let is_plain = entries(schema).iter().all(|entry| {
        let key = entry.key.value.as_str();
        SUPPORTED.contains(&key) || ANNOTATIONS.contains(&key) || key.starts_with("x-")
    });
    if !is_plain || get(schema, "nullable").is_some_and(|node| node.value != Value::Bool(false)) {
        return None;
    }
    let words = words(schema);
    match only_type(schema)? {
        "integer" => Some(Narrowing::Integer),
        "boolean" if words.is_none() => Some(Narrowing::Boolean),
        "string" => match words {
            Some(words) => words.map(Narrowing::Words),
            None => (get(schema, "format").and_then(text) == Some("uuid")).then_some(Narrowing::Uuid),
        },
        _ => None,
    }
}

/// The single type of a schema; from 3.1 on it may be in a list.
fn only_type(schema: &Node) -> Option<&str> {
    match &get(schema, "type")?.value {
        Value::Text(name) => Some(name),
        Value::List(names) => match names.as_slice() {
            [name] => text(name),
            _ => None,
        },
        _ => None,
    }
}

/// The values that a schema lists: `None` if it has no list, `Some(None)` if some values are not safe in a template.
fn words(schema: &Node) -> Option<Option<Vec<String>>> {
    let listed = match (get(schema, "enum"), get(schema, "const")) {
        (None, None) => return None,
        (Some(Node { value: Value::List(items), .. }), None) => items.iter().map(text).collect::<Option<Vec<_>>>(),
        (None, Some(word)) => text(word).map(|word| vec![word]),
        _ => None,
    };
    Some(listed.and_then(safe_words))
}

fn safe_words(words: Vec<&str>) -> Option<Vec<String>> {
    let is_safe =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let bytes: usize = words.iter().map(|word| word.len()).sum();
    let is_short = (1..=WORDS_MAX).contains(&words.len()) && bytes <= WORDS_BYTES_MAX;
    if !is_short || !words.iter().all(|word| is_safe(word)) {
        return None;
    }
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.sort_unstable();
    words.dedup();
    Some(words)
}

/// Keys of a schema that do not restrict values.
const ANNOTATIONS: &[&str] = &[
    "$comment",
    "default",
    "deprecated",
    "description",
    "example",
    "examples",
    "externalDocs",
    "readOnly",
    "summary",
    "title",
    "writeOnly",
    "xml",
];

/// Keys of a schema that are evaluated, or that only restrict the values further.
const SUPPORTED: &[&str] = &[
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maximum",
    "maxLength",
    "minimum",
    "minLength",
    "multipleOf",
    "nullable",
    "type",
];

/// The maximum number of words in a template.
const WORDS_MAX: usize = 32;

/// The maximum total size of the words of a template, in bytes.
const WORDS_BYTES_MAX: usize = 512;
