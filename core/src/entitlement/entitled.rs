//! What records say of the limits of one request. This is the place that decides which of several numbers applies.

use std::num::NonZeroU32;

use super::{Entitlements, Grant, Plan, PlanNumbers, Subscription};
use crate::cell::{Algorithm, Charge};
use crate::text::whole;
use crate::time::Timestamp;

/// What the records say of a request.
///
/// The numbers of a credential come before a subscription, that before a number that a claim states, and that before the plan of a credential or claim. The plan is that of the subscription to a product with the API, and without a subscription that of the credential or claim. Its
/// numbers are those of its record, otherwise those that the policy has for a plan of this name, otherwise the policy's own. A grant raises what
/// this results in. Numbers of records never exceed what the policy allows.
#[derive(Debug)]
pub struct Entitled<'r> {
    subscription: Option<&'r Subscription>,
    plan: Option<&'r str>,
    record: Option<&'r Plan>,
    grants: &'r [Grant],
    now: Timestamp,
}

/// Where the numbers of a charge are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers<'r> {
    /// The configuration.
    Configured,
    /// The record of a plan.
    OfPlan(&'r str),
    /// A grant.
    Granted(&'r Grant),
}

impl<'r> Entitled<'r> {
    /// What the records of the gateway and of a consumer say of a request to an API, with a credential of a plan.
    #[must_use]
    pub fn new(
        catalogue: &'r Entitlements,
        own: &'r Entitlements,
        api: &str,
        plan: Option<&'r str>,
        now: Timestamp,
    ) -> Self {
        let is_of_api = |one: &&Subscription| {
            one.is_active(now) && catalogue.product(&one.product).is_some_and(|product| product.has(api))
        };
        // Of several, the one that began last.
        let subscription = own.subscriptions.iter().filter(is_of_api).max_by_key(|one| one.from);
        let plan = subscription.map(|one| one.plan.as_str()).or(plan);
        let record = plan.and_then(|plan| catalogue.plan(plan));
        Self { subscription, plan, record, grants: &own.grants, now }
    }

    /// The subscription.
    #[must_use]
    pub const fn subscription(&self) -> Option<&'r Subscription> {
        self.subscription
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> Option<&'r str> {
        self.plan
    }

    /// Gives a charge a number that a claim states: in the period of the policy, and at most `at_most`. A number that is 0 or larger has no effect.
    /// `own` has the policy's own numbers, here and below.
    #[must_use]
    pub fn claim(stated: &str, at_most: NonZeroU32, own: &Charge, charge: &mut Charge) -> bool {
        let number = whole(stated).and_then(NonZeroU32::new).filter(|number| *number <= at_most);
        if let Some(number) = number {
            set(charge, &PlanNumbers { count: number.get(), ..PlanNumbers::default() }, own);
            bound(charge, at_most, own.period_ms);
        }
        number.is_some()
    }

    /// Gives a charge the numbers that the record of the credential has for its limit, if it has some.
    #[must_use]
    pub fn of_credential(limits: &[PlanNumbers], at_most: NonZeroU32, own: &Charge, charge: &mut Charge) -> bool {
        let found = limits.iter().find(|numbers| *numbers.policy == *charge.quota);
        if let Some(numbers) = found {
            set(charge, numbers, own);
            bound(charge, at_most, own.period_ms);
        }
        found.is_some()
    }

    /// Gives a charge the numbers that records have for its limit, at most `at_most` in the period of the policy. The charge has the numbers of
    /// the configuration for [`Self::plan`], or those that the credential or a claim states.
    #[must_use]
    pub fn apply(&self, at_most: NonZeroU32, own: &Charge, is_stated: bool, charge: &mut Charge) -> Numbers<'r> {
        let mut from = Numbers::Configured;
        if let Some(plan) = self.record.filter(|_| !is_stated)
            && let Some(numbers) = plan.limits.iter().find(|numbers| *numbers.policy == *charge.quota)
        {
            set(charge, numbers, own);
            bound(charge, at_most, own.period_ms);
            from = Numbers::OfPlan(&plan.name);
        }
        let product = self.subscription.map(|one| one.product.as_str());
        let raises = self.grants.iter().filter(|grant| {
            grant.is_active(self.now)
                && *grant.policy == *charge.quota
                && grant.product.as_deref().is_none_or(|of| product == Some(of))
        });
        let mut raised = charge.clone();
        for grant in raises {
            let mut other = charge.clone();
            raise(&mut other, grant, own.period_ms);
            bound(&mut other, at_most, own.period_ms);
            if is_more(&other, &raised) {
                raised = other;
                from = Numbers::Granted(grant);
            }
        }
        *charge = raised;
        from
    }

    /// Whether a charge has more than `at_most` in the period of the policy: the configuration may give it so much, no record does.
    #[must_use]
    pub fn exceeds(at_most: NonZeroU32, own: &Charge, charge: &Charge) -> bool {
        let mut bounded = charge.clone();
        bound(&mut bounded, at_most, own.period_ms);
        bounded != *charge
    }

    /// The number of a charge, and the period in which it is, if it is a rate: that of the policy, whose own numbers `own` has.
    #[must_use]
    pub fn number(own: &Charge, charge: &Charge) -> (NonZeroU32, Option<NonZeroU32>) {
        if !has_period(charge) {
            return (charge.rate, None);
        }
        let number = in_period(charge.rate.get().into(), charge.period_ms, own.period_ms);
        (at_least(number, NonZeroU32::MIN), Some(own.period_ms))
    }
}

