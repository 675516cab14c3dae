//! The written values of one policy, by key.

use super::value::{Placed, Value};
use crate::decode::Fields;
use crate::diagnostic::Report;
use crate::place::{Span, Spanned};
use crate::schema::units::Rate;
use crate::schema::{Absent, Key, Object, Shape};

/// The values of one policy's keys.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    table: &'static Object,
    /// The place of the policy's name, which is also the place of defaults.
    at: Span,
    values: Vec<(&'static str, Placed)>,
}

impl Written {
    /// Decodes all keys of a table except `kind`; `None` if a required key is missing or refused, which is reported.
    pub(super) fn decode(
        table: &'static Object,
        at: Span,
        fields: &mut Fields<'_>,
        report: &mut Report,
    ) -> Option<Self> {
        let (mut values, mut is_complete) = (Vec::new(), true);
        for key in settings(table) {
            let read = |node: &_, report: &mut Report| Placed::decode(key.shape, node, report);
            let value = if key.is_required() {
                fields.required(key.name, report, read)
            } else {
                fields.optional(key.name, report, read)
            };
            is_complete &= value.is_some() || !key.is_required();
            values.extend(value.map(|value| (key.name, value)));
        }
        is_complete &= fields.check_rules(report);
        is_complete.then_some(Self { table, at, values })
    }

    /// The written value of a key.
    pub(crate) fn written(&self, key: &str) -> Option<&Placed> {
        self.values.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The written value of a key, or its default.
    fn get(&self, key: &str) -> Option<Placed> {
        self.written(key).cloned().or_else(|| {
            let value = default(self.table.key(key)?)?;
            Some(Placed { value, span: self.at, items: Vec::new() })
        })
    }

    /// A string, for one of core's parsers.
    pub(crate) fn text(&self, key: &str) -> Option<Spanned<String>> {
        self.get(key)?.text()
    }

    /// An optional string that one of core's parsers reads; `None` if the parser refuses it, `Some(None)` if it is absent.
    #[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
    pub(super) fn parsed<T>(&self, key: &str, parse: impl FnOnce(&Spanned<String>) -> Option<T>) -> Option<Option<T>> {
        match self.text(key) {
            Some(text) => parse(&text).map(Some),
            None => Some(None),
        }
    }

    /// An integer.
    pub(super) fn integer(&self, key: &str) -> Option<Spanned<u32>> {
        let Placed { value: Value::Integer(number), span, .. } = self.get(key)? else { return None };
        Some(Spanned::new(u32::try_from(number).ok()?, span))
    }

    /// A rate.
    pub(super) fn rate(&self, key: &str) -> Option<Spanned<Rate>> {
        let Placed { value: Value::Rate(rate), span, .. } = self.get(key)? else { return None };
        Some(Spanned::new(rate, span))
    }

    /// The value for a word.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let Value::Word(written) = self.get(key)?.value else { return None };
        words.iter().find(|(word, _)| *word == written).map(|(_, value)| *value)
    }

    /// The strings of a list; none if the key is absent.
    pub(crate) fn list(&self, key: &str) -> Vec<Spanned<String>> {
        let Some(Placed { value: Value::List(texts), span, items }) = self.get(key) else { return Vec::new() };
        let spans = items.into_iter().chain(std::iter::repeat(span));
        texts.into_iter().zip(spans).map(|(text, span)| Spanned::new(text, span)).collect()
    }
}

impl Written {
    /// Adds strings to a list, which begins at this place if the key is absent.
    pub(crate) fn extend(&mut self, key: &'static str, at: Span, more: Vec<Spanned<String>>) {
        let place = match self.values.iter().position(|(name, _)| *name == key) {
            Some(place) => place,
            None => {
                self.values.push((key, Placed { value: Value::List(Vec::new()), span: at, items: Vec::new() }));
                self.values.len() - 1
            }
        };
        let Some((_, Placed { value: Value::List(texts), items, .. })) = self.values.get_mut(place) else { return };
        for Spanned { value, span } in more {
            texts.push(value);
            items.push(span);
        }
    }

    /// The strings of each name; none if the key is absent.
    pub(crate) fn named(&self, key: &str) -> Vec<(Spanned<String>, Vec<String>)> {
        let Some(Placed { value: Value::Named(all), span, items }) = self.get(key) else { return Vec::new() };
        let spans = items.into_iter().chain(std::iter::repeat(span));
        all.into_iter().zip(spans).map(|((name, texts), span)| (Spanned::new(name, span), texts)).collect()
    }

    /// The plans that the policy gives to its callers.
    pub(crate) fn plans(&self) -> Vec<Spanned<String>> {
        let is_name = self.table.key(PLAN).is_some_and(|key| matches!(key.shape, Shape::Text));
        let own = self.written(PLAN).filter(|_| is_name).and_then(Placed::text);
        own.into_iter().chain(self.named(MAP_PLANS).into_iter().map(|(plan, _)| plan)).collect()
    }

    /// The plans whose callers the policy allows or denies.
    pub(crate) fn plans_of_callers(&self) -> Vec<Spanned<String>> {
        let lists = ["allow", "deny"].into_iter().flat_map(|key| self.named(key));
        let plans = lists.filter(|(list, _)| list.value == "plans");
        plans.flat_map(|(list, names)| names.into_iter().map(move |name| Spanned::new(name, list.span))).collect()
    }

    /// `true` or `false`; `false` if the key is absent.
    pub(super) fn boolean(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Placed { value: Value::Boolean(true), .. }))
    }

    /// A duration in milliseconds.
    pub(super) fn duration_ms(&self, key: &str) -> Option<Spanned<u64>> {
        let Placed { value: Value::DurationMs(ms), span, .. } = self.get(key)? else { return None };
        Some(Spanned::new(ms, span))
    }
}

/// The key with the plan of callers: its name, or in kinds that read tokens the claim with the name.
const PLAN: &str = "plan";

/// The key with the plans of tokens with some claims.
const MAP_PLANS: &str = "map-plans";

/// The keys of a kind's table except `kind`.
pub(crate) fn settings(table: &'static Object) -> impl Iterator<Item = &'static Key> {
    table.all_keys().filter(|key| key.name != super::KIND)
}

/// The default value of a key, if it has one.
pub(crate) fn default(key: &Key) -> Option<Value> {
    match key.absent {
        Absent::Default(json) => Value::default(key.shape, json),
        Absent::Refused | Absent::Means(_) => None,
    }
}
