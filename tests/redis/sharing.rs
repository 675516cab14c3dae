//! Several gateways, and how many calls they make.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tollgate_core::cache::Purge;
use tollgate_core::cell::{CellKey, CellOperations, Operation};
use tollgate_edge::ports::Counters;
use tollgate_tests::redis::Redis;

use crate::{apply, calls, gateway, granted, now, of, one};

#[tokio::test]
async fn gateways_that_charge_side_by_side_grant_exactly_the_quota() {
    let redis = Redis::start(&[]).unwrap();
    let gateways = [gateway(&redis.url("")), gateway(&redis.url("")), gateway(&redis.url(""))];
    let updates: Vec<_> = (0..600).map(|_| one("c=hot", 200)).collect();
    let all = updates.iter().enumerate().map(|(n, update)| granted(&gateways[n % 3], update));
    let answers = join_all(all).await;
    assert_eq!(answers.into_iter().filter(|answer| *answer == Ok(true)).count(), 200);
}

#[tokio::test]
async fn a_request_of_the_only_gateway_is_one_call() {
    let redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    granted(&counters, &one("c=first", 10)).await.unwrap();
    let before = calls(&redis);
    for n in 0..50 {
        assert_eq!(granted(&counters, &one("c=own", 30)).await, Ok(n < 30));
    }
    assert_eq!(calls(&redis) - before, 50);
}

#[tokio::test]
async fn requests_that_wait_for_one_partition_are_few_calls() {
    let redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    granted(&counters, &one("c=first", 10)).await.unwrap();
    let before = calls(&redis);
    let updates: Vec<_> = (0..500).map(|_| one("c=hot", 1_000)).collect();
    let answers = join_all(updates.iter().map(|update| granted(&counters, update))).await;
    assert!(answers.iter().all(|answer| *answer == Ok(true)));
    let made = calls(&redis) - before;
    assert!(made <= 10, "{made} calls");
}

#[tokio::test]
async fn a_cell_is_stored_until_it_is_idle_by_all_clocks_and_purges_without_an_end() {
    let redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    granted(&counters, &one("c=day", 24)).await.unwrap();
    let left: i64 = redis.command(&["PTTL", "g:cell:c=day"]).unwrap().parse().unwrap();
    // An hour until the charge is available again, and five minutes for clocks.
    let (hour, clocks) = (3_600_000, 300_000);
    assert!((hour + clocks - 5_000..=hour + clocks).contains(&left), "{left}");
    let append = Operation::AppendPurge(Purge { resource: None, at: now() });
    apply(&counters, &of(vec![CellOperations { cell: CellKey::purges(), operations: vec![append] }])).await;
    assert_eq!(redis.command(&["PTTL", "g:cell:purges"]).unwrap(), "-1");
}

#[tokio::test]
async fn a_gateway_that_is_far_from_the_server_gets_its_turn() {
    let redis = Redis::start(&["--appendonly", "no"]).unwrap();
    let (near, far) = (gateway(&redis.url("")), gateway(&slow_way_to(redis.port()).await));
    let busy = (0..8).map(|_| {
        let near = near.clone();
        tokio::spawn(async move {
            loop {
                let _ = granted(&near, &one("c=hot", 1_000_000)).await;
            }
        })
    });
    let busy: Vec<_> = busy.collect();
    for _ in 0..10 {
        assert_eq!(granted(&far, &one("c=hot", 1_000_000)).await, Ok(true));
    }
    busy.iter().for_each(tokio::task::JoinHandle::abort);
}

/// The address of a proxy that passes everything on after some milliseconds.
async fn slow_way_to(port: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("redis://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(slowly(from_client, to_server));
            tokio::spawn(slowly(from_server, to_client));
        }
    });
    address
}

async fn slowly(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut bytes = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(Duration::from_millis(3)).await;
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn one_server_owns_all_cells() {
    let redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    assert!(counters.same_owner(&CellKey::new("a"), &CellKey::new("b")));
}
