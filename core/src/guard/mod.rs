//! The guard: what is decided before the caller is authenticated, so that a refusal here costs no look-up.
//!
//! A module for each kind of policy, declared by the list in [`crate::kinds`].

use crate::kinds::declare_modules;

crate::policy_kinds!(declare_modules @guard);

use std::net::IpAddr;

use crate::kinds::PolicyKind;
use crate::problem::Problem;

/// What every kind of the guard slot decides.
pub trait Guard: PolicyKind {
    /// Admits a request by its client's connection, or says with which problem it is refused.
    ///
    /// # Errors
    /// The problem of a refusal, without the policy's name.
    fn check(&self, address: Option<IpAddr>) -> Result<(), Problem>;
}
