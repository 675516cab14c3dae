//! From nodes to typed values: the small decoder that every part of the model is read with.
//!
//! A decoder takes a node and answers with a value, or reports why there is none. Callers go on after a `None`, so that
//! one mistake never hides another.

pub(crate) mod parsed;
mod rules;

use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::place::{Span, Spanned};
use crate::schema::{Object, units};
use crate::source::{Entry, Node, Value};

/// The members of a mapping, taken out one by one; what its table does not have is unknown.
pub(crate) struct Fields<'n> {
    /// The keys there are.
    object: &'static Object,
    /// What the mapping describes, such as "API `pets`".
    owner: String,
    /// Where the owner is named: what is missing is reported there.
    at: Span,
    entries: &'n [Entry],
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    pub(crate) fn open(
        node: &'n Node,
        object: &'static Object,
        owner: impl Into<String>,
        at: Span,
        report: &mut Report,
    ) -> Option<Self> {
        let entries = mapping(node, report)?;
        #[cfg(test)]
        tests::opened(object);
        Some(Self { object, owner: owner.into(), at, entries, asked: Vec::new() })
    }

    /// Goes on with the table of the variant that a key decided for.
    pub(crate) fn narrow(&mut self, object: &'static Object) {
        #[cfg(test)]
        tests::opened(object);
        self.object = object;
    }

    /// The place of a key that is there.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.iter().find(|entry| entry.key.value == key).map(|entry| entry.key.span)
    }

    /// What the mapping describes.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Where the owner is named.
    pub(crate) fn at(&self) -> Span {
        self.at
    }

    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        report: &mut Report,
        decode: impl FnOnce(&'n Node, &mut Report) -> Option<T>,
    ) -> Option<T> {
        self.asks(key, false);
        self.take(key, report, decode)
    }

    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        report: &mut Report,
        decode: impl FnOnce(&'n Node, &mut Report) -> Option<T>,
    ) -> Option<T> {
        self.asks(key, true);
        if self.key_span(key).is_none() {
            report.push(
                Diagnostic::error(Code::MissingKey, self.at, format!("{} has no `{key}`", self.owner))
                    .why("there is no safe default for it")
                    .fix(format!("add `{key}:{}`", if key == "format" { " 1" } else { "" })),
            );
        }
        self.take(key, report, decode)
    }

    /// Reports the members that the table does not have.
    pub(crate) fn finish(self, report: &mut Report) {
        debug_assert!(
            self.object.all_keys().all(|key| self.asked.contains(&key.name)),
            "the decoder of `{}` asks for {:?} only",
            self.object.name,
            self.asked
        );
        let known = || self.object.all_keys().map(|key| key.name);
        for Entry { key, .. } in self.entries {
            if self.object.key(&key.value).is_some() {
                continue;
            }
            let fix = match closest(&key.value, known()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", listed(known())),
            };
            report.push(
                Diagnostic::error(Code::UnknownKey, key.span, format!("{} has no key `{}`", self.owner, key.value))
                    .why("a key that is not known would silently do nothing")
                    .fix(fix),
            );
        }
    }

    fn take<T>(
        &self,
        key: &str,
        report: &mut Report,
        decode: impl FnOnce(&'n Node, &mut Report) -> Option<T>,
    ) -> Option<T> {
        let entry = self.entries.iter().find(|entry| entry.key.value == key)?;
        if entry.value.value == Value::Null {
            empty(&entry.key, report);
            return None;
        }
        decode(&entry.value, report)
    }

    /// Notes that a key is asked for; the table must say the same of it, which tests assert wherever they decode.
    fn asks(&mut self, key: &'static str, required: bool) {
        debug_assert!(
            self.object.key(key).is_some_and(|known| known.is_required() == required),
            "the table `{}` does not have the key `{key}` with `required` being {required}",
            self.object.name
        );
        self.asked.push(key);
    }
}

/// Definitions by name, in the order of the file; a definition that could not be read keeps its name.
pub(crate) type Named<T> = Vec<(Spanned<String>, Option<T>)>;

/// A mapping from names to definitions, each read by `decode` under its name.
pub(crate) fn named<T>(
    node: &Node,
    report: &mut Report,
    decode: impl Fn(&Spanned<String>, &Node, &mut Report) -> Option<T>,
) -> Option<Named<T>> {
    let mut all = Vec::new();
    for Entry { key, value } in mapping(node, report)? {
        check_name(key, report);
        let definition = if value.value == Value::Null {
            empty(key, report);
            None
        } else {
            decode(key, value, report)
        };
        all.push((key.clone(), definition));
    }
    Some(all)
}

pub(crate) fn text(node: &Node, report: &mut Report) -> Option<Spanned<String>> {
    match &node.value {
        Value::Text(text) => Some(Spanned::new(text.clone(), node.span)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
            mistyped(node, "text", "put it into quotes if text is meant", report)
        }
        Value::List(_) | Value::Map(_) | Value::Refused => mistyped(node, "text", "write one text", report),
    }
}

