//! Authorization: whether an authenticated caller may send this request.
//!
//! A module for each kind of policy, declared by the list in [`crate::kinds`]. All policies of a route must authorize a
//! request; each decides only from the caller and the request.

use crate::kinds::declare_modules;

crate::policy_kinds!(declare_modules @authz);

pub use access::{AccessSettings, Callers};

use crate::authn::Principal;
use crate::event::Reason;
use crate::kinds::PolicyKind;
use crate::problem::{Problem, ProblemKind};

/// The input of authorizers: a request whose caller is known, without its content.
#[derive(Clone, Copy, Debug)]
pub struct Identified<'r> {
    /// The caller; absent on a public route.
    pub principal: Option<&'r Principal>,
}

/// The decisions of every kind of the authorization slot.
pub trait Authorizer: PolicyKind {
    /// Authorizes a request, or returns the problem of the refusal.
    ///
    /// # Errors
    /// The problem of a refusal, without the policy's name.
    fn check(&self, request: &Identified<'_>) -> Result<(), Problem>;

    /// Whether it refuses every request that has no authenticated caller.
    fn needs_caller(&self) -> bool;
}

/// The refusal of a caller. The log has the reason; the response does not, because lists and conditions are nothing that a
/// client should learn by trying.
fn not_authorized(reason: Reason) -> Problem {
    let detail =
        "The credential is valid, but it does not allow this request. Ask the operator of this API for access.";
    Problem::new(ProblemKind::NotAuthorized, detail, reason)
}
