//! The counters that the settings of a server choose.

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_core::cell::{CellKey, Outcome, Update};
use tollgate_core::operator::{Gauge, GaugeKind};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{CounterFault, Counters};

use super::{NativeCounters, RedisCounters};
use crate::faults::Faults;
use crate::store::StoreError;

/// The counters of one server; clones are the same counters.
#[derive(Clone, Debug)]
pub enum ChosenCounters {
    /// In the process, and in a file.
    Embedded(NativeCounters),
    /// In a server that several gateways share.
    Redis(RedisCounters),
}

impl ChosenCounters {
    pub(crate) fn with_faults(self, faults: Faults) -> Self {
        match self {
            Self::Embedded(counters) => Self::Embedded(counters.with_faults(faults)),
            Self::Redis(counters) => Self::Redis(counters.with_faults(faults)),
        }
    }

    /// Writes what changed since the last call, as far as that is not written already.
    pub(crate) fn persist(&self, now: Timestamp) -> Result<(), StoreError> {
        match self {
            Self::Embedded(counters) => counters.persist(now),
            Self::Redis(_) => Ok(()),
        }
    }

    /// What metrics tell of them.
    pub(crate) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, help, kind, value| Gauge { name, help, kind, value };
        let partitions =
            |value| gauge("tollgate_limit_partitions", "Partitions of limits in memory.", GaugeKind::Gauge, value);
        match self {
            Self::Embedded(counters) => vec![partitions(counters.len() as u64)],
            Self::Redis(counters) => {
                let counts = counters.counts();
                let counter = |name, help, value: &AtomicU64| {
                    gauge(name, help, GaugeKind::Counter, value.load(Ordering::Relaxed))
                };
                vec![
                    partitions(counts.remembered.load(Ordering::Relaxed)),
                    counter("tollgate_counters_calls_total", "Calls of the Redis server of counters.", &counts.calls),
                    counter(
                        "tollgate_counters_conflicts_total",
                        "Calls of the Redis server that were repeated because another gateway had changed a counter.",
                        &counts.conflicts,
                    ),
                    counter(
                        "tollgate_counters_connections_total",
                        "Connections to the Redis server of counters that were made.",
                        &counts.connections,
                    ),
                    counter(
                        "tollgate_counters_failures_total",
                        "Calls of the Redis server of counters, and attempts to connect, that failed.",
                        &counts.failures,
                    ),
                ]
            }
        }
    }
}

impl Counters for ChosenCounters {
    fn is_near(&self) -> bool {
        match self {
            Self::Embedded(counters) => counters.is_near(),
            Self::Redis(counters) => counters.is_near(),
        }
    }

    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool {
        match self {
            Self::Embedded(counters) => counters.same_owner(one, other),
            Self::Redis(counters) => counters.same_owner(one, other),
        }
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        match self {
            Self::Embedded(counters) => counters.update(update, now).await,
            Self::Redis(counters) => counters.update(update, now).await,
        }
    }
}
