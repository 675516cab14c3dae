//! The keys that all kinds of limits have in common.

use std::num::{NonZeroU8, NonZeroU32};

use tollgate_core::client::Prefixes;
use tollgate_core::expression::{Expression, Node, Source};
use tollgate_core::limit::{Consistency, Counting, LimitBy, OnUnavailable, PARTS_MAX, Part, Statuses, WARNINGS_MAX};

use super::{Change, Value, Written, cost};
use crate::decode::habits::{unit, word};
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::expression::compile_value;
use crate::place::Spanned;
use crate::schema::texts::{PART, PERCENT, STATUSES};
use crate::schema::{Key, List, Quantity, Shape, units};

/// Whose requests share a quota, and what else does not depend on how a limit counts.
pub(super) const KEYS: &[Key] = &[
    Key::optional(
        "by",
        "Which requests are counted together: those with the same `consumer` (without authentication, the client's address), \
         `address`, `installation` (tokens that are bound to the same key or certificate; otherwise as `consumer`), `credential`, `subscription` (of the consumer to a product; otherwise as `consumer`), `route`, `api`, \
         `upstream`, all of the `gateway`, or with the same value of an expression such as `request.headers[\"x-tenant\"]`, `request.cookies[\"session\"]`, `request.query[\"shop\"]`, `params.store`, \
         `principal.claims.tenant`, `client.country`. A list counts those together for which all are the same.",
        PARTS,
    )
    .default("\"consumer\"")
    .change(Change::Review("other requests are counted together, from zero"))
    .examples(&["\"address\"", "[\"consumer\", \"route\"]", "[\"principal.claims.tenant\"]"]),
    Key::optional(
        "ipv6-prefix",
        "How many bits of an IPv6 address are counted together, where requests are counted by address.",
        Shape::Integer(Prefixes::LEAST.ipv6 as i64, Prefixes::MOST.ipv6 as i64),
    )
    .absent("64")
    .change(Change::Review("other clients are counted together, from zero"))
    .examples(&["56"]),
    Key::optional(
        "ipv4-prefix",
        "How many bits of an IPv4 address are counted together, where requests are counted by address.",
        Shape::Integer(Prefixes::LEAST.ipv4 as i64, Prefixes::MOST.ipv4 as i64),
    )
    .absent("32")
    .change(Change::Review("other clients are counted together, from zero"))
    .examples(&["24"]),
    Key::optional(
        "at-most",
        "The largest number that records of plans, subscriptions and grants may give the limit: requests in its period or window, or at the \
         same time, and of a burst. Without it, they give it none.",
        Shape::Integer(1, u32::MAX as i64),
    )
    .absent("records change nothing")
    .change(Change::MoreIsLooser)
    .examples(&["50000"]),
    Key::optional(
        "limit-from",
        "With `at-most`: the claim of the caller that has the number of the limit, a whole number from 1 to `at-most`. Anything else in it has \
         no effect, and the trace tells it. A subscription comes before it.",
        Shape::Text,
    )
    .absent("no claim has it")
    .change(Change::Review("callers have other numbers"))
    .examples(&["\"principal.claims.quota\""]),
    Key::optional(
        "on-unavailable",
        "What happens to requests while the counter store is unavailable.",
        Shape::Word(ON_UNAVAILABLE_WORDS),
    )
    .default("\"open\"")
    .change(Change::LoosestFirst {
        words: &["open", "degrade", "closed"],
        looser: "more requests are accepted while the counter store is unavailable",
        stricter: "requests are refused while the counter store is unavailable",
    }),
    Key::optional(
        "degrade-to",
        "With `on-unavailable: degrade`: the share of the limit that each isolate of the gateway admits by itself, rounded up.",
        Shape::Ruled(&PERCENT),
    )
    .absent("10%, with `on-unavailable: degrade`")
    .change(Change::Review("more or fewer requests are accepted while the counter store is unavailable"))
    .examples(&["\"25%\""]),
    Key::optional(
        "timeout",
        "How long a request waits for the counter store, which is then unavailable.",
        Shape::Quantity(Quantity::Time),
    )
    .absent("3s")
    .change(Change::Review("the counter store counts as unavailable after another time"))
    .examples(&["\"200ms\""]),
    Key::optional(
        "shadow",
        "Whether the limit is only observed: it counts, and log, trace and metrics tell which requests it would refuse, but it \
         refuses none.",
        Shape::Boolean,
    )
    .default("false")
    .change(Change::LoosestFirst {
        words: &["true", "false"],
        looser: "requests beyond the limit are only observed, and accepted",
        stricter: "requests beyond the limit are refused",
    }),
    Key::optional(
        "warn",
        "The shares of the limit that log, trace and metrics tell of when a request reaches them.",
        SHARES,
    )
    .absent("none")
    .change(Change::Review("other shares are told of; the same requests are accepted"))
    .examples(&["[\"80%\", \"95%\"]"]),
];

