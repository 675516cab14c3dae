//! The keys of limits that say what a request costs.

use std::num::NonZeroU32;

use http::HeaderName;
use tollgate_core::limit::{Cost, Counting, Measure, PlanLimit, REQUEST_BYTES, RESPONSE_BYTES};

use super::counting::source_of;
use super::rate_limit::BURST_MS_MAX;
use super::{Change, Value, Written};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::expression::compile_value;
use crate::place::{Span, Spanned};
use crate::schema::texts::COST;
use crate::schema::{Key, Quantity, Shape};

pub(super) const OF: Key = Key::optional(
    COST_KEY,
    "What a request costs: the bytes of its content (`request.bytes`) or of its response's content (`response.bytes`), the number in a field \
     of the upstream's response (`response.headers[\"x-cost\"]`), or in a value of the request or its caller \
     (`request.query[\"limit\"]`). Numbers are rounded up, and a request costs at least 1.",
    Shape::Ruled(&COST),
)
.absent("`cost` of the route")
.change(Change::Review("requests have other costs"))
.examples(&["\"response.bytes\"", "\"response.headers[\\\"x-cost\\\"]\""]);

pub(super) const PER: Key =
    Key::optional("cost-per", "With `cost` in bytes: how many of them cost 1.", Shape::Quantity(Quantity::Size))
        .absent("`1B`, with `cost` in bytes")
        .change(Change::Review("requests have other costs"))
        .examples(&["\"1KiB\""]);

pub(super) const RESERVE: Key = Key::optional(
    "reserve",
    "With `cost`: what is charged while the cost is not known, and for good if it is never known. The difference is given back, or charged, \
     after the reply.",
    Shape::Integer(1, u32::MAX as i64),
)
.absent("1, with `cost`")
.change(Change::Review("other requests pass while costs are not known"))
.examples(&["10"]);

pub(super) const MOST: Key =
    Key::optional("cost-max", "With `cost`: what a request costs at most.", Shape::Integer(1, u32::MAX as i64))
        .absent("what the limit admits at once")
        .change(Change::Review("requests with large costs are charged otherwise"))
        .examples(&["1000"]);

const COST_KEY: &str = "cost";

/// How a limit charges costs.
#[derive(Clone, Copy)]
pub(super) struct Charging<'w> {
    /// What it admits at once.
    pub(super) own: NonZeroU32,
    /// The word of its algorithm, if that stores each request by itself.
    pub(super) places: Option<&'w str>,
    /// Its numbers, if what is charged beyond them has to become available again: not in windows.
    pub(super) flow: Option<PlanLimit>,
}

