//! What is admitted while the provider of tokens is away, and whether tokens can be revoked.

use tollgate_core::authn::{IdentityRules, OUTAGE_S_MAX, OutageRules};

use super::super::{Absence, Change, Value, Written};
use super::{non_empty, seconds};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::schema::{Key, List, Quantity, Shape};

/// What is admitted while the provider is away, and whether tokens can be revoked.
pub(in crate::policies) const OUTAGE: &[Key] = &[
    Key::optional(
        REVOCABLE,
        "Whether operators can revoke tokens before they end, with `tollgate token revoke`. What they have said is read every 30 \
         seconds. With `on-unavailable: known` they always can.",
        Shape::Boolean,
    )
    .default("false")
    .change(Change::LoosestFirst {
        words: &["false", "true"],
        looser: "tokens that operators have revoked are accepted",
        stricter: "tokens that operators have revoked are refused",
    }),
    Key::optional(
        ON_UNAVAILABLE,
        "What happens to tokens while the provider is away.",
        Shape::Word(ON_UNAVAILABLE_WORDS),
    )
    .default("\"closed\"")
    .change(Change::LoosestFirst {
        words: &["known", "closed"],
        looser: "known tokens are accepted while the provider is away",
        stricter: "tokens that cannot be verified are refused while the provider is away",
    }),
    Key::optional(
        "outage-consumers",
        "The consumers whose tokens may be admitted while the provider is away, by their names in the log.",
        Shape::List(&List::some_texts(Shape::Text, 64)),
    )
    .absent("none; they must be named with `on-unavailable: known`")
    .change(Change::MoreIsLooserIf(Absence::FollowsAnotherKey))
    .examples(&["[\"staff:ada\", \"staff:batch\"]"]),
    Key::optional("outage-for", "How long an outage is ridden out at most.", Shape::Quantity(Quantity::Time))
        .absent("1h, with `on-unavailable: known`")
        .change(Change::MoreIsLooserIf(Absence::FollowsAnotherKey))
        .examples(&["\"4h\""]),
    Key::optional(
        "outage-past-expiry",
        "How long after its end (`exp`) a token may be admitted while the provider is away.",
        Shape::Quantity(Quantity::Duration),
    )
    .absent("not at all")
    .change(Change::MoreIsLooserIf(Absence::FollowsAnotherKey))
    .examples(&["\"15m\""]),
    Key::optional(
        "outage-after",
        "How long an isolate must have failed to reach the provider until it admits tokens by itself.",
        Shape::Quantity(Quantity::Time),
    )
    .absent("only an operator decides it, with `tollgate idp-outage allow`")
    .change(Change::SoonerIsLooser)
    .examples(&["\"10m\""]),
];

const ON_UNAVAILABLE: &str = "on-unavailable";

const ON_UNAVAILABLE_WORDS: &[(&str, &str)] = &[
    ("known", "those that were verified before are admitted, of the consumers in `outage-consumers`"),
    ("closed", "those that cannot be verified are refused"),
];

const IS_KNOWN: &[(&str, bool)] = &[("closed", false), ("known", true)];

/// What is admitted while the provider is away; `Some(None)` if nothing is. `is_fetched` says whether the provider is asked for
/// anything.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
pub(in crate::policies) fn outage(
    written: &Written,
    is_fetched: bool,
    report: &mut Report,
) -> Option<Option<OutageRules>> {
    let is_known = written.word(ON_UNAVAILABLE, IS_KNOWN)?;
    let Some(at) = written.written(ON_UNAVAILABLE).map(|placed| placed.span).filter(|_| is_known) else {
        let only_revocation = || written.boolean(REVOCABLE).then(OutageRules::only_revocation);
        return without_outage(written, report).then(only_revocation);
    };
    if !is_fetched {
        return bad_outage(
            at,
            "`on-unavailable: known` has no effect with keys in the configuration",
            "the provider is never asked, so it is never away",
            "remove it, or fetch the keys from the provider",
            report,
        );
    }
    if written.written("outage-consumers").is_none() {
        return bad_outage(
            at,
            "`on-unavailable: known` names no consumers",
            "tokens are admitted of named consumers only",
            "add `outage-consumers` with the names that they have in the log, such as `[\"staff:ada\"]`",
            report,
        );
    }
    let rules = OutageRules {
        consumers: non_empty(written, "outage-consumers", report)?,
        for_s: within_a_day(written, "outage-for", report)?.unwrap_or(FOR_S),
        late_s: within_a_day(written, "outage-past-expiry", report)?.unwrap_or(0),
        after_s: within_a_day(written, "outage-after", report)?,
    };
    Some(Some(rules))
}

