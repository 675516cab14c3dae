//! The native adapter's implementations.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use http_body_util::BodyExt;
use tollgate_core::secret::Secret;
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Clock, Counters, Host};
use tollgate_native::faults::{Faults, FaultyStore};
use tollgate_native::{
    NativeContent, NativeCounters, NativeHost, RecordChange, RecordStore, SecretSource, Settings, SystemClock,
    SystemEntropy,
};

use crate::response_cache::Reader;
use crate::{clock, counters, on_one_thread, records, response_cache, secrets, upstream};

struct Whole;

impl Reader<NativeContent> for Whole {
    async fn read(&self, content: NativeContent) -> Result<Vec<u8>, String> {
        match content.collect().await {
            Ok(collected) => Ok(collected.to_bytes().to_vec()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The ports of one isolate, with the ways to write records and to make stores fail.
struct Subject {
    host: NativeHost,
    records: RecordStore,
    faults: Faults,
}

impl Subject {
    fn new() -> Self {
        let records = RecordStore::in_memory().expect("a store");
        let faults = Faults::default();
        let mut settings = Settings::new("g", SocketAddr::from(([127, 0, 0, 1], 0)));
        settings.isolates = NonZeroUsize::new(1);
        let secret = ("TOKEN".to_owned(), Secret::new("s3cret".to_owned()));
        settings.secrets = SecretSource::Given(BTreeMap::from([secret]));
        let host = NativeHost::unserved(&settings, &records, faults.clone()).expect("ports");
        Self { host, records, faults }
    }

    fn writing(&self) -> impl Fn(&str, Option<&str>) {
        let records = self.records.clone();
        move |key, value| {
            let change = match value {
                Some(value) => RecordChange::Put { key, value: value.as_bytes() },
                None => RecordChange::Delete { key },
            };
            records.write(&[change]).expect("the store writes");
        }
    }

    fn switch(&self, store: FaultyStore) -> impl Fn(bool) {
        let faults = self.faults.clone();
        move |on| faults.set(store, on)
    }

    fn now(&self) -> Timestamp {
        self.host.clock().now()
    }
}

#[test]
fn records_keep_their_contract() {
    on_one_thread(async {
        let subject = Subject::new();
        let port = subject.host.records();
        records::reads_what_was_written(port, subject.writing()).await;
        records::sees_changes(port, subject.writing()).await;
        records::away_is_not_absent(port, subject.writing(), subject.switch(FaultyStore::Records)).await;
    });
}

#[test]
fn counters_keep_their_contract() {
    on_one_thread(async {
        let subject = Subject::new();
        let (port, now) = (subject.host.counters(), subject.now());
        counters::grants_the_burst_and_no_more(port, now).await;
        counters::charges_side_by_side_are_exact(port, now).await;
        counters::partitions_and_policies_are_apart(port, now).await;
        counters::all_or_none(port, now).await;
        counters::refunds(port, now).await;
        counters::time_pays_back(port, now).await;
        counters::a_clock_that_steps_back_gives_nothing(port, now).await;
        counters::away_is_an_answer(port, now, subject.switch(FaultyStore::Counters)).await;
    });
}

#[test]
fn counters_are_exact_between_threads() {
    let shared = NativeCounters::in_memory(1_000);
    let now = SystemClock::now();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let counters = shared.clone();
            std::thread::spawn(move || {
                let one = counters::request("consumer=threads", vec![counters::charge("p", 100, 1)]);
                let charges = async {
                    let mut granted = 0;
                    for _ in 0..100 {
                        granted += u32::from(counters.charge(&one, now).await.expect("it answers").granted);
                    }
                    granted
                };
                on_one_thread(charges)
            })
        })
        .collect();
    let granted: u32 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    assert_eq!(granted, 100);
}

#[test]
fn the_response_cache_keeps_its_contract() {
    on_one_thread(async {
        let subject = Subject::new();
        let (port, now) = (subject.host.response_cache(), subject.now());
        response_cache::content_is_what_it_was_made_of(port, &Whole).await;
        response_cache::finds_what_was_stored(port, &Whole, now).await;
        response_cache::replaces(port, &Whole, now).await;
        response_cache::stores_an_entry_without_content(port, &Whole, now).await;
        response_cache::gives_up_on_what_is_too_large(port, &Whole, now).await;
        response_cache::keeps_nothing_of_what_breaks_off(port, &Whole, now).await;
        response_cache::away_is_an_answer(port, &Whole, now, subject.switch(FaultyStore::ResponseCache)).await;
    });
}

#[test]
fn the_upstream_keeps_its_contract() {
    on_one_thread(async {
        let subject = Subject::new();
        let port = subject.host.upstream();
        upstream::passes_messages_as_they_are(port, &Whole).await;
        upstream::neither_follows_nor_decodes(port, &Whole).await;
        upstream::names_what_goes_wrong(port).await;
        upstream::broken_content_is_seen(port, &Whole).await;
        upstream::verifies_certificates(port).await;
    });
}

#[test]
fn secrets_keep_their_contract() {
    on_one_thread(async {
        secrets::finds_by_exact_name(Subject::new().host.secrets()).await;
    });
}

#[test]
fn clock_and_entropy_keep_their_contract() {
    on_one_thread(async {
        let subject = Subject::new();
        clock::waits_as_long_as_asked(subject.host.clock()).await;
        clock::tells_the_time_of_day(subject.host.clock());
        clock::fills_with_unpredictable_bytes(subject.host.entropy());
        clock::fills_with_unpredictable_bytes(&SystemEntropy::default());
    });
}