/// Reads the keys. `None` if something is refused, which is reported.
pub(super) fn lower(
    written: &Written,
    counting: Counting,
    Charging { own, places, flow }: Charging<'_>,
    report: &mut Report,
) -> Option<Counting> {
    let number =
        |key| written.integer(key).and_then(|number| Some(Spanned::new(NonZeroU32::new(number.value)?, number.span)));
    let (reserve, most) = (number("reserve"), number("cost-max"));
    let Some(text) = written.text(COST_KEY) else {
        let alone =
            ["cost-per", "reserve", "cost-max"].into_iter().find_map(|key| Some((key, written.written(key)?.span)));
        let Some((key, span)) = alone else { return Some(counting) };
        report.push(
            Diagnostic::error(Code::BadLimit, span, format!("`{key}` has no effect without `cost`"))
                .why("without it, a request costs the number of its route")
                .fix(format!("add `cost`, such as `cost: {RESPONSE_BYTES}`, or remove `{key}`")),
        );
        return None;
    };
    let of = measure(&text, report)?;
    let per = per(written, &of, report)?;
    let refuse =
        |span, what: String, why: &str, fix: String| Diagnostic::error(Code::BadLimit, span, what).why(why).fix(fix);
    let refused = match (&reserve, &most) {
        (Some(reserve), Some(most)) if reserve.value > most.value => Some(refuse(
            reserve.span,
            format!("`reserve` is {}, more than the {} of `cost-max`", reserve.value, most.value),
            "no request costs as much as is charged before it is known",
            "lower `reserve`, or raise `cost-max`".to_owned(),
        )),
        (Some(reserve), _) if reserve.value > own => Some(refuse(
            reserve.span,
            format!("`reserve` is {}, and the limit admits {own} at once", reserve.value),
            "every request would be refused",
            format!("write at most {own}"),
        )),
        _ => None,
    };
    let cost = Cost {
        of,
        per,
        reserve: reserve.map_or(NonZeroU32::MIN, |reserve| reserve.value),
        most: most.as_ref().map(|most| most.value),
    };
    let refused = refused.or_else(|| {
        let word = places.filter(|_| cost.is_settled())?;
        Some(refuse(
            text.span,
            format!("`algorithm: {word}` cannot charge `{}`", text.value),
            "this cost is known after the reply, and the algorithm gives each charge a place of its own, of which there are few",
            "write another `algorithm`, such as `gcra`, which is exact too".to_owned(),
        ))
    });
    let counting = Counting { cost: Some(Box::new(cost)), ..counting };
    let is_endless = |flow| Some((longest_debt(&counting, &flow)?, most.as_ref()?.span));
    let refused = refused.or_else(|| {
        let (largest, span) = flow.and_then(is_endless)?;
        Some(refuse_debt(span, format!("write at most {largest}, or raise `rate`")))
    });
    match refused {
        Some(diagnostic) => {
            report.push(diagnostic);
            None
        }
        None => Some(counting),
    }
}

/// The largest `cost-max` with these numbers, if that of a limit is larger: a cost that is known after the reply is charged beyond
/// what the limit admits, and as long as that takes to become available again, nobody passes.
fn longest_debt(counting: &Counting, PlanLimit { rate, period_ms, .. }: &PlanLimit) -> Option<u64> {
    let most = counting.cost.as_ref().filter(|cost| cost.is_settled())?.most?;
    let largest = BURST_MS_MAX * u64::from(rate.get()) / u64::from(period_ms.get());
    (u64::from(most.get()) > largest).then_some(largest)
}

/// Checks `cost-max` of a limit with the numbers of a plan, which are written here.
pub(super) fn check_plan(counting: &Counting, numbers: &PlanLimit, span: Span, report: &mut Report) -> bool {
    let Some(largest) = longest_debt(counting, numbers) else { return true };
    report.push(refuse_debt(span, format!("raise `rate`, or lower `cost-max` of the policy to {largest} or less")));
    false
}

fn refuse_debt(span: Span, fix: String) -> Diagnostic {
    Diagnostic::error(
        Code::OutOfRange,
        span,
        "it takes longer than a year until a cost of `cost-max` is available again",
    )
    .why("it is charged after the reply, also beyond what the limit admits, and its caller would be refused until then")
    .fix(fix)
}

/// The values as they would be written.
pub(super) fn values(counting: &Counting) -> Vec<(&'static str, Value)> {
    let Some(cost) = &counting.cost else { return Vec::new() };
    let mut values = vec![(COST_KEY, Value::Text(cost.of.to_string()))];
    if matches!(cost.of, Measure::RequestBytes | Measure::ResponseBytes) {
        values.push(("cost-per", Value::SizeBytes(cost.per.get().into())));
    }
    values.push(("reserve", Value::Integer(cost.reserve.get().into())));
    values.extend(cost.most.map(|most| ("cost-max", Value::Integer(most.get().into()))));
    values
}

