//! Decodes nodes to typed values; all parts of the model use these functions.
//!
//! A decoder takes a node, and returns a value or reports why there is none. Callers continue after a `None`, so that one
//! mistake does not hide another.

pub(crate) mod habits;
mod lists;
pub(crate) mod parsed;
mod rules;
mod shapes;
mod unknown;

pub(crate) use lists::{check_length, list, report_repeated, some_texts, text_or_texts, texts, texts_by_name};

use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::place::{Span, Spanned};
use crate::schema::{Object, units};
use crate::source::{Entry, Node, Value};

/// Decodes the members of a mapping one by one, by the table of its keys.
pub(crate) struct Fields<'n> {
    /// The table of the known keys.
    object: &'static Object,
    /// What the mapping describes, such as "API `pets`".
    owner: String,
    /// The place at which the owner is named; missing keys are reported there.
    at: Span,
    entries: &'n [Entry],
    requested: Vec<&'static str>,
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
        Some(Self { object, owner: owner.into(), at, entries, requested: Vec::new() })
    }

    /// Continues with the table of a variant, once the tag is known.
    pub(crate) fn use_variant(&mut self, object: &'static Object) {
        #[cfg(test)]
        tests::opened(object);
        self.object = object;
    }

    /// The place of a key, if it is present.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.iter().find(|entry| entry.key.value == key).map(|entry| entry.key.span)
    }

    /// What the mapping describes.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// The place at which the owner is named.
    pub(crate) fn at(&self) -> Span {
        self.at
    }

    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        report: &mut Report,
        decode: impl FnOnce(&'n Node, &mut Report) -> Option<T>,
    ) -> Option<T> {
        self.request(key, false);
        self.take(key, report, decode)
    }

    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        report: &mut Report,
        decode: impl FnOnce(&'n Node, &mut Report) -> Option<T>,
    ) -> Option<T> {
        self.request(key, true);
        if self.key_span(key).is_none() {
            report.push(
                Diagnostic::error(Code::MissingKey, self.at, format!("{} has no `{key}`", self.owner))
                    .why("it is required and has no default")
                    .fix(format!("add `{key}:{}`", if key == "format" { " 1" } else { "" })),
            );
        }
        self.take(key, report, decode)
    }

    /// Reports the members that are not in the table, after all others were decoded.
    pub(crate) fn finish(self, report: &mut Report) {
        debug_assert!(
            self.object.all_keys().all(|key| self.requested.contains(&key.name)),
            "the decoder of `{}` decodes only {:?}",
            self.object.name,
            self.requested
        );
        self.report_unknown_keys(report);
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
        let Some(key) = self.object.key(key) else { return decode(&entry.value, report) };
        if shapes::report_in_place_of_list(key, &entry.value, report) {
            return None;
        }
        let decoded = decode(&entry.value, report);
        shapes::amend(key.shape, key.examples, &entry.value, report);
        decoded
    }

    /// Records that a key is decoded. Debug builds assert that the table agrees about the key.
    fn request(&mut self, key: &'static str, required: bool) {
        debug_assert!(
            self.object.key(key).is_some_and(|known| known.is_required() == required),
            "the table `{}` does not have the key `{key}` with `required` = {required}",
            self.object.name
        );
        self.requested.push(key);
    }
}

/// Definitions by name, in the order of the file; `None` for a definition that could not be decoded.
pub(crate) type Named<T> = Vec<(Spanned<String>, Option<T>)>;

/// Decodes a mapping from names to definitions, each with `decode`.
pub(crate) fn named<T>(
    node: &Node,
    report: &mut Report,
    decode: impl Fn(&Spanned<String>, &Node, &mut Report) -> Option<T>,
) -> Option<Named<T>> {
    if matches!(node.value, Value::List(_)) {
        return mistyped(
            node,
            "a mapping",
            "write each definition below its name, as `NAME: ...`, and not as an item of a list",
            report,
        );
    }
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
        Value::Null => mistyped(node, "a string", "write a string, such as `\"\"` for an empty one", report),
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
            mistyped(node, "a string", "quote the value to make it a string", report)
        }
        Value::List(_) | Value::Map(_) | Value::Refused => mistyped(node, "a string", "write a single string", report),
    }
}

pub(crate) fn boolean(node: &Node, report: &mut Report) -> Option<bool> {
    match &node.value {
        Value::Bool(value) => Some(*value),
        _ => mistyped(node, "`true` or `false`", "write `true` or `false` without quotes", report),
    }
}

/// A boolean with its position.
pub(crate) fn placed_boolean(node: &Node, report: &mut Report) -> Option<Spanned<bool>> {
    boolean(node, report).map(|value| Spanned::new(value, node.span))
}

