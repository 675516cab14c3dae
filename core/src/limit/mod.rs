//! Rate limits: what a charge costs, what it leaves, and how that is told to the client.

pub mod fields;

use crate::kinds::{PolicyKind, declare_modules};

crate::policy_kinds!(declare_modules @limit);

pub use rate_limit::{
    Charge, ChargeOutcome, ChargeRequest, ChargeVerdict, CounterState, LimitBy, OnUnavailable, PlanLimit,
    RateLimitSettings, charge, refund,
};

/// What every kind of the limit slot decides.
pub trait Limiter: PolicyKind {
    /// What shares one quota.
    fn by(&self) -> LimitBy;

    /// The charge for an operation of the given cost, by a principal of a plan; `policy` names the quota.
    fn charge(&self, policy: &str, plan: Option<&str>, cost: std::num::NonZeroU32) -> Charge;

    /// What happens while the counter store does not answer.
    fn on_unavailable(&self) -> OnUnavailable;
}
