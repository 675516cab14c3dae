//! The reference implementations in memory.

use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, Fault, MemoryCache, MemoryCounters, MemoryRecords, MemorySecrets, SeededEntropy};

use crate::response_cache::Reader;
use crate::{clock, counters, on_one_thread, records, response_cache, secrets};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct Whole;

impl Reader<Content> for Whole {
    async fn read(&self, content: Content) -> Result<Vec<u8>, String> {
        if content.is_broken() { Err("it broke off".to_owned()) } else { Ok(content.bytes().to_vec()) }
    }
}

fn switch(fault: &Fault) -> impl Fn(bool) {
    let fault = fault.clone();
    move |on| fault.set(on)
}

fn writing(records: &MemoryRecords) -> impl Fn(&str, Option<&str>) {
    let records = records.clone();
    move |key, value| match value {
        Some(value) => records.put(key, value),
        None => records.remove(key),
    }
}

#[test]
fn records_keep_their_contract() {
    on_one_thread(async {
        let subject = MemoryRecords::default();
        records::reads_what_was_written(&subject, writing(&subject)).await;
        records::sees_changes(&subject, writing(&subject)).await;
        records::away_is_not_absent(&subject, writing(&subject), switch(&subject.fault)).await;
    });
}

#[test]
fn counters_keep_their_contract() {
    on_one_thread(async {
        let subject = MemoryCounters::default();
        counters::grants_the_burst_and_no_more(&subject, NOW).await;
        counters::charges_side_by_side_are_exact(&subject, NOW).await;
        counters::partitions_and_policies_are_apart(&subject, NOW).await;
        counters::all_or_none(&subject, NOW).await;
        counters::refunds(&subject, NOW).await;
        counters::time_pays_back(&subject, NOW).await;
        counters::a_clock_that_steps_back_gives_nothing(&subject, NOW).await;
        counters::away_is_an_answer(&subject, NOW, switch(&subject.fault)).await;
    });
}

#[test]
fn the_response_cache_keeps_its_contract() {
    on_one_thread(async {
        let subject = MemoryCache::default();
        response_cache::content_is_what_it_was_made_of(&subject, &Whole).await;
        response_cache::finds_what_was_stored(&subject, &Whole, NOW).await;
        response_cache::replaces(&subject, &Whole, NOW).await;
        response_cache::stores_an_entry_without_content(&subject, &Whole, NOW).await;
        response_cache::gives_up_on_what_is_too_large(&subject, &Whole, NOW).await;
        response_cache::keeps_nothing_of_what_breaks_off(&subject, &Whole, NOW).await;
        response_cache::away_is_an_answer(&subject, &Whole, NOW, switch(&subject.fault)).await;
    });
}

#[test]
fn secrets_keep_their_contract() {
    on_one_thread(async {
        let subject = MemorySecrets::default();
        subject.put("TOKEN", "s3cret");
        secrets::finds_by_exact_name(&subject).await;
    });
}

#[test]
fn entropy_keeps_its_contract() {
    clock::fills_with_unpredictable_bytes(&SeededEntropy::new(1));
}
