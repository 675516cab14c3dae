//! The plans that a published configuration knows.

use std::collections::BTreeSet;

use tollgate_core::entitlement::Entitlements;
use tollgate_kv_schemas::{Manifest, Pointer, RecordError, decode, keys};

use super::Target;
use crate::failure::Failure;

/// The plans of a gateway, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Plans(BTreeSet<String>);

impl Plans {
    /// The plans that a project defines.
    pub(crate) fn of<'p>(names: impl Iterator<Item = &'p str>) -> Self {
        Self(names.map(str::to_owned).collect())
    }

    /// Checks that a plan is one of these, a record, or one of the configuration that is published in a store.
    ///
    /// # Errors
    /// If none of them has the plan, or the store cannot be read.
    pub(crate) fn check(mut self, plan: &str, target: &Target, gateway: &str) -> Result<(), Failure> {
        if self.0.contains(plan) {
            return Ok(());
        }
        if self.is_record(plan, target, gateway)? {
            return Ok(());
        }
        let pointer = decode::<Pointer>(&target.pointer(gateway)?);
        let bundle = pointer.map_err(|error| unreadable(&keys::active(gateway), &error))?.newest.bundle;
        let key = keys::manifest(gateway, &bundle);
        let missing = || Failure::problem(format!("{} has no record {key}: publish the project again", target.name()));
        let record = target.get(&key)?.ok_or_else(missing)?;
        let manifest = Manifest::decode(record, &bundle).map_err(|error| unreadable(&key, &error))?;
        self.check_published(plan, manifest.gateway.plans, gateway)
    }

    /// Whether a plan is a record of the gateway; those that are become known.
    fn is_record(&mut self, plan: &str, target: &Target, gateway: &str) -> Result<bool, Failure> {
        let key = keys::catalogue(gateway);
        let Some(record) = target.get(&key)? else { return Ok(false) };
        let catalogue = decode::<Entitlements>(&record).map_err(|error| unreadable(&key, &error))?;
        self.0.extend(catalogue.plans.iter().filter(|own| !own.removed).map(|own| own.name.clone()));
        Ok(self.0.contains(plan))
    }

    /// Configurations of older versions do not name their plans, so one that is not known may be one of theirs.
    fn check_published(mut self, plan: &str, published: Option<Vec<String>>, gateway: &str) -> Result<(), Failure> {
        let Some(published) = published else { return Ok(()) };
        self.0.extend(published);
        if self.0.contains(plan) { Ok(()) } else { Err(self.unknown(plan, gateway)) }
    }

    /// The failure for a plan that is none of these.
    pub(crate) fn unknown(&self, plan: &str, gateway: &str) -> Failure {
        let known = match self.0.len() {
            0 => "it has none".to_owned(),
            _ => format!("it has {}", self.0.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
        };
        Failure::problem(format!(
            "gateway {gateway} has no plan {plan} ({known}), so the key would have the limits of no plan: correct it, leave it \
             out, publish the project that defines it first, or name that project with --project in place of --gateway"
        ))
    }

    /// Whether a plan is one of these.
    pub(crate) fn has(&self, plan: &str) -> bool {
        self.0.contains(plan)
    }
}

fn unreadable(key: &str, error: &RecordError) -> Failure {
    Failure::problem(format!("{key}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_refused_only_if_all_plans_are_known() {
        let published = |plans: &[&str]| Some(plans.iter().map(|plan| (*plan).to_owned()).collect());
        for (published, refusal) in [
            (None, None),
            (published(&["gold"]), None),
            (published(&["silver"]), Some("it has free, silver")),
            (published(&[]), Some("it has free")),
        ] {
            let result = Plans::of(["free"].into_iter()).check_published("gold", published, "acme");
            let found = result.err().map(|failure| failure.to_string());
            assert_eq!(found.is_some(), refusal.is_some(), "{found:?}");
            assert!(found.is_none_or(|found| found.contains(refusal.unwrap_or_default())));
        }
    }
}