pub(crate) fn boolean(node: &Node, report: &mut Report) -> Option<bool> {
    match &node.value {
        Value::Bool(value) => Some(*value),
        _ => mistyped(node, "`true` or `false`", "write `true` or `false`, without quotes", report),
    }
}

/// A whole number of the range, ends included.
pub(crate) fn integer(node: &Node, from: u32, to: u32, report: &mut Report) -> Option<u32> {
    let Value::Integer(value) = node.value else {
        return mistyped(node, "a whole number", "write a whole number, without quotes", report);
    };
    let found = u32::try_from(value).ok().filter(|n| (from..=to).contains(n));
    if found.is_none() {
        report.push(
            Diagnostic::error(Code::OutOfRange, node.span, format!("{value} is out of range"))
                .why(format!("it must be {from} to {to}"))
                .fix("write a number in that range"),
        );
    }
    found
}

pub(crate) fn list<T>(
    node: &Node,
    report: &mut Report,
    mut decode: impl FnMut(&Node, &mut Report) -> Option<T>,
) -> Option<Vec<T>> {
    match &node.value {
        Value::List(items) => Some(items.iter().filter_map(|item| decode(item, report)).collect()),
        _ => mistyped(node, "a list", "write a list: `[a, b]`", report),
    }
}

/// A list of at most `max` texts without repetitions.
pub(crate) fn texts(node: &Node, max: usize, report: &mut Report) -> Option<Vec<Spanned<String>>> {
    let items = list(node, report, text)?;
    check_length(node, items.len(), max, report).then_some(())?;
    let mut kept: Vec<Spanned<String>> = Vec::with_capacity(items.len());
    let mut seen = std::collections::HashMap::new();
    for item in items {
        match seen.get(&item.value) {
            Some(first) => report_repeated(&item.value, item.span, *first, report),
            None => {
                seen.insert(item.value.clone(), item.span);
                kept.push(item);
            }
        }
    }
    Some(kept)
}

/// Reports a list that is too long; whether it is not.
pub(crate) fn check_length(node: &Node, length: usize, max: usize, report: &mut Report) -> bool {
    if length > max {
        report.push(
            Diagnostic::error(Code::TooMany, node.span, format!("the list has {length} items"))
                .why(format!("it may have {max}, so that the work for a request is bounded"))
                .fix("list fewer"),
        );
    }
    length <= max
}

/// Reports what a list names twice.
pub(crate) fn report_repeated(what: &str, span: Span, first: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::Repeated, span, format!("`{what}` is listed twice"))
            .why("the second mention does nothing, or something else was meant")
            .fix("remove it")
            .related(first, "first listed here"),
    );
}

/// A list of texts that says something: where an empty list could be read as nothing or as everything.
pub(crate) fn some_texts(node: &Node, max: usize, report: &mut Report) -> Option<Vec<Spanned<String>>> {
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        report.push(
            Diagnostic::error(Code::EmptyValue, node.span, "the list is empty")
                .why("whether nothing or everything was meant cannot be known")
                .fix("list something, remove the key, or write `none` where that is allowed"),
        );
        return None;
    }
    texts(node, max, report)
}

/// One of a few words.
pub(crate) fn word<T: Copy>(node: &Node, words: &[(&str, T)], report: &mut Report) -> Option<T> {
    if !matches!(node.value, Value::Text(_)) {
        let words = listed(words.iter().map(|(word, _)| *word));
        return mistyped(node, &format!("one of {words}"), "write one of these words", report);
    }
    let given = text(node, report)?;
    let found = words.iter().find(|(word, _)| *word == given.value).map(|(_, value)| *value);
    if found.is_none() {
        let known = || words.iter().map(|(word, _)| *word);
        let fix = match closest(&given.value, known()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write one of {}", listed(known())),
        };
        report.push(
            Diagnostic::error(Code::UnknownValue, given.span, format!("`{}` is not known here", given.value))
                .why(format!("it must be one of {}", listed(known())))
                .fix(fix),
        );
    }
    found
}

/// A quantity with its unit, read by one of the functions of [`crate::schema::units`].
pub(crate) fn quantity<T>(node: &Node, unit: &Unit<T>, report: &mut Report) -> Option<Spanned<T>> {
    let read = match &node.value {
        Value::Text(text) => (unit.read)(text),
        Value::Integer(number) => (unit.read)(&number.to_string()),
        _ => return mistyped(node, unit.name, &format!("write it as in {}", unit.examples), report),
    };
    match read {
        Ok(value) => Some(Spanned::new(value, node.span)),
        Err(what) => {
            report.push(
                Diagnostic::error(unit.code, node.span, what)
                    .why(unit.why)
                    .fix(format!("write it as in {}", unit.examples)),
            );
            None
        }
    }
}

/// A duration that something may take, in milliseconds.
pub(crate) fn time_limit(node: &Node, report: &mut Report) -> Option<u64> {
    let duration = quantity(node, &DURATION, report)?;
    if duration.value == 0 {
        report.push(
            Diagnostic::error(Code::OutOfRange, duration.span, "nothing can be done in no time")
                .why("every exchange would fail")
                .fix("write a longer time"),
        );
        return None;
    }
    Some(duration.value)
}

