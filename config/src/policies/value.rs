//! Values of the keys of policies of all kinds.

use std::fmt;

use crate::decode::{self, DURATION, RATE, SIZE};
use crate::diagnostic::Report;
use crate::place::{Span, Spanned};
use crate::schema::units::{self, Rate};
use crate::schema::{Quantity, Shape, written};
use crate::source::Node;

/// The decoded value of a key; `Display` prints it as it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
    /// An integer.
    Integer(u64),
    /// A duration in milliseconds.
    DurationMs(u64),
    /// A size in bytes.
    SizeBytes(u64),
    /// A number per period.
    Rate(Rate),
    /// One of a few words.
    Word(&'static str),
    /// A list of strings.
    List(Vec<String>),
    /// Lists of strings by name, in the order of names.
    Named(Vec<(String, Vec<String>)>),
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) value: Value,
    pub(crate) span: Span,
    /// The places of a list's items.
    pub(super) items: Vec<Span>,
}

impl Placed {
    /// Decodes a value of a shape; `None` if it is refused, which is reported.
    ///
    /// A test checks that keys of policies have only shapes that are supported here.
    pub(super) fn decode(shape: Shape, node: &Node, report: &mut Report) -> Option<Self> {
        let value = match shape {
            Shape::Text | Shape::Ruled(_) => Value::Text(decode::text(node, report)?.value),
            Shape::Boolean => Value::Boolean(decode::boolean(node, report)?),
            Shape::Integer(from, to) => {
                let (from, to) = (u32::try_from(from).ok()?, u32::try_from(to).ok()?);
                Value::Integer(decode::integer(node, from, to, report)?.into())
            }
            Shape::Quantity(Quantity::Duration) => Value::DurationMs(decode::quantity(node, &DURATION, report)?.value),
            Shape::Quantity(Quantity::Time) => Value::DurationMs(decode::time_limit(node, report)?),
            Shape::Quantity(Quantity::Size) => Value::SizeBytes(decode::quantity(node, &SIZE, report)?.value),
            Shape::Quantity(Quantity::Rate) => Value::Rate(decode::quantity(node, &RATE, report)?.value),
            Shape::Word(words) => {
                let words: Vec<_> = words.iter().map(|(word, _)| (*word, *word)).collect();
                Value::Word(decode::word(node, &words, report)?)
            }
            Shape::List(list) => {
                let read = if list.min > 0 { decode::some_texts } else { decode::texts };
                let (texts, items) =
                    read(node, list.max, report)?.into_iter().map(|item| (item.value, item.span)).unzip();
                return Some(Self { value: Value::List(texts), span: node.span, items });
            }
            // One string, or a list of them.
            Shape::AnyOf([_, Shape::List(list)]) => {
                let read = decode::text_or_texts(node, list.max, report)?;
                let (texts, items) = read.into_iter().map(|item| (item.value, item.span)).unzip();
                return Some(Self { value: Value::List(texts), span: node.span, items });
            }
            Shape::Named(named) => {
                let mut read = decode::texts_by_name(node, named.max, report)?;
                read.sort_by(|(one, _), (other, _)| one.value.cmp(&other.value));
                let items = read.iter().map(|(name, _)| name.span).collect();
                let texts = |all: Vec<Spanned<String>>| all.into_iter().map(|one| one.value).collect();
                let value = Value::Named(read.into_iter().map(|(name, all)| (name.value, texts(all))).collect());
                return Some(Self { value, span: node.span, items });
            }
            Shape::Format
            | Shape::Number(..)
            | Shape::Object(_)
            | Shape::Tagged(_)
            | Shape::AnyOf(_)
            | Shape::Anything => return None,
        };
        Some(Self { value, span: node.span, items: Vec::new() })
    }

    /// The string with its place.
    pub(super) fn text(&self) -> Option<Spanned<String>> {
        match &self.value {
            Value::Text(text) => Some(Spanned::new(text.clone(), self.span)),
            _ => None,
        }
    }
}

impl Value {
    /// The word for a value, with its key.
    pub(super) fn word<T: PartialEq>(
        key: &'static str,
        words: &[(&'static str, T)],
        value: &T,
    ) -> Option<(&'static str, Self)> {
        let (word, _) = words.iter().find(|(_, known)| known == value)?;
        Some((key, Self::Word(word)))
    }

    /// Parses a default of a table, written as JSON.
    pub(super) fn default(shape: Shape, json: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(json).ok()?;
        let text = value.as_str();
        match shape {
            Shape::Text | Shape::Ruled(_) => Some(Self::Text(text?.to_owned())),
            Shape::Boolean => value.as_bool().map(Self::Boolean),
            Shape::Integer(..) => value.as_u64().map(Self::Integer),
            Shape::Quantity(Quantity::Duration | Quantity::Time) => {
                units::duration_ms(text?).ok().map(Self::DurationMs)
            }
            Shape::Quantity(Quantity::Size) => units::size_bytes(text?).ok().map(Self::SizeBytes),
            Shape::Quantity(Quantity::Rate) => units::rate(text?).ok().map(Self::Rate),
            Shape::Word(words) => words.iter().find(|(word, _)| Some(*word) == text).map(|(word, _)| Self::Word(word)),
            Shape::List(_) => {
                let items = value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned));
                items.collect::<Option<_>>().map(Self::List)
            }
            Shape::AnyOf([_, Shape::List(_)]) => Some(Self::List(vec![text?.to_owned()])),
            Shape::Named(_) => {
                let texts = |value: &serde_json::Value| Some(vec![value.as_str()?.to_owned()]);
                let members = value.as_object()?.iter().map(|(name, value)| Some((name.clone(), texts(value)?)));
                members.collect::<Option<_>>().map(Self::Named)
            }
            Shape::Format
            | Shape::Number(..)
            | Shape::Object(_)
            | Shape::Tagged(_)
            | Shape::AnyOf(_)
            | Shape::Anything => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::DurationMs(ms) => f.write_str(&written::duration(*ms)),
            Self::SizeBytes(bytes) => f.write_str(&written::size(*bytes)),
            Self::Rate(rate) => f.write_str(&written::rate(*rate)),
            Self::Word(word) => f.write_str(word),
            Self::List(items) => write!(f, "[{}]", items.join(", ")),
            Self::Named(all) => {
                let shown = all.iter().map(|(name, texts)| match texts.as_slice() {
                    [one] => format!("{name}: {one}"),
                    several => format!("{name}: [{}]", several.join(", ")),
                });
                write!(f, "{{{}}}", shown.collect::<Vec<_>>().join(", "))
            }
        }
    }
}
