//! The catalogue as operators read it: the products and plans that are records, and what the configuration says of the same limits.
//!
//! Both tell which subscriptions name something that is gone, and whether a grant raises anything.

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::entitlement::{Entitlements, Grant, Plan, Product, Subscription, in_period};
use crate::json::{members, object, string, to_text};
use crate::settings::{EntitledLimit, GatewaySettings};

/// The products and plans that are records, and what the configuration has beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Catalogue {
    /// The records.
    #[serde(flatten)]
    pub records: Entitlements,
    /// What the configuration has; absent if it is not known.
    #[serde(default)]
    pub configured: Option<Configured>,
}

/// What a configuration says of plans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Configured {
    /// Its plans; absent if they are not known.
    #[serde(default)]
    pub plans: Option<Vec<String>>,
    /// The limits that records may give numbers.
    #[serde(default)]
    pub limits: Vec<EntitledLimit>,
}

impl Configured {
    /// What these settings say.
    #[must_use]
    pub fn of(settings: &GatewaySettings) -> Self {
        let limits = settings.entitled.as_ref().map(|entitled| entitled.limits.clone()).unwrap_or_default();
        Self { plans: settings.plans.clone(), limits }
    }
}

impl Catalogue {
    /// The content of a response.
    #[must_use]
    pub fn content(&self) -> String {
        let mut out = to_text(&self.records);
        let Some(Configured { plans, limits }) = &self.configured else { return out };
        // One more member, behind those of the records.
        out.pop();
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&members(|all| {
            all.object("configured", |configured| {
                if let Some(plans) = plans {
                    configured.list("plans", plans, |out, plan| string(out, plan));
                }
                configured.list("limits", limits, |out, limit| {
                    object(out, |one| {
                        one.text("policy", &limit.policy);
                        one.number("at_most", limit.at_most.get().into());
                        for (name, number) in [("number", limit.number), ("period_ms", limit.period_ms)] {
                            if let Some(number) = number {
                                one.number(name, number.get().into());
                            }
                        }
                        one.object("plans", |plans| {
                            limit.plans.iter().for_each(|(plan, number)| plans.number(plan, number.get().into()));
                        });
                    });
                });
            });
        }));
        out.push('}');
        out
    }

    /// What a subscription names and is not there any more: `product` or `plan`. A plan is not missed while those of the configuration are not
    /// known.
    #[must_use]
    pub fn gone(&self, one: &Subscription) -> Option<&'static str> {
        if self.records.product(&one.product).is_none() {
            return Some("product");
        }
        let configured = self.configured.as_ref().and_then(|configured| configured.plans.as_ref());
        let is_gone = configured.is_some_and(|plans| !plans.contains(&one.plan));
        (is_gone && self.records.plan(&one.plan).is_none()).then_some("plan")
    }

    /// Why a grant raises nothing, if that is known. The consumer has these subscriptions.
    #[must_use]
    pub fn raises_nothing(&self, grant: &Grant, subscriptions: &[Subscription]) -> Option<String> {
        let Grant { consumer, policy, product, .. } = grant;
        let is_active = |one: &&Subscription| one.is_active(grant.from) && self.gone(one) != Some("product");
        let is_of = |one: &&Subscription| product.as_ref().is_none_or(|product| one.product == *product);
        let mut active = subscriptions.iter().filter(is_active).filter(is_of).peekable();
        match (product, active.peek()) {
            (Some(product), None) => {
                return Some(format!(
                    "{consumer} has no subscription to {product}, so it raises nothing until there is one"
                ));
            }
            (None, None) => {
                let number = self.number(policy, None)?;
                let what = || {
                    format!(
                        "{consumer} has no subscription, and without a plan {number} of {policy} anyway: then it raises nothing"
                    )
                };
                return (grant.to? <= number.get()).then(what);
            }
            (_, Some(_)) => {}
        }
        active.find_map(|one| {
            let number = self.number(policy, Some(&one.plan))?;
            let what = || {
                let Subscription { product, plan, .. } = one;
                format!("by its subscription to {product}, plan {plan}, {consumer} has {number} of {policy} anyway: there it raises nothing")
            };
            (grant.to? <= number.get()).then(what)
        })
    }

    /// The number of a limit with a plan, in the period of the policy.
    fn number(&self, policy: &str, plan: Option<&str>) -> Option<NonZeroU32> {
        let limit = self.configured.as_ref()?.limits.iter().find(|limit| limit.policy == policy)?;
        let record = plan.and_then(|plan| self.records.plan(plan));
        let numbers = record.and_then(|plan| plan.limits.iter().find(|numbers| numbers.policy == policy));
        let Some(numbers) = numbers else {
            return plan.and_then(|plan| limit.plans.get(plan)).copied().or(limit.number);
        };
        let period_ms = numbers.period_ms.and_then(NonZeroU32::new);
        let count = match (period_ms, limit.period_ms) {
            (Some(from), Some(to)) => in_period(numbers.count.into(), from, to),
            (None, _) | (_, None) => numbers.count.into(),
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(limit.at_most.get());
        NonZeroU32::new(count)
    }
}