/// Where a rate limit counts.
pub(super) const LEASED_KEYS: &[Key] =
    &[CONSISTENCY.default("\"leased\""), CHARGE, COUNT_WHEN, cost::OF, cost::PER, cost::RESERVE, cost::MOST];

/// Where a quota counts.
pub(super) const EXACT_KEYS: &[Key] =
    &[CONSISTENCY.default("\"exact\""), CHARGE, COUNT_WHEN, cost::OF, cost::PER, cost::RESERVE, cost::MOST];

const CONSISTENCY: Key = Key::optional("consistency", "Where requests are counted.", Shape::Word(CONSISTENCY_WORDS))
    .change(Change::LoosestFirst {
        words: &["local", "leased", "exact"],
        looser: "more requests than before can pass in the same time",
        stricter: "fewer requests than before can pass in the same time",
    });

const CHARGE: Key =
    Key::optional(CHARGE_KEY, "When the owner of the counter is asked, if it has to be.", Shape::Word(CHARGE_WORDS))
        .absent("`before`")
        .change(Change::Review("the upstream receives requests that the limit refuses, or receives them no more"))
        .examples(&["\"beside\""]);

const CHARGE_KEY: &str = "charge";

const COUNT_WHEN: Key = Key::optional(
    "count-when",
    "The responses after which a request counts. It is charged before it is forwarded, and what was charged is given back after any other response.",
    Shape::Ruled(&STATUSES),
)
.absent("all responses")
.change(Change::Review("requests count after other responses"))
.examples(&["\"status < 500\"", "\"status == 401\""]);

const CONSISTENCY_WORDS: &[(&str, &str)] = &[
    (
        "exact",
        "each request at the owner of its counter: nothing beyond the limit passes, and each request waits for a call",
    ),
    (
        "leased",
        "isolates take permits ahead at the owner, and use them within a second: only hot partitions, small limits are exact. In any `t` \
         seconds, what the limit admits in `t + 1` can pass; what it admits in a window is never exceeded",
    ),
    ("local", "each isolate of the gateway counts by itself, without a call: the limit applies to each of them"),
];

const CHARGE_WORDS: &[(&str, &str)] = &[
    ("before", "before the request goes on"),
    (
        "beside",
        "while the request goes on to the cache and to the upstream, whose response waits for the answer: a request that is refused may have \
         reached the upstream. For reads",
    ),
];

const CHARGES: &[(&str, bool)] = &[("before", false), ("beside", true)];

const CONSISTENCIES: &[(&str, Consistency)] =
    &[("exact", Consistency::Exact), ("leased", Consistency::Leased), ("local", Consistency::Local)];

const PARTS: Shape =
    Shape::AnyOf(&[Shape::Ruled(&PART), Shape::List(&List::some_texts(Shape::Ruled(&PART), PARTS_MAX))]);

