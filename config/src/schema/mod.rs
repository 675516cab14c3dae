//! The language of the tables that describe the configuration format: objects, their keys, and the values of each key.
//!
//! The tables (`model/tables`, `policies`) describe the shape of the format completely. Three things are derived from
//! them, so that they cannot differ:
//! - the decoder (`decode::Fields`) takes the known keys of an object from its table; debug builds also assert that it
//!   decodes exactly the keys of the table, and requires the same keys;
//! - the JSON Schema of every kind of file;
//! - the reference pages.
//!
//! To add a key: add a line to the table of its object, then decode it. To add an object: add a table, use it in the
//! shape of the key that contains it, and decode it with `Fields::open(node, &tables::YOURS, ...)`.
//!
//! A table describes the rules for one value that do not depend on the rest of the project (codes `TG02..`). `lower`
//! checks that names exist, and that hosts, paths and URLs are valid.

pub(crate) mod change;
mod json;
pub(crate) mod pattern;
pub(crate) mod texts;
pub(crate) mod units;
pub(crate) mod written;

use change::Change;
pub(crate) use json::Document;

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its name in schema and reference: words with hyphens, such as `rate-limit`.
    pub(crate) name: &'static str,
    /// Its description, in one or two sentences of Markdown.
    pub(crate) doc: &'static str,
    /// Its own keys, in canonical order.
    pub(crate) keys: &'static [Key],
    /// Keys that it shares with other objects; they follow its own.
    pub(crate) shared: &'static [&'static [Key]],
    /// Rules for combinations of its keys.
    pub(crate) rules: &'static [Rule],
    /// Its keys in which `${value.NAME}` is not allowed.
    pub(crate) without_values: &'static [&'static str],
    /// Example values as JSON, for editors and readers.
    pub(crate) examples: &'static [&'static str],
}

impl Object {
    /// The base of a table: `Object { name, doc, keys, ..Object::PLAIN }`.
    pub(crate) const PLAIN: Self =
        Self { name: "", doc: "", keys: &[], shared: &[], rules: &[], without_values: &[], examples: &[] };

    /// All its keys, the shared ones last.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().chain(self.shared.iter().copied().flatten())
    }

    /// The key of that name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.all_keys().find(|key| key.name == name)
    }
}

/// One key of an object.
#[derive(Debug)]
pub(crate) struct Key {
    /// The name of the key.
    pub(crate) name: &'static str,
    /// Its description, in one sentence of Markdown.
    pub(crate) doc: &'static str,
    /// The shape of its value.
    pub(crate) shape: Shape,
    /// The meaning of its absence.
    pub(crate) absent: Absent,
    /// The effect of another value on requests; `diff` classifies changes of policies by it.
    pub(crate) change: Change,
    /// Example values as JSON.
    pub(crate) examples: &'static [&'static str],
}

/// The effect of a change of a key whose table does not define it.
const UNKNOWN: Change = Change::Review("the responses to requests change");

/// The meaning of a key's absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The key is required.
    Refused,
    /// The same as this value, written as JSON.
    Default(&'static str),
    /// A description of the default, such as "the API's".
    Means(&'static str),
}

impl Key {
    /// A required key.
    pub(crate) const fn required(name: &'static str, doc: &'static str, shape: Shape) -> Self {
        Self { name, doc, shape, absent: Absent::Refused, change: UNKNOWN, examples: &[] }
    }

    /// An optional key without a default.
    pub(crate) const fn optional(name: &'static str, doc: &'static str, shape: Shape) -> Self {
        Self { name, doc, shape, absent: Absent::Means("nothing"), change: UNKNOWN, examples: &[] }
    }

    /// The same with a default, written as JSON.
    pub(crate) const fn default(mut self, json: &'static str) -> Self {
        self.absent = Absent::Default(json);
        self
    }

    /// The same, with a description of its default in words.
    pub(crate) const fn absent(mut self, means: &'static str) -> Self {
        self.absent = Absent::Means(means);
        self
    }

    /// The same, with the effect of another value on requests.
    pub(crate) const fn change(mut self, change: Change) -> Self {
        self.change = change;
        self
    }

    /// The same with examples, each written as JSON.
    pub(crate) const fn examples(mut self, json: &'static [&'static str]) -> Self {
        self.examples = json;
        self
    }

    /// Whether the key is required.
    pub(crate) fn is_required(&self) -> bool {
        self.absent == Absent::Refused
    }
}

