//! The server is killed, paused, flushed or full.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tollgate_core::cell::{CellError, CellOperations, Operation, Reply, Update};
use tollgate_core::limit::Fault;
use tollgate_edge::ports::CounterFault;
use tollgate_native::RedisCounters;
use tollgate_tests::redis::Redis;

use crate::{apply, gateway, granted, granted_at_last, held, one, operations};

/// As many at once as a cell remembers the ids of, at least.
const WORKERS: usize = 16;

#[tokio::test]
async fn a_server_that_is_killed_loses_no_charge_and_none_is_counted_twice() {
    let mut redis = Redis::start(&[]).unwrap();
    let url = redis.url("");
    let workers = (0..WORKERS).map(|n| {
        let counters = gateway(&url);
        tokio::spawn(async move {
            let mut passed = 0;
            for _ in 0..60 {
                passed += usize::from(granted_at_last(&counters, &one("c=killed", 500)).await);
                tokio::time::sleep(Duration::from_millis(n as u64 % 4)).await;
            }
            passed
        })
    });
    let workers: Vec<_> = workers.collect();
    let killing = tokio::task::spawn_blocking(move || {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(150));
            redis.kill();
            std::thread::sleep(Duration::from_millis(50));
            redis.run().unwrap();
        }
        redis
    });
    let passed: usize = join_all(workers).await.into_iter().map(Result::unwrap).sum();
    killing.await.unwrap();
    assert_eq!(passed, 500);
}

