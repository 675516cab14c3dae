//! `kind: quota`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use tollgate_core::limit::{QuotaSettings, Unit, Windows};

use super::budget;
use super::cost::Charging;
use super::counting::{self, Common};
use super::{Change, Kind, OF_BUDGET, PlanLimit, Value, Written, cost, kind_key};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::schema::texts::BUDGET;
use crate::schema::{Key, Object, Rule, Shape};
use crate::zones;

/// A short description of the kind.
pub(super) const DOES: &str = "limits the number of requests in each day, month or other window; named in `limit`";

pub(super) static TABLE: Object = Object {
    name: "quota",
    doc: "Limits the number of requests in each window of a calendar, and answers further requests with 429 until the next \
          one begins. Named in `limit`, or in `guard` if `by` needs no caller.",
    keys: &[
        kind_key(&[("quota", DOES)]),
        Key::optional("quota", "The number of requests in one window.", Shape::Integer(1, u32::MAX as i64))
            .absent(OF_BUDGET)
            .change(Change::MoreIsLooser)
            .examples(&["100000"]),
        Key::optional(
            "budget",
            "What the operator spends in one window, in place of `quota`: an amount of money, of which the compiler computes the number of \
             requests by the price list (`prices.yaml`) and the largest cost of a request on the platforms in `gateway.target`; or a number of \
             calls. All callers share it: `by` is `route` (the default here), `api`, `upstream` or `gateway`. Beyond it requests are answered with \
             503, also while the counter store is unavailable, unless `on-unavailable` says otherwise.",
            Shape::Ruled(&BUDGET),
        )
        .absent("a limit of callers")
        .change(Change::Review("another amount is spent, or another problem tells that it is"))
        .examples(&["\"20 USD\"", "\"100000 calls\""]),
        Key::required("window", "The window.", Shape::Word(UNIT_WORDS))
            .change(Change::LoosestFirst {
                words: &["minute", "hour", "day", "week", "month", "quarter", "year"],
                looser: "as many requests as before are accepted in a shorter window, and counts may begin at zero",
                stricter: "as many requests as before are accepted in a longer window, and counts may begin at zero",
            })
            .examples(&["\"month\""]),
        Key::optional(
            "zone",
            "The time zone (IANA) in which days begin at midnight, with its changes of clocks.",
            Shape::Text,
        )
        .default("\"UTC\"")
        .change(Change::Review("windows begin at another time, and counts may begin at zero"))
        .examples(&["\"Europe/Paris\""]),
        Key::optional(
            "anchor-day",
            "The day of the month on which windows of a month, a quarter or a year begin. In a month without such a day, its last day.",
            Shape::Integer(1, 31),
        )
        .absent("the first day")
        .change(Change::Review("windows begin on another day, and counts may begin at zero"))
        .examples(&["15"]),
        Key::optional("anchor-month", "The month in which windows of a year begin, from 1 to 12.", Shape::Integer(1, 12))
            .absent("January")
            .change(Change::Review("windows begin in another month, and counts may begin at zero"))
            .examples(&["4"]),
        Key::optional("anchor-weekday", "The day of the week on which windows of a week begin.", Shape::Word(DAY_WORDS))
            .absent("monday")
            .change(Change::Review("windows begin on another day, and counts may begin at zero"))
            .examples(&["\"sunday\""]),
    ],
    rules: &[Rule::OneOf(&["quota", "budget"])],
    shared: &[counting::KEYS, counting::EXACT_KEYS],
    examples: &["{\"kind\": \"quota\", \"quota\": 100000, \"window\": \"month\", \"zone\": \"Europe/Paris\", \"warn\": [\"80%\"]}"],
    ..Object::PLAIN
};

const UNIT_WORDS: &[(&str, &str)] = &[
    ("minute", "from a full minute of UTC"),
    ("hour", "from a full hour of UTC"),
    ("day", "from midnight to midnight"),
    ("week", "seven days"),
    ("month", "from a day of the month to that of the next"),
    ("quarter", "three months, from January, April, July or October"),
    ("year", "twelve months"),
];

const UNITS: &[(&str, Unit)] = &[
    ("minute", Unit::Minute),
    ("hour", Unit::Hour),
    ("day", Unit::Day),
    ("week", Unit::Week),
    ("month", Unit::Month),
    ("quarter", Unit::Quarter),
    ("year", Unit::Year),
];

const DAY_WORDS: &[(&str, &str)] = &[
    ("monday", ""),
    ("tuesday", ""),
    ("wednesday", ""),
    ("thursday", ""),
    ("friday", ""),
    ("saturday", ""),
    ("sunday", ""),
];

const DAYS: &[(&str, u16)] =
    &[("monday", 1), ("tuesday", 2), ("wednesday", 3), ("thursday", 4), ("friday", 5), ("saturday", 6), ("sunday", 7)];

