//! Keys that are not in the table of a mapping, with what was probably meant by each.

use super::{Fields, habits};
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::place::Spanned;
use crate::schema::Shape;
use crate::source::{Entry, Value};

impl<'n> Fields<'n> {
    /// Reports the members that are not in the table.
    pub(super) fn report_unknown_keys(&self, report: &mut Report) {
        let known = || self.object.all_keys().map(|key| key.name);
        let absent = || known().filter(|key| self.key_span(key).is_none());
        for (place, key) in self.unknown_keys() {
            let fix = self.rest_of_list(place).or_else(|| self.habit(place)).unwrap_or_else(|| {
                match closest(&key.value, absent()) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => format!("use one of {}", listed(known())),
                }
            });
            self.report_unknown(key, &fix, report);
        }
    }

    /// Reports the members that other gateways have; for a mapping whose other keys are not known.
    pub(crate) fn report_habits(&self, report: &mut Report) {
        for (place, key) in self.unknown_keys() {
            if let Some(fix) = self.habit(place) {
                self.report_unknown(key, &fix, report);
            }
        }
    }

    fn unknown_keys(&self) -> impl Iterator<Item = (usize, &'n Spanned<String>)> + '_ {
        let keys = self.entries.iter().map(|entry| &entry.key).enumerate();
        keys.filter(|(_, key)| self.object.key(&key.value).is_none())
    }

    /// What to write instead of a key of another gateway: for `auth: none`, what is `none` here.
    fn habit(&self, place: usize) -> Option<String> {
        let Entry { key, value } = &self.entries[place];
        let fix = habits::key::fix(self.object.name, &key.value)?;
        let is_none = match &value.value {
            Value::Text(text) => ["none", "off"].contains(&text.as_str()),
            Value::Bool(value) => !value,
            _ => false,
        };
        let meant = fix.strip_prefix("write `").and_then(|rest| rest.split_once(": NAME`")).filter(|_| is_none);
        Some(meant.map_or_else(|| fix.to_owned(), |(meant, _)| format!("write `{meant}: none`")))
    }

    /// What to write instead of a key without a value that continues the text before it, as in `{methods: GET,POST}`.
    fn rest_of_list(&self, place: usize) -> Option<String> {
        let is_rest = |entry: &&Entry| self.object.key(&entry.key.value).is_none() && entry.value.value == Value::Null;
        let line = |entry: &Entry| entry.key.span.start.line;
        let before = self.entries[..=place].iter().rev().take_while(is_rest).count();
        let first = (before > 0).then(|| (place + 1).checked_sub(before + 1)).flatten()?;
        let Entry { key, value } = &self.entries[first];
        let Value::Text(text) = &value.value else { return None };
        let shape = self.object.key(&key.value)?.shape;
        let rest: Vec<&Entry> = self.entries[first + 1..].iter().take_while(is_rest).collect();
        if rest.iter().any(|entry| line(entry) != line(&self.entries[first])) {
            return None;
        }
        let all: Vec<&str> = std::iter::once(text.as_str()).chain(rest.iter().map(|e| e.key.value.as_str())).collect();
        let name = &key.value;
        Some(if has_list(shape) {
            format!("write the list `{name}: [{}]`: in braces a comma ends a value", all.join(", "))
        } else {
            format!("quote the value of `{name}`: in braces a comma ends a value")
        })
    }

    fn report_unknown(&self, key: &Spanned<String>, fix: &str, report: &mut Report) {
        report.push(
            Diagnostic::error(Code::UnknownKey, key.span, format!("unknown key `{}` in {}", key.value, self.owner))
                .why("an unknown key would be ignored without notice")
                .fix(fix),
        );
    }
}

fn has_list(shape: Shape) -> bool {
    match shape {
        Shape::List(_) => true,
        Shape::AnyOf(shapes) => shapes.iter().any(|shape| has_list(*shape)),
        _ => false,
    }
}