const SHARES: Shape = Shape::List(&List::some_texts(Shape::Ruled(&PERCENT), WARNINGS_MAX));

const ON_UNAVAILABLE_WORDS: &[(&str, &str)] = &[
    ("open", "requests are accepted"),
    ("degrade", "each isolate of the gateway counts by itself, up to a share of the limit"),
    ("closed", "requests are refused"),
];

/// What each word means, and whether isolates count by themselves.
const ON_UNAVAILABLE: &[(&str, (OnUnavailable, bool))] = &[
    ("open", (OnUnavailable::Open, false)),
    ("degrade", (OnUnavailable::Closed, true)),
    ("closed", (OnUnavailable::Closed, false)),
];

const BY: &[(&str, Part)] = &[
    ("consumer", Part::By(LimitBy::Consumer)),
    ("address", Part::By(LimitBy::Address)),
    ("installation", Part::By(LimitBy::Installation)),
    ("credential", Part::Credential),
    ("subscription", Part::Subscription),
    ("route", Part::Route),
    ("api", Part::Api),
    ("upstream", Part::Upstream),
    ("gateway", Part::Gateway),
];

/// What the keys say.
pub(super) struct Common {
    pub(super) by: LimitBy,
    pub(super) on_unavailable: OnUnavailable,
    pub(super) counting: Counting,
}

/// Converts the written values; `None` if one is refused, which is reported.
pub(super) fn lower(written: &Written, report: &mut Report) -> Option<Common> {
    let (on_unavailable, degrades) = written.word("on-unavailable", ON_UNAVAILABLE)?;
    let degrade = degrade(written, degrades, report)?;
    let timeout_ms = timeout(written, report)?;
    let at_most = written.integer("at-most").and_then(|most| NonZeroU32::new(most.value));
    let number_from = number_from(written, at_most, report)?;
    let (texts, shadow) = (written.list("by"), written.boolean("shadow"));
    let parts: Vec<Part> = texts.iter().filter_map(|text| part(text, report)).collect();
    let shares = written.list("warn");
    let mut warn: Vec<NonZeroU8> = shares.iter().filter_map(|share| percent(share, report)).collect();
    if parts.len() < texts.len() || warn.len() < shares.len() {
        return None;
    }
    for (place, text) in texts.iter().enumerate() {
        if parts[..place].contains(&parts[place]) {
            report_twice(text, report);
            return None;
        }
    }
    warn.sort_unstable();
    warn.dedup();
    let (by, parts) = match parts.as_slice() {
        [Part::By(by)] => (*by, Vec::new()),
        _ => (LimitBy::default(), parts),
    };
    // A kind without the key counts exactly.
    let consistency = written.word("consistency", CONSISTENCIES).unwrap_or_default();
    let count_when = count_when(written, report)?;
    let prefixes = prefixes(written, &parts, report)?;
    let beside = beside(written, consistency, report)?;
    let counting = Counting {
        parts,
        shadow,
        warn,
        degrade,
        timeout_ms,
        consistency,
        at_most,
        count_when,
        number_from,
        budget: None,
        cost: None,
        prefixes,
        beside,
    };
    Some(Common { by, on_unavailable, counting })
}

/// Checks that the bound for records is no less than the policy's own number, and no more than the kind can count.
pub(super) fn check_at_most(
    written: &Written,
    counting: &Counting,
    own: NonZeroU32,
    most: u32,
    report: &mut Report,
) -> bool {
    let (Some(at_most), Some(placed)) = (counting.at_most, written.integer("at-most")) else { return true };
    let diagnostic = if at_most < own {
        let what = format!("`at-most` is {at_most}, less than the {own} of the limit itself");
        Diagnostic::error(Code::BadLimit, placed.span, what)
            .why("it is the largest number that records of plans, subscriptions and grants may give the limit")
            .fix("write the largest number that a customer may ever have")
    } else if at_most.get() > most {
        Diagnostic::error(
            Code::BadLimit,
            placed.span,
            format!("`at-most` is {at_most}, and this limit counts up to {most}"),
        )
        .why("it stores each request by itself")
        .fix(format!("write at most {most}"))
    } else {
        return true;
    };
    report.push(diagnostic);
    false
}