/// Reports consumers that no token of the policy of this name has, so that they are never admitted.
pub(in crate::policies) fn report_strangers(
    policy: &str,
    written: &Written,
    rules: &IdentityRules,
    report: &mut Report,
) {
    let prefix = rules.consumer_prefix.clone().unwrap_or_else(|| format!("{policy}:"));
    let is_mapped = |name: &str| rules.consumers.iter().any(|rule| rule.name == name);
    for name in written.list("outage-consumers") {
        if !name.value.starts_with(&prefix) && !is_mapped(&name.value) {
            let what = format!("no token of the policy has the consumer `{}`", name.value);
            report.push(
                Diagnostic::warning(Code::BadOutage, name.span, what)
                    .why(format!("names of its consumers begin with `{prefix}`, or are those of `map-consumers`"))
                    .fix(format!("write `{prefix}{}`, or the name as it is in the log", name.value)),
            );
        }
    }
}

/// Checks that no key is written that has no effect without `on-unavailable: known`.
fn without_outage(written: &Written, report: &mut Report) -> bool {
    let keys = ["outage-consumers", "outage-for", "outage-past-expiry", "outage-after"];
    let useless = keys.into_iter().find_map(|key| Some((key, written.written(key)?.span)));
    if let Some((key, at)) = useless {
        bad_outage::<()>(
            at,
            format!("`{key}` has no effect without `on-unavailable: known`"),
            "no token is admitted while the provider is away",
            format!("add `on-unavailable: known`, or remove `{key}`"),
            report,
        );
    }
    useless.is_none()
}

/// A duration in seconds of at most a day; `Some(None)` if it is absent.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
fn within_a_day(written: &Written, key: &str, report: &mut Report) -> Option<Option<u32>> {
    let Some(at) = written.written(key).map(|placed| placed.span) else { return Some(None) };
    let in_seconds = seconds(written, key);
    if in_seconds.is_some_and(|seconds| seconds <= OUTAGE_S_MAX) {
        return Some(in_seconds);
    }
    bad_outage(
        at,
        format!("`{key}` is longer than a day"),
        "what is admitted without the provider is an exception, which must end",
        "write a duration of at most `24h`",
        report,
    )
}

fn bad_outage<T>(
    at: Span,
    what: impl Into<String>,
    why: &str,
    fix: impl Into<String>,
    report: &mut Report,
) -> Option<T> {
    report.push(Diagnostic::error(Code::BadOutage, at, what).why(why).fix(fix));
    None
}

/// How long an outage is ridden out, if it is not written: long enough for a person to come.
const FOR_S: u32 = 60 * 60;

const REVOCABLE: &str = "revocable";

/// What is admitted while the provider is away, as it would be written.
pub(in crate::policies) fn outage_values(outage: Option<&OutageRules>) -> impl Iterator<Item = (&'static str, Value)> {
    let revocable = Some((REVOCABLE, Value::Boolean(outage.is_some())));
    let outage = outage.filter(|outage| outage.admits());
    let word = Value::word(ON_UNAVAILABLE, IS_KNOWN, &outage.is_some());
    let duration = |key, seconds: u32| Some((key, Value::DurationMs(u64::from(seconds) * 1_000)));
    let all = [
        revocable,
        word,
        outage.map(|outage| ("outage-consumers", Value::List(outage.consumers.clone()))),
        outage.and_then(|outage| duration("outage-for", outage.for_s)),
        outage.and_then(|outage| duration("outage-past-expiry", outage.late_s)),
        outage.and_then(|outage| duration("outage-after", outage.after_s?)),
    ];
    all.into_iter().flatten()
}
