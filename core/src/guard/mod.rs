//! The guard: decisions before the caller is authenticated, so that a refusal costs no look-up.
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

/// The input of guards: a request whose caller is not authenticated yet, without its content.
#[derive(Clone, Copy, Debug)]
pub struct Unidentified<'r> {
    /// Method, path, query and fields.
    pub head: RequestHead<'r>,
    /// The requested host.
    pub host: &'r HostName,
    /// The client's address; absent if the host does not know it.
    pub address: Option<IpAddr>,
}

/// The decisions of every kind of the guard slot.
pub trait Guard: PolicyKind {
    /// Admits a request, or returns the problem of the refusal.
    ///
    /// # Errors
    /// The problem of a refusal, without the policy's name.
    fn check(&self, request: &Unidentified<'_>) -> Result<(), Problem>;
}
