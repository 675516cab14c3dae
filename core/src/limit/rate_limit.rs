//! The `rate-limit` policy: the generic cell rate algorithm (GCRA), as a pure function from old state to new state.
//!
//! GCRA keeps one instant per quota, the theoretical arrival time (TAT): when the bucket would be full again. A charge
//! moves it forward; it is refused if that would put it further ahead of now than the burst allows. No window edge, so
//! no double burst at one, and the refusal knows the earliest instant at which the same charge would pass.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Limiter;
use crate::bounds::PLANS_MAX;
use crate::kinds::{PolicyKind, Uses};
use crate::codec;
use crate::time::Timestamp;

/// Settings of one `rate-limit` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct RateLimitSettings {
    /// Charges of cost 1 that are paid back within `period_ms`.
    #[n(0)]
    pub rate: NonZeroU32,
    /// The period `rate` is counted over, in milliseconds.
    #[n(1)]
    pub period_ms: NonZeroU32,
    /// The most that can be charged at once after a rest.
    #[n(2)]
    pub burst: NonZeroU32,
    /// What shares one quota.
    #[n(3)]
    pub by: LimitBy,
    /// What happens while the counter store does not answer.
    #[n(4)]
    pub on_unavailable: OnUnavailable,
    /// Other numbers for consumers of a plan, by the plan's name.
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub plans: BTreeMap<String, PlanLimit>,
}

impl codec::Section for RateLimitSettings {}

/// What a plan has in place of a policy's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct PlanLimit {
    /// Charges of cost 1 that are paid back within `period_ms`.
    #[n(0)]
    pub rate: NonZeroU32,
    /// The period `rate` is counted over, in milliseconds.
    #[n(1)]
    pub period_ms: NonZeroU32,
    /// The most that can be charged at once after a rest.
    #[n(2)]
    pub burst: NonZeroU32,
}

/// What shares one quota: the partition key of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum LimitBy {
    /// The authenticated consumer; the client's address where there is none.
    #[n(0)]
    Consumer,
    /// The client's address.
    #[n(1)]
    Address,
}

/// What a policy does while a store it depends on does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum OnUnavailable {
    /// Let the request pass, visibly in telemetry.
    #[n(0)]
    Open,
    /// Refuse the request with 503.
    #[n(1)]
    Closed,
}

/// Charges against one partition, made all together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeRequest {
    /// The partition key, such as `consumer=acme`: bounded, and free of secrets.
    pub partition: String,
    /// One charge per quota, in policy order.
    pub charges: Vec<Charge>,
}

/// One charge against one quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The policy's name: names the quota within the partition.
    pub policy: String,
    /// Charges of cost 1 that are paid back within `period_ms`.
    pub rate: NonZeroU32,
    /// The period `rate` is counted over, in milliseconds.
    pub period_ms: NonZeroU32,
    /// The most that can be charged at once.
    pub burst: NonZeroU32,
    /// The cost of this operation.
    pub cost: NonZeroU32,
}

/// The answer to a [`ChargeRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeOutcome {
    /// Whether every charge passed; if not, none was made.
    pub granted: bool,
    /// One verdict per charge, in the order asked.
    pub verdicts: Vec<ChargeVerdict>,
}

/// What one quota says after a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeVerdict {
    /// Whether this quota allows the charge.
    pub allowed: bool,
    /// Cost that could still be charged at once.
    pub remaining: u32,
    /// Milliseconds until the quota is whole again.
    pub reset_ms: u64,
    /// Milliseconds until the same charge would pass; 0 when allowed; `None` when it never can (cost above burst).
    pub retry_after_ms: Option<u64>,
}

/// The stored state of one partition: a theoretical arrival time per policy, in nanoseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CounterState {
    tat_ns: BTreeMap<String, u64>,
}

/// Charges all quotas of a partition, or none: the whole counter arithmetic of a rate limit.
///
/// The platform owns atomicity; this owns the numbers. Quotas that are whole again are dropped from the new state.
#[must_use]
pub fn charge(state: &CounterState, request: &ChargeRequest, now: Timestamp) -> (ChargeOutcome, CounterState) {
    let now_ns = nanos(now);
    let moves: Vec<Move> = request.charges.iter().map(|c| Move::of(state, c, now_ns)).collect();
    let granted = moves.iter().all(|m| m.allowed);
    let verdicts = request.charges.iter().zip(&moves).map(|(c, m)| m.verdict(c, granted, now_ns)).collect();
    let mut new = state.clone();
    if granted {
        new.tat_ns.extend(request.charges.iter().zip(&moves).map(|(c, m)| (c.policy.clone(), m.new_tat_ns)));
    }
    new.tat_ns.retain(|_, tat| *tat > now_ns);
    (ChargeOutcome { granted, verdicts }, new)
}

