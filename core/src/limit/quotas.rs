//! The verdicts of all limits of an exchange, from every phase that charges. The response reports them together.

use http::header::RETRY_AFTER;

use super::fields::{self, LegacyFields};
use crate::cell::{Charge, Verdict};
use crate::forward::{Edits, Texts};
use crate::policy_name::PolicyName;
use crate::problem::Problem;
use crate::text::decimal;
use crate::time::Timestamp;

/// The charges of an exchange, with the verdicts of their quotas.
#[derive(Debug, Default)]
pub struct Quotas {
    charged: Vec<(Charge, Verdict)>,
    retry_after_us: u64,
    /// Further fields that clients are told of them in.
    pub legacy: Option<LegacyFields>,
}

impl Quotas {
    /// Adds the charges of a phase; `kept` says whether they are final, and not released after the reply. Of those that are not `told`
    /// to clients only the wait counts.
    pub fn add<'c>(
        &mut self,
        charged: impl Iterator<Item = (&'c Charge, &'c Verdict)> + Clone,
        kept: bool,
        told: impl Fn(&Charge) -> bool,
    ) {
        if kept {
            let waits = charged.clone().map(|(charge, verdict)| charge.again_us(verdict));
            self.retry_after_us = waits.fold(self.retry_after_us, u64::max);
        }
        // Most exchanges have one limit.
        self.charged.reserve_exact(1);
        let charged = charged.filter(|(charge, _)| told(charge));
        self.charged.extend(charged.map(|(charge, verdict)| (charge.clone(), verdict.clone())));
    }

    /// Shows a limit as it is after its charge has been settled at another cost.
    pub fn settle(&mut self, quota: &PolicyName, cost: u32) {
        for (charge, said) in self.charged.iter_mut().filter(|(charge, _)| charge.quota == *quota) {
            *said = charge.settled(said, cost);
        }
    }

    /// Microseconds until the quotas with final charges allow the same charges again.
    #[must_use]
    pub const fn retry_after_us(&self) -> u64 {
        self.retry_after_us
    }

    /// Raises a `Retry-After` that is shorter than the wait for a quota with a final charge, which would refuse the retry.
    #[must_use]
    pub fn postponed(&self, mut problem: Problem) -> Problem {
        let stated = problem.fields.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let earliest = fields::whole_seconds(self.retry_after_us);
        if stated.is_some_and(|stated| stated < earliest) {
            problem.fields.insert(RETRY_AFTER, earliest.into());
        }
        problem
    }

    /// Sets `RateLimit-Policy` and `RateLimit`, if anything was charged, and the fields from before the standard, if clients want them.
    pub fn add_fields(&self, edits: &mut Edits, texts: &mut Texts, now: Timestamp) {
        if self.charged.is_empty() {
            return;
        }
        let charged = || self.charged.iter().map(|(charge, verdict)| (charge, verdict));
        let policies = || charged().map(|(charge, _)| charge);
        edits.set_some(fields::RATELIMIT_POLICY, texts.value(|text| fields::policy_field(text, policies())));
        edits.set_some(fields::RATELIMIT, texts.value(|text| fields::state_field(text, charged())));
        if let Some(legacy) = self.legacy
            && let Some(values) = legacy.values(charged(), now)
        {
            for (name, value) in legacy.names().into_iter().zip(values) {
                edits.set_some(name, texts.value(|text| decimal(text, value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemKind;
    use std::num::NonZeroU32;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn daily(burst: u32) -> Charge {
        let n = |value| NonZeroU32::new(value).unwrap();
        Charge {
            quota: "daily".into(),
            rate: n(1),
            period_ms: n(86_400_000),
            burst: n(burst),
            cost: n(1),
            algorithm: None,
            lease: None,
            tells: None,
        }
    }

    const DAY_US: u64 = 86_400_000_000;

    #[track_caller]
    fn check(kept: bool, ahead_us: u64, stated: u64, want: &str) {
        for is_told in [true, false] {
            check_told(is_told, kept, ahead_us, stated, want);
        }
    }

    #[track_caller]
    fn check_told(is_told: bool, kept: bool, ahead_us: u64, stated: u64, want: &str) {
        let mut quotas = Quotas::default();
        let said = Verdict {
            allowed: true,
            remaining: 0,
            reset_us: ahead_us,
            retry_after_us: Some(0),
            wait_us: None,
            leased: None,
            reached: None,
        };
        quotas.add([(&daily(2), &said)].into_iter(), kept, |_| is_told);
        let problem = Problem::plain(ProblemKind::StoreUnavailable, "").with(RETRY_AFTER, stated.to_string());
        assert_eq!(quotas.postponed(problem).fields[RETRY_AFTER], *want);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_retry_is_promised_before_what_was_charged_allows_it() {
        check(true, 2 * DAY_US, 1, "86400");
        check(true, 2 * DAY_US - 1, 1, "86400");
        check(true, 2 * DAY_US, 90_000, "90000");
        check(true, DAY_US, 1, "1");
        check(false, 2 * DAY_US, 1, "1");
        let without = Problem::plain(ProblemKind::Internal, "");
        assert!(Quotas::default().postponed(without).fields.is_empty());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_limits_of_all_phases_are_one_list() {
        let mut quotas = Quotas::default();
        let lines = |quotas: &Quotas| {
            let mut edits = Edits::default();
            quotas.add_fields(&mut edits, &mut Texts::default(), Timestamp::default());
            edits.as_slice().iter().filter_map(|edit| Some(edit.value()?.clone())).collect::<Vec<_>>()
        };
        assert!(lines(&quotas).is_empty());
        let said = Verdict {
            allowed: true,
            remaining: 1,
            reset_us: DAY_US,
            retry_after_us: Some(0),
            wait_us: None,
            leased: None,
            reached: None,
        };
        let hourly = Charge { quota: "hourly".into(), ..daily(3) };
        quotas.add([(&daily(2), &said)].into_iter(), true, |_| true);
        quotas.add([(&hourly, &said)].into_iter(), true, |_| true);
        quotas.add([(&Charge { quota: "spend".into(), ..daily(3) }, &said)].into_iter(), true, |_| false);
        assert_eq!(
            lines(&quotas),
            ["\"daily\";q=2;w=172800, \"hourly\";q=3;w=259200", "\"daily\";r=1;t=86400, \"hourly\";r=1;t=86400"]
        );
    }
}