/// A rule for combinations of keys of an object; violations are reported with a code `TG02..`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// At least one of the keys is present.
    SomeOf(&'static [&'static str]),
    /// Exactly one of the keys is present.
    OneOf(&'static [&'static str]),
    /// At most one of the keys is present.
    AtMostOneOf(&'static [&'static str]),
    /// If the first key is present, the second is too.
    Needs(&'static str, &'static str),
    /// If the first key is present, none of the others is.
    Excludes(&'static str, &'static [&'static str]),
}

/// The shape of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// The version of the format: `1`.
    Format,
    /// Any string.
    Text,
    /// A string that follows a rule.
    Ruled(&'static TextRule),
    /// `true` or `false`.
    Boolean,
    /// An integer in an inclusive range.
    Integer(i64, i64),
    /// A number in an inclusive range.
    Number(i64, i64),
    /// A number with its unit.
    Quantity(Quantity),
    /// One of a few words, each with its description.
    Word(&'static [(&'static str, &'static str)]),
    /// A list.
    List(&'static List),
    /// A mapping with known keys.
    Object(&'static Object),
    /// A mapping in which one key, the tag, decides which other keys exist.
    Tagged(&'static Tagged),
    /// A mapping from names to values of one shape.
    Named(&'static Named),
    /// One of several shapes, the most common one first.
    AnyOf(&'static [Shape]),
    /// Any value of the JSON data model except `null`.
    Anything,
}

impl Shape {
    /// The allowed words, each with its description.
    pub(crate) fn words(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Word(words) => words.to_vec(),
            Self::AnyOf(shapes) => shapes.iter().flat_map(|shape| shape.words()).collect(),
            Self::Format
            | Self::Text
            | Self::Ruled(_)
            | Self::Boolean
            | Self::Integer(..)
            | Self::Number(..)
            | Self::Quantity(_)
            | Self::List(_)
            | Self::Object(_)
            | Self::Tagged(_)
            | Self::Named(_)
            | Self::Anything => Vec::new(),
        }
    }
}

/// A rule for strings.
#[derive(Debug)]
pub(crate) struct TextRule {
    /// Its name in schema and reference: words with hyphens, such as `gateway-name`.
    pub(crate) name: &'static str,
    /// The rule in words.
    pub(crate) doc: &'static str,
    /// A regular expression that all valid strings match, without look-around, so that all dialects support it. Empty if
    /// there is none.
    pub(crate) pattern: &'static str,
    /// Examples of valid strings.
    pub(crate) examples: &'static [&'static str],
}

/// A list.
#[derive(Debug)]
pub(crate) struct List {
    /// The shape of its items.
    pub(crate) of: Shape,
    /// The minimum number of items.
    pub(crate) min: usize,
    /// The maximum number of items.
    pub(crate) max: usize,
    /// Whether items must be unique.
    pub(crate) unique: bool,
}

impl List {
    /// A list that may be empty, of any length that fits in a file.
    pub(crate) const fn of(of: Shape) -> Self {
        Self { of, min: 0, max: usize::MAX, unique: false }
    }

    /// A list of at most `max` unique strings, which `decode::texts` decodes.
    pub(crate) const fn texts(of: Shape, max: usize) -> Self {
        Self { of, min: 0, max, unique: true }
    }

    /// The same with at least one string, which `decode::some_texts` decodes.
    pub(crate) const fn some_texts(of: Shape, max: usize) -> Self {
        Self { of, min: 1, max, unique: true }
    }
}

/// A mapping in which one key, the tag, decides which other keys exist.
#[derive(Debug)]
pub(crate) struct Tagged {
    /// The object before the value of the tag is known: it has only the tag.
    pub(crate) head: &'static Object,
    /// The name of the tag.
    pub(crate) tag: &'static str,
    /// The words of the tag, each with the complete object, including the tag.
    pub(crate) variants: &'static [(&'static str, &'static Object)],
}

/// A mapping from names to values of one shape.
#[derive(Debug)]
pub(crate) struct Named {
    /// The rule for names.
    pub(crate) names: &'static TextRule,
    /// The shape of values.
    pub(crate) of: Shape,
    /// The maximum number of entries.
    pub(crate) max: usize,
}

/// A number with its unit, read by one of the functions of [`units`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    /// A duration, which may be zero.
    Duration,
    /// A duration that is not zero.
    Time,
    /// A size of content.
    Size,
    /// A rate: a number per period.
    Rate,
}

impl Quantity {
    /// Its name in schema and reference.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Time => "time",
            Self::Size => "size",
            Self::Rate => "rate",
        }
    }

    /// How it is written.
    pub(crate) fn doc(self) -> &'static str {
        match self {
            Self::Duration => {
                "An integer directly followed by `ms`, `s`, `m` (or `min`), `h` or `d`; at most 10 years."
            }
            Self::Time => {
                "An integer directly followed by `ms`, `s`, `m` (or `min`), `h` or `d`; greater than zero, and at most 10 years."
            }
            Self::Size => "An integer directly followed by `B`, `KiB`, `MiB` or `GiB`; at most 1 TiB.",
            Self::Rate => {
                "An integer, `/` and a period: a unit of time, optionally with a number before it; at most 49 days."
            }
        }
    }

    /// Example texts.
    pub(crate) fn examples(self) -> &'static [&'static str] {
        match self {
            Self::Duration => &["10m", "7d", "250ms"],
            Self::Time => &["250ms", "10s", "5m"],
            Self::Size => &["64KiB", "10MiB", "512B"],
            Self::Rate => &["100/s", "100/min", "5/10s"],
        }
    }
}
