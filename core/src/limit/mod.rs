//! Rate limits: what a charge costs, what it leaves, and how that is told to the client.

pub mod fields;
pub mod rate_limit;

pub use rate_limit::{
    Charge, ChargeOutcome, ChargeRequest, ChargeVerdict, CounterState, LimitBy, OnUnavailable, PlanLimit,
    RateLimitSettings, charge, refund,
};
