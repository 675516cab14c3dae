//! Records of usage: when they are written, and that operators can list them.

use std::rc::Rc;

use futures_executor::block_on;
use serde_json::Value;
use tollgate_core::operator::Role;
use tollgate_core::settings::GatewaySettings;
use tollgate_core::telemetry::{TelemetrySettings, UsageBatch, UsageSettings};
use tollgate_edge::ports::{Clock as _, Records as _};
use tollgate_edge::{Freshness, Isolate, IsolateSettings, OperatorSettings};
use tollgate_kv_schemas::decode;

use crate::bench::{BY_CONSUMER, Bench, KEYS, NOW, credential, gateway, key, ok, request, route};

/// A gateway that writes usage after this time, with a limited route for keys.
fn bench(every_ms: u64) -> Bench {
    let mut bench = Bench::new(vec![], ok(&[], "hello"));
    let usage = Some(UsageSettings { every_ms, keep_s: 3_600 });
    let settings = GatewaySettings { telemetry: TelemetrySettings { log: true, otlp: None, usage }, ..gateway() };
    let mut limited = route("/limited", &["GET"]);
    (limited.authn, limited.limit) = (vec![vec![KEYS]], vec![BY_CONSUMER]);
    bench.publish_with(&settings, vec![limited, route("/open", &["GET"])]);
    bench.add(&key(), &credential());
    bench.host.secrets.put(Role::Read.secret_name(), format!("ada:{}", token()));
    let settings = IsolateSettings { gateway: "acme".into(), freshness: Freshness::Cached };
    let operators = OperatorSettings { answers: true, ..OperatorSettings::default() };
    bench.isolate = Rc::new(Isolate::new(settings).with_operator(operators));
    bench
}

fn token() -> String {
    format!("read-{}", "0".repeat(32))
}

impl Bench {
    /// The batches that are stored.
    fn batches(&self) -> Vec<UsageBatch> {
        let page = block_on(self.host.records.list("acme:usage:", None, 1_000)).unwrap();
        let read = page.keys.iter().filter_map(|key| block_on(self.host.records.read(key)).unwrap());
        read.map(|bytes| decode(&bytes).unwrap()).collect()
    }

    fn requests(&self) -> u64 {
        self.batches().iter().flat_map(|batch| &batch.rows).map(|row| row.requests).sum()
    }

    fn usage(&self, query: &str) -> (u16, Value) {
        let bearer = format!("Bearer {}", token());
        let target = format!("/.tollgate/v1/usage{query}");
        let answer = self.send(request("GET", &target, &[("authorization", &bearer)], ""));
        (answer.status, serde_json::from_slice(&answer.content).unwrap())
    }
}

#[test]
fn what_is_used_is_written_after_the_reply_and_its_time() {
    let bench = bench(10_000);
    let key = key();
    let begun = bench.host.clock.instant();
    bench.get("/limited", &[("x-api-key", key.expose())]);
    assert!(bench.host.clock.instant().millis_since(begun) >= 10_000, "the work after the reply waits");
    bench.get("/limited", &[("x-api-key", key.expose())]);
    bench.get("/open", &[]);
    let batches = bench.batches();
    assert_eq!((batches.len(), batches[0].gateway.as_str(), bench.requests()), (1, "acme", 3));
    let row = batches[0].rows.iter().find(|row| row.consumer.is_some()).unwrap();
    assert_eq!((row.route.as_deref(), row.requests, row.cost), (Some("api./limited"), 2, 2));
    assert_eq!(batches[0].hour, NOW.to_rfc3339()[..13]);
}

#[test]
fn a_batch_is_repeated_until_the_store_takes_it() {
    let bench = bench(0);
    bench.get("/open", &[]);
    bench.host.records.fault.set(true);
    bench.get("/open", &[]);
    bench.get("/open", &[]);
    bench.host.records.fault.set(false);
    assert_eq!(bench.requests(), 1);
    let told = bench.host.sink.lines().iter().filter(|line| line.contains("usage-not-written")).count();
    assert_eq!(told, 2);
    bench.get("/open", &[]);
    assert_eq!(bench.requests(), 4);
}

#[test]
fn records_end_after_their_time() {
    let bench = bench(0);
    bench.get("/open", &[]);
    bench.host.clock.advance(3_601_000);
    assert_eq!(bench.requests(), 0);
}

#[test]
fn operators_list_batches_by_their_hours() {
    let bench = bench(0);
    bench.get("/open", &[]);
    let hour = &NOW.to_rfc3339()[..13];
    let (status, all) = bench.usage("");
    assert_eq!((status, &all["records"][0]["data"]["hour"]), (200, &hour.into()), "{all}");
    assert_eq!(all["records"].as_array().map(Vec::len), Some(1), "calls of operators are no usage");
    assert_eq!(bench.usage(&format!("?hours={hour}")).1, all);
    assert_eq!(bench.usage("?hours=2001").1, serde_json::json!({"records": []}));
    assert_eq!(bench.usage("?hours=today").0, 400);
}
