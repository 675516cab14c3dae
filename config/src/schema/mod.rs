//! The authoring format, described once: which objects there are, their keys, and what each key takes.
//!
//! The tables of each part of a project (`model/tables`, `policies`) are written in this language. They are all there is to
//! say about the format's shape. Three things come from them, so that they cannot differ:
//! - the decoder (`decode::Fields`) knows the keys of an object from its table; in tests it also asserts
//!   that it asks for every key of the table and for no other, and that it requires what the table requires;
//! - the JSON Schema of every kind of file;
//! - the reference pages.
//!
//! To add a key: add a line to the table of its object, then ask for it in the decoder. To add an object: add a table,
//! name it in the shape of the key that takes it, and open it with `Fields::open(node, &tables::YOURS, ...)`.
//!
//! A table says what can be seen in one value without the rest of the project (codes `TG02..`). Whether a named thing
//! exists, and whether hosts, paths and URLs can be used, is for `lower` to find.

mod json;
pub(crate) mod pattern;
pub(crate) mod texts;
pub(crate) mod units;
pub(crate) mod written;

pub(crate) use json::Document;

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// What schema and reference call it: words with hyphens, such as `rate-limit`.
    pub(crate) name: &'static str,
    /// What it is, in a sentence or two of Markdown.
    pub(crate) doc: &'static str,
    /// Its own keys, in the order in which people write them.
    pub(crate) keys: &'static [Key],
    /// Keys that it shares with other objects; they follow its own.
    pub(crate) shared: &'static [&'static [Key]],
    /// What its keys must be together.
    pub(crate) rules: &'static [Rule],
    /// Its keys in which no `${value.NAME}` may stand.
    pub(crate) without_values: &'static [&'static str],
    /// Whole values of it as JSON, for editors and readers.
    pub(crate) examples: &'static [&'static str],
}

impl Object {
    /// What a table begins with: `Object { name, doc, keys, ..Object::PLAIN }`.
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
    /// The key as it is written.
    pub(crate) name: &'static str,
    /// What it means, in one sentence of Markdown.
    pub(crate) doc: &'static str,
    /// What it takes.
    pub(crate) shape: Shape,
    /// What its absence means.
    pub(crate) absent: Absent,
    /// Values as JSON.
    pub(crate) examples: &'static [&'static str],
}

/// What it means that a key is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It must be there.
    Refused,
    /// The same as this value, written as JSON.
    Default(&'static str),
    /// What the words say, such as "the API's".
    Means(&'static str),
}

impl Key {
    /// A key that must be there.
    pub(crate) const fn required(name: &'static str, doc: &'static str, shape: Shape) -> Self {
        Self { name, doc, shape, absent: Absent::Refused, examples: &[] }
    }

    /// A key that may be left out, which means nothing.
    pub(crate) const fn optional(name: &'static str, doc: &'static str, shape: Shape) -> Self {
        Self { name, doc, shape, absent: Absent::Means("nothing"), examples: &[] }
    }

    /// The same with a default, written as JSON.
    pub(crate) const fn default(mut self, json: &'static str) -> Self {
        self.absent = Absent::Default(json);
        self
    }

    /// The same, saying in words what its absence means.
    pub(crate) const fn absent(mut self, means: &'static str) -> Self {
        self.absent = Absent::Means(means);
        self
    }

    /// The same with examples, each written as JSON.
    pub(crate) const fn examples(mut self, json: &'static [&'static str]) -> Self {
        self.examples = json;
        self
    }

    /// Whether the object is refused without it.
    pub(crate) fn is_required(&self) -> bool {
        self.absent == Absent::Refused
    }
}

