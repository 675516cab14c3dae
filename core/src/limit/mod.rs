//! Limits: charges, what happens if a charge cannot be made, and the response fields for the client.

mod calendar;
mod cost;
mod counting;
mod fault;
pub mod fields;
mod lease;
mod notice;
mod quotas;
mod statuses;

use std::num::NonZeroU32;

use crate::cell::Charge;
use crate::expression::Source;
use crate::kinds::{PolicyKind, PolicyName, declare_modules};
use crate::time::Timestamp;

crate::policy_kinds!(declare_modules @limit);

pub use calendar::{Unit, Windows};
pub use concurrency::ConcurrencySettings;
pub use cost::{Cost, Measure, Priced, REQUEST_BYTES, RESPONSE_BYTES};
pub use counting::{
    Consistency, Counting, LimitBy, OnUnavailable, PARTS_MAX, Part, Partition, WARNINGS_MAX, Whereabouts,
};
pub use fault::{Fault, OnFault};
pub use fields::LegacyFields;
pub use lease::{Drawn, Lease, Purpose};
pub use notice::{NOTICE_RECEIVERS_MAX, NoticeCaller, NoticeReceiver, Reached, signatures};
pub use quota::QuotaSettings;
pub use quotas::Quotas;
pub use rate_limit::{PlanLimit, RateAlgorithm, RateLimitSettings};
pub use statuses::{Statuses, StatusesError};

/// The decisions of every kind of the limit slot.
pub trait Limiter: PolicyKind {
    /// Which requests share a quota.
    fn partition(&self) -> Partition<'_>;

    /// What it has in common with all limits.
    fn counting(&self) -> &Counting;

    /// Everything that it reads of a request.
    fn reads(&self) -> Vec<&Source> {
        self.partition().sources().chain(self.counting().sources()).collect()
    }

    /// Whether it can be charged before a caller is authenticated.
    fn is_known_before_authentication(&self) -> bool {
        self.partition().is_known_before_authentication() && !self.counting().is_priced_by_caller()
    }

    /// The charge for an operation of the given cost, by a principal of a plan; `policy` names the quota.
    fn charge(&self, policy: &PolicyName, plan: Option<&str>, cost: NonZeroU32, now: Timestamp) -> Charge;

    /// What happens while the counter store does not answer.
    fn on_unavailable(&self) -> OnUnavailable;

    /// The maximum cost that callers without a plan can charge at once.
    fn own_maximum(&self) -> NonZeroU32;

    /// The maximum cost that callers of each plan can charge at once, where it is another one.
    fn maximum_of_plans(&self) -> Vec<(&str, NonZeroU32)>;
}
