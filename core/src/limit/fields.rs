//! The response fields that describe a client's limits.
//!
//! `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-10 (only this file depends on the
//! version), and `Retry-After` (RFC 9110, section 10.2.3), always with a 429.

use http::HeaderName;

use crate::cell::{Charge, Verdict};
use crate::text::decimal;

/// The name of the policy field.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The name of the state field.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Writes the value of `RateLimit-Policy`: a quota of `q` units, fully available again after `w` seconds.
pub fn policy_field<'c>(out: &mut String, charges: impl IntoIterator<Item = &'c Charge>) {
    list(out, charges.into_iter(), |out, c| {
        member(out, &c.quota, [(";q=", c.burst.get().into()), (";w=", c.window_s())]);
    });
}

/// Writes the value of `RateLimit`: `r` units remain, and all are available again in `t` seconds.
pub fn state_field<'c>(out: &mut String, charges: impl IntoIterator<Item = (&'c Charge, &'c Verdict)>) {
    list(out, charges.into_iter(), |out, (c, v)| {
        let reset_s = v.reset_us.div_ceil(MICROS_PER_S);
        member(out, &c.quota, [(";r=", v.promised().into()), (";t=", reset_s)]);
    });
}

/// The same of one limit as members of a problem.
#[must_use]
pub fn numbers(charge: &Charge, verdict: &Verdict) -> [(&'static str, u64); 4] {
    [
        ("quota", charge.burst.get().into()),
        ("window_s", charge.window_s()),
        ("remaining", verdict.remaining.into()),
        ("reset_s", verdict.reset_us.div_ceil(MICROS_PER_S)),
    ]
}

/// Seconds for `Retry-After`: until every refused charge would pass, and not before `earliest_us`. `None` if one can
/// never pass.
#[must_use]
pub fn retry_after_s<'c>(verdicts: impl IntoIterator<Item = &'c Verdict>, earliest_us: u64) -> Option<u64> {
    let mut refused = verdicts.into_iter().filter(|verdict| !verdict.allowed).map(|verdict| verdict.retry_after_us);
    refused.try_fold(earliest_us, |longest, us| Some(us?.max(longest))).map(whole_seconds)
}

/// A wait as `Retry-After` states it: in whole seconds, at least 1.
pub(super) const fn whole_seconds(us: u64) -> u64 {
    let seconds = us.div_ceil(MICROS_PER_S);
    if seconds == 0 { 1 } else { seconds }
}

const MICROS_PER_S: u64 = 1_000_000;

/// A list of structured fields, each member written by `write`.
fn list<T>(out: &mut String, members: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) {
    for (at, member) in members.enumerate() {
        out.push_str(if at > 0 { ", " } else { "" });
        write(out, member);
    }
}

/// A quoted name, which has no characters to escape, with parameters.
fn member(out: &mut String, name: &str, parameters: [(&str, u64); 2]) {
    for part in ["\"", name, "\""] {
        out.push_str(part);
    }
    for (parameter, value) in parameters {
        out.push_str(parameter);
        decimal(out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn n(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn fields_are_structured_and_in_whole_seconds() {
        let charge = Charge {
            quota: "burst".into(),
            rate: n(100),
            period_ms: n(60_000),
            burst: n(200),
            cost: n(1),
            algorithm: None,
            lease: None,
        };
        let verdict = |allowed, us| Verdict {
            allowed,
            remaining: 7,
            reset_us: 1_000_001,
            retry_after_us: us,
            wait_us: None,
            leased: None,
        };
        let (mut policy, mut state) = (String::new(), String::new());
        policy_field(&mut policy, [&charge, &charge]);
        state_field(&mut state, [(&charge, &verdict(true, Some(0)))]);
        assert_eq!(policy, "\"burst\";q=200;w=120, \"burst\";q=200;w=120");
        assert_eq!(state, "\"burst\";r=7;t=2");
        let all = [verdict(false, Some(1)), verdict(false, Some(1_000_001)), verdict(true, Some(0))];
        assert_eq!(retry_after_s(&all, 0), Some(2));
        assert_eq!(retry_after_s(&all, 2_000_001), Some(3));
        assert_eq!(retry_after_s(&[verdict(false, None), verdict(false, Some(1))], 0), None);
    }
}
