//! Compares answers with expectations, and reports every difference.

use http::{HeaderMap, HeaderName};
use tollgate_config::Span;
use tollgate_config::policy_tests::{
    BodyExpect, CacheExpect, Expect, FieldExpect, Matcher, PolicyExpect, QuotaExpect, StatusExpect, TextExpect,
    UpstreamExpect,
};
use tollgate_core::cache::{CacheOutcome, Forwarded};
use tollgate_core::event::{Phase, Verdict};
use tollgate_core::forward::OwnCertificate;
use tollgate_core::json::thousandths;
use tollgate_core::limit::fields::{RATELIMIT, RATELIMIT_POLICY};
use tollgate_core::telemetry::ExchangeRecord;
use tollgate_edge::memory::Content;

use super::case::Exchanged;
use super::notice::Sent;
use super::outcome::Mismatch;
use super::script::is_route;
use super::shown::{content_text, json_content, json_text, quoted};
use crate::redaction::shown;

/// The differences between an answer and the expectations.
pub(super) fn judge(expect: &Expect, came: &Exchanged) -> Vec<Mismatch> {
    let mut judge = Judge::default();
    judge.outcome(expect, came);
    judge.decision(expect, &came.record);
    judge.fields("headers", &expect.fields, came.response.headers());
    if let Some(body) = &expect.body {
        judge.body("body", body.span, &body.value, came.response.body());
    }
    if let Some(upstream) = &expect.upstream {
        judge.upstream(upstream, &came.calls);
    }
    judge.quotas(expect, came.response.headers());
    judge.notices(expect, &came.notices);
    judge.found
}

#[derive(Default)]
struct Judge {
    found: Vec<Mismatch>,
}

impl Judge {
    fn differs(&mut self, what: &str, at: Span, expected: impl Into<String>, got: impl Into<String>) {
        self.found.push(Mismatch { what: what.to_owned(), at, expected: expected.into(), got: got.into() });
    }

    /// Compares two texts; the expectation may be that there is none.
    fn name(&mut self, what: &str, at: Span, expected: Option<&str>, got: Option<&str>) {
        if expected != got {
            self.differs(what, at, expected.unwrap_or("none"), got.unwrap_or("none"));
        }
    }

    fn number<N: PartialEq + ToString>(&mut self, what: &str, at: Span, expected: &N, got: Option<N>) {
        if got.as_ref() != Some(expected) {
            let got = got.map_or_else(|| "none".to_owned(), |got| got.to_string());
            self.differs(what, at, expected.to_string(), got);
        }
    }

    fn outcome(&mut self, expect: &Expect, came: &Exchanged) {
        if let Some(status) = &expect.status {
            let got = came.response.status().as_u16();
            let fits = |one: &StatusExpect| match one {
                StatusExpect::Is(status) => *status == got,
                StatusExpect::Class(class) => *class == got / 100,
            };
            if !status.value.iter().any(fits) {
                let expected: Vec<String> = status.value.iter().map(status_text).collect();
                self.differs("status", status.span, expected.join(" or "), got.to_string());
            }
        }
        if let Some(cache) = &expect.cache {
            let got = cache_outcome(came.record.cache());
            if got != cache.value {
                self.differs("cache", cache.span, cache.value.as_str(), got.as_str());
            }
        }
        if let Some(stored) = &expect.stored {
            let got = matches!(came.record.cache(), Some(CacheOutcome::Forwarded { stored: true, .. }));
            if got != stored.value {
                self.differs("stored", stored.span, stored.value.to_string(), got.to_string());
            }
        }
        if let Some(duration) = &expect.duration_ms {
            let got_us = came.record.duration_us;
            if got_us != duration.value.saturating_mul(1_000) {
                let mut got = String::new();
                thousandths(&mut got, got_us);
                self.differs("duration", duration.span, format!("{}ms", duration.value), format!("{got}ms"));
            }
        }
        if let Some(wait) = &expect.retry_after_s {
            let got = came.response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            self.number("retry-after", wait.span, &wait.value, got);
        }
    }