/// An integer in an inclusive range.
pub(crate) fn integer(node: &Node, from: u32, to: u32, report: &mut Report) -> Option<u32> {
    let Value::Integer(value) = node.value else {
        return mistyped(node, "an integer", &integer_fix(node), report);
    };
    let found = u32::try_from(value).ok().filter(|n| (from..=to).contains(n));
    if found.is_none() {
        report.push(
            Diagnostic::error(Code::OutOfRange, node.span, format!("{value} is out of range"))
                .why(format!("the value must be from {from} to {to}"))
                .fix("write a number in this range"),
        );
    }
    found
}

/// What to write instead of a value that is no integer: the number at its beginning, if it has one.
fn integer_fix(node: &Node) -> String {
    let Value::Text(text) = &node.value else { return "write an integer".to_owned() };
    let digits: &str = text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let rest = text[digits.len()..].chars().next();
    match digits.parse::<u32>() {
        Ok(number) if rest.is_none() || rest == Some('/') => format!("write `{number}`, without a unit or quotes"),
        _ => "write an integer without quotes".to_owned(),
    }
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
        let habit = habits::word::fix(&given.value, &known().collect::<Vec<_>>());
        let fix = match (habit, closest(&given.value, known())) {
            (Some(fix), _) => fix.to_owned(),
            (None, Some(word)) => format!("did you mean `{word}`?"),
            (None, None) => format!("write one of {}", listed(known())),
        };
        report.push(
            Diagnostic::error(Code::UnknownValue, given.span, format!("`{}` is not an allowed value", given.value))
                .why(format!("the value must be one of {}", listed(known())))
                .fix(fix),
        );
    }
    found
}

/// A quantity with its unit, read by one of the functions of [`crate::schema::units`].
pub(crate) fn quantity<T>(node: &Node, unit: &Unit<T>, report: &mut Report) -> Option<Spanned<T>> {
    let text = match &node.value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        _ => return mistyped(node, unit.name, &format!("write a value such as {}", unit.examples), report),
    };
    match (unit.read)(&text) {
        Ok(value) => Some(Spanned::new(value, node.span)),
        Err(what) => {
            let fix = match (unit.meant)(&text) {
                Some(meant) => format!("did you mean `{meant}`?{}", (unit.more)(&text)),
                None if text.contains(['$', '{']) => {
                    "write `${value.NAME}`, and declare the value under `values`: variables of the environment are not read".to_owned()
                }
                None => format!("write a value such as {}{}", unit.examples, (unit.more)(&text)),
            };
            report.push(Diagnostic::error(unit.code, node.span, what).why(unit.why).fix(fix));
            None
        }
    }
}

/// A time limit in milliseconds; not zero.
pub(crate) fn time_limit(node: &Node, report: &mut Report) -> Option<u64> {
    let duration = quantity(node, &DURATION, report)?;
    if duration.value == 0 {
        report.push(
            Diagnostic::error(Code::OutOfRange, duration.span, "a time limit must be greater than zero")
                .why("every request would time out")
                .fix("write a longer duration"),
        );
        return None;
    }
    Some(duration.value)
}

/// A time limit with its place.
pub(crate) fn placed_time_limit(node: &Node, report: &mut Report) -> Option<Spanned<u64>> {
    time_limit(node, report).map(|ms| Spanned::new(ms, node.span))
}

/// The parser of one kind of quantity, with the texts of its diagnostics.
pub(crate) struct Unit<T> {
    name: &'static str,
    code: Code,
    read: fn(&str) -> Result<T, String>,
    /// What was probably meant by a text that cannot be read.
    meant: fn(&str) -> Option<String>,
    why: &'static str,
    examples: &'static str,
    /// What else is said of a text that cannot be read.
    more: fn(&str) -> &'static str,
}

pub(crate) const DURATION: Unit<u64> = Unit {
    name: "a duration",
    code: Code::BadDuration,
    read: units::duration_ms,
    meant: habits::unit::duration,
    why: "a duration is an integer directly followed by ms, s, m, h or d",
    examples: "`250ms`, `10s`, `5m`, `1h`, `7d`",
    more: |_| "",
};

pub(crate) const SIZE: Unit<u64> = Unit {
    name: "a size",
    code: Code::BadSize,
    read: units::size_bytes,
    meant: habits::unit::size,
    why: "a size is an integer directly followed by B, KiB, MiB or GiB",
    examples: "`512B`, `64KiB`, `10MiB`",
    more: |_| "",
};

pub(crate) const RATE: Unit<units::Rate> = Unit {
    name: "a rate",
    code: Code::BadRate,
    read: units::rate,
    meant: habits::unit::per_period,
    why: "a rate is an integer, a slash and a period",
    examples: "`100/s`, `100/min`, `5/10s`",
    more: of_calendar,
};