fn measure(text: &Spanned<String>, report: &mut Report) -> Option<Measure> {
    match text.value.as_str() {
        REQUEST_BYTES => return Some(Measure::RequestBytes),
        RESPONSE_BYTES => return Some(Measure::ResponseBytes),
        _ => {}
    }
    let (what, why, fix) = if text.value.starts_with("response.") {
        if let Some(name) = response_field(&text.value) {
            return Some(Measure::ResponseField(name));
        }
        let what = format!("`{}` is nothing that a response costs", text.value);
        let fix = format!("write `{RESPONSE_BYTES}`, or a field such as `response.headers[\"x-cost\"]`");
        (what, "a cost is read of the bytes of the response, or of one of its fields".to_owned(), fix)
    } else {
        match compile_value(&text.value).map(|expression| source_of(&expression)) {
            Ok(Some(source)) => return Some(Measure::Value(source)),
            Ok(None) => {
                let what = format!("`{}` is no single value of the request or its caller", text.value);
                let fix = "read one value, such as `request.query[\"limit\"]`".to_owned();
                (what, "the cost is a number that a request has in one place".to_owned(), fix)
            }
            Err(fault) => (fault.what, fault.why, fault.fix),
        }
    };
    report.push(Diagnostic::error(Code::BadLimit, text.span, what).why(why).fix(fix));
    None
}

/// The name of a field of the response, in lower case.
fn response_field(text: &str) -> Option<String> {
    let inner = text.strip_prefix("response.headers[")?.strip_suffix(']')?;
    let quoted = |quote| inner.strip_prefix(quote)?.strip_suffix(quote);
    let name = quoted('"').or_else(|| quoted('\''))?;
    HeaderName::from_bytes(name.as_bytes()).ok().map(|name| name.as_str().to_owned())
}

/// How many bytes cost 1.
fn per(written: &Written, of: &Measure, report: &mut Report) -> Option<NonZeroU32> {
    let Some(placed) = written.written("cost-per") else { return Some(NonZeroU32::MIN) };
    let Value::SizeBytes(bytes) = placed.value else { return None };
    let is_of_bytes = matches!(of, Measure::RequestBytes | Measure::ResponseBytes);
    let per = u32::try_from(bytes).ok().and_then(NonZeroU32::new).filter(|_| is_of_bytes);
    if per.is_none() {
        let (what, why, fix) = if is_of_bytes {
            (
                "`cost-per` is at least 1B and less than 4GiB".to_owned(),
                "it is how many bytes cost 1",
                "write a size such as `1KiB`",
            )
        } else {
            (format!("`cost-per` has no effect on `cost: {of}`"), "it is how many bytes cost 1", "remove `cost-per`")
        };
        report.push(Diagnostic::error(Code::BadLimit, placed.span, what).why(why).fix(fix));
    }
    per
}

#[cfg(test)]
mod tests {
    use super::super::WrittenPolicy;
    use super::*;
    use crate::place::{FileId, Files, Span};
    use crate::source::{self, Limits};

    /// The values of the keys of a limit's cost, or what is wrong with them.
    fn read(text: &str) -> Result<Vec<String>, String> {
        let (mut files, mut report) = (Files::new(), Report::default());
        let file = files.add("policy", text);
        let node = source::read(file, files.text(file), &Limits::AUTHORED, &mut report).expect("a document");
        let name = Spanned::new("p".to_owned(), Span::beginning_of(FileId::default()));
        let written = WrittenPolicy::decode(&name, &node, &mut report);
        let policy = written.and_then(|written| (written.kind.lower)(&written.written, &mut report));
        match policy {
            Some(tollgate_core::kinds::Policy::Limit(limit)) => {
                Ok(values(limit.counting()).into_iter().map(|(key, value)| format!("{key}: {value}")).collect())
            }
            _ => Err(report.finish(files).to_string()),
        }
    }

    #[track_caller]
    fn check(keys: &str, want: &[&str]) {
        let of_rate = read(&format!("{{kind: rate-limit, rate: 100/s, {keys}}}"));
        assert_eq!(
            of_rate.as_deref(),
            Ok(&want.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()[..]),
            "{keys}"
        );
        assert_eq!(read(&format!("{{kind: quota, quota: 100, window: day, {keys}}}")), of_rate);
    }

