//! `kind: rate-limit`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use tollgate_core::cell::ENTRIES_MAX;
use tollgate_core::limit::{self, Consistency, Counting, RateAlgorithm, RateLimitSettings};

use super::cost::Charging;
use super::counting::{self, Common};
use super::{Change, Kind, OF_RATE, PlanLimit, Value, Written, cost, kind_key};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;
use crate::schema::units::Rate;
use crate::schema::{Key, Object, Quantity, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "limits the number of requests per period; named in `limit`";

pub(super) static TABLE: Object = Object {
    name: "rate-limit",
    doc: "Limits the number of requests per period, and answers further requests with 429. Named in `limit`, or in `guard` if \
          `by` needs no caller.",
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
            "The maximum number of requests at once, after a time without requests; of spaced requests, how many may be there at once: all but one wait.",
            Shape::Integer(1, u32::MAX as i64),
        )
        .absent(OF_RATE)
        .change(Change::MoreIsLooser)
        .examples(&["200"]),
        Key::optional("algorithm", "How requests are counted.", Shape::Word(ALGORITHM_WORDS))
            .default("\"gcra\"")
            .change(Change::Review("requests are counted in another way, from zero")),
    ],
    shared: &[counting::KEYS, counting::LEASED_KEYS],
    examples: &["{\"kind\": \"rate-limit\", \"rate\": \"100/s\", \"burst\": 200}"],
    ..Object::PLAIN
};

const ALGORITHM_WORDS: &[(&str, &str)] = &[
    ("gcra", "the rate, evenly, with bursts: exact in any period, one instant is stored"),
    (
        "sliding-window",
        "the count of this window, and of the one before as far as it would still be part of it: an approximation",
    ),
    ("sliding-log", "each request by itself: exact in any period, for rates of up to 256"),
    (
        "fixed-window",
        "windows that begin at multiples of the period: up to twice the rate can pass around the beginning of one",
    ),
    (
        "spacing",
        "requests wait for each other, so that they are spaced evenly; of `burst` requests at once, all but one wait",
    ),
];

const ALGORITHMS: &[(&str, RateAlgorithm)] = &[
    ("gcra", RateAlgorithm::Gcra),
    ("sliding-window", RateAlgorithm::SlidingWindow),
    ("sliding-log", RateAlgorithm::SlidingLog),
    ("fixed-window", RateAlgorithm::FixedWindow),
    ("spacing", RateAlgorithm::Spacing),
];

impl Kind for RateLimitSettings {
    const TAKES_PLANS: bool = true;

    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let common = counting::lower(written, report);
        let algorithm = written.word("algorithm", ALGORITHMS)?;
        let burst = written.integer("burst");
        let limit::PlanLimit { rate, period_ms, burst } =
            numbers(&written.rate("rate")?, burst.as_ref(), algorithm, report)?;
        let Common { by, on_unavailable, counting } = common?;
        let is_log = algorithm == RateAlgorithm::SlidingLog;
        let most = if is_log { ENTRIES_MAX.try_into().unwrap_or(u32::MAX) } else { u32::MAX };
        counting::check_at_most(written, &counting, rate.max(burst), most, report).then_some(())?;
        let counting = in_places(algorithm, counting, written, report)?;
        if counting.beside && algorithm == RateAlgorithm::Spacing {
            let why = "with `algorithm: spacing` a request waits for its turn before it is forwarded";
            counting::refuse_beside(written, why, "remove `charge`, or write another `algorithm`", report);
            return None;
        }
        let flows = matches!(algorithm, RateAlgorithm::Gcra | RateAlgorithm::Spacing);
        let flow = flows.then_some(limit::PlanLimit { rate, period_ms, burst });
        let charging = Charging { own: burst, places: is_log.then_some("sliding-log"), flow };
        let counting = cost::lower(written, counting, charging, report)?;
        Some(Self { rate, period_ms, burst, by, on_unavailable, plans: BTreeMap::new(), algorithm, counting })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let Self { rate, period_ms, burst, by, on_unavailable, algorithm, counting, .. } = self;
        let own = limit::PlanLimit { rate: *rate, period_ms: *period_ms, burst: *burst };
        let mut values = limit_values(own);
        values.extend(Value::word("algorithm", ALGORITHMS, algorithm));
        values.extend(counting::values(*by, *on_unavailable, counting));
        values.extend(counting::consistency(counting));
        values.extend(counting::counted(counting));
        values
    }

    fn take_plan(&mut self, plan: &str, limit: &PlanLimit, report: &mut Report) -> bool {
        let PlanLimit::Rate { rate, burst } = limit else { return false };
        let flows = matches!(self.algorithm, RateAlgorithm::Gcra | RateAlgorithm::Spacing);
        let numbers = numbers(rate, burst.as_ref(), self.algorithm, report);
        let numbers = numbers.filter(|own| !flows || cost::check_plan(&self.counting, own, rate.span, report));
        self.plans.extend(numbers.map(|limit| (plan.to_owned(), limit)));
        true
    }

    fn plans(&self) -> Vec<(&str, Vec<(&'static str, Value)>)> {
        self.plans.iter().map(|(plan, limit)| (plan.as_str(), limit_values(*limit))).collect()
    }
}