/// What keys of an object must be together; what a rule refuses is reported with a code `TG02..`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// At least one of the keys is there.
    SomeOf(&'static [&'static str]),
    /// Exactly one of the keys is there.
    OneOf(&'static [&'static str]),
    /// No two of the keys are there.
    AtMostOneOf(&'static [&'static str]),
    /// Where the first key is, the second is too.
    Needs(&'static str, &'static str),
    /// Where the first key is, none of the others are.
    Excludes(&'static str, &'static [&'static str]),
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// The version of the format: `1`.
    Format,
    /// Any text.
    Text,
    /// A text that follows a rule.
    Ruled(&'static TextRule),
    /// `true` or `false`.
    Boolean,
    /// A whole number of the range, ends included.
    Integer(i64, i64),
    /// A number, whole or not, of the range, ends included.
    Number(i64, i64),
    /// A number with its unit.
    Quantity(Quantity),
    /// One of a few words, each with what it means.
    Word(&'static [(&'static str, &'static str)]),
    /// A list.
    List(&'static List),
    /// A mapping with known keys.
    Object(&'static Object),
    /// A mapping with known keys, of which one says which others there are.
    Tagged(&'static Tagged),
    /// A mapping from names to values of one shape.
    Named(&'static Named),
    /// One of several shapes, the usual one first.
    AnyOf(&'static [Shape]),
    /// Any value of the JSON data model but `null`.
    Anything,
}

impl Shape {
    /// The words that it takes, each with what it means.
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

/// A rule for texts.
#[derive(Debug)]
pub(crate) struct TextRule {
    /// What schema and reference call it: words with hyphens, such as `gateway-name`.
    pub(crate) name: &'static str,
    /// The rule in words.
    pub(crate) doc: &'static str,
    /// A regular expression that every text that is taken matches; without look-around, for all dialects. Empty: none.
    pub(crate) pattern: &'static str,
    /// Texts that are taken.
    pub(crate) examples: &'static [&'static str],
}

/// A list.
#[derive(Debug)]
pub(crate) struct List {
    /// What its items are.
    pub(crate) of: Shape,
    /// The fewest items.
    pub(crate) min: usize,
    /// The most items.
    pub(crate) max: usize,
    /// Whether an item may not be there twice.
    pub(crate) unique: bool,
}

impl List {
    /// A list that may be empty, of whatever length a file can hold.
    pub(crate) const fn of(of: Shape) -> Self {
        Self { of, min: 0, max: usize::MAX, unique: false }
    }

    /// A list of at most `max` texts without repetitions, as `decode::texts` reads it.
    pub(crate) const fn texts(of: Shape, max: usize) -> Self {
        Self { of, min: 0, max, unique: true }
    }

    /// The same with one text at least, as `decode::some_texts` reads it.
    pub(crate) const fn some_texts(of: Shape, max: usize) -> Self {
        Self { of, min: 1, max, unique: true }
    }
}

/// A mapping of which one key says which others there are.
#[derive(Debug)]
pub(crate) struct Tagged {
    /// The object as far as it is known before the tag is: it has the one key.
    pub(crate) head: &'static Object,
    /// The key that decides.
    pub(crate) tag: &'static str,
    /// The words the key takes, each with the whole object, the deciding key included.
    pub(crate) variants: &'static [(&'static str, &'static Object)],
}

/// A mapping from names to values of one shape.
#[derive(Debug)]
pub(crate) struct Named {
    /// What the names are.
    pub(crate) names: &'static TextRule,
    /// What the values are.
    pub(crate) of: Shape,
    /// The most entries.
    pub(crate) max: usize,
}

/// A number with its unit, read by one of the functions of [`units`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    /// A duration; it may be zero.
    Duration,
    /// A duration that something may take, or after which something happens: not zero.
    Time,
    /// A size of content.
    Size,
    /// So many in a period.
    Rate,
}

impl Quantity {
    /// What schema and reference call it.
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
                "A whole number directly followed by `ms`, `s`, `m` (or `min`), `h` or `d`; at most 10 years."
            }
            Self::Time => {
                "A whole number directly followed by `ms`, `s`, `m` (or `min`), `h` or `d`; not zero, and at most 10 years."
            }
            Self::Size => "A whole number directly followed by `B`, `KiB`, `MiB` or `GiB`; at most 1 TiB.",
            Self::Rate => "A whole number, `/` and a period: a unit of time, or a number with one; at most 49 days.",
        }
    }

    /// Texts that are one.
    pub(crate) fn examples(self) -> &'static [&'static str] {
        match self {
            Self::Duration => &["10m", "7d", "250ms"],
            Self::Time => &["250ms", "10s", "5m"],
            Self::Size => &["64KiB", "10MiB", "512B"],
            Self::Rate => &["100/s", "100/min", "5/10s"],
        }
    }
}
