//! Origins of a policy's own settings.

use super::{Origin, show};
use crate::lower;
use crate::model::level::OriginLevel;
use crate::model::plan::PlanLimit;
use crate::model::policy::{ApiKey, Policy, RateLimit};
use crate::model::project::Project;
use crate::place::Spanned;

/// The origins of a policy that a route names.
pub(super) fn origins(project: &Project, name: &str) -> Vec<Origin> {
    let found = lower::written(project, name, |project| &project.policies, |api| &api.policies);
    let Some((defined, policy)) = found else { return Vec::new() };
    let owner = Owner { prefix: format!("policies.{name}") };
    let kind = |kind: &str| Origin::new(&owner.key("kind"), kind.to_owned(), OriginLevel::Policy, Some(defined.span));
    match policy {
        Policy::ApiKey(written) => [vec![kind("api-key")], owner.api_key(written)].concat(),
        Policy::RateLimit(written) => {
            [vec![kind("rate-limit")], owner.rate_limit(written), owner.plans(project, name)].concat()
        }
    }
}

struct Owner {
    prefix: String,
}

impl Owner {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn setting<T>(&self, key: &str, said: Option<&Spanned<T>>, show: impl Fn(&T) -> String, default: &str) -> Origin {
        match said {
            Some(said) => Origin::new(&self.key(key), show(&said.value), OriginLevel::Policy, Some(said.span)),
            None => Origin::default(&self.key(key), default),
        }
    }

    fn api_key(&self, written: &ApiKey) -> Vec<Origin> {
        let ApiKey { header, scheme, query } = written;
        vec![
            self.setting("header", header.as_ref(), String::clone, "X-API-Key"),
            self.setting("scheme", scheme.as_ref(), String::clone, "none"),
            self.setting("query", query.as_ref(), String::clone, "none"),
        ]
    }

    fn rate_limit(&self, written: &RateLimit) -> Vec<Origin> {
        let RateLimit { rate, burst, by, on_unavailable } = written;
        vec![
            self.setting("rate", Some(rate), |rate| show::rate(*rate), ""),
            self.setting("burst", burst.as_ref(), u32::to_string, &rate.value.count.to_string()),
            self.setting("by", by.as_ref(), |by| show::by(*by), "consumer"),
            self.setting("on-unavailable", on_unavailable.as_ref(), |on| show::on_unavailable(*on), "open"),
        ]
    }

    fn plans(&self, project: &Project, policy: &str) -> Vec<Origin> {
        let plans = project.plans.iter().filter_map(|(name, plan)| Some((name, plan.as_ref()?)));
        let limits = plans.flat_map(|(name, plan)| plan.limits.iter().map(move |(of, limit)| (name, of, limit)));
        limits
            .filter(|(_, of, _)| of.value == policy)
            .flat_map(|(name, _, PlanLimit { rate, burst })| {
                let key = |key: &str| self.key(&format!("plans.{}.{key}", name.value));
                let plan = OriginLevel::Plan;
                let rate = Origin::new(&key("rate"), show::rate(rate.value), plan, Some(rate.span));
                let burst = burst.as_ref();
                let burst = burst.map(|b| Origin::new(&key("burst"), b.value.to_string(), plan, Some(b.span)));
                [Some(rate), burst].into_iter().flatten().collect::<Vec<_>>()
            })
            .collect()
    }
}
