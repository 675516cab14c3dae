//! The plans that a published configuration knows.

use std::collections::BTreeSet;

use tollgate_config::policies;
use tollgate_core::settings::SiteSettings;
use tollgate_kv_schemas::{Id, Manifest, Pointer, RecordError, decode, decode_part, keys};

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

    /// Checks that a plan is one of these, or one that limits in a store have numbers for.
    ///
    /// # Errors
    /// If no limit has numbers for the plan, or the store cannot be read.
    pub(crate) fn check(mut self, plan: &str, target: &Target, gateway: &str) -> Result<(), Failure> {
        if self.0.contains(plan) {
            return Ok(());
        }
        let pointer = decode::<Pointer>(&target.pointer(gateway)?);
        let bundle = pointer.map_err(|error| unreadable(&keys::active(gateway), &error))?.newest.bundle;
        for part in parts(target, gateway, &bundle)? {
            let key = keys::part(gateway, &part);
            let site = decode_part(&record(target, &key)?, &part).map_err(|error| unreadable(&key, &error))?;
            self.0.extend(plans_of(&site));
            if self.0.contains(plan) {
                return Ok(());
            }
        }
        Err(self.unknown(plan, gateway))
    }

    /// The failure for a plan that is none of these.
    pub(crate) fn unknown(&self, plan: &str, gateway: &str) -> Failure {
        let known = match self.0.len() {
            0 => "it has none".to_owned(),
            _ => format!("it has {}", self.0.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
        };
        Failure::problem(format!(
            "gateway {gateway} has no plan {plan} ({known}), so the key would have the limits of no plan: correct --plan, \
             leave it out, or name the project that defines it with --project"
        ))
    }

    /// Whether a plan is one of these.
    pub(crate) fn has(&self, plan: &str) -> bool {
        self.0.contains(plan)
    }
}

fn parts(target: &Target, gateway: &str, bundle: &Id) -> Result<BTreeSet<Id>, Failure> {
    let key = keys::manifest(gateway, bundle);
    let manifest = Manifest::decode(record(target, &key)?, bundle).map_err(|error| unreadable(&key, &error))?;
    let parts = manifest.parts().map_err(|error| unreadable(&key, &error))?;
    Ok(parts.into_iter().map(|(_, id)| id).collect())
}

fn record(target: &Target, key: &str) -> Result<Vec<u8>, Failure> {
    let missing = || Failure::problem(format!("{} has no record {key}: publish the project again", target.name()));
    target.get(key)?.ok_or_else(missing)
}

fn unreadable(key: &str, error: &RecordError) -> Failure {
    Failure::problem(format!("{key}: {error}"))
}

/// The plans for which policies of a part have numbers.
fn plans_of(site: &SiteSettings) -> impl Iterator<Item = String> {
    let settings = site.policies.iter().filter_map(|policy| policies::settings(&site.policies, policy.name));
    settings.flat_map(|settings| settings.plans).map(|(plan, _)| plan)
}
