//! `budget` of a `quota`: what the operator spends in a window.

use std::num::NonZeroU32;

use tollgate_core::limit::{OnUnavailable, Part};

use super::Written;
use super::counting::{self, Common};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;

/// What is spent at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Budget {
    /// A number of requests.
    Calls(NonZeroU32),
    /// An amount of money.
    Money(Money),
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// In millionths of the currency.
    pub micro: u64,
    /// The currency, such as `USD`.
    pub currency: String,
}

impl Budget {
    /// Reads `20 USD` or `1000 calls`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_once(' ')?;
        if unit == "calls" {
            return number.parse().ok().map(Self::Calls);
        }
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let is_currency = unit.len() == 3 && unit.bytes().all(|b| b.is_ascii_uppercase());
        if !is_currency || whole.is_empty() || whole.len() > 9 || part.len() > 6 || !digits(whole) || !digits(part) {
            return None;
        }
        let micro = whole.parse::<u64>().ok()? * 1_000_000 + format!("{part:0<6}").parse::<u64>().ok()?;
        (micro > 0).then(|| Self::Money(Money { micro, currency: unit.to_owned() }))
    }

    /// The number of calls, if it is one.
    pub(super) const fn calls(&self) -> Option<NonZeroU32> {
        match self {
            Self::Calls(calls) => Some(*calls),
            Self::Money(_) => None,
        }
    }

    /// Makes the limit one of the operator.
    pub(super) fn apply(&self, written: &Written, common: &mut Common, report: &mut Report) -> Option<()> {
        let Common { on_unavailable, counting, .. } = common;
        if written.written("by").is_none() {
            counting.parts = vec![Part::Route];
        }
        let is_shared = |part: &Part| matches!(part, Part::Route | Part::Api | Part::Upstream | Part::Gateway);
        if counting.parts.is_empty() || !counting.parts.iter().all(is_shared) {
            let why =
                "callers share it: each of them would have a budget of its own, and nobody knows how many there are";
            return refuse(
                written,
                "by",
                "a budget is not counted by callers",
                why,
                "write `route`, `api`, `upstream` or `gateway`",
                report,
            );
        }
        for key in ["at-most", "limit-from"] {
            if written.written(key).is_some() {
                let what = format!("`{key}` has no effect on a budget");
                let why = "records and claims have numbers for callers, and a budget is the operator's";
                return refuse(written, key, &what, why, &format!("remove `{key}`"), report);
            }
        }
        if counting.beside {
            let why = "a budget bounds what requests cost, and one that is refused would have been forwarded";
            counting::refuse_beside(written, why, "remove `charge`", report);
            return None;
        }
        if written.written("on-unavailable").is_none() {
            *on_unavailable = OnUnavailable::Closed;
        }
        counting.budget = written.text("budget").map(|text| text.value);
        Some(())
    }
}

/// Reads the text of a budget.
pub(super) fn read(text: &Spanned<String>, report: &mut Report) -> Option<Budget> {
    let budget = Budget::parse(&text.value);
    if budget.is_none() {
        report.push(
            Diagnostic::error(Code::BadBudget, text.span, format!("`{}` is no budget", text.value))
                .why("a budget is an amount of a currency in capital letters, or a number of calls, and more than nothing")
                .fix("write it like `20 USD`, `0.50 EUR` or `100000 calls`"),
        );
    }
    budget
}

fn refuse(written: &Written, key: &str, what: &str, why: &str, fix: &str, report: &mut Report) -> Option<()> {
    let span = written.written(key).or_else(|| written.written("budget"))?.span;
    report.push(Diagnostic::error(Code::BadBudget, span, what).why(why).fix(fix));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_money_or_calls() {
        let money = |micro| Some(Budget::Money(Money { micro, currency: "USD".to_owned() }));
        for (text, budget) in [
            ("20 USD", money(20_000_000)),
            ("0.5 USD", money(500_000)),
            ("0.000001 USD", money(1)),
            ("999999999 USD", money(999_999_999_000_000)),
            ("1000 calls", NonZeroU32::new(1_000).map(Budget::Calls)),
            ("0 USD", None),
            ("0 calls", None),
            ("1.5 calls", None),
            ("20", None),
            ("20USD", None),
            ("20 usd", None),
            ("-1 USD", None),
            ("1.0000001 USD", None),
            (". USD", None),
            ("5000000000 calls", None),
        ] {
            assert_eq!(Budget::parse(text), budget, "{text}");
        }
    }
}
