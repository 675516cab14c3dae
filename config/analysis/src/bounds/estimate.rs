//! What a million requests come to by a price list.

use serde::Serialize;
use tollgate_config::prices::{MICRO, TargetPrices, Unit};

use super::Usage;

/// A million requests: so many of them are answered from the cache, the others are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// What a request causes that is answered from the cache.
    pub hit: Usage,
    /// What every other one causes.
    pub miss: Usage,
    /// How many of a million are answered from the cache; no more than a million.
    pub hits: u32,
}

/// What a million requests come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// For each unit, how much of it is used (for egress in bytes), and what that costs in millionths of the currency.
    pub items: Vec<(Unit, u64, u64)>,
    /// All together, in millionths of the currency.
    pub total_micro: u64,
}

impl Estimate {
    /// What a million requests come to.
    #[must_use]
    pub fn per_million(prices: &TargetPrices, mix: &Mix) -> Self {
        let item = |unit| {
            let quantity = quantity(prices, unit, mix);
            let for_so_many = if unit == Unit::EgressGib { GIB } else { MICRO };
            let cost = u128::from(quantity) * u128::from(prices.micro(unit));
            (unit, quantity, u64::try_from(cost.div_ceil(u128::from(for_so_many))).unwrap_or(u64::MAX))
        };
        let items: Vec<_> = Unit::ALL.into_iter().map(item).collect();
        let total_micro = items.iter().fold(0u64, |total, (.., micro)| total.saturating_add(*micro));
        Self { items, total_micro }
    }
}

/// How much of a unit a million requests use.
fn quantity(prices: &TargetPrices, unit: Unit, mix: &Mix) -> u64 {
    let mixed = |of: fn(&Usage) -> u64| {
        let hits = u64::from(mix.hits).min(MICRO);
        of(&mix.hit).saturating_mul(hits).saturating_add(of(&mix.miss).saturating_mul(MICRO - hits))
    };
    match unit {
        Unit::Requests => MICRO,
        Unit::CpuMs => prices.cpu_ms.saturating_mul(MICRO),
        Unit::RecordReads => mixed(|usage| usage.record_reads),
        Unit::CounterCalls => mixed(|usage| usage.counter_calls),
        Unit::CacheCalls => mixed(|usage| usage.cache_look_ups.saturating_add(usage.cache_stores)),
        Unit::UpstreamRequests => mixed(|usage| usage.upstream_attempts),
        Unit::Exports => mixed(|usage| usage.export_posts),
        Unit::EgressGib => prices.response_bytes.saturating_mul(MICRO),
    }
}

const GIB: u64 = 1 << 30;