/// A month of a calendar is no period of a rate.
fn of_calendar(text: &str) -> &'static str {
    let text = text.to_ascii_lowercase();
    let is_of_calendar = ["month", "quarter", "year"].iter().any(|unit| text.contains(unit));
    if is_of_calendar { "; months, quarters and years of a calendar are windows of a policy of kind quota" } else { "" }
}

/// Reports a name that is not valid: 1 to 40 lowercase letters, digits and hyphens.
pub(crate) fn check_name(name: &Spanned<String>, report: &mut Report) -> bool {
    let valid = (1..=40).contains(&name.value.len())
        && name.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !valid {
        let rule = "1 to 40 lowercase letters, digits and hyphens";
        let fix = match in_kebab_case(&name.value) {
            Some(meant) => format!("write `{meant}`: {rule}"),
            None => format!("use {rule}"),
        };
        bad_name(name, fix, report);
    }
    valid
}

/// Reports a gateway's name that is not valid as the prefix of record keys.
pub(crate) fn check_gateway_name(name: &Spanned<String>, report: &mut Report) -> bool {
    let valid = !name.value.is_empty() && tollgate_kv_schemas::keys::is_gateway_name(&name.value);
    if !valid {
        let rule = "1 to 40 lowercase letters, digits and hyphens, beginning with a letter";
        let meant = in_kebab_case(&name.value).filter(|meant| tollgate_kv_schemas::keys::is_gateway_name(meant));
        bad_name(name, meant.map_or_else(|| format!("use {rule}"), |meant| format!("write `{meant}`: {rule}")), report);
    }
    valid
}

/// Reports an id that is not valid: 1 to 80 letters, digits, `-`, `_` and `.`.
pub(crate) fn check_id(id: &Spanned<String>, report: &mut Report) -> bool {
    let valid = (1..=80).contains(&id.value.len())
        && id.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !valid {
        bad_name(id, "use 1 to 80 letters, digits, `-`, `_` and `.`", report);
    }
    valid
}

/// Reports a value of the wrong type.
pub(crate) fn mistyped<T>(node: &Node, expected: &str, fix: &str, report: &mut Report) -> Option<T> {
    let found = match &node.value {
        Value::Refused => return None,
        Value::Null => "no value",
        Value::Bool(_) => "a boolean",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Text(_) => "a string",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    };
    report.push(
        Diagnostic::error(Code::WrongType, node.span, format!("expected {expected}, found {found}"))
            .why("values are not converted between types")
            .fix(fix),
    );
    None
}

fn mapping<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ => mistyped(node, "a mapping", "write `key: value` pairs, one on each line", report),
    }
}

fn empty(key: &Spanned<String>, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::EmptyValue, key.span, format!("`{}` has no value", key.value))
            .why("it is unclear whether the default or an empty value is intended")
            .fix("write a value, or remove the key"),
    );
}

/// A name in another convention, such as `PartnerKeys` or `partner_keys`, in ours.
pub(crate) fn in_kebab_case(name: &str) -> Option<String> {
    if name.is_empty() || name.len() > 40 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_. ".contains(&b)) {
        return None;
    }
    let (mut out, mut last) = (String::new(), ' ');
    for c in name.chars() {
        if c.is_ascii_uppercase() && (last.is_ascii_lowercase() || last.is_ascii_digit()) {
            out.push('-');
        }
        out.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
        last = c;
    }
    let out = out.trim_matches('-');
    (1..=40).contains(&out.len()).then(|| out.to_owned())
}

fn bad_name(name: &Spanned<String>, fix: impl Into<String>, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::BadName, name.span, format!("`{}` is not a valid name", name.value))
            .why("names are used in record keys, logs and metrics")
            .fix(fix),
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
        /// The names of the tables that decoders have used on this thread.
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
    fn a_decoder_cannot_decode_a_key_that_is_not_in_its_table() {
        let (node, mut report) = (nothing(), Report::default());
        let fields = Fields::open(&node, &tables::OTLP, "it", node.span, &mut report);
        fields.map(|mut fields| fields.optional("colour", &mut report, text));
    }

    #[test]
    #[should_panic(expected = "`required` = false")]
    fn a_decoder_requires_the_same_keys_as_its_table() {
        let (node, mut report) = (nothing(), Report::default());
        let fields = Fields::open(&node, &tables::OTLP, "it", node.span, &mut report);
        fields.map(|mut fields| fields.optional("endpoint", &mut report, text));
    }

    #[test]
    #[should_panic(expected = "decodes only [\"endpoint\"]")]
    fn a_decoder_must_decode_every_key_of_its_table() {
        let (node, mut report) = (nothing(), Report::default());
        if let Some(mut fields) = Fields::open(&node, &tables::OTLP, "it", node.span, &mut report) {
            fields.required("endpoint", &mut report, text);
            fields.finish(&mut report);
        }
    }
}
