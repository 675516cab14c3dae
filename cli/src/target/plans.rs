//! The plans that a published configuration knows.

use std::collections::BTreeSet;

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

    /// Checks that a plan is one of these, or one of the configuration that is published in a store.
    ///
    /// # Errors
    /// If neither has the plan, or the store cannot be read.
    pub(crate) fn check(mut self, plan: &str, target: &Target, gateway: &str) -> Result<(), Failure> {
        if self.0.contains(plan) {
            return Ok(());
        }
        let pointer = decode::<Pointer>(&target.pointer(gateway)?);
        let bundle = pointer.map_err(|error| unreadable(&keys::active(gateway), &error))?.newest.bundle;
        let key = keys::manifest(gateway, &bundle);
        let missing = || Failure::problem(format!("{} has no record {key}: publish the project again", target.name()));
        let record = target.get(&key)?.ok_or_else(missing)?;
        let manifest = Manifest::decode(record, &bundle).map_err(|error| unreadable(&key, &error))?;
        self.0.extend(manifest.gateway.plans.into_iter().flatten());
        if self.0.contains(plan) { Ok(()) } else { Err(self.unknown(plan, gateway)) }
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

fn unreadable(key: &str, error: &RecordError) -> Failure {
    Failure::problem(format!("{key}: {error}"))
}
