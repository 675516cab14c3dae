//! Price lists, and the estimated cost of a million requests.

use proptest::prelude::*;
use tollgate_analysis::bounds::{Estimate, Mix, Usage};
use tollgate_config::Target;
use tollgate_config::prices::{BUILT_IN, Prices, Unit};

fn of(text: &str) -> Prices {
    let text = format!("format: 1\ncurrency: EUR\nas-of: 2026-01-01\ntargets: {{native: {{{text}}}}}\n");
    Prices::read("prices.yaml", &text).expect("a price list")
}

/// Checks the total in millionths, for requests with the same usage.
#[track_caller]
fn check(prices: &str, usage: Usage, total_micro: u64) {
    let prices = of(prices);
    let estimate = Estimate::per_million(&prices.targets[&Target::Native], &Mix { hit: usage, miss: usage, hits: 0 });
    assert_eq!(estimate.total_micro, total_micro, "{estimate:?}");
}

#[test]
fn the_built_in_list_is_valid_and_has_every_target() {
    let prices = Prices::built_in().expect("a price list");
    assert_eq!(prices.targets.len(), Target::ALL.len());
    assert_eq!(prices.currency, "USD");
    assert_eq!(prices.targets[&Target::WorkersPaid].micro(Unit::RecordReads), 500_000);
    assert!(BUILT_IN.contains(&prices.as_of));
}

#[test]
fn the_cost_is_the_sum_of_quantities_and_prices() {
    let usage = Usage { record_reads: 3, counter_calls: 1, cache_look_ups: 2, cache_stores: 2, ..Usage::default() };
    check("requests: 0.3", usage, 300_000);
    check("record-reads: 0.5", usage, 1_500_000);
    check("record-writes: 5", Usage { record_writes: 2, ..usage }, 10_000_000);
    check("cache-calls: 1, counter-calls: 2", usage, 6_000_000);
    check("questions: 0.5", Usage { fetches: 12, ..usage }, 6_000_000);
    check("cpu: 7ms, cpu-ms: 0.02", usage, 140_000);
    check("response: 1GiB, egress-gib: 0.000001", usage, 1_000_000);
    check("response: 1B, egress-gib: 0.000001", usage, 1);
}

#[test]
fn invalid_prices_are_refused_at_their_place() {
    for (price, code) in
        [("-1", "TG0209"), ("0.0000001", "TG0209"), ("1000001", "TG0209"), ("a", "TG0202"), (".nan", "TG0209")]
    {
        let text = format!("format: 1\ncurrency: EUR\nas-of: 2026-01-01\ntargets: {{native: {{requests: {price}}}}}\n");
        let found = Prices::read("prices.yaml", &text).expect_err("a mistake");
        let first = found.iter().next().expect("a finding");
        assert_eq!((first.code.id(), first.span.start.line), (code, 4), "{found}");
    }
    let found = Prices::read("p", "format: 1\ncurrency: \"U\\x1b[2JD\"\nas-of: x\ntargets: {native: {cpu: 6m}}\n");
    let codes: Vec<_> = found.expect_err("two mistakes").iter().map(|found| found.code.id()).collect();
    assert_eq!(codes, ["TG0209", "TG0209"], "a name with a terminal escape, and a time that would cause an overflow");
    let found = Prices::read("p", "format: 1\ncurrency: EUR\nas-of: x\ntargets: {wasm: {}}\n").expect_err("a mistake");
    assert!(found.to_text(false).contains("workers-free"), "{found}");
}

proptest! {
    #[test]
    fn more_hits_do_not_cost_more_and_no_amount_overflows(
        reads in any::<u64>(), calls in 0u64..1_000, fewer in 0u32..=1_000_000, more in 0u32..=1_000_000, micro in 0u32..=999_999,
    ) {
        let prices = of(&format!("record-reads: 0.{micro:06}, upstream-requests: 0.{micro:06}"));
        let prices = &prices.targets[&Target::Native];
        let miss = Usage { record_reads: reads, upstream_attempts: calls, ..Usage::default() };
        let total = |hits| Estimate::per_million(prices, &Mix { hit: Usage::default(), miss, hits }).total_micro;
        prop_assert!(total(fewer.max(more)) <= total(fewer.min(more)));
        let estimate = Estimate::per_million(prices, &Mix { hit: miss, miss, hits: more });
        let sum = estimate.items.iter().fold(0u64, |sum, (.., micro)| sum.saturating_add(*micro));
        prop_assert_eq!(sum, estimate.total_micro);
        prop_assert_eq!(estimate.total_micro, total(0));
    }
}