/// Gives back what an earlier, granted request charged; a quota never becomes more than whole.
#[must_use]
pub fn refund(state: &CounterState, request: &ChargeRequest, now: Timestamp) -> CounterState {
    let now_ns = nanos(now);
    let mut new = state.clone();
    for c in &request.charges {
        if let Some(tat) = new.tat_ns.get_mut(&c.policy) {
            *tat = tat.saturating_sub(c.increment_ns());
        }
    }
    new.tat_ns.retain(|_, tat| *tat > now_ns);
    new
}

impl CounterState {
    /// The instant from which the state says nothing and may be deleted.
    #[must_use]
    pub fn idle_at(&self) -> Timestamp {
        let last = self.tat_ns.values().copied().max().unwrap_or(0);
        Timestamp::from_millis(last.div_ceil(NANOS_PER_MS))
    }

    /// Whether nothing is charged.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.tat_ns.is_empty()
    }

    /// The state as bytes for a store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads bytes of [`CounterState::to_bytes`]; anything else is `None`, and the caller starts anew.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl PolicyKind for RateLimitSettings {
    fn is_coherent(&self) -> bool {
        self.plans.len() <= PLANS_MAX
    }

    fn uses(&self) -> Uses<'_> {
        Uses { charge: Some(self.by), ..Uses::default() }
    }
}

impl Limiter for RateLimitSettings {
    fn by(&self) -> LimitBy {
        self.by
    }

    /// A plan that the policy does not know has the policy's own numbers. All plans share the quota's name, so a consumer
    /// that goes over to another plan keeps what is charged already.
    fn charge(&self, policy: &str, plan: Option<&str>, cost: NonZeroU32) -> Charge {
        let PlanLimit { rate, period_ms, burst } = self.numbers(plan);
        Charge { policy: policy.to_owned(), rate, period_ms, burst, cost }
    }

    fn on_unavailable(&self) -> OnUnavailable {
        self.on_unavailable
    }
}

impl RateLimitSettings {
    fn numbers(&self, plan: Option<&str>) -> PlanLimit {
        let Self { rate, period_ms, burst, .. } = *self;
        let of_plan = plan.and_then(|plan| self.plans.get(plan)).copied();
        of_plan.unwrap_or(PlanLimit { rate, period_ms, burst })
    }
}

impl Charge {
    /// How far the charge moves the theoretical arrival time.
    fn increment_ns(&self) -> u64 {
        self.cost_ns(self.cost.get())
    }

    fn cost_ns(&self, cost: u32) -> u64 {
        // u32 x u32 x 10^6 fits in u128; at least one nanosecond, so that every charge counts.
        let period_ns = u128::from(self.period_ms.get()) * u128::from(NANOS_PER_MS);
        let ns = period_ns * u128::from(cost) / u128::from(self.rate.get());
        u64::try_from(ns.max(1)).unwrap_or(u64::MAX / 4)
    }

    fn capacity_ns(&self) -> u64 {
        self.cost_ns(self.burst.get())
    }

    fn units(&self, ns: u64) -> u32 {
        let period_ns = u128::from(self.period_ms.get()) * u128::from(NANOS_PER_MS);
        let units = u128::from(ns) * u128::from(self.rate.get()) / period_ns;
        u32::try_from(units).unwrap_or(u32::MAX).min(self.burst.get())
    }
}

/// What one charge would do to one theoretical arrival time.
struct Move {
    allowed: bool,
    old_tat_ns: u64,
    new_tat_ns: u64,
}

impl Move {
    fn of(state: &CounterState, charge: &Charge, now_ns: u64) -> Self {
        let stored = state.tat_ns.get(&charge.policy).copied().unwrap_or(now_ns);
        // A state further ahead than the quota can be (settings were lowered, a clock stepped back) is cut to full.
        let old_tat_ns = stored.clamp(now_ns, now_ns.saturating_add(charge.capacity_ns()));
        let new_tat_ns = old_tat_ns.saturating_add(charge.increment_ns());
        let allowed = charge.cost <= charge.burst && new_tat_ns - now_ns <= charge.capacity_ns();
        Self { allowed, old_tat_ns, new_tat_ns }
    }

    fn verdict(&self, charge: &Charge, granted: bool, now_ns: u64) -> ChargeVerdict {
        let tat_ns = if granted { self.new_tat_ns } else { self.old_tat_ns };
        let ahead_ns = tat_ns - now_ns;
        let retry_after_ms = if self.allowed {
            Some(0)
        } else if charge.cost > charge.burst {
            None
        } else {
            Some((self.new_tat_ns - now_ns - charge.capacity_ns()).div_ceil(NANOS_PER_MS))
        };
        ChargeVerdict {
            allowed: self.allowed,
            remaining: charge.units(charge.capacity_ns().saturating_sub(ahead_ns)),
            reset_ms: ahead_ns.div_ceil(NANOS_PER_MS),
            retry_after_ms,
        }
    }
}