/// The values as they would be written.
pub(super) fn values(
    by: LimitBy,
    on_unavailable: OnUnavailable,
    counting: &Counting,
) -> impl Iterator<Item = (&'static str, Value)> {
    let only = [Part::By(by)];
    let parts = if counting.parts.is_empty() { &only[..] } else { &counting.parts };
    let by = ("by", Value::List(parts.iter().map(written_part).collect()));
    let usual = Prefixes::default();
    let Prefixes { ipv4, ipv6 } = counting.prefixes;
    let ipv6 = (ipv6 != usual.ipv6).then(|| ("ipv6-prefix", Value::Integer(ipv6.into())));
    let ipv4 = (ipv4 != usual.ipv4).then(|| ("ipv4-prefix", Value::Integer(ipv4.into())));
    let shadow = ("shadow", Value::Boolean(counting.shadow));
    let warn = counting.warn.iter().map(|share| format!("{share}%")).collect::<Vec<_>>();
    let warn = (!warn.is_empty()).then_some(("warn", Value::List(warn)));
    let at_most = counting.at_most.map(|most| ("at-most", Value::Integer(most.get().into())));
    let number_from = counting.number_from.as_ref().map(|source| ("limit-from", Value::Text(source.to_string())));
    let share = counting.degrade.map(|share| ("degrade-to", Value::Text(format!("{share}%"))));
    let timeout = counting.timeout_ms.map(|ms| ("timeout", Value::DurationMs(ms.get().into())));
    let word = (on_unavailable, share.is_some());
    let on_unavailable = Value::word("on-unavailable", ON_UNAVAILABLE, &word);
    std::iter::once(by)
        .chain(ipv6)
        .chain(ipv4)
        .chain(at_most)
        .chain(number_from)
        .chain(on_unavailable)
        .chain(share)
        .chain(timeout)
        .chain([shadow])
        .chain(warn)
}

/// The value of `consistency`, for kinds that have it.
pub(super) fn consistency(counting: &Counting) -> Option<(&'static str, Value)> {
    Value::word("consistency", CONSISTENCIES, &counting.consistency)
}

/// The values of `charge`, `count-when`, and of what a request costs, for kinds that have them.
pub(super) fn counted(counting: &Counting) -> impl Iterator<Item = (&'static str, Value)> {
    let charge = Value::word(CHARGE_KEY, CHARGES, &counting.beside).filter(|_| counting.beside);
    let statuses = counting.count_when.as_ref().map(|statuses| ("count-when", Value::Text(statuses.to_string())));
    charge.into_iter().chain(statuses).chain(cost::values(counting))
}

/// Reports `charge: beside` of a limit that has to know first, for this reason.
pub(super) fn refuse_beside(written: &Written, why: &str, fix: &str, report: &mut Report) {
    let Some(placed) = written.written(CHARGE_KEY) else { return };
    let what = "`charge: beside` does not go with this limit";
    report.push(Diagnostic::error(Code::BadLimit, placed.span, what).why(why).fix(fix));
}

fn written_part(part: &Part) -> String {
    let word = BY.iter().find(|(_, known)| known == part).map(|(word, _)| (*word).to_owned());
    word.unwrap_or_else(|| match part {
        Part::Value(source) => source.to_string(),
        Part::By(_)
        | Part::Credential
        | Part::Subscription
        | Part::Route
        | Part::Api
        | Part::Upstream
        | Part::Gateway => String::new(),
    })
}

