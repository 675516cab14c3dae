//! A cluster of three nodes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tollgate_contracts::{charge, part};
use tollgate_core::cell::{CellKey, Operation, Reply};
use tollgate_edge::ports::Counters;
use tollgate_tests::redis::Cluster;

use crate::{apply, gateway, granted, granted_at_last, held, of, one, operations};

#[tokio::test]
async fn a_cluster_grants_exactly_the_quotas_of_many_partitions_while_a_slot_moves() {
    let cluster = Cluster::start().unwrap();
    let gateways = [gateway(&cluster.url()), gateway(&cluster.url())];
    let charges = (0..20).map(|partition| {
        let gateways = gateways.clone();
        tokio::spawn(async move {
            let cell = format!("c={partition}");
            let updates: Vec<_> = (0..30).map(|_| one(&cell, 10)).collect();
            let answers = join_all(updates.iter().enumerate().map(|(n, one)| granted_at_last(&gateways[n % 2], one)));
            answers.await.into_iter().filter(|granted| *granted).count()
        })
    });
    let charges: Vec<_> = charges.collect();
    for answer in join_all(charges).await {
        assert_eq!(answer.unwrap(), 10);
    }

    // A slot moves while its partition is charged: first the node asks for another, then it has moved.
    let moved = || one("c=moved", 30);
    let mut passed = 0;
    let mut charged = async |times: usize| {
        for n in 0..times {
            passed += usize::from(granted_at_last(&gateways[n % 2], &moved()).await);
        }
    };
    charged(10).await;
    let between = gateways.clone();
    let moving = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut passed = 0;
        let moved = cluster.move_slot_of("g:cell:c=moved", || {
            for n in 0..10 {
                passed += usize::from(runtime.block_on(granted_at_last(&between[n % 2], &one("c=moved", 30))));
            }
        });
        moved.map(|()| (passed, cluster))
    });
    let (in_between, _cluster) = moving.await.unwrap().unwrap();
    charged(20).await;
    assert_eq!((in_between, passed), (10, 20));
}

#[tokio::test]
async fn partitions_of_a_cluster_have_owners_of_their_own() {
    let cluster = Cluster::start().unwrap();
    let counters = gateway(&cluster.url());
    assert!(!counters.same_owner(&CellKey::new("a"), &CellKey::new("b")));
    assert!(counters.same_owner(&CellKey::new("a"), &CellKey::new("a")));
    // As the pipeline does: both hold, one refuses, both release.
    let [wide, tight] = ["c=wide", "c=tight"].map(|cell| held(of(vec![part(cell, vec![charge("p", 1, 1)])]), 60_000));
    assert!(apply(&counters, &wide).await.granted);
    assert!(apply(&counters, &tight).await.granted);
    for update in [&wide, &tight] {
        assert_eq!(apply(&counters, &operations(update, &Operation::Release)).await.replies, [Reply::Released]);
    }
    assert_eq!(granted(&counters, &one("c=wide", 1)).await, Ok(true));
}

#[tokio::test]
async fn a_node_that_does_not_answer_leaves_the_partitions_of_the_others() {
    let cluster = Cluster::start().unwrap();
    let counters = gateway(&cluster.url());
    let cells: Vec<String> = (0..30).map(|n| format!("c={n}")).collect();
    for cell in &cells {
        assert!(granted_at_last(&counters, &one(cell, 9)).await);
    }
    cluster.nodes()[0].pause();
    let updates: Vec<_> = cells.iter().map(|cell| one(cell, 9)).collect();
    for round in 0..3 {
        let (again, begun): (Vec<_>, _) = (cells.iter().map(|cell| one(cell, 9)).collect(), Instant::now());
        let answers = join_all(again.iter().map(|update| granted(&counters, update))).await;
        let passed = answers.iter().filter(|answer| **answer == Ok(true)).count();
        assert!((10..30).contains(&passed), "round {round}, {passed} of 30: {answers:?}");
        assert!(round == 0 || begun.elapsed() < Duration::from_millis(800), "round {round}: {:?}", begun.elapsed());
    }
    // Also partitions that nobody has asked for yet.
    let (new, begun): (Vec<_>, _) = ((0..30).map(|n| one(&format!("c=new-{n}"), 9)).collect(), Instant::now());
    let answers = join_all(new.iter().map(|update| granted(&counters, update))).await;
    assert!(
        answers.iter().any(Result::is_err) && begun.elapsed() < Duration::from_millis(800),
        "{:?}",
        begun.elapsed()
    );
    cluster.nodes()[0].resume();
    for update in &updates {
        assert!(granted_at_last(&counters, update).await);
    }
}