    fn decision(&mut self, expect: &Expect, record: &ExchangeRecord) {
        let refusal = record.refusal();
        if let Some(problem) = &expect.problem {
            let expected = problem.value.map(|kind| kind.slug());
            self.name("problem", problem.span, expected, refusal.map(|refusal| refusal.problem.slug()));
        }
        if let Some(policy) = &expect.policy {
            let expected = match &policy.value {
                PolicyExpect::None => None,
                PolicyExpect::Named(name) => Some(name.as_str()),
            };
            self.name(
                "policy",
                policy.span,
                expected,
                refusal.and_then(|refusal| refusal.policy).map(std::ops::Deref::deref),
            );
        }
        if let Some(route) = &expect.route {
            let got = record.route().map(|route| route.id.as_ref());
            let expected = route.value.as_deref();
            if !got.zip(expected).is_some_and(|(got, expected)| is_route(got, expected)) {
                self.name("route", route.span, expected, got);
            }
        }
        if let Some(phase) = &expect.phase {
            let got = ended_in(record);
            if got != phase.value {
                self.differs("phase", phase.span, phase.value.as_str(), got.as_str());
            }
        }
        if let Some(consumer) = &expect.consumer {
            let got = record.principal().map(|principal| principal.consumer.as_str());
            self.name("consumer", consumer.span, consumer.value.as_deref(), got);
        }
        if let Some(in_outage) = &expect.in_outage {
            let got = record.principal().is_some_and(|principal| principal.in_outage);
            if got != in_outage.value {
                self.differs("in-outage", in_outage.span, in_outage.value.to_string(), got.to_string());
            }
        }
    }

    fn fields(&mut self, what: &str, expected: &[FieldExpect], fields: &HeaderMap) {
        for field in expected {
            let value = field_text(fields, &field.name);
            if !text_fits(&field.value, value.as_deref()) {
                let got = match fields.get(&field.name) {
                    None => "absent".to_owned(),
                    Some(line) if line.is_sensitive() => shown(&field.name, line),
                    Some(_) => quoted(&value.unwrap_or_default()),
                };
                self.differs(&format!("{what}.{}", field.name), field.span, text_expected(&field.value), got);
            }
        }
    }

    fn body(&mut self, what: &str, at: Span, expected: &BodyExpect, content: &Content) {
        let bytes = content.bytes();
        let json = || serde_json::from_slice::<serde_json::Value>(bytes).ok();
        let is_json = matches!(expected, BodyExpect::Json(_) | BodyExpect::JsonHas(_));
        let got = if is_json { json_content(bytes) } else { content_text(bytes) };
        let (fits, expected) = match expected {
            BodyExpect::Empty => (bytes.is_empty(), "no content".to_owned()),
            BodyExpect::Text(text) => {
                let given = String::from_utf8_lossy(bytes);
                let given = (!bytes.is_empty() || !wants_presence(text)).then_some(given.as_ref());
                (text_fits(text, given), text_expected(text))
            }
            BodyExpect::Json(value) => (json().as_ref() == Some(value), json_text(value)),
            BodyExpect::JsonHas(value) => {
                (json().is_some_and(|got| json_has(&got, value)), format!("with {}", json_text(value)))
            }
        };
        if !fits {
            self.differs(what, at, expected, got);
        }
    }

    fn upstream(&mut self, expect: &UpstreamExpect, calls: &[(String, http::Request<Content>)]) {
        if let Some(called) = &expect.called {
            let got = u32::try_from(calls.len()).unwrap_or(u32::MAX);
            self.number("upstream.called", called.span, &called.value, Some(got));
        }
        if !expect.checks_request() {
            return;
        }
        let Some((name, request)) = calls.last() else {
            self.differs("upstream", expect.span, "a call", "it was not called");
            return;
        };
        let exact = [
            ("upstream.name", &expect.name, Some(name.as_str())),
            ("upstream.path", &expect.path, Some(request.uri().path())),
        ];
        for (what, expected, got) in exact {
            if let Some(expected) = expected {
                self.name(what, expected.span, Some(&expected.value), got);
            }
        }
        if let Some(method) = &expect.method {
            self.name("upstream.method", method.span, Some(method.value.as_str()), Some(request.method().as_str()));
        }
        if let Some(query) = &expect.query {
            self.name("upstream.query", query.span, query.value.as_deref(), request.uri().query());
        }
        if let Some(certificate) = &expect.certificate {
            let presented = request.extensions().get::<OwnCertificate>().map(|own| own.name.as_str());
            self.name("upstream.certificate", certificate.span, certificate.value.as_deref(), presented);
        }
        self.fields("upstream.headers", &expect.fields, request.headers());
        if let Some(body) = &expect.body {
            self.body("upstream.body", body.span, &body.value, request.body());
        }
    }

