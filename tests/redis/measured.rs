//! How many calls requests need: `cargo test -p tollgate-tests --test redis -- --ignored --nocapture`.

use futures_util::future::join_all;
use tollgate_tests::redis::Redis;

use crate::{calls, gateway, granted, one};

const REQUESTS: usize = 4_000;

#[tokio::test]
#[ignore = "it measures; docs/decisions/0030-counters-in-redis.md has the figures"]
async fn calls_for_each_request() {
    println!("| gateways | requests at once in each | partitions | calls for each request |\n|---|---|---|---|");
    for gateways in [1, 2, 4] {
        for (at_once, partitions) in [(1, 1), (16, 1), (16, 100), (16, 10_000)] {
            let calls = measured(gateways, at_once, partitions).await;
            println!("| {gateways} | {at_once} | {partitions} | {calls:.2} |");
        }
    }
}

async fn measured(gateways: usize, at_once: usize, partitions: usize) -> f64 {
    let redis = Redis::start(&[]).expect("a server");
    let all: Vec<_> = (0..gateways).map(|_| gateway(&redis.url(""))).collect();
    let charged = all.iter().enumerate().flat_map(|(n, counters)| {
        (0..at_once).map(move |worker| async move {
            let mut passed = 0;
            for turn in 0..REQUESTS / gateways / at_once {
                // Spread over the partitions, as clients that go to any of the gateways.
                let place = ((turn * at_once + worker) * 7_919 + n * 104_729) % partitions;
                let answer = granted(counters, &one(&format!("c={place}"), 1_000_000)).await;
                assert_eq!(answer, Ok(true));
                passed += 1;
            }
            passed
        })
    });
    let passed: usize = join_all(charged).await.into_iter().sum();
    assert_eq!(passed, REQUESTS / gateways / at_once * at_once * gateways);
    let calls = calls(&redis);
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let ratio = calls as f64 / passed as f64;
    ratio
}
