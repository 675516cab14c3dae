//! Instants, in microseconds; core never reads a clock, every instant is an argument.
//!
//! Two kinds that the type system keeps apart: a [`Timestamp`] is a reading of the wall clock, which is shared between
//! processes, stored and shown, and may step back. A [`MonotonicInstant`] is a reading of a clock that only moves
//! forward; it has no meaning outside the isolate that read it, and is used for every age and deadline in memory.

mod calendar;
mod http_date;
mod monotonic;
mod set_back;
mod timestamp;
mod zone;

pub(crate) use calendar::{civil_from_days as civil, days_from_civil as day_of};
pub use monotonic::{ForwardSteps, MonotonicInstant};
pub use set_back::SetBack;
pub(crate) use timestamp::SECOND_BYTES;
pub use timestamp::Timestamp;
pub use zone::{OffsetChange, Zone};

const MICROS_PER_MS: u64 = 1_000;
const MICROS_PER_S: u64 = 1_000_000;
