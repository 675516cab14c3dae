use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const HOUR_MS: u64 = 3_600_000;

fn used(hour: u64, route: &'static str, consumer: Option<&'static str>, cost: u32) -> Used<'static> {
    let at = Timestamp::from_millis(1_800_000_000_000 + hour * HOUR_MS);
    Used { at, route: Some(route), consumer, status: 200, cost, ..Used::default() }
}

fn written(tally: &Tally) -> String {
    let mut out = String::new();
    json::object(&mut out, |data| tally.write("shop", "ab", data));
    out
}

fn batch(tally: &Tally) -> UsageBatch {
    UsageBatch::from_json(json::Value::parse(written(tally).as_bytes()).unwrap()).unwrap()
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_written_is_read_and_serialized_the_same() {
    let mut tally = Tally::default();
    let limited = Used {
        status: 429,
        problem: Some("rate-limit-exceeded"),
        plan: Some("pro"),
        subscription: Some("sub-1"),
        product: Some("pets"),
        ..used(0, "pets.list", Some("a \"quoted\" one\u{1}"), 0)
    };
    let unrouted = Used { route: None, status: 503, ..used(0, "", None, 0) };
    for one in [limited, unrouted, used(0, "pets.list", None, 7), used(0, "pets.list", None, 5)] {
        assert!(tally.add(&one));
    }
    let batch = batch(&tally);
    assert_eq!((batch.hour.as_str(), batch.batch.as_str(), batch.rows.len()), ("2027-01-15T08", "ab", 3));
    let row = batch.rows.iter().find(|row| row.plan.is_some()).unwrap();
    assert_eq!((row.consumer.as_deref(), row.refused), (Some("a \"quoted\" one\u{1}"), 1));
    assert_eq!((row.subscription.as_deref(), row.product.as_deref()), (Some("sub-1"), Some("pets")));
    let failed = batch.rows.iter().find(|row| row.route.is_none()).unwrap();
    assert_eq!((failed.requests, failed.failed), (1, 1));
    let costly = batch.rows.iter().find(|row| row.cost > 0).unwrap();
    assert_eq!((costly.requests, costly.cost), (2, 12));
    assert_eq!(serde_json::to_string(&batch).unwrap(), written(&tally));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_budget_refuses_is_refused_and_has_not_failed() {
    let mut tally = Tally::default();
    let refused = |status, problem| Used { status, problem: Some(problem), ..used(0, "pets.list", None, 0) };
    for one in [
        refused(429, "rate-limit-exceeded"),
        refused(503, "budget-exhausted"),
        refused(503, "store-unavailable"),
        refused(503, "overloaded"),
    ] {
        tally.add(&one);
    }
    let row = &batch(&tally).rows[0];
    assert_eq!((row.requests, row.refused, row.failed), (4, 2, 2));
}

#[wasm_bindgen_test(unsupported = test)]
fn hours_are_taken_one_by_one() {
    let mut tally = Tally::default();
    for hour in [1, 0, 1] {
        tally.add(&used(hour, "a.b", None, 1));
    }
    let first = tally.take_hour();
    assert_eq!((first.hour(), first.requests()), (Some("2027-01-15T08"), 1));
    let second = tally.take_hour();
    assert_eq!((second.hour(), second.requests()), (Some("2027-01-15T09"), 2));
    assert!(tally.add(&used(0, OPERATOR_ROUTE, None, 0)));
    assert_eq!((tally.is_empty(), tally.bytes), (true, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_full_tally_counts_what_it_has_and_says_what_it_does_not_take() {
    let mut tally = Tally::default();
    let names: Vec<String> = (0..2_000).map(|number| format!("consumer-{number}")).collect();
    let of = |name| Used { consumer: Some(name), ..used(0, "a.b", None, 1) };
    let added = names.iter().filter(|name| tally.add(&of(name))).count();
    assert!(tally.is_full() && added < names.len() && tally.rows.len() == added);
    assert!(tally.add(&of(&names[0])) && !tally.add(&of("new")));
    assert_eq!(tally.requests(), added as u64 + 1);
    assert!(written(&tally).len() < 2 * USAGE_BATCH_BYTES_MAX);
    let mut other = Tally::default();
    other.add(&of("new"));
    let before = tally.clone();
    assert!(!tally.merge(&other) && tally == before);
}

proptest! {
    /// However exchanges are distributed over isolates, batches and repeated writes, the sums are the same.
    #[test]
    fn the_order_and_the_parts_make_no_difference(
        exchanges in prop::collection::vec((0u64..3, 0usize..3, 0usize..3, 0u32..9, 0usize..4), 0..60),
    ) {
        const ROUTES: [&str; 3] = ["a.b", "a.c", "d.e"];
        const CONSUMERS: [Option<&str>; 3] = [None, Some("acme"), Some("globex")];
        let mut whole = Tally::default();
        let mut parts: [Tally; 4] = Default::default();
        for (hour, route, consumer, cost, part) in exchanges {
            let one = used(hour, ROUTES[route], CONSUMERS[consumer], cost);
            prop_assert!(whole.add(&one) && parts[part].add(&one));
        }
        let mut merged = Tally::default();
        for part in &mut parts {
            while !part.is_empty() {
                let hour = part.take_hour();
                prop_assert!(batch(&hour).rows.len() == hour.rows.len() && merged.merge(&hour));
            }
        }
        prop_assert_eq!(merged, whole);
    }
}