impl Kind for QuotaSettings {
    const TAKES_PLANS: bool = true;

    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let budget = written.parsed("budget", |text| budget::read(text, report))?;
        let quota = match &budget {
            None => NonZeroU32::new(written.integer("quota")?.value)?,
            Some(budget) => budget.calls().unwrap_or(NonZeroU32::MAX),
        };
        let common = counting::lower(written, report);
        let windows = windows(written, report)?;
        let mut common = common?;
        if let Some(budget) = &budget {
            budget.apply(written, &mut common, report)?;
        }
        let Common { by, on_unavailable, counting } = common;
        counting::check_at_most(written, &counting, quota, u32::MAX, report).then_some(())?;
        let counting = cost::lower(written, counting, Charging { own: quota, places: None, flow: None }, report)?;
        Some(Self { quota, windows, by, on_unavailable, plans: BTreeMap::new(), counting })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let Self { quota, windows: Windows { unit, anchor, zone_name, .. }, by, on_unavailable, counting, .. } = self;
        let mut values = vec![("quota", Value::Integer(quota.get().into()))];
        values.extend(counting.budget.clone().map(|budget| ("budget", Value::Text(budget))));
        values.extend(Value::word("window", UNITS, unit));
        values.push(("zone", Value::Text(if zone_name.is_empty() { "UTC".to_owned() } else { zone_name.clone() })));
        let number = |key, number: u16| (key, Value::Integer(number.into()));
        match (unit, anchor) {
            (Unit::Week, Some(day)) => values.extend(Value::word("anchor-weekday", DAYS, day)),
            (Unit::Year, Some(date)) => {
                values.extend([number("anchor-day", date % 100), number("anchor-month", date / 100)]);
            }
            (_, Some(day)) => values.push(number("anchor-day", *day)),
            (_, None) => {}
        }
        values.extend(counting::values(*by, *on_unavailable, counting));
        values.extend(counting::consistency(counting));
        values.extend(counting::counted(counting));
        values
    }

    fn take_plan(&mut self, plan: &str, limit: &PlanLimit, _report: &mut Report) -> bool {
        let PlanLimit::Quota(quota) = limit else { return false };
        if self.counting.budget.is_some() {
            return false;
        }
        self.plans.extend(NonZeroU32::new(quota.value).map(|quota| (plan.to_owned(), quota)));
        true
    }

    fn plans(&self) -> Vec<(&str, Vec<(&'static str, Value)>)> {
        let value = |quota: &NonZeroU32| vec![("quota", Value::Integer(quota.get().into()))];
        self.plans.iter().map(|(plan, quota)| (plan.as_str(), value(quota))).collect()
    }
}

fn windows(written: &Written, report: &mut Report) -> Option<Windows> {
    let unit = written.word("window", UNITS)?;
    let begins_with_day = !matches!(unit, Unit::Minute | Unit::Hour);
    let fits = |key: &str| match key {
        "anchor-day" => matches!(unit, Unit::Month | Unit::Quarter | Unit::Year),
        "anchor-month" => unit == Unit::Year,
        "anchor-weekday" => unit == Unit::Week,
        _ => begins_with_day,
    };
    for key in ["anchor-day", "anchor-month", "anchor-weekday", "zone"] {
        if let Some(placed) = written.written(key).filter(|_| !fits(key)) {
            let word = UNITS.iter().find(|(_, known)| *known == unit).map_or("", |(word, _)| word);
            let article = if unit == Unit::Hour { "an" } else { "a" };
            let what = format!("`{key}` has no effect on windows of {article} {word}");
            report.push(
                Diagnostic::error(Code::BadLimit, placed.span, what)
                    .why("it says where longer or other windows begin")
                    .fix(format!("remove `{key}`, or write another `window`")),
            );
            return None;
        }
    }
    let name = written.text("zone")?;
    let zone = if name.value == "UTC" { None } else { Some(zone(&name, report)?) };
    let integer = |key| written.integer(key).and_then(|number| u16::try_from(number.value).ok());
    let (day, month) = (integer("anchor-day"), integer("anchor-month"));
    let first = match unit {
        Unit::Year => Some(101),
        Unit::Minute | Unit::Hour | Unit::Day | Unit::Week | Unit::Month | Unit::Quarter => Some(1),
    };
    let anchor = match unit {
        Unit::Week => written.word("anchor-weekday", DAYS),
        Unit::Year => day.or(month).map(|_| month.unwrap_or(1) * 100 + day.unwrap_or(1)),
        Unit::Minute | Unit::Hour | Unit::Day | Unit::Month | Unit::Quarter => day,
    };
    // The first day is what it is without an anchor.
    let anchor = anchor.filter(|_| anchor != first);
    let zone_name = if zone.is_some() { name.value } else { String::new() };
    Some(Windows { unit, anchor, zone, zone_name })
}

fn zone(name: &crate::place::Spanned<String>, report: &mut Report) -> Option<tollgate_core::time::Zone> {
    let found = zones::zone(&name.value);
    if found.is_none() {
        let fix = zones::meant(&name.value).map_or_else(
            || "write a name such as `Europe/Paris`".to_owned(),
            |meant| format!("did you mean `{meant}`?"),
        );
        report.push(
            Diagnostic::error(Code::BadLimit, name.span, format!("`{}` is no time zone", name.value))
                .why("the names are those of the IANA time zone database")
                .fix(fix),
        );
    }
    found
}
