//! `kind: rate-limit`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use tollgate_core::limit::{self, LimitBy, OnUnavailable, RateLimitSettings};

use super::{Change, Kind, PlanLimit, Value, Written, kind_key};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;
use crate::schema::units::Rate;
use crate::schema::{Key, Object, Quantity, Shape};

/// What it does, beside its word.
pub(super) const DOES: &str = "lets so many requests through in a period; named in `limit`";

pub(super) static TABLE: Object = Object {
    name: "rate-limit",
    doc: "Lets so many requests through in a period, and refuses the others with 429. Named in `limit`.",
    keys: &[
        kind_key(&[("rate-limit", DOES)]),
        Key::required("rate", "How many come back in a period.", Shape::Quantity(Quantity::Rate))
            .change(Change::MoreIsLooser)
            .examples(&["\"100/s\"", "\"5/10s\""]),
        Key::optional("burst", "The most at once after a rest.", Shape::Integer(1, u32::MAX as i64))
            .absent("the count of `rate`")
            .change(Change::MoreIsLooser)
            .examples(&["200"]),
        Key::optional("by", "Whose requests are counted together.", Shape::Word(BY_WORDS))
            .default("\"consumer\"")
            .change(Change::Review("other requests share the limit")),
        Key::optional(
            "on-unavailable",
            "What happens while the store of the counters does not answer.",
            Shape::Word(ON_UNAVAILABLE_WORDS),
        )
        .default("\"open\"")
        .change(Change::LoosestFirst {
            words: &["open", "closed"],
            why: "while the counter store is away, requests are answered otherwise",
        }),
    ],
    examples: &["{\"kind\": \"rate-limit\", \"rate\": \"100/s\", \"burst\": 200}"],
    ..Object::PLAIN
};

const BY_WORDS: &[(&str, &str)] = &[
    ("consumer", "those of a consumer; of the client's address where nobody was authenticated"),
    ("address", "those of the client's address"),
];

const BY: &[(&str, LimitBy)] = &[("consumer", LimitBy::Consumer), ("address", LimitBy::Address)];

const ON_UNAVAILABLE_WORDS: &[(&str, &str)] = &[("open", "requests pass"), ("closed", "requests are refused")];

const ON_UNAVAILABLE: &[(&str, OnUnavailable)] = &[("open", OnUnavailable::Open), ("closed", OnUnavailable::Closed)];

impl Kind for RateLimitSettings {
    const TAKES_PLANS: bool = true;

    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let limit::PlanLimit { rate, period_ms, burst } =
            numbers(&written.rate("rate")?, written.integer("burst").as_ref(), report)?;
        let by = written.word("by", BY)?;
        let on_unavailable = written.word("on-unavailable", ON_UNAVAILABLE)?;
        Some(Self { rate, period_ms, burst, by, on_unavailable, plans: BTreeMap::new() })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let Self { rate, period_ms, burst, by, on_unavailable, .. } = self;
        let own = limit::PlanLimit { rate: *rate, period_ms: *period_ms, burst: *burst };
        let mut values = limit_values(own);
        values.extend(Value::word("by", BY, by));
        values.extend(Value::word("on-unavailable", ON_UNAVAILABLE, on_unavailable));
        values
    }

    fn take_plan(&mut self, plan: &str, PlanLimit { rate, burst }: &PlanLimit, report: &mut Report) {
        self.plans.extend(numbers(rate, burst.as_ref(), report).map(|limit| (plan.to_owned(), limit)));
    }

    fn plans(&self) -> Vec<(&str, Vec<(&'static str, Value)>)> {
        self.plans.iter().map(|(plan, limit)| (plan.as_str(), limit_values(*limit))).collect()
    }
}

fn limit_values(limit::PlanLimit { rate, period_ms, burst }: limit::PlanLimit) -> Vec<(&'static str, Value)> {
    let rate = Rate { count: rate.get(), period_ms: period_ms.get() };
    vec![("rate", Value::Rate(rate)), ("burst", Value::Integer(burst.get().into()))]
}

/// Reads the numbers of a limit, which must work together.
fn numbers(rate: &Spanned<Rate>, burst: Option<&Spanned<u32>>, report: &mut Report) -> Option<limit::PlanLimit> {
    let (span, Rate { count, period_ms }) = (rate.span, rate.value);
    let (rate, period_ms) = (NonZeroU32::new(count)?, NonZeroU32::new(period_ms)?);
    let burst = burst.map_or(Some(rate), |burst| NonZeroU32::new(burst.value))?;
    if u64::from(burst.get()) * u64::from(period_ms.get()) / u64::from(rate.get()) > BURST_MS_MAX {
        report.push(
            Diagnostic::error(Code::OutOfRange, span, "a full burst takes longer than a year to come back")
                .why("the counter would have to be kept that long")
                .fix("lower `burst`, or raise `rate`"),
        );
        return None;
    }
    Some(limit::PlanLimit { rate, period_ms, burst })
}

/// A year: nobody limits by longer, and no store should keep a counter for longer.
const BURST_MS_MAX: u64 = 366 * 86_400_000;
