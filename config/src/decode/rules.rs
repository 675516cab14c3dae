//! Checks the rules of a table for combinations of keys.

use super::Fields;
use crate::diagnostic::{Code, Diagnostic, Report, listed};
use crate::schema::Rule;

impl Fields<'_> {
    /// Reports the rules of the table that the keys violate; returns whether there are none.
    pub(crate) fn check_rules(&self, report: &mut Report) -> bool {
        // All rules are checked, so that one mistake does not hide another.
        let broken = self.object.rules.iter().filter(|rule| !self.check_rule(rule, report));
        broken.count() == 0
    }

    fn check_rule(&self, rule: &Rule, report: &mut Report) -> bool {
        match rule {
            Rule::SomeOf(keys) => self.has_some(keys, report),
            Rule::OneOf(keys) => self.has_some(keys, report) && self.has_at_most_one(keys, report),
            Rule::AtMostOneOf(keys) => self.has_at_most_one(keys, report),
            Rule::Needs(key, other) => self.has_needed(key, other, report),
            Rule::Excludes(key, others) => {
                let broken = others.iter().filter(|other| !self.has_at_most_one(&[key, other], report));
                broken.count() == 0
            }
        }
    }

    /// Whether a key is absent, or the key without which it has no effect is present.
    fn has_needed(&self, key: &str, other: &str, report: &mut Report) -> bool {
        let (Some(span), None) = (self.key_span(key), self.key_span(other)) else { return true };
        report.push(
            Diagnostic::error(Code::MissingKey, span, format!("`{key}` has no effect without `{other}`"))
                .why("what is written would be ignored without notice")
                .fix(format!("add `{other}`, or remove `{key}`")),
        );
        false
    }

    fn has_some(&self, keys: &[&str], report: &mut Report) -> bool {
        let has_some = keys.iter().any(|key| self.key_span(key).is_some());
        if !has_some {
            let keys = listed(keys.iter().copied());
            report.push(
                Diagnostic::error(Code::MissingKey, self.at, format!("{} has none of the keys {keys}", self.owner))
                    .why("at least one of these keys is required")
                    .fix(format!("add one of {keys}")),
            );
        }
        has_some
    }

    fn has_at_most_one(&self, keys: &[&str], report: &mut Report) -> bool {
        let mut present = keys.iter().filter_map(|key| Some((key, self.key_span(key)?)));
        let (Some((first, at)), Some((second, span))) = (present.next(), present.next()) else { return true };
        report.push(
            Diagnostic::error(Code::UnknownKey, span, format!("`{second}` cannot be combined with `{first}`"))
                .why("only one of these keys is allowed")
                .fix("remove one of them")
                .related(at, "the other key"),
        );
        false
    }
}