impl Plan {
    /// What this version replaces of another one, in words.
    #[must_use]
    pub fn replaces(&self, old: &Self) -> Vec<String> {
        let mut all = Vec::new();
        for numbers in &old.limits {
            match self.limits.iter().find(|own| own.policy == numbers.policy) {
                Some(own) if own == numbers => {}
                Some(own) => all.push(format!("{numbers} is {own} now")),
                None => all.push(format!("{numbers} is removed")),
            }
        }
        all.extend(replaced("product", old.product.as_ref(), self.product.as_ref()));
        all.extend(replaced("title", old.title.as_ref(), self.title.as_ref()));
        all
    }
}

impl Product {
    /// What this version replaces of another one, in words.
    #[must_use]
    pub fn replaces(&self, old: &Self) -> Vec<String> {
        let lost = old.apis.iter().filter(|api| !self.has(api));
        let mut all: Vec<String> = lost.map(|api| format!("the API {api} is removed")).collect();
        if old.apis.is_empty() && !self.apis.is_empty() {
            all.push("it had all APIs".to_owned());
        }
        all.extend(replaced("title", old.title.as_ref(), self.title.as_ref()));
        all
    }
}

fn replaced(what: &str, old: Option<&String>, new: Option<&String>) -> Option<String> {
    match (old?, new) {
        (old, Some(new)) if old == new => None,
        (old, Some(new)) => Some(format!("the {what} {old} is {new} now")),
        (old, None) => Some(format!("the {what} {old} is removed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::PlanNumbers;
    use crate::time::Timestamp;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn n(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    fn numbers(policy: &str, count: u32, period_ms: Option<u32>) -> PlanNumbers {
        PlanNumbers { policy: policy.into(), count, period_ms, burst: None }
    }

    /// The products `pets` and `maps`; the plans `pro` as a record, and `gold` of the configuration.
    fn catalogue() -> Catalogue {
        let product = |name: &str| Product { name: name.into(), ..Product::default() };
        let limits = vec![numbers("monthly", 5_000, None), numbers("burst", 10, Some(1_000))];
        let plans = vec![Plan { name: "pro".into(), limits, ..Plan::default() }];
        let records =
            Entitlements { products: vec![product("maps"), product("pets")], plans, ..Entitlements::default() };
        let limit = |policy: &str, number, period_ms, gold| EntitledLimit {
            policy: policy.into(),
            at_most: n(100_000),
            number: Some(n(number)),
            period_ms,
            plans: [("gold".to_owned(), n(gold))].into(),
        };
        let limits = vec![limit("burst", 60, Some(n(60_000)), 120), limit("monthly", 1_000, None, 2_000)];
        let configured = Some(Configured { plans: Some(vec!["gold".into()]), limits });
        let catalogue = Catalogue { records, configured };
        let read: Catalogue = serde_json::from_str(&catalogue.content()).unwrap();
        assert_eq!(read, catalogue);
        read
    }

    fn subscription(product: &str, plan: &str) -> Subscription {
        Subscription { product: product.into(), plan: plan.into(), ..Subscription::default() }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn clients_read_what_the_configuration_has_beside_the_records() {
        let read = catalogue();
        let limits = read.configured.as_ref().map(|configured| configured.limits.len());
        assert_eq!((read.records.plans.len(), limits), (1, Some(2)));
        let nothing = Catalogue::default();
        assert_eq!(nothing.content(), "{}");
        let nothing = Catalogue { configured: Some(Configured::default()), ..nothing };
        assert_eq!(nothing.content(), r#"{"configured":{"limits":[]}}"#);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_subscription_misses_what_neither_a_record_nor_the_configuration_has() {
        let all = catalogue();
        for (product, plan, gone) in [
            ("pets", "pro", None),
            ("pets", "gold", None),
            ("pets", "silver", Some("plan")),
            ("birds", "pro", Some("product")),
        ] {
            assert_eq!(all.gone(&subscription(product, plan)), gone, "{product} {plan}");
        }
        let unknown = Catalogue { configured: None, ..all };
        assert_eq!(unknown.gone(&subscription("pets", "silver")), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_grant_of_what_the_consumer_has_without_it_raises_nothing() {
        let subscriptions = |plan: &str| vec![subscription("pets", plan)];
        for (policy, to, product, own, told) in [
            ("monthly", 1_001, None, vec![], None),
            ("monthly", 1_000, None, vec![], Some("without a plan 1000 of monthly")),
            ("monthly", 5_001, None, subscriptions("pro"), None),
            ("monthly", 5_000, None, subscriptions("pro"), Some("has 5000 of monthly")),
            ("monthly", 2_000, None, subscriptions("gold"), Some("has 2000 of monthly")),
            ("monthly", 1_000, None, subscriptions("silver"), Some("has 1000 of monthly")),
            ("monthly", 9_000, Some("pets"), subscriptions("pro"), None),
            ("monthly", 9_000, Some("maps"), subscriptions("pro"), Some("has no subscription to maps")),
            ("monthly", 1_500, Some("maps"), vec![subscription("maps", "silver")], None),
            // Ten a second are 600 a minute.
            ("burst", 601, None, subscriptions("pro"), None),
            ("burst", 600, None, subscriptions("pro"), Some("has 600 of burst")),
            ("other", 1, None, subscriptions("pro"), None),
        ] {
            let (to, product) = (Some(to), product.map(str::to_owned));
            let grant = Grant { consumer: "acme".into(), policy: policy.into(), to, product, ..Grant::default() };
            let found = catalogue().raises_nothing(&grant, &own);
            assert_eq!(found.is_some(), told.is_some(), "{grant:?} {found:?}");
            assert!(found.is_none_or(|found| found.contains(told.unwrap_or_default())), "{grant:?}");
        }
        let ended = Subscription { until: Some(Timestamp::from_millis(0)), ..subscription("pets", "pro") };
        let share = Grant { percent: Some(150), policy: "monthly".into(), ..Grant::default() };
        assert_eq!(catalogue().raises_nothing(&share, &[ended]), None, "a share is always more");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_new_version_says_what_it_replaces() {
        let plan = |limits: Vec<PlanNumbers>, product: Option<&str>, title: Option<&str>| Plan {
            limits,
            product: product.map(str::to_owned),
            title: title.map(str::to_owned),
            ..Plan::default()
        };
        let old = plan(vec![numbers("monthly", 5, None), numbers("burst", 10, Some(1_000))], Some("pets"), Some("Pro"));
        assert_eq!(old.replaces(&old), Vec::<String>::new());
        let new = plan(vec![numbers("monthly", 9, None), numbers("daily", 1, None)], None, Some("Pro"));
        assert_eq!(
            new.replaces(&old),
            ["monthly=5 is monthly=9 now", "burst=10/s is removed", "the product pets is removed"]
        );
        let product = |apis: &[&str], title: Option<&str>| Product {
            apis: apis.iter().map(|api| (*api).to_owned()).collect(),
            title: title.map(str::to_owned),
            ..Product::default()
        };
        let few = product(&["pets"], None);
        assert_eq!(
            few.replaces(&product(&["pets", "maps"], Some("All"))),
            ["the API maps is removed", "the title All is removed"]
        );
        assert_eq!(few.replaces(&product(&[], None)), ["it had all APIs"]);
        assert_eq!(product(&[], None).replaces(&few), Vec::<String>::new());
    }
}