    #[track_caller]
    fn refused(keys: &str, words: &str) {
        let of_rate = read(&format!("{{kind: rate-limit, rate: 100/s, {keys}}}"));
        assert!(of_rate.as_ref().is_err_and(|error| error.contains(words)), "{keys}: {of_rate:?}");
    }

    #[test]
    fn costs_are_read_of_requests_and_responses() {
        check("cost: request.bytes", &["cost: request.bytes", "cost-per: 1B", "reserve: 1"]);
        check(
            "cost: response.bytes, cost-per: 1KiB, reserve: 5, cost-max: 50",
            &["cost: response.bytes", "cost-per: 1KiB", "reserve: 5", "cost-max: 50"],
        );
        for field in ["\"X-Cost\"", "''x-cost''"] {
            check(&format!("cost: 'response.headers[{field}]'"), &["cost: response.headers[\"x-cost\"]", "reserve: 1"]);
        }
        check("cost: 'request.query[\"limit\"]'", &["cost: request.query[\"limit\"]", "reserve: 1"]);
        check("cost: principal.claims.weight", &["cost: principal.claims.weight", "reserve: 1"]);
        check("shadow: true", &[]);
    }

    #[test]
    fn what_has_no_effect_or_can_never_pass_is_refused() {
        for (keys, words) in [
            ("cost-per: 1KiB", "`cost-per` has no effect without `cost`"),
            ("reserve: 2", "`reserve` has no effect without `cost`"),
            ("cost-max: 2", "`cost-max` has no effect without `cost`"),
            ("cost: response.bytes, reserve: 9, cost-max: 8", "`reserve` is 9, more than the 8 of `cost-max`"),
            ("cost: response.bytes, reserve: 101", "`reserve` is 101, and the limit admits 100 at once"),
            ("cost: 'request.query[\"limit\"]', cost-per: 1KiB", "`cost-per` has no effect on"),
            ("cost: response.bytes, cost-per: 0B", "`cost-per` is at least 1B and less than 4GiB"),
            ("cost: response.bytes, cost-per: 4096MiB", "`cost-per` is at least 1B and less than 4GiB"),
            ("cost: response.size", "`response.size` is nothing that a response costs"),
            ("cost: 'response.headers[\"a b\"]'", "is nothing that a response costs"),
            ("cost: 'response.headers[x-cost]'", "is nothing that a response costs"),
            ("cost: request.headers", "`headers` is not a value"),
            ("cost: 'now'", "is no single value"),
            ("cost: request.bites", "no member `bites`"),
            ("algorithm: sliding-log, cost: response.bytes", "`algorithm: sliding-log` cannot charge"),
            ("cost: response.bytes, cost-max: 3162240001", "write at most 3162240000, or raise `rate`"),
            ("algorithm: spacing, cost: response.bytes, cost-max: 4294967295", "it takes longer than a year"),
        ] {
            refused(keys, words);
        }
        check_log("cost: 'request.query[\"limit\"]'");
    }

    #[test]
    fn a_cost_beyond_a_window_is_no_debt() {
        for limit in ["rate-limit, rate: 1/d, algorithm: fixed-window", "quota, quota: 5, window: day"] {
            assert!(read(&format!("{{kind: {limit}, cost: response.bytes, cost-max: 4294967295}}")).is_ok(), "{limit}");
        }
        let known_before = "cost: 'request.query[\"limit\"]', cost-max: 4294967295";
        assert!(read(&format!("{{kind: rate-limit, rate: 1/d, {known_before}}}")).is_ok(), "it is refused, not owed");
    }

    /// A cost that is known before has a place of its own.
    #[track_caller]
    fn check_log(keys: &str) {
        assert!(read(&format!("{{kind: rate-limit, rate: 100/s, algorithm: sliding-log, {keys}}}")).is_ok());
    }
}