#[tokio::test]
async fn a_script_that_is_flushed_is_given_again() {
    let redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    for n in 0..6 {
        assert_eq!(granted(&counters, &one("c=flushed", 5)).await, Ok(n < 5));
        redis.command(&["SCRIPT", "FLUSH"]).unwrap();
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_in_time_and_is_used_again() {
    let redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    assert_eq!(granted(&counters, &one("c=paused", 9)).await, Ok(true));
    redis.pause();
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = granted(&counters, &one("c=paused", 9)).await;
        assert!(matches!(&answer, Err(fault) if fault.kind() == Fault::Unavailable), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
    redis.resume();
    assert!(granted_at_last(&counters, &one("c=paused", 9)).await);
}

#[tokio::test]
async fn a_server_that_stands_still_delays_the_first_requests_and_no_others() {
    let redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    assert_eq!(granted(&counters, &one("c=still", 9)).await, Ok(true));
    redis.pause();
    let first: Vec<_> = (0..20).map(|n| one(&format!("c=still-{n}"), 9)).collect();
    let answers = join_all(first.iter().map(|update| granted(&counters, update))).await;
    let all: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(CounterFault::may_have_effect)).collect();
    assert!(all.iter().all(|may| *may == Some(true)), "they were sent: {answers:?}");
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(5) {
        let asked = Instant::now();
        let answer = granted(&counters, &one("c=still", 9)).await;
        slowest = slowest.max(asked.elapsed());
        assert!(matches!(&answer, Err(CounterFault::NotAsked(_))), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    redis.resume();
    let begun = Instant::now();
    let back = one("c=still", 9);
    assert!(granted_at_last(&counters, &back).await);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(remaining(&counters, "c=still", 9).await, 6, "what was not sent is not charged");
}

#[tokio::test]
async fn what_a_server_that_stood_still_charges_afterwards_is_taken_back() {
    let redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    for n in 0..3 {
        let cell = format!("c=late-{n}");
        assert_eq!(granted(&counters, &one(&cell, 9)).await, Ok(true));
        redis.pause();
        let sent = one(&cell, 9);
        let answer = granted(&counters, &sent).await;
        assert!(answer.as_ref().is_err_and(CounterFault::may_have_effect), "{answer:?}");
        redis.resume();
        // The server may get it before or after what it left unanswered.
        assert!(granted_at_last(&counters, &withdrawal(&sent)).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(remaining(&counters, &cell, 9).await, 7, "the first one and this one are charged");
    }
}

/// What takes back the charges of an update.
fn withdrawal(of: &Update) -> Update {
    let taken = of.cells.iter().map(|part| {
        let operations = part.operations.iter().filter_map(|operation| match operation {
            Operation::Charge(charge) => Some(Operation::Withdraw { id: of.terms.id, charge: charge.clone() }),
            _ => None,
        });
        CellOperations { cell: part.cell.clone(), operations: operations.collect() }
    });
    crate::of(taken.collect())
}

/// What is left of a quota, after one more is charged.
async fn remaining(counters: &RedisCounters, cell: &str, burst: u32) -> u32 {
    apply(counters, &one(cell, burst)).await.verdicts().next().expect("a verdict").remaining
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_at_once_and_is_found_when_it_comes() {
    let mut redis = Redis::start(&[]).unwrap();
    redis.kill();
    let counters = gateway(&redis.url(""));
    let begun = Instant::now();
    for _ in 0..100 {
        let answer = granted(&counters, &one("c=away", 9)).await;
        assert!(matches!(&answer, Err(fault) if fault.kind() == Fault::Unavailable), "{answer:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    redis.run().unwrap();
    let begun = Instant::now();
    assert!(granted_at_last(&counters, &one("c=away", 9)).await);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_full_server_is_full_and_deletes_nothing() {
    let redis = Redis::start(&["--maxmemory-policy", "noeviction"]).unwrap();
    let counters = gateway(&redis.url(""));
    assert_eq!(granted(&counters, &one("c=full", 1)).await, Ok(true));
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    assert_eq!(granted(&counters, &one("c=other", 1)).await, Err(CellError::Full.into()));
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert_eq!(granted(&counters, &one("c=full", 1)).await, Ok(false));
}

#[tokio::test]
async fn a_server_that_has_become_a_replica_delays_nothing_and_is_used_again() {
    let (redis, other) = (Redis::start(&[]).unwrap(), Redis::start(&[]).unwrap());
    let counters = gateway(&redis.url(""));
    assert_eq!(granted(&counters, &one("c=replica", 9)).await, Ok(true));
    redis.command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]).unwrap();
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(2) {
        let asked = Instant::now();
        let answer = granted(&counters, &one("c=replica", 9)).await;
        slowest = slowest.max(asked.elapsed());
        assert!(matches!(&answer, Err(CounterFault::NotAsked(_))), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    let calls = redis.calls_of("evalsha").unwrap();
    assert!(calls < 10, "it is asked by the gateway itself, and not by each request: {calls}");
    redis.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    let begun = Instant::now();
    assert!(granted_at_last(&counters, &one("c=replica", 9)).await);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_value_of_another_kind_is_neither_empty_nor_replaced() {
    let redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    redis.command(&["SET", "g:cell:c=text", "something else that is not a cell"]).unwrap();
    redis.command(&["RPUSH", "g:cell:c=list", "1"]).unwrap();
    let fault = granted(&counters, &one("c=text", 1)).await;
    assert!(matches!(fault, Err(CounterFault::NewerState { .. })), "{fault:?}");
    assert_eq!(granted(&counters, &one("c=list", 1)).await, Err(CellError::Damaged.into()));
    assert_eq!(redis.command(&["GET", "g:cell:c=text"]).unwrap(), "something else that is not a cell");
}

#[tokio::test]
async fn held_charges_survive_a_restart_of_the_server() {
    let mut redis = Redis::start(&[]).unwrap();
    let counters = gateway(&redis.url(""));
    let first = held(one("c=held", 1), 60_000);
    assert!(apply(&counters, &first).await.granted);
    redis.kill();
    redis.run().unwrap();
    assert!(!granted_at_last(&counters, &one("c=held", 1)).await);
    assert_eq!(apply(&counters, &operations(&first, &Operation::Release)).await.replies, [Reply::Released]);
    assert!(granted_at_last(&counters, &one("c=held", 1)).await);
}