/// Takes over the numbers of a plan. A burst that they do not state is as many times the count as the policy's own.
fn set(charge: &mut Charge, numbers: &PlanNumbers, own: &Charge) {
    let Some(count) = NonZeroU32::new(numbers.count) else { return };
    (charge.rate, charge.burst) = (count, count);
    if has_period(charge) {
        charge.period_ms = numbers.period_ms.and_then(NonZeroU32::new).unwrap_or(own.period_ms);
        if has_burst(charge) {
            let stated = numbers.burst.and_then(NonZeroU32::new);
            charge.burst = stated.unwrap_or_else(|| in_proportion(own, count.get().into(), NonZeroU32::MIN));
        }
    }
}

/// The burst of a charge if its rate were another one.
fn in_proportion(charge: &Charge, rate: u64, least: NonZeroU32) -> NonZeroU32 {
    let burst = u128::from(charge.burst.get()) * u128::from(rate) / u128::from(charge.rate.get());
    at_least(u64::try_from(burst).unwrap_or(u64::MAX), least)
}

/// Raises the number to that of a grant, and the burst in proportion; nothing becomes less.
fn raise(charge: &mut Charge, grant: &Grant, own_period_ms: NonZeroU32) {
    let is_rate = has_period(charge);
    let rate = u64::from(charge.rate.get());
    let wanted = match (grant.to, grant.percent) {
        // The number of a grant is one in the period of the policy.
        (Some(to), _) if is_rate => in_period(to.into(), own_period_ms, charge.period_ms),
        (Some(to), _) => to.into(),
        (None, Some(percent)) => rate.saturating_mul(percent.into()) / 100,
        (None, None) => rate,
    };
    let wanted = wanted.max(rate);
    charge.burst = in_proportion(charge, wanted, charge.burst);
    charge.rate = at_least(wanted, charge.rate);
}

/// Keeps what a record says within what the policy allows.
fn bound(charge: &mut Charge, at_most: NonZeroU32, own_period_ms: NonZeroU32) {
    if has_period(charge) && in_period(charge.rate.get().into(), charge.period_ms, own_period_ms) > at_most.get().into()
    {
        (charge.rate, charge.period_ms) = (at_most, own_period_ms);
    } else if !has_period(charge) {
        charge.rate = charge.rate.min(at_most);
    }
    charge.burst = if has_burst(charge) { charge.burst.min(at_most).min(burst_max(charge)) } else { charge.rate };
}

/// The longest burst that a limit can have at its rate: a request never waits longer for its turn, and no counter is kept longer.
fn burst_max(charge: &Charge) -> NonZeroU32 {
    let longest_ms = if charge.algorithm == Some(Algorithm::Spacing) { WAIT_MS_MAX } else { BURST_MS_MAX };
    let fits = longest_ms.saturating_mul(charge.rate.get().into()) / u64::from(charge.period_ms.get());
    at_least(fits, NonZeroU32::MIN)
}

