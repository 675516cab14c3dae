//! `kind: rate-limit`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use tollgate_core::limit::{self, LimitBy, OnUnavailable, RateLimitSettings};

use super::{Change, Kind, PlanLimit, Value, Written, kind_key};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;
use crate::schema::units::Rate;
use crate::schema::{Key, Object, Quantity, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "limits the number of requests per period; named in `limit`";

pub(super) static TABLE: Object = Object {
    name: "rate-limit",
    doc: "Limits the number of requests per period, and answers further requests with 429. Named in `limit`, or with \
          `by: address` also in `guard`.",
    keys: &[
        kind_key(&[("rate-limit", DOES)]),
        Key::required(
            "rate",
            "The number of requests that become available again per period.",
            Shape::Quantity(Quantity::Rate),
        )
        .change(Change::MoreIsLooser)
        .examples(&["\"100/s\"", "\"5/10s\""]),
        Key::optional(
            "burst",
            "The maximum number of requests at once, after a time without requests.",
            Shape::Integer(1, u32::MAX as i64),
        )
        .absent("the number in `rate`")
        .change(Change::MoreIsLooser)
        .examples(&["200"]),
        Key::optional("by", "Which requests are counted together.", Shape::Word(BY_WORDS))
            .default("\"consumer\"")
            .change(Change::Review("other requests are counted together")),
        Key::optional(
            "on-unavailable",
            "What happens to requests while the counter store is unavailable.",
            Shape::Word(ON_UNAVAILABLE_WORDS),
        )
        .default("\"open\"")
        .change(Change::LoosestFirst {
            words: &["open", "closed"],
            looser: "requests are accepted while the counter store is unavailable",
            stricter: "requests are refused while the counter store is unavailable",
        }),
    ],
    examples: &["{\"kind\": \"rate-limit\", \"rate\": \"100/s\", \"burst\": 200}"],
    ..Object::PLAIN
};

const BY_WORDS: &[(&str, &str)] = &[
    ("consumer", "the requests of a consumer; without authentication, of the client's address"),
    ("address", "the requests of the client's address"),
    (
        "installation",
        "the requests of one installation of a client: with tokens that are bound to the same key or certificate; otherwise as `consumer`",
    ),
];

const BY: &[(&str, LimitBy)] =
    &[("consumer", LimitBy::Consumer), ("address", LimitBy::Address), ("installation", LimitBy::Installation)];

const ON_UNAVAILABLE_WORDS: &[(&str, &str)] = &[("open", "requests are accepted"), ("closed", "requests are refused")];

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

/// Checks and converts the numbers of a limit.
fn numbers(rate: &Spanned<Rate>, burst: Option<&Spanned<u32>>, report: &mut Report) -> Option<limit::PlanLimit> {
    let (span, Rate { count, period_ms }) = (rate.span, rate.value);
    let (rate, period_ms) = (NonZeroU32::new(count)?, NonZeroU32::new(period_ms)?);
    let burst = burst.map_or(Some(rate), |burst| NonZeroU32::new(burst.value))?;
    if u64::from(burst.get()) * u64::from(period_ms.get()) / u64::from(rate.get()) > BURST_MS_MAX {
        report.push(
            Diagnostic::error(
                Code::OutOfRange,
                span,
                "it takes longer than a year until a full burst is available again",
            )
            .why("the counter would have to be stored for this time")
            .fix("lower `burst`, or raise `rate`"),
        );
        return None;
    }
    Some(limit::PlanLimit { rate, period_ms, burst })
}

/// A year: longer than any real limit, and the maximum time for which a store should keep a counter.
const BURST_MS_MAX: u64 = 366 * 86_400_000;