fn part(text: &Spanned<String>, report: &mut Report) -> Option<Part> {
    if let Some((_, part)) = BY.iter().find(|(word, _)| *word == text.value) {
        return Some(part.clone());
    }
    let words = || BY.iter().map(|(word, _)| *word);
    let is_word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_word(&text.value) {
        let allowed: Vec<&str> = words().collect();
        let closest = || closest(&text.value, words()).map(|word| format!("did you mean `{word}`?"));
        let fix = word::fix(&text.value, &allowed).map(str::to_owned).or_else(closest).unwrap_or_else(|| {
            format!("write {}, or an expression such as `request.headers[\"x-tenant\"]`", listed(words()))
        });
        report_part(text, format!("`{}` is nothing that requests have in common", text.value), fix, report);
        return None;
    }
    match compile_value(&text.value) {
        Ok(expression) => match source_of(&expression) {
            Some(source) => Some(Part::Value(source)),
            None => {
                let what = format!("`{}` is no single value of the request, its client or its caller", text.value);
                let fix = "read one text, such as `request.headers[\"x-tenant\"]`, `params.store` or `principal.claims.tenant`; \
                           several are a list";
                report_part(text, what, fix.to_owned(), report);
                None
            }
        },
        Err(fault) => {
            report.push(Diagnostic::error(Code::BadExpression, text.span, fault.what).why(fault.why).fix(fault.fix));
            None
        }
    }
}

/// What an expression reads, if it is one value that is read as it is.
pub(super) fn source_of(expression: &Expression) -> Option<Source> {
    let mut nodes = expression.nodes().iter();
    match (nodes.next(), nodes.next()) {
        (Some(Node::Read(Source::Now | Source::Scopes | Source::Groups)), _) => None,
        (Some(Node::Read(source)), None) => Some(source.clone()),
        _ => None,
    }
}

/// How many bits of addresses are counted together.
fn prefixes(written: &Written, parts: &[Part], report: &mut Report) -> Option<Prefixes> {
    let usual = Prefixes::default();
    let own = |key| Some((key, written.integer(key)?));
    let (ipv4, ipv6) = (own("ipv4-prefix"), own("ipv6-prefix"));
    let counts_addresses = |part: &Part| matches!(part, Part::By(_) | Part::Credential | Part::Subscription);
    let are_used = parts.is_empty() || parts.iter().any(counts_addresses);
    if let Some((key, placed)) = ipv4.as_ref().or(ipv6.as_ref()).filter(|_| !are_used) {
        report.push(
            Diagnostic::error(Code::BadLimit, placed.span, format!("`{key}` has no effect"))
                .why("`by` does not count by address, nor by something that counts those without it by address")
                .fix(format!("remove `{key}`, or write `by: address`")),
        );
        return None;
    }
    let bits = |own: Option<(&str, Spanned<u32>)>, usual: u8| {
        own.map_or(Some(usual), |(_, placed)| u8::try_from(placed.value).ok())
    };
    Some(Prefixes { ipv4: bits(ipv4, usual.ipv4)?, ipv6: bits(ipv6, usual.ipv6)? })
}

/// Whether requests go on while the owner of their counter is asked.
fn beside(written: &Written, consistency: Consistency, report: &mut Report) -> Option<bool> {
    let beside = written.word(CHARGE_KEY, CHARGES).unwrap_or_default();
    if beside && consistency == Consistency::Local {
        let why = "with `consistency: local` each isolate counts by itself, and no request waits for a call";
        refuse_beside(written, why, "remove `charge`, or write another `consistency`", report);
        return None;
    }
    Some(beside)
}

/// The responses that count; `Some(None)` if all do.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
fn count_when(written: &Written, report: &mut Report) -> Option<Option<Statuses>> {
    let Some(text) = written.text("count-when") else { return Some(None) };
    match Statuses::parse(&text.value) {
        Ok(statuses) => Some(Some(statuses)),
        Err(error) => {
            let what = format!("`count-when` is `{}`", text.value);
            let diagnostic = Diagnostic::error(Code::BadLimit, text.span, what).why(error.to_string());
            report.push(diagnostic.fix("write which responses count, such as `status < 500`, or leave it out"));
            None
        }
    }
}

