//! The fields that tell a client about its limits.
//!
//! `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-10 (this file is the one place that
//! knows which version), and `Retry-After` (RFC 9110, section 10.2.3), always with a 429.

use std::fmt::Write;

use super::{Charge, ChargeVerdict};

/// The name of the policy field.
pub const RATELIMIT_POLICY: &str = "ratelimit-policy";
/// The name of the state field.
pub const RATELIMIT: &str = "ratelimit";

/// The value of `RateLimit-Policy`: a quota of `q` units, whole again after `w` seconds.
#[must_use]
pub fn policy_field(charges: &[Charge]) -> String {
    list(charges.iter().map(|c| {
        let window_ms = u64::from(c.period_ms.get()).saturating_mul(u64::from(c.burst.get())) / u64::from(c.rate.get());
        format!("\"{}\";q={};w={}", c.policy, c.burst, window_ms.div_ceil(1000).max(1))
    }))
}

/// The value of `RateLimit`: `r` units left, whole again in `t` seconds.
#[must_use]
pub fn state_field(charges: &[Charge], verdicts: &[ChargeVerdict]) -> String {
    list(
        charges
            .iter()
            .zip(verdicts)
            .map(|(c, v)| format!("\"{}\";r={};t={}", c.policy, v.remaining, v.reset_ms.div_ceil(1000))),
    )
}

/// Seconds for `Retry-After`: when every refused charge would pass, at least 1. `None` when one never can.
#[must_use]
pub fn retry_after_s(verdicts: &[ChargeVerdict]) -> Option<u64> {
    let waits: Option<Vec<u64>> = verdicts.iter().filter(|v| !v.allowed).map(|v| v.retry_after_ms).collect();
    Some(waits?.into_iter().max()?.div_ceil(1000).max(1))
}

fn list(members: impl Iterator<Item = String>) -> String {
    members.fold(String::new(), |mut out, member| {
        let comma = if out.is_empty() { "" } else { ", " };
        // Writing to a String does not fail.
        let _ = write!(out, "{comma}{member}");
        out
    })
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
        let charge = Charge { policy: "burst".into(), rate: n(100), period_ms: n(60_000), burst: n(200), cost: n(1) };
        let verdict = |allowed, ms| ChargeVerdict { allowed, remaining: 7, reset_ms: 1_001, retry_after_ms: ms };
        assert_eq!(policy_field(&[charge.clone(), charge.clone()]), "\"burst\";q=200;w=120, \"burst\";q=200;w=120");
        assert_eq!(state_field(&[charge], &[verdict(true, Some(0))]), "\"burst\";r=7;t=2");
        assert_eq!(
            retry_after_s(&[verdict(false, Some(1)), verdict(false, Some(1_001)), verdict(true, Some(0))]),
            Some(2)
        );
        assert_eq!(retry_after_s(&[verdict(false, None), verdict(false, Some(1))]), None);
    }
}
