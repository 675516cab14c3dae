//! Authorization: whether an authenticated caller may send this request.
//!
//! A module for each kind of policy, declared by the list in [`crate::kinds`]. All policies of a route must authorize a
//! request; each decides only from the caller and the request.

use crate::kinds::declare_modules;

crate::policy_kinds!(declare_modules @authz);

pub use access::{AccessSettings, Callers};
pub use condition::ConditionSettings;
pub use external::{Decision, ExternalSettings, NoDecision, PATH_MAX, Protocol, Sent};

pub use crate::expression::Facts;

use crate::event::Reason;
use crate::expression::Source;
use crate::kinds::PolicyKind;
use crate::problem::{Problem, ProblemKind};

/// The decisions of every kind of the authorization slot.
pub trait Authorizer: PolicyKind {
    /// Authorizes a request, or returns the problem of the refusal.
    ///
    /// # Errors
    /// The problem of a refusal, without the policy's name.
    fn check(&self, request: &Facts<'_>) -> Result<Checked<'_>, Problem>;

    /// Whether it refuses every request that has no authenticated caller.
    fn needs_caller(&self) -> bool;

    /// What it reads by name of the request and the claims of its caller.
    fn reads(&self) -> Vec<&Source> {
        Vec::new()
    }
}

/// What a policy decided of a request that it does not refuse.
#[derive(Debug)]
pub enum Checked<'s> {
    /// It is authorized.
    Authorized,
    /// A service decides.
    Ask(Asked<'s>),
}

/// The question to a service.
#[derive(Debug)]
pub struct Asked<'s> {
    /// The policy.
    pub settings: &'s ExternalSettings,
    /// The content that is sent.
    pub content: String,
}

/// The refusal of a caller. The log has the reason; the response does not, because lists and conditions are nothing that a
/// client should learn by trying.
fn not_authorized(reason: Reason) -> Problem {
    let detail =
        "The credential is valid, but it does not allow this request. Ask the operator of this API for access.";
    Problem::new(ProblemKind::NotAuthorized, detail, reason)
}