/// Whether permits can be taken ahead: not of algorithms that give each request a place of its own, which are exact.
fn in_places(algorithm: RateAlgorithm, counting: Counting, written: &Written, report: &mut Report) -> Option<Counting> {
    let has_places = matches!(algorithm, RateAlgorithm::SlidingLog | RateAlgorithm::Spacing);
    if counting.consistency != Consistency::Leased || !has_places {
        return Some(counting);
    }
    let Some(stated) = written.written("consistency") else {
        return Some(Counting { consistency: Consistency::Exact, ..counting });
    };
    let word = ALGORITHMS.iter().find(|(_, known)| *known == algorithm).map_or("", |(word, _)| word);
    report.push(
        Diagnostic::error(Code::BadLimit, stated.span, format!("`algorithm: {word}` cannot be leased"))
            .why("it gives each request a place of its own, which cannot be taken ahead: the limit is exact without `consistency`")
            .fix("write `consistency: exact` or remove it, or write another `algorithm`"),
    );
    None
}

fn limit_values(limit::PlanLimit { rate, period_ms, burst }: limit::PlanLimit) -> Vec<(&'static str, Value)> {
    let rate = Rate { count: rate.get(), period_ms: period_ms.get() };
    vec![("rate", Value::Rate(rate)), ("burst", Value::Integer(burst.get().into()))]
}

/// Checks and converts the numbers of a limit.
fn numbers(
    rate: &Spanned<Rate>,
    burst: Option<&Spanned<u32>>,
    algorithm: RateAlgorithm,
    report: &mut Report,
) -> Option<limit::PlanLimit> {
    let (span, Rate { count, period_ms }) = (rate.span, rate.value);
    let (rate, period_ms) = (NonZeroU32::new(count)?, NonZeroU32::new(period_ms)?);
    let has_burst = matches!(algorithm, RateAlgorithm::Gcra | RateAlgorithm::Spacing);
    if let Some(burst) = burst.filter(|_| !has_burst) {
        let word = ALGORITHMS.iter().find(|(_, known)| *known == algorithm).map_or("", |(word, _)| word);
        report.push(
            Diagnostic::error(Code::BadLimit, burst.span, format!("`burst` has no effect on `algorithm: {word}`"))
                .why("it admits the number in `rate` in each window")
                .fix("remove `burst`, or write `algorithm: gcra`"),
        );
        return None;
    }
    let burst = burst.map_or(Some(rate), |burst| NonZeroU32::new(burst.value))?;
    let full_ms = u64::from(burst.get()) * u64::from(period_ms.get()) / u64::from(rate.get());
    // The first of a burst does not wait.
    let spaced_ms = u64::from(period_ms.get()) / u64::from(rate.get());
    let diagnostic = match algorithm {
        RateAlgorithm::SlidingLog if burst.get() as usize > ENTRIES_MAX => Some(
            Diagnostic::error(Code::BadLimit, span, format!("`algorithm: sliding-log` counts up to {ENTRIES_MAX}"))
                .why("it stores each request by itself, and reads and writes all of them for each request")
                .fix("lower the rate, or write `algorithm: gcra`, which is exact too"),
        ),
        RateAlgorithm::Spacing if full_ms.saturating_sub(spaced_ms) > WAIT_MS_MAX => Some(
            Diagnostic::error(Code::BadLimit, span, "a request would wait longer than 30s for its turn")
                .why("the client waits for its answer meanwhile, and the gateway keeps its connection")
                .fix("lower `burst`, or raise `rate`"),
        ),
        _ if full_ms > BURST_MS_MAX => Some(
            Diagnostic::error(
                Code::OutOfRange,
                span,
                "it takes longer than a year until a full burst is available again",
            )
            .why("the counter would have to be stored for this time")
            .fix("lower `burst`, or raise `rate`"),
        ),
        _ => None,
    };
    match diagnostic {
        Some(diagnostic) => {
            report.push(diagnostic);
            None
        }
        None => Some(limit::PlanLimit { rate, period_ms, burst }),
    }
}

/// The longest time that a request waits for its turn: within the time that clients and platforms wait for an answer.
const WAIT_MS_MAX: u64 = 30_000;

/// A year: longer than any real limit, and the maximum time for which a store should keep a counter.
pub(super) const BURST_MS_MAX: u64 = 366 * 86_400_000;
