//! Rate limits: what a charge costs, what happens where it cannot be made, and what the client is told.

mod fault;
pub mod fields;
mod quotas;

use crate::cell::Gcra;
use crate::kinds::{PolicyKind, PolicyName, declare_modules};

crate::policy_kinds!(declare_modules @limit);

pub use fault::{Fault, OnFault};
pub use quotas::Quotas;
pub use rate_limit::{LimitBy, OnUnavailable, PlanLimit, RateLimitSettings};

/// What every kind of the limit slot decides.
pub trait Limiter: PolicyKind {
    /// What shares one quota.
    fn by(&self) -> LimitBy;

    /// The charge for an operation of the given cost, by a principal of a plan; `policy` names the quota.
    fn charge(&self, policy: &PolicyName, plan: Option<&str>, cost: std::num::NonZeroU32) -> Gcra;

    /// What happens while the counter store does not answer.
    fn on_unavailable(&self) -> OnUnavailable;
}
