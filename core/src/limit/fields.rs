//! The response fields that describe a client's limits.
//!
//! `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-10 (only this file depends on the
//! version), and `Retry-After` (RFC 9110, section 10.2.3), always with a 429.

use std::cmp::Reverse;

use http::HeaderName;
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::cell::{Charge, Verdict};
use crate::codec::Decode;
use crate::text::decimal;
use crate::time::Timestamp;

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

/// Writes the value of `RateLimit`: `r` units remain, and all are available again in `t` seconds. A share that is told is a parameter of
/// our own.
pub fn state_field<'c>(out: &mut String, charges: impl IntoIterator<Item = (&'c Charge, &'c Verdict)>) {
    list(out, charges.into_iter(), |out, (c, v)| {
        let reset_s = v.reset_us.div_ceil(MICROS_PER_S);
        member(out, &c.quota, [(";r=", v.promised().into()), (";t=", reset_s)]);
        if let Some(share) = v.reached {
            out.push_str(REACHED);
            decimal(out, share.get().into());
        }
    });
}

/// Fields from before the standard, in which limit, remaining number and reset are three fields of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum LegacyFields {
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the reset in seconds from now.
    #[n(0)]
    XRatelimit,
    /// The same, the reset in seconds since 1970.
    #[n(1)]
    XRatelimitUnix,
    /// `RateLimit-Limit`, `-Remaining` and `-Reset` of draft-ietf-httpapi-ratelimit-headers-03, the reset in seconds from now.
    #[n(2)]
    Draft03,
}

impl LegacyFields {
    /// The names of the fields: limit, remaining, reset.
    #[must_use]
    pub const fn names(self) -> [HeaderName; 3] {
        let [limit, remaining, reset] = match self {
            Self::XRatelimit | Self::XRatelimitUnix => {
                ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
            }
            Self::Draft03 => ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
        };
        [HeaderName::from_static(limit), HeaderName::from_static(remaining), HeaderName::from_static(reset)]
    }

    /// The values of the fields: those of the limit that decides. That is the one that refuses for longest, otherwise the one of which
    /// the least share remains; a limit of requests at the same time only if there is no other.
    pub fn values<'c>(
        self,
        charged: impl Iterator<Item = (&'c Charge, &'c Verdict)>,
        now: Timestamp,
    ) -> Option<[u64; 3]> {
        let order = |(charge, said): &(&Charge, &Verdict)| {
            let wait_us = said.retry_after_us.unwrap_or(u64::MAX);
            let left = if said.allowed { share_left(charge, said) } else { u64::MAX - wait_us };
            (said.allowed, said.allowed && charge.ends(), left, Reverse(said.reset_us))
        };
        let (charge, said) = charged.min_by_key(order)?;
        let reset = match self {
            Self::XRatelimit | Self::Draft03 => said.reset_us.div_ceil(MICROS_PER_S),
            Self::XRatelimitUnix => now.plus_micros(said.reset_us).as_micros().div_ceil(MICROS_PER_S),
        };
        Some([charge.burst.get().into(), said.promised().into(), reset])
    }
}

/// Which part of a limit remains, in parts of 2^32: those of limits of any size can be compared.
fn share_left(charge: &Charge, said: &Verdict) -> u64 {
    (u64::from(said.promised()) << 32) / u64::from(charge.burst.get())
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

const REACHED: &str = ";tollgate-reached=";

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
            tells: None,
        };
        let verdict = |allowed, us| Verdict {
            allowed,
            remaining: 7,
            reset_us: 1_000_001,
            retry_after_us: us,
            wait_us: None,
            leased: None,
            reached: None,
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

    fn said(allowed: bool, remaining: u32, reset_s: u64, wait_s: u64) -> Verdict {
        Verdict {
            allowed,
            remaining,
            reset_us: reset_s * MICROS_PER_S,
            retry_after_us: Some(wait_s * MICROS_PER_S),
            wait_us: None,
            leased: None,
            reached: None,
        }
    }

    fn limit(most: u32, algorithm: Option<crate::cell::Algorithm>) -> Charge {
        let (burst, quota) = (n(most), "p".into());
        Charge { quota, rate: burst, period_ms: n(60_000), burst, cost: n(1), algorithm, lease: None, tells: None }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_older_fields_are_those_of_the_limit_that_decides() {
        let now = Timestamp::from_millis(1_800_000_000_500);
        let at_once = Some(crate::cell::Algorithm::Concurrency);
        let check = |all: &[(u32, Verdict)], want: Option<[u64; 3]>| {
            let limits: Vec<_> = all.iter().map(|(most, said)| (limit(*most, None), said.clone())).collect();
            let charged = || limits.iter().map(|(charge, said)| (charge, said));
            assert_eq!(LegacyFields::XRatelimit.values(charged(), now), want);
            assert_eq!(LegacyFields::Draft03.values(charged(), now), want);
        };
        check(&[], None);
        check(&[(200, said(true, 150, 1, 0)), (5_000, said(true, 40, 900, 0))], Some([5_000, 40, 900]));
        check(&[(200, said(true, 40, 1, 0)), (5_000, said(true, 40, 900, 0))], Some([5_000, 40, 900]));
        check(&[(10, said(true, 9, 1, 0)), (5_000, said(true, 50, 900, 0))], Some([5_000, 50, 900]));
        check(&[(10, said(true, 1, 1, 0)), (5_000, said(true, 4_000, 900, 0))], Some([10, 1, 1]));
        check(&[(10, said(true, 5, 1, 0)), (100, said(true, 50, 60, 0))], Some([100, 50, 60]));
        check(
            &[(u32::MAX, said(true, u32::MAX, 9, 0)), (3, said(true, 3, 1, 0))],
            Some([u32::MAX.into(), u32::MAX.into(), 9]),
        );
        check(&[(200, said(false, 0, 2, 1)), (5_000, said(false, 3, 900, 60))], Some([5_000, 3, 900]));
        check(&[(200, said(true, 0, 2, 0)), (5_000, said(false, 3, 900, 60))], Some([5_000, 3, 900]));
        let (few, hourly) = (limit(3, at_once), limit(100, None));
        let (two, ninety) = (said(true, 2, 9, 0), said(true, 90, 60, 0));
        let both = [(&few, &two), (&hourly, &ninety)];
        assert_eq!(LegacyFields::XRatelimitUnix.values(both.into_iter(), now), Some([100, 90, 1_800_000_061]));
        assert_eq!(LegacyFields::XRatelimit.values([(&few, &two)].into_iter(), now), Some([3, 2, 9]));
    }
}
