//! `values:`, the declarations of a project.

use super::check;
use crate::decode::{self, Fields, Named};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::place::Spanned;
use crate::source::{Node, Value};

/// A value as the project declares it.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub(crate) kind: ValueType,
    pub(crate) default: Option<Node>,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    Text,
    Url,
    Host,
    Hosts,
    Duration,
    Size,
    Rate,
    Integer,
    Boolean,
    List,
}

/// The words for types.
pub(crate) const TYPES: &[(&str, ValueType)] = &[
    ("text", ValueType::Text),
    ("url", ValueType::Url),
    ("host", ValueType::Host),
    ("hosts", ValueType::Hosts),
    ("duration", ValueType::Duration),
    ("size", ValueType::Size),
    ("rate", ValueType::Rate),
    ("integer", ValueType::Integer),
    ("boolean", ValueType::Boolean),
    ("list", ValueType::List),
];

/// The words for types, each with the word itself.
const WORDS: [(&str, (&str, ValueType)); 10] = {
    let mut words = [("", ("", ValueType::Text)); 10];
    let mut n = 0;
    while n < words.len() {
        words[n] = (TYPES[n].0, TYPES[n]);
        n += 1;
    }
    words
};

/// Decodes the declarations of a project, before anything else in it is decoded.
pub(crate) fn declarations(root: &Node, report: &mut Report) -> Named<Declaration> {
    let Value::Map(entries) = &root.value else { return Named::new() };
    let values = entries.iter().find(|entry| entry.key.value == "values").map(|entry| &entry.value);
    // A key without a value is reported when the project is decoded.
    let values = values.filter(|node| node.value != Value::Null);
    values.and_then(|node| decode::named(node, report, Declaration::decode)).unwrap_or_default()
}

impl Declaration {
    fn decode(name: &Spanned<String>, node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::VALUE_HEAD, format!("value `{}`", name.value), name.span, report)?;
        // Without a type, the default cannot be checked.
        let (word, kind) = fields.required("type", report, |node, report| decode::word(node, &WORDS, report))?;
        let table = tables::VALUE_TYPES.iter().find(|(known, _)| *known == word);
        table.into_iter().for_each(|(_, table)| fields.use_variant(table));
        let default =
            fields.optional("default", report, |node, report| check::check(kind, node, report).then(|| node.clone()));
        fields.optional("description", report, decode::text);
        let is_refused = fields.key_span("default").is_some() && default.is_none();
        fields.finish(report);
        if is_refused { None } else { Some(Self { kind, default }) }
    }
}
