//! Charges at a Redis server, compared with a script that increments a number, through the same client.

use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use futures_util::future::join_all;
use tollgate_core::cell::{CellKey, CellOperations, Charge, Operation, OperationId, Terms, Update};
use tollgate_edge::ports::Counters;
use tollgate_native::{RedisCounters, RedisSettings, SecretSource, SystemClock};
use tollgate_tests::redis::Redis;

use crate::Measured;
use crate::compare::row;
use crate::load::Sample;

/// The shapes of the load: what it is, how many requests at once, and over how many partitions.
const SHAPES: [(&str, usize, usize); 3] = [
    ("one request at a time", 1, 100),
    ("32 requests at once, 1,000 partitions", 32, 1_000),
    ("32 requests at once, one partition", 32, 1),
];

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1_400);

/// A fixed window by hand: what a script for limits does at least.
const INCREMENT: &str =
    "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return n";

pub(crate) fn measure() -> Measured {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(all())
}

async fn all() -> Measured {
    let redis = Redis::start(&["--appendonly", "no"])?;
    let address = redis.url("").parse().map_err(|error| format!("{error}"))?;
    let settings = RedisSettings { address, authorities: None };
    let counters =
        RedisCounters::start("bench", &settings, &SecretSource::Environment).map_err(|error| error.to_string())?;
    let script = Script::load(&redis).await?;
    let mut rows = Vec::new();
    for (what, at_once, partitions) in SHAPES {
        let charge = |n: usize| charge(&counters, n, partitions);
        let increment = |n: usize| script.increment(n, partitions);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        sample(at_once, &charge).await?;
        sample(at_once, &increment).await?;
        let (mut calls, mut requests) = (0, 0);
        for _ in 0..ROUNDS {
            let before = calls_of(&redis)?;
            let own = sample(at_once, &charge).await?;
            calls += calls_of(&redis)? - before;
            requests += own.requests;
            ours.push(own);
            theirs.push(sample(at_once, &increment).await?);
        }
        #[expect(clippy::cast_precision_loss, reason = "some millions")]
        let calls = calls as f64 / requests as f64;
        rows.push(row(&format!("redis: {what} ({calls:.2} calls each)"), &ours, &theirs));
    }
    Ok(rows)
}

async fn charge(counters: &RedisCounters, n: usize, partitions: usize) -> Result<(), String> {
    let number = |n| std::num::NonZeroU32::new(n).unwrap_or(std::num::NonZeroU32::MIN);
    let (rate, period_ms) = (number(1_000_000_000), number(1_000));
    let charge = Charge {
        quota: "p".into(),
        rate,
        period_ms,
        burst: rate,
        cost: number(1),
        algorithm: None,
        lease: None,
        tells: None,
    };
    let mut id = [1; 16];
    id[..8].copy_from_slice(&(n as u64).to_le_bytes());
    let cell = CellKey::partition("consumer", &(n % partitions).to_string());
    let cells = vec![CellOperations { cell, operations: vec![Operation::Charge(charge)] }];
    let update = Update { terms: Terms { id: OperationId::new(id), hold_ms: None, refund_ms: None }, cells };
    match counters.update(&update, SystemClock::now()).await {
        Ok(outcome) if outcome.granted => Ok(()),
        Ok(_) => Err("a charge was refused".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// The script that increments, at the same server.
struct Script {
    connection: MultiplexedConnection,
    name: String,
}

impl Script {
    async fn load(redis: &Redis) -> Result<Self, String> {
        let client = ::redis::Client::open(redis.url("")).map_err(|error| error.to_string())?;
        let mut connection = client.get_multiplexed_async_connection().await.map_err(|error| error.to_string())?;
        let loaded = ::redis::cmd("SCRIPT").arg("LOAD").arg(INCREMENT).query_async(&mut connection).await;
        Ok(Self { connection, name: loaded.map_err(|error| error.to_string())? })
    }

    async fn increment(&self, n: usize, partitions: usize) -> Result<(), String> {
        let mut command = ::redis::cmd("EVALSHA");
        command.arg(&self.name).arg(1).arg(format!("plain:{}", n % partitions)).arg(60_000);
        let answer = self.connection.clone().req_packed_command(&command).await;
        answer.map(drop).map_err(|error| error.to_string())
    }
}

/// Makes calls for a round.
async fn sample<F: Future<Output = Result<(), String>>>(
    at_once: usize,
    call: &impl Fn(usize) -> F,
) -> Result<Sample, String> {
    let end = Instant::now() + ROUND;
    let begun = Instant::now();
    let worker = |worker: usize| async move {
        let mut times = Vec::new();
        while Instant::now() < end {
            let begun = Instant::now();
            call(unique()).await?;
            times.push(begun.elapsed());
        }
        let _ = worker;
        Ok::<_, String>(times)
    };
    let all = join_all((0..at_once).map(worker)).await;
    let took = begun.elapsed();
    let mut times: Vec<Duration> = all.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1_000.0);
    #[expect(clippy::cast_precision_loss, reason = "some millions")]
    let per_second = times.len() as f64 / took.as_secs_f64();
    Ok(Sample { requests: times.len(), per_second, p50_ms: at(50), p99_ms: at(99), cpu_us: None })
}

fn unique() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// The calls of scripts until now.
fn calls_of(redis: &Redis) -> Result<u64, String> {
    Ok(redis.calls_of("evalsha")? + redis.calls_of("eval")?)
}