/// The same with its place.
pub(crate) fn placed_time_limit(node: &Node, report: &mut Report) -> Option<Spanned<u64>> {
    time_limit(node, report).map(|ms| Spanned::new(ms, node.span))
}

/// How one kind of quantity is read and explained.
pub(crate) struct Unit<T> {
    name: &'static str,
    code: Code,
    read: fn(&str) -> Result<T, String>,
    why: &'static str,
    examples: &'static str,
}

pub(crate) const DURATION: Unit<u64> = Unit {
    name: "a duration",
    code: Code::BadDuration,
    read: units::duration_ms,
    why: "a duration is a whole number directly followed by ms, s, m, h or d",
    examples: "`250ms`, `10s`, `5m`, `1h`, `7d`",
};

pub(crate) const SIZE: Unit<u64> = Unit {
    name: "a size",
    code: Code::BadSize,
    read: units::size_bytes,
    why: "a size is a whole number directly followed by B, KiB, MiB or GiB",
    examples: "`512B`, `64KiB`, `10MiB`",
};

pub(crate) const RATE: Unit<units::Rate> = Unit {
    name: "a rate",
    code: Code::BadRate,
    read: units::rate,
    why: "a rate is a whole number, a slash and a period",
    examples: "`100/s`, `100/min`, `5/10s`",
};

/// Reports a name that cannot be used as one: small letters, figures and hyphens, 1 to 40 of them.
pub(crate) fn check_name(name: &Spanned<String>, report: &mut Report) -> bool {
    let valid = (1..=40).contains(&name.value.len())
        && name.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !valid {
        bad_name(name, "small letters, figures and hyphens, 1 to 40 of them", report);
    }
    valid
}

/// Reports a gateway's name that record keys cannot begin with.
pub(crate) fn check_gateway_name(name: &Spanned<String>, report: &mut Report) -> bool {
    let valid = !name.value.is_empty() && tollgate_kv_schemas::keys::is_gateway_name(&name.value);
    if !valid {
        bad_name(name, "small letters, figures and hyphens, 1 to 40 of them, beginning with a letter", report);
    }
    valid
}

/// Reports an id that cannot be used as one: letters, figures, `-`, `_` and `.`, 1 to 80 of them.
pub(crate) fn check_id(id: &Spanned<String>, report: &mut Report) -> bool {
    let valid = (1..=80).contains(&id.value.len())
        && id.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !valid {
        bad_name(id, "letters, figures, `-`, `_` and `.`, 1 to 80 of them", report);
    }
    valid
}

pub(crate) fn mistyped<T>(node: &Node, expected: &str, fix: &str, report: &mut Report) -> Option<T> {
    let found = match &node.value {
        Value::Refused => return None,
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    };
    report.push(
        Diagnostic::error(Code::WrongType, node.span, format!("expected {expected}, found {found}"))
            .why("values are not turned from one type into another")
            .fix(fix),
    );
    None
}

fn mapping<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ => mistyped(node, "a mapping", "write `key: value` pairs, one per line", report),
    }
}

fn empty(key: &Spanned<String>, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::EmptyValue, key.span, format!("`{}` has no value", key.value))
            .why("whether nothing or a default was meant cannot be known")
            .fix("give it a value, or remove the key"),
    );
}

fn bad_name(name: &Spanned<String>, rule: &str, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::BadName, name.span, format!("`{}` cannot be a name", name.value))
            .why("names appear in record keys, logs and metrics")
            .fix(format!("use {rule}")),
    );
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::tables;
    use crate::place::FileId;

    thread_local! {
        /// The tables that decoders were opened with on this thread, by name.
        pub(crate) static OPENED: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn opened(object: &'static Object) {
        OPENED.with_borrow_mut(|opened| opened.insert(object.name));
    }

    fn nothing() -> Node {
        Node { value: Value::Map(Vec::new()), span: Span::beginning_of(FileId::default()) }
    }

    #[test]
    #[should_panic(expected = "does not have the key `colour`")]
    fn a_decoder_asks_for_no_key_that_its_table_does_not_have() {
        let (node, mut report) = (nothing(), Report::default());
        let fields = Fields::open(&node, &tables::OTLP, "it", node.span, &mut report);
        fields.map(|mut fields| fields.optional("colour", &mut report, text));
    }

    #[test]
    #[should_panic(expected = "`required` being false")]
    fn a_decoder_requires_what_its_table_requires() {
        let (node, mut report) = (nothing(), Report::default());
        let fields = Fields::open(&node, &tables::OTLP, "it", node.span, &mut report);
        fields.map(|mut fields| fields.optional("endpoint", &mut report, text));
    }

    #[test]
    #[should_panic(expected = "asks for [\"endpoint\"] only")]
    fn a_decoder_asks_for_every_key_of_its_table() {
        let (node, mut report) = (nothing(), Report::default());
        if let Some(mut fields) = Fields::open(&node, &tables::OTLP, "it", node.span, &mut report) {
            fields.required("endpoint", &mut report, text);
            fields.finish(&mut report);
        }
    }
}