    fn quotas(&mut self, expect: &Expect, fields: &HeaderMap) {
        for (policy, quota) in &expect.quota {
            let QuotaExpect { remaining, limit, reset_s } = quota;
            let member = |field: &HeaderName, parameter: &str| member(fields, field, &policy.value, parameter);
            let what = |name: &str| format!("quota.{}.{name}", policy.value);
            if let Some(expected) = remaining {
                let got = member(&RATELIMIT, "r");
                self.number(&what("remaining"), expected.span, &u64::from(expected.value), got);
            }
            if let Some(expected) = limit {
                let got = member(&RATELIMIT_POLICY, "q");
                self.number(&what("limit"), expected.span, &u64::from(expected.value), got);
            }
            if let Some(expected) = reset_s {
                self.number(&what("reset"), expected.span, &expected.value, member(&RATELIMIT, "t"));
            }
        }
    }

    fn notices(&mut self, expect: &Expect, sent: &[Sent]) {
        let Some(expected) = &expect.notices else { return };
        let (mut left, mut pairs): (Vec<&Sent>, Vec<_>) = (sent.iter().collect(), Vec::new());
        for one in &expected.value {
            let found = left.iter().position(|sent| sent.is_of(one));
            pairs.extend(found.map(|at| (one, left.remove(at))));
        }
        if pairs.len() < expected.value.len() || !left.is_empty() {
            let wanted = expected.value.iter().map(|one| (one.limit.value.as_str(), one.share.value.get().into()));
            let got = shares(sent.iter().map(|one| (one.limit.as_str(), one.share)));
            return self.differs("notices", expected.span, shares(wanted), got);
        }
        for (one, sent) in pairs {
            let what = |name: &str| format!("notices.{}.{name}", one.limit.value);
            for (name, expected, got) in [("consumer", &one.consumer, &sent.consumer), ("plan", &one.plan, &sent.plan)]
            {
                if let Some(expected) = expected {
                    self.name(&what(name), expected.span, expected.value.as_deref(), got.as_deref());
                }
            }
            for (name, expected, got) in [("used", &one.used, sent.used), ("quota", &one.quota, sent.quota)] {
                if let Some(expected) = expected {
                    self.number(&what(name), expected.span, &u64::from(expected.value), got);
                }
            }
        }
    }
}