const NANOS_PER_MS: u64 = 1_000_000;
const NANOS_PER_US: u64 = 1_000;

fn nanos(now: Timestamp) -> u64 {
    now.as_micros().saturating_mul(NANOS_PER_US)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn n(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    fn one(rate: u32, period_ms: u32, burst: u32, cost: u32) -> ChargeRequest {
        let charge =
            Charge { policy: "p".into(), rate: n(rate), period_ms: n(period_ms), burst: n(burst), cost: n(cost) };
        ChargeRequest { partition: "consumer=acme".into(), charges: vec![charge] }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_burst_passes_and_the_next_is_told_when() {
        let (request, now) = (one(10, 1000, 3, 1), Timestamp::from_millis(5_000));
        let mut state = CounterState::default();
        for left in [2, 1, 0] {
            let (outcome, new) = charge(&state, &request, now);
            assert!(outcome.granted);
            assert_eq!(outcome.verdicts[0].remaining, left);
            state = new;
        }
        let (outcome, _) = charge(&state, &request, now);
        assert!(!outcome.granted);
        assert_eq!(outcome.verdicts[0].retry_after_ms, Some(100));
        assert_eq!(outcome.verdicts[0].reset_ms, 300);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_cost_above_the_burst_can_never_pass() {
        let (outcome, state) = charge(&CounterState::default(), &one(1, 1000, 3, 4), Timestamp::EPOCH);
        assert_eq!(outcome.verdicts[0].retry_after_ms, None);
        assert!(!outcome.granted && state.is_idle());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_refusal_leaves_every_quota_of_the_request_uncharged() {
        let mut request = one(1, 1000, 1, 1);
        request.charges.push(Charge { policy: "wide".into(), ..one(100, 1000, 100, 1).charges[0].clone() });
        let (_, state) = charge(&CounterState::default(), &request, Timestamp::from_millis(1));
        let (outcome, after) = charge(&state, &request, Timestamp::from_millis(1));
        assert!(!outcome.granted);
        assert_eq!(after, state);
        assert_eq!((outcome.verdicts[0].allowed, outcome.verdicts[1].allowed), (false, true));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_refund_restores_what_was_charged() {
        let (request, now) = (one(1, 60_000, 2, 2), Timestamp::from_millis(9));
        let (_, state) = charge(&CounterState::default(), &request, now);
        assert!(!charge(&state, &request, now).0.granted);
        let state = refund(&state, &request, now);
        assert!(state.is_idle());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn state_survives_its_bytes_and_rubbish_is_no_state() {
        let (_, state) = charge(&CounterState::default(), &one(1, 1000, 5, 2), Timestamp::from_millis(77));
        assert_eq!(CounterState::from_bytes(&state.to_bytes()), Some(state));
        assert_eq!(CounterState::from_bytes(b"\xff{}"), None);
    }

    proptest! {
        #[test]
        fn denied_until_the_promised_instant_and_allowed_at_it(
            rate in 1u32..5_000, period_ms in 1u32..100_000, burst in 1u32..200, costs in proptest::collection::vec((1u32..5, 0u64..500), 1..60),
        ) {
            let mut state = CounterState::default();
            let mut now = Timestamp::from_millis(1_000_000);
            for (cost, wait) in costs {
                now = now.plus_millis(wait);
                let request = one(rate, period_ms, burst, cost);
                let (outcome, new) = charge(&state, &request, now);
                if let Some(ms) = outcome.verdicts[0].retry_after_ms && ms > 0 {
                    prop_assert!(!charge(&state, &request, now.plus_millis(ms - 1)).0.granted);
                    prop_assert!(charge(&state, &request, now.plus_millis(ms)).0.granted);
                }
                state = new;
            }
        }

        #[test]
        fn never_more_than_burst_plus_rate_within_any_span(
            rate in 1u32..500, burst in 1u32..50, waits in proptest::collection::vec(0u64..50, 1..200),
        ) {
            let request = one(rate, 1000, burst, 1);
            let start = Timestamp::from_millis(1_000_000);
            let (mut state, mut now, mut passed) = (CounterState::default(), start, 0u64);
            for wait in waits {
                now = now.plus_millis(wait);
                let (outcome, new) = charge(&state, &request, now);
                passed += u64::from(outcome.granted);
                state = new;
                let most = u64::from(burst) + now.millis_since(start) * u64::from(rate) / 1000;
                prop_assert!(passed <= most, "{passed} passed, {most} allowed");
            }
        }
    }
}
