//! Estimates the cost of a million requests with a price list.

use serde::Serialize;
use tollgate_config::prices::{MICRO, TargetPrices, Unit};

use super::Usage;

/// The mix of a million requests: some are served from the cache, the others are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// The usage of a request that is served from the cache.
    pub hit: Usage,
    /// The usage of every other request.
    pub miss: Usage,
    /// The number of requests out of a million that are served from the cache.
    pub hits: u32,
}

/// The estimated cost of a million requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// For each unit, the quantity (for egress in bytes), and its cost in millionths of the currency.
    pub items: Vec<(Unit, u64, u64)>,
    /// The total cost, in millionths of the currency.
    pub total_micro: u64,
}

impl Estimate {
    /// The estimated cost of a million requests.
    #[must_use]
    pub fn per_million(prices: &TargetPrices, mix: &Mix) -> Self {
        let item = |unit| {
            let quantity = quantity(prices, unit, mix);
            let units_per_price = if unit == Unit::EgressGib { GIB } else { MICRO };
            let cost = u128::from(quantity) * u128::from(prices.micro(unit));
            (unit, quantity, u64::try_from(cost.div_ceil(u128::from(units_per_price))).unwrap_or(u64::MAX))
        };
        let items: Vec<_> = Unit::ALL.into_iter().map(item).collect();
        let total_micro = items.iter().fold(0u64, |total, (.., micro)| total.saturating_add(*micro));
        Self { items, total_micro }
    }
}

/// The quantity of a unit that a million requests use.
fn quantity(prices: &TargetPrices, unit: Unit, mix: &Mix) -> u64 {
    let mixed = |of: fn(&Usage) -> u64| {
        let hits = u64::from(mix.hits).min(MICRO);
        of(&mix.hit).saturating_mul(hits).saturating_add(of(&mix.miss).saturating_mul(MICRO - hits))
    };
    match unit {
        Unit::Requests => MICRO,
        Unit::CpuMs => prices.cpu_ms.saturating_mul(MICRO),
        Unit::RecordReads => mixed(|usage| usage.record_reads),
        Unit::RecordWrites => mixed(|usage| usage.record_writes),
        Unit::CounterCalls => mixed(|usage| usage.counter_calls),
        Unit::CacheCalls => mixed(|usage| usage.cache_look_ups.saturating_add(usage.cache_stores)),
        Unit::UpstreamRequests => mixed(|usage| usage.upstream_attempts),
        Unit::Questions => mixed(|usage| usage.fetches),
        Unit::Exports => mixed(|usage| usage.export_posts),
        Unit::EgressGib => prices.response_bytes.saturating_mul(MICRO),
    }
}

const GIB: u64 = 1 << 30;
