//! The guard: what is decided before the caller is authenticated, so that a refusal here costs no look-up.
//!
//! A module for each kind of policy, declared by the list in [`crate::kinds`].

use crate::kinds::declare_modules;

crate::policy_kinds!(declare_modules @guard);
mod address_set;
mod network;

use std::net::IpAddr;

pub use address_set::AddressSet;
pub use network::{Cidr, CidrError, Networks};

use crate::kinds::PolicyKind;
use crate::problem::Problem;
use crate::route::{HostName, RequestHead};

/// What guards decide by: a request whose caller is not known yet, without its content.
#[derive(Clone, Copy, Debug)]
pub struct Unidentified<'r> {
    /// Method, path, query and fields.
    pub head: RequestHead<'r>,
    /// The host that it is for.
    pub host: &'r HostName,
    /// The client's address; absent where the host does not know it.
    pub address: Option<IpAddr>,
}

/// What every kind of the guard slot decides.
pub trait Guard: PolicyKind {
    /// Admits a request, or says with which problem it is refused.
    ///
    /// # Errors
    /// The problem of a refusal, without the policy's name.
    fn check(&self, request: &Unidentified<'_>) -> Result<(), Problem>;
}