/// The claim with the number of the limit; `Some(None)` if there is none.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
fn number_from(written: &Written, at_most: Option<NonZeroU32>, report: &mut Report) -> Option<Option<Source>> {
    let Some(text) = written.text("limit-from") else { return Some(None) };
    let claim = compile_value(&text.value).ok().as_ref().and_then(source_of);
    let claim = claim.filter(|source| matches!(source, Source::Claim(_)));
    if let (Some(claim), Some(_)) = (&claim, at_most) {
        return Some(Some(claim.clone()));
    }
    let (what, fix) = if claim.is_none() {
        let what = format!("`{}` is no claim of the caller", text.value);
        (what, "write a claim such as `principal.claims.quota`")
    } else {
        ("`limit-from` needs `at-most`".to_owned(), "add `at-most` with the largest number that a claim may have")
    };
    report.push(
        Diagnostic::error(Code::BadLimit, text.span, what)
            .why("whoever issues tokens would decide what the gateway lets through")
            .fix(fix),
    );
    None
}

/// The share of the limit that isolates admit by themselves; `Some(None)` if they do not.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
fn degrade(written: &Written, degrades: bool, report: &mut Report) -> Option<Option<NonZeroU8>> {
    match written.text("degrade-to") {
        Some(text) if !degrades => {
            report.push(
                Diagnostic::error(
                    Code::BadLimit,
                    text.span,
                    "`degrade-to` has no effect without `on-unavailable: degrade`",
                )
                .why("otherwise isolates do not count by themselves")
                .fix("add `on-unavailable: degrade`, or remove `degrade-to`"),
            );
            None
        }
        Some(text) => percent(&text, report).map(Some),
        None => Some(DEGRADE_TO.filter(|_| degrades)),
    }
}

/// A share that a few dozen isolates may admit at the same time without doing much harm.
const DEGRADE_TO: Option<NonZeroU8> = NonZeroU8::new(10);

/// How long the store is waited for, in milliseconds; `Some(None)` if that is not written.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
fn timeout(written: &Written, report: &mut Report) -> Option<Option<NonZeroU32>> {
    let Some(stated) = written.duration_ms("timeout") else { return Some(None) };
    let ms = u32::try_from(stated.value).ok().filter(|ms| (TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX).contains(ms));
    if ms.is_none() {
        report.push(
            Diagnostic::error(Code::BadLimit, stated.span, "`timeout` of a limit is from 10ms to 3s")
                .why("after 3s every store counts as unavailable, and none answers at once")
                .fix("write a time such as `200ms`, or remove it"),
        );
    }
    ms.map(NonZeroU32::new)
}

const TIMEOUT_MS_MIN: u32 = 10;
const TIMEOUT_MS_MAX: u32 = 3_000;

fn percent(text: &Spanned<String>, report: &mut Report) -> Option<NonZeroU8> {
    let share = units::percent(&text.value);
    if share.is_none() {
        let meant = unit::percent(&text.value).map(|share| format!("`{share}`"));
        report.push(
            Diagnostic::error(Code::BadLimit, text.span, format!("`{}` is no share of a limit", text.value))
                .why("a share is a whole number of percent, from 1% to 100%")
                .fix(format!("write {}", meant.as_deref().unwrap_or("a share such as `80%`"))),
        );
    }
    share
}

fn report_part(text: &Spanned<String>, what: String, fix: String, report: &mut Report) {
    let why = "`by` says which requests share a quota";
    report.push(Diagnostic::error(Code::BadLimit, text.span, what).why(why).fix(fix));
}

fn report_twice(text: &Spanned<String>, report: &mut Report) {
    report_part(text, format!("`{}` is listed twice", text.value), "remove one of them".to_owned(), report);
}
