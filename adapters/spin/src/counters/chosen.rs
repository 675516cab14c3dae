//! The counters that the variables of the component choose.

use tollgate_core::cell::{CellKey, Outcome, Update};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{CounterFault, Counters};

use super::{RedisCounters, SpinCounters};

/// The counters of one instance.
pub enum ChosenCounters {
    /// In the key-value store.
    KeyValue(SpinCounters),
    /// In a Redis server.
    Redis(Box<RedisCounters>),
}

impl Counters for ChosenCounters {
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool {
        match self {
            Self::KeyValue(counters) => counters.same_owner(one, other),
            Self::Redis(counters) => counters.same_owner(one, other),
        }
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        match self {
            Self::KeyValue(counters) => counters.update(update, now).await,
            Self::Redis(counters) => counters.update(update, now).await,
        }
    }
}