/// Limits with shares, such as `monthly 80%, spend 95%`.
fn shares<'n>(all: impl Iterator<Item = (&'n str, u64)>) -> String {
    let mut all: Vec<String> = all.map(|(limit, share)| format!("{limit} {share}%")).collect();
    all.sort_unstable();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn status_text(status: &StatusExpect) -> String {
    match status {
        StatusExpect::Is(status) => status.to_string(),
        StatusExpect::Class(class) => format!("{class}xx"),
    }
}

fn cache_outcome(outcome: Option<CacheOutcome>) -> CacheExpect {
    match outcome {
        None => CacheExpect::None,
        Some(CacheOutcome::Hit { .. }) => CacheExpect::Hit,
        Some(CacheOutcome::Forwarded { revalidated: true, .. }) => CacheExpect::Revalidated,
        Some(CacheOutcome::Forwarded { why, .. }) => match why {
            Forwarded::Bypass => CacheExpect::Bypass,
            Forwarded::Method => CacheExpect::Method,
            Forwarded::UriMiss | Forwarded::VaryMiss => CacheExpect::Miss,
            Forwarded::Request => CacheExpect::Request,
            Forwarded::Stale => CacheExpect::Stale,
        },
    }
}

/// The phase that ended an exchange: the one that refused, failed or answered; otherwise `forward`.
fn ended_in(record: &ExchangeRecord) -> Phase {
    let events = record.events.as_slice();
    let last = |verdicts: &[Verdict]| events.iter().rev().find(|e| verdicts.contains(&e.verdict)).map(|e| e.phase);
    let ended = match record.refusal() {
        Some(_) => last(&[Verdict::Refuse, Verdict::Error]),
        None => last(&[Verdict::Answer]),
    };
    ended.unwrap_or(Phase::Forward)
}

/// The lines of a field as one value (RFC 9110, section 5.3).
fn field_text(fields: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<_> = fields.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

fn text_fits(expected: &TextExpect, text: Option<&str>) -> bool {
    expected.0.iter().all(|matcher| match (matcher, text) {
        (Matcher::Absent, text) => text.is_none(),
        (_, None) => false,
        (Matcher::Present, Some(_)) => true,
        (Matcher::Is(expected), Some(text)) => expected == text,
        (Matcher::Contains(part), Some(text)) => text.contains(part.as_str()),
        (Matcher::Matching(pattern), Some(text)) => pattern.is_match(text),
    })
}

/// Whether it only checks that a value is present or absent.
fn wants_presence(expected: &TextExpect) -> bool {
    expected.0.iter().any(|matcher| matches!(matcher, Matcher::Present | Matcher::Absent))
}

fn text_expected(expected: &TextExpect) -> String {
    let one = |matcher: &Matcher| match matcher {
        Matcher::Is(text) => quoted(text),
        Matcher::Contains(part) => format!("containing {}", quoted(part)),
        Matcher::Matching(pattern) => format!("matching {}", quoted(pattern.as_str())),
        Matcher::Present => "present".to_owned(),
        Matcher::Absent => "absent".to_owned(),
    };
    expected.0.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// Whether a value contains the wanted one: mappings may have additional members, lists may not have additional items.
fn json_has(got: &serde_json::Value, wanted: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (got, wanted) {
        (Value::Object(got), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| got.get(key).is_some_and(|got| json_has(got, wanted)))
        }
        (Value::Array(got), Value::Array(wanted)) => {
            got.len() == wanted.len() && got.iter().zip(wanted).all(|(got, wanted)| json_has(got, wanted))
        }
        (got, wanted) => got == wanted,
    }
}

/// A parameter of a policy's member in a RateLimit field, such as `r` of `"burst";r=3;t=10`.
fn member(fields: &HeaderMap, field: &HeaderName, policy: &str, parameter: &str) -> Option<u64> {
    let text = field_text(fields, field)?;
    let named = format!("\"{policy}\"");
    let member = text.split(',').map(str::trim).find(|member| member.split(';').next() == Some(named.as_str()))?;
    let mut parameters = member.split(';').filter_map(|part| part.split_once('='));
    parameters.find(|(name, _)| *name == parameter)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_has_its_wanted_members_and_perhaps_others() {
        for (got, wanted, expected) in [
            (json!({"a": 1, "b": 2}), json!({"a": 1}), true),
            (json!({"a": {"b": [1, {"c": 2, "d": 3}]}}), json!({"a": {"b": [1, {"c": 2}]}}), true),
            (json!({"a": 1}), json!({"a": 2}), false),
            (json!({"a": 1}), json!({"b": 1}), false),
            (json!([1, 2]), json!([1]), false),
            (json!(null), json!({}), false),
        ] {
            assert_eq!(json_has(&got, &wanted), expected, "{got} {wanted}");
        }
    }

    #[test]
    fn a_quota_is_read_from_the_fields() {
        let mut fields = HeaderMap::new();
        fields.insert(RATELIMIT, "\"burst\";r=3;t=10, \"burst-2\";r=4;t=20".parse().unwrap());
        fields.append(RATELIMIT, "\"burst-3\";r=5;t=30".parse().unwrap());
        assert_eq!(member(&fields, &RATELIMIT, "burst", "r"), Some(3));
        assert_eq!(member(&fields, &RATELIMIT, "burst-2", "t"), Some(20));
        assert_eq!(member(&fields, &RATELIMIT, "burst-3", "r"), Some(5));
        assert_eq!(member(&fields, &RATELIMIT, "urst", "r"), None);
        assert_eq!(member(&fields, &RATELIMIT_POLICY, "burst", "q"), None);
    }
}
