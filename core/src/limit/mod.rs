//! Rate limits: charges, what happens if a charge cannot be made, and the response fields for the client.

mod fault;
pub mod fields;
mod quotas;

use crate::cell::Charge;
use crate::kinds::{PolicyKind, PolicyName, declare_modules};

crate::policy_kinds!(declare_modules @limit);

pub use fault::{Fault, OnFault};
pub use quotas::Quotas;
pub use rate_limit::{LimitBy, OnUnavailable, PlanLimit, RateLimitSettings};

/// The decisions of every kind of the limit slot.
pub trait Limiter: PolicyKind {
    /// Which requests share a quota.
    fn by(&self) -> LimitBy;

    /// The charge for an operation of the given cost, by a principal of a plan; `policy` names the quota.
    fn charge(&self, policy: &PolicyName, plan: Option<&str>, cost: std::num::NonZeroU32) -> Charge;

    /// What happens while the counter store does not answer.
    fn on_unavailable(&self) -> OnUnavailable;
}