/// Whether one admits more than another one: in a period, or at once.
fn is_more(one: &Charge, other: &Charge) -> bool {
    let rate = |own: &Charge, of: &Charge| u64::from(own.rate.get()) * u64::from(of.period_ms.get());
    (rate(one, other), one.burst) > (rate(other, one), other.burst)
}

/// A count per `from_ms` as a count per `to_ms`.
pub(crate) fn in_period(count: u64, from_ms: NonZeroU32, to_ms: NonZeroU32) -> u64 {
    if from_ms == to_ms {
        return count;
    }
    count.saturating_mul(to_ms.get().into()) / u64::from(from_ms.get())
}

fn at_least(number: u64, least: NonZeroU32) -> NonZeroU32 {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    NonZeroU32::new(number).map_or(least, |number| number.max(least))
}

/// Whether the period is one of the limit's numbers: that of a calendar is its window, that of a concurrency limit its lease.
const fn has_period(charge: &Charge) -> bool {
    !matches!(charge.algorithm, Some(Algorithm::Calendar(_) | Algorithm::Concurrency))
}

const fn has_burst(charge: &Charge) -> bool {
    matches!(charge.algorithm, None | Some(Algorithm::Spacing))
}

/// As for the numbers of a policy: half a minute, and a year.
const WAIT_MS_MAX: u64 = 30_000;
const BURST_MS_MAX: u64 = 366 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::super::Product;
    use super::*;
    use crate::cell::Edges;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn n(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn charge(rate: u32, period_ms: u32, burst: u32, algorithm: Option<Algorithm>) -> Charge {
        let (rate, period_ms, burst) = (n(rate), n(period_ms), n(burst));
        Charge { quota: "monthly".into(), rate, period_ms, burst, cost: n(1), algorithm, lease: None, tells: None }
    }

    fn monthly(quota: u32) -> Charge {
        let edges = Edges { before_us: 0, start_us: 1, end_us: 2, after_us: 3 };
        charge(quota, 1, quota, Some(Algorithm::Calendar(edges)))
    }

    fn catalogue(limits: &[PlanNumbers]) -> Entitlements {
        let product =
            |name: &str, api: &str| Product { name: name.into(), apis: vec![api.into()], ..Product::default() };
        let plan = Plan { name: "pro".into(), limits: limits.to_vec(), ..Plan::default() };
        Entitlements {
            products: vec![product("pets", "pets"), product("all", "maps")],
            plans: vec![plan],
            ..Entitlements::default()
        }
    }

    fn numbers(count: u32, period_ms: Option<u32>, burst: Option<u32>) -> PlanNumbers {
        PlanNumbers { policy: "monthly".into(), count, period_ms, burst }
    }

    fn subscription(product: &str, from: u64, until: Option<u64>) -> Subscription {
        let (from, until) = (at(from), until.map(at));
        Subscription { product: product.into(), plan: "pro".into(), from, until, ..Subscription::default() }
    }

    fn grant(to: Option<u32>, percent: Option<u32>) -> Grant {
        Grant { id: "grant-1".into(), policy: "monthly".into(), to, percent, until: at(100), ..Grant::default() }
    }

    #[track_caller]
    fn check(own: &Entitlements, limits: &[PlanNumbers], now: u64, before: &Charge, after: (u32, u32, u32)) {
        let catalogue = catalogue(limits);
        let entitled = Entitled::new(&catalogue, own, "pets", None, at(now));
        let mut charge = before.clone();
        let _ = entitled.apply(n(5_000), before, false, &mut charge);
        assert_eq!((charge.rate.get(), charge.period_ms.get(), charge.burst.get()), after);
    }

    fn with(subscriptions: Vec<Subscription>, grants: Vec<Grant>) -> Entitlements {
        Entitlements { subscriptions, grants, ..Entitlements::default() }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_subscription_counts_for_the_apis_of_its_product_between_its_instants() {
        let limits = [numbers(1_000, None, None)];
        for (product, until, now, quota) in [
            ("pets", None, 10, 1_000),
            ("pets", None, 9, 100),
            ("pets", Some(20), 19, 1_000),
            ("pets", Some(20), 20, 100),
            ("all", None, 10, 100),
            ("removed", None, 10, 100),
        ] {
            let own = with(vec![subscription(product, 10, until)], vec![]);
            check(&own, &limits, now, &monthly(100), (quota, 1, quota));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_plan_of_a_credential_has_the_numbers_of_its_record_unless_a_subscription_has_another_plan() {
        let catalogue = catalogue(&[numbers(1_000, None, None)]);
        for (own, plan) in [(with(vec![], vec![]), "free"), (with(vec![subscription("pets", 0, None)], vec![]), "pro")]
        {
            let entitled = Entitled::new(&catalogue, &own, "pets", Some("free"), at(10));
            assert_eq!(entitled.plan(), Some(plan));
        }
        let own = Entitlements::default();
        let mut charge = monthly(100);
        let entitled = Entitled::new(&catalogue, &own, "pets", Some("pro"), at(10));
        let from = entitled.apply(n(5_000), &monthly(100), false, &mut charge);
        assert_eq!((from, charge.burst.get()), (Numbers::OfPlan("pro"), 1_000));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_grant_raises_until_it_ends_and_lowers_nothing() {
        let own = |grant: Grant| with(vec![subscription("pets", 0, None)], vec![grant]);
        let limits = [numbers(1_000, None, None)];
        for (grant, now, quota) in [
            (grant(Some(2_000), None), 99, 2_000),
            (grant(Some(2_000), None), 100, 1_000),
            (grant(None, Some(150)), 50, 1_500),
            (grant(Some(10), None), 50, 1_000),
            (Grant { revoked: true, ..grant(Some(2_000), None) }, 50, 1_000),
            (Grant { from: at(60), ..grant(Some(2_000), None) }, 50, 1_000),
            (Grant { policy: "other".into(), ..grant(Some(2_000), None) }, 50, 1_000),
            (Grant { product: Some("pets".into()), ..grant(Some(2_000), None) }, 50, 2_000),
            (Grant { product: Some("all".into()), ..grant(Some(2_000), None) }, 50, 1_000),
        ] {
            check(&own(grant), &limits, now, &monthly(100), (quota, 1, quota));
        }
        let two = with(vec![], vec![grant(Some(300), None), grant(Some(400), None), grant(Some(200), None)]);
        check(&two, &[], 50, &monthly(100), (400, 1, 400));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_record_exceeds_what_the_policy_allows() {
        let own = |grants| with(vec![subscription("pets", 0, None)], grants);
        check(&own(vec![]), &[numbers(9_000, None, None)], 50, &monthly(100), (5_000, 1, 5_000));
        check(&own(vec![grant(Some(u32::MAX), None)]), &[], 50, &monthly(100), (5_000, 1, 5_000));
        check(&own(vec![grant(None, Some(u32::MAX))]), &[], 50, &monthly(100), (5_000, 1, 5_000));
        let rate = charge(100, 60_000, 100, None);
        check(&own(vec![]), &[numbers(100, Some(1_000), Some(9_000))], 50, &rate, (5_000, 60_000, 5_000));
        check(&own(vec![]), &[numbers(50, Some(1_000), None)], 50, &rate, (50, 1_000, 50));
        check(&own(vec![]), &[numbers(1, Some(u32::MAX), Some(5_000))], 50, &rate, (1, u32::MAX, 7));
        let spaced = charge(10, 1_000, 2, Some(Algorithm::Spacing));
        check(&own(vec![]), &[numbers(10, Some(1_000), Some(4_000))], 50, &spaced, (10, 1_000, 300));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_claim_states_a_whole_number_up_to_the_bound() {
        for (stated, number) in [
            ("1", Some(1)),
            ("5000", Some(5_000)),
            ("5001", None),
            ("0", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("many", None),
            ("", None),
            ("4294967296", None),
        ] {
            let mut charge = monthly(100);
            assert_eq!(Entitled::claim(stated, n(5_000), &monthly(100), &mut charge), number.is_some(), "{stated}");
            assert_eq!(charge.burst.get(), number.unwrap_or(100), "{stated}");
        }
        let mut rate = charge(100, 1_000, 300, None);
        assert!(Entitled::claim("50", n(5_000), &charge(100, 60_000, 200, None), &mut rate));
        assert_eq!((rate.rate.get(), rate.period_ms.get(), rate.burst.get()), (50, 60_000, 100));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_credential_has_numbers_of_its_own_which_a_grant_raises() {
        let limits = [numbers(7, None, None), PlanNumbers { policy: "other".into(), ..numbers(9, None, None) }];
        let mut charge = monthly(100);
        assert!(Entitled::of_credential(&limits, n(5_000), &monthly(100), &mut charge));
        let own = with(vec![subscription("pets", 0, None)], vec![grant(None, Some(200))]);
        let catalogue = catalogue(&[numbers(1_000, None, None)]);
        let entitled = Entitled::new(&catalogue, &own, "pets", None, at(50));
        assert!(matches!(entitled.apply(n(5_000), &monthly(100), true, &mut charge), Numbers::Granted(_)));
        assert_eq!(charge.burst.get(), 14, "not twice the plan's");
        let mut charge = monthly(100);
        assert!(Entitled::of_credential(&[numbers(9_000, None, None)], n(5_000), &monthly(100), &mut charge));
        assert_eq!(charge.burst.get(), 5_000);
        assert!(!Entitled::of_credential(&limits[1..], n(5_000), &monthly(100), &mut charge));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_number_without_a_burst_has_that_of_the_policy_in_proportion() {
        let stated = |own: &Charge, number: &PlanNumbers| {
            let burst = |change: &dyn Fn(&mut Charge)| {
                // What the configuration has for the plan of the caller is another number.
                let mut charge = charge(1, 1_000, 1, own.algorithm);
                change(&mut charge);
                charge.burst.get()
            };
            let all = [
                burst(&|charge| assert!(Entitled::claim(&number.count.to_string(), n(5_000), own, charge))),
                burst(&|charge| assert!(Entitled::of_credential(std::slice::from_ref(number), n(5_000), own, charge))),
                burst(&|charge| {
                    let catalogue = catalogue(std::slice::from_ref(number));
                    let nothing = Entitlements::default();
                    let entitled = Entitled::new(&catalogue, &nothing, "pets", Some("pro"), at(50));
                    assert_eq!(entitled.apply(n(5_000), own, false, charge), Numbers::OfPlan("pro"));
                }),
            ];
            assert!(all.iter().all(|burst| *burst == all[0]), "{all:?}");
            all[0]
        };
        for (own, number, burst) in [
            (charge(10, 1_000, 200, None), numbers(20, None, None), 400),
            (charge(10, 1_000, 200, None), numbers(10, None, None), 200),
            (charge(10, 1_000, 200, None), numbers(1, None, None), 20),
            (charge(10, 1_000, 200, None), numbers(1_000, None, None), 5_000),
            (charge(10, 1_000, 10, None), numbers(7, None, None), 7),
            (charge(10, 1_000, 2, None), numbers(3, None, None), 1),
            (charge(10, 1_000, 20, Some(Algorithm::Spacing)), numbers(30, None, None), 60),
            (charge(10, 1_000, 10, Some(Algorithm::SlidingWindow)), numbers(30, None, None), 30),
        ] {
            assert_eq!(stated(&own, &number), burst, "{own:?} {number}");
        }
        // Another period does not change it: twice the count.
        let mut per_minute = charge(10, 1_000, 20, None);
        assert!(Entitled::of_credential(
            &[numbers(30, Some(60_000), None)],
            n(5_000),
            &per_minute.clone(),
            &mut per_minute
        ));
        assert_eq!((per_minute.period_ms.get(), per_minute.burst.get()), (60_000, 60));
        let mut stated = charge(10, 1_000, 20, None);
        assert!(Entitled::of_credential(&[numbers(30, None, Some(5))], n(5_000), &stated.clone(), &mut stated));
        assert_eq!(stated.burst.get(), 5);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_grant_raises_a_rate_and_its_burst_in_proportion() {
        let rate = charge(100, 60_000, 200, None);
        check(&with(vec![], vec![grant(Some(300), None)]), &[], 50, &rate, (300, 60_000, 600));
        // The number of a grant is one in the period of the policy, whatever that of the plan is.
        let per_second = [numbers(10, Some(1_000), Some(20))];
        let own = with(vec![subscription("pets", 0, None)], vec![grant(Some(1_200), None)]);
        check(&own, &per_second, 50, &rate, (20, 1_000, 40));
        let window = charge(100, 60_000, 100, Some(Algorithm::FixedWindow));
        check(&with(vec![], vec![grant(None, Some(250))]), &[], 50, &window, (250, 60_000, 250));
    }
}
