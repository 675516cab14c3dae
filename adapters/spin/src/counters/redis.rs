//! Cells in a Redis server, through Spin's outbound Redis.
//!
//! The requests of an instance share a queue ([`tollgate_redis::Queue`]): what waits for a cell becomes one call, made by whichever
//! request finds it. Every request waits on a timer of its own, because a task of a component cannot wake another.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use spin_sdk::redis::{Connection, Error, RedisParameter, RedisResult};
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::random::random::get_random_bytes;
use tollgate_core::cell::{CellKey, Outcome, Update};
use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_edge::ports::{Clock, CounterFault, Counters, Unavailable};
use tollgate_redis::{Batch, Call, Queue, Reply, SCRIPT, SCRIPT_SHA1, Settled, Stall, Stamp, Waiter};

use crate::clock::{NANOS_PER_MS, SpinClock};

/// The counters of one instance in a Redis server.
pub struct RedisCounters {
    gateway: String,
    /// It may contain a password, so it is never in an error.
    address: String,
    queue: RefCell<Queue<Caller>>,
    connection: RefCell<Option<Rc<Connection>>>,
    /// Whether the server answers.
    stall: RefCell<Stall>,
}

/// A request that waits for its answer; the queue has a clone.
#[derive(Clone, Default)]
struct Caller(Rc<RefCell<Option<Result<Outcome, CounterFault>>>>);

/// A batch whose request may be dropped while it waits: it is given back then, and another request goes on with it.
struct Running<'c> {
    counters: &'c RedisCounters,
    batch: Option<Batch<Caller>>,
}

/// Why a call has no answer.
enum Failed {
    /// The call may have taken effect, and may be repeated.
    Broken(Unavailable),
    /// The server says that it takes no changes now: it is a replica, or loads its data. The call had no effect.
    Away(Unavailable),
    Refused(CounterFault),
}

impl Counters for RedisCounters {
    /// One server owns all cells.
    fn same_owner(&self, _: &CellKey, _: &CellKey) -> bool {
        true
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        let (caller, begun) = (Caller::default(), SpinClock.instant());
        self.queue.borrow_mut().add(update.clone(), now, begun, caller.clone());
        loop {
            if let Some(answer) = caller.0.take() {
                return answer;
            }
            if SpinClock.instant().millis_since(begun) >= ANSWER_MAX_MS {
                return Err(Unavailable::new("the counters in Redis did not answer in time").into());
            }
            let batch = self.queue.borrow_mut().next_batch();
            match batch {
                Some(batch) => Running { counters: self, batch: Some(batch) }.run().await,
                // Another request makes the call.
                None => monotonic_clock::wait_for(TURN_NANOS).await,
            }
        }
    }
}

impl RedisCounters {
    pub(crate) fn new(gateway: &str, address: &str) -> Self {
        Self {
            gateway: gateway.to_owned(),
            address: address.to_owned(),
            queue: RefCell::new(Queue::new(CELLS_REMEMBERED_MAX)),
            connection: RefCell::default(),
            stall: RefCell::default(),
        }
    }

    async fn swap(&self, connection: &Connection, call: &Call) -> Result<Reply, Failed> {
        let begun = SpinClock.instant();
        let mut answer = execute(connection, "EVALSHA", SCRIPT_SHA1, call).await;
        if matches!(&answer, Some(Err(Error::Other(text))) if contains(text, &["noscript"])) {
            answer = execute(connection, "EVAL", SCRIPT, call).await;
        }
        let failed = match answer {
            Some(Ok(results)) => match reply(results, call.keys.len()) {
                Some(reply) => return Ok(reply),
                None => Failed::Refused(Unavailable::new("the counters in Redis: an answer of another form").into()),
            },
            Some(Err(error)) => match failure(error) {
                Failed::Away(_) => Failed::Away(self.failed(begun, TAKES_NO_CHANGES)),
                other => other,
            },
            None => Failed::Refused(self.failed(begun, "no answer in time").into()),
        };
        // Spin does not connect again by itself.
        self.connection.take();
        Err(failed)
    }

    /// The connection for a call, unless the server does not answer: then one request after each pause asks first whether changes of the
    /// key are taken, and all others fail at once.
    async fn line(&self, key: String) -> Result<Rc<Connection>, Unavailable> {
        let reason = self.stall.borrow().reason().cloned();
        let Some(reason) = reason else { return self.connection().await };
        let begun = SpinClock.instant();
        let probes = self.stall.borrow_mut().probes(begun);
        if !probes {
            return Err(reason);
        }
        let connection = self.connection().await?;
        // Replaces no bytes, and creates no key: a replica refuses it all the same.
        let nothing = RedisParameter::Binary(Vec::new());
        let words = vec![RedisParameter::Binary(key.into_bytes()), RedisParameter::Int64(0), nothing];
        match within(connection.execute("SETRANGE", words)).await.map(|answer| answer.map_err(failure)) {
            None => {
                self.connection.take();
                Err(self.failed(begun, "no answer in time"))
            }
            Some(Err(Failed::Broken(_))) => {
                self.connection.take();
                Err(self.failed(begun, "the call failed"))
            }
            Some(Err(Failed::Away(_))) => {
                self.connection.take();
                Err(self.failed(begun, TAKES_NO_CHANGES))
            }
            // What else it refuses is an answer, too.
            Some(Ok(_) | Err(Failed::Refused(_))) => {
                self.stall.borrow_mut().answered(SpinClock.instant());
                Ok(connection)
            }
        }
    }

    async fn connection(&self) -> Result<Rc<Connection>, Unavailable> {
        if let Some(connection) = self.connection.borrow().as_ref() {
            return Ok(Rc::clone(connection));
        }
        let begun = SpinClock.instant();
        match within(Connection::open(&self.address)).await {
            Some(Ok(connection)) => {
                let connection = Rc::new(connection);
                *self.connection.borrow_mut() = Some(Rc::clone(&connection));
                Ok(connection)
            }
            Some(Err(_)) | None => {
                Err(self.failed(begun, "no connection (allowed_outbound_hosts in spin.toml has to name it)"))
            }
        }
    }

    /// Notes that a call or an attempt to connect, which began at `begun`, had no answer.
    fn failed(&self, begun: MonotonicInstant, why: &str) -> Unavailable {
        let reason = Unavailable::new(format!("the counters in Redis: {why}"));
        self.stall.borrow_mut().failed(begun, SpinClock.instant(), reason.clone());
        reason
    }
}

impl Running<'_> {
    async fn run(mut self) {
        let mut has_broken = false;
        loop {
            let Some(batch) = &mut self.batch else { return };
            let line = self.counters.line(batch.key(&self.counters.gateway)).await;
            let connection = match line {
                Ok(connection) => connection,
                // An earlier attempt may have taken effect.
                Err(reason) if has_broken => return batch.fail(&reason.into()),
                Err(reason) => return batch.fail(&CounterFault::NotAsked(reason)),
            };
            if !batch.is_wanted() {
                return;
            }
            let random = get_random_bytes(Stamp::RANDOM_BYTES as u64);
            let random = std::array::from_fn(|place| random.get(place).copied().unwrap_or_default());
            let call = batch.call(&self.counters.gateway, SpinClock.instant(), random);
            let answer = self.counters.swap(&connection, &call).await;
            match answer {
                Ok(reply) => match batch.settle(&reply, SpinClock.instant()) {
                    Settled::Done => return,
                    Settled::Again { wait_ms } => {
                        if wait_ms > 0 {
                            monotonic_clock::wait_for(wait_ms * NANOS_PER_MS).await;
                        }
                        self.counters.queue.borrow_mut().join(batch);
                    }
                },
                // The connection may have been closed while it was not used.
                Err(Failed::Broken(_)) if !has_broken && batch.may_repeat(SpinClock.instant()) => has_broken = true,
                // An earlier attempt may have taken effect.
                Err(Failed::Away(reason)) if !has_broken => return batch.fail(&CounterFault::NotAsked(reason)),
                Err(Failed::Broken(reason) | Failed::Away(reason)) => return batch.fail(&reason.into()),
                Err(Failed::Refused(fault)) => return batch.fail(&fault),
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.counters.queue.borrow_mut().end(batch);
        }
    }
}

impl Waiter for Caller {
    fn waits(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }

    fn answer(self, answer: Result<Outcome, CounterFault>) {
        *self.0.borrow_mut() = Some(answer);
    }
}

/// Calls the script; `None` if there is no answer in time.
async fn execute(
    connection: &Connection,
    command: &str,
    script: &str,
    call: &Call,
) -> Option<Result<Vec<RedisResult>, Error>> {
    let binary = |bytes: &[u8]| RedisParameter::Binary(bytes.to_vec());
    let count = i64::try_from(call.keys.len()).unwrap_or(i64::MAX);
    let keys = call.keys.iter().map(|key| binary(key.as_bytes()));
    let head = [binary(script.as_bytes()), RedisParameter::Int64(count)];
    let words = head.into_iter().chain(keys).chain(call.arguments.iter().map(|argument| binary(argument)));
    within(connection.execute(command, words.collect::<Vec<_>>())).await
}

/// The result of a call, unless it takes too long.
async fn within<T>(call: impl Future<Output = T>) -> Option<T> {
    match select(pin!(call), pin!(monotonic_clock::wait_for(CALL_MAX_MS * NANOS_PER_MS))).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}

/// Spin returns the elements of an array one after the other.
fn reply(results: Vec<RedisResult>, keys: usize) -> Option<Reply> {
    if matches!(results[..], [RedisResult::Int64(1)]) {
        return Some(Reply::Swapped);
    }
    if results.len() != keys {
        return None;
    }
    let value = |result| match result {
        RedisResult::Nil => Some(None),
        RedisResult::Binary(bytes) => Some(Some(bytes)),
        RedisResult::Status(_) | RedisResult::Int64(_) => None,
    };
    results.into_iter().map(value).collect::<Option<_>>().map(Reply::Current)
}

/// What an error means: Spin has only its text, which differs between its versions.
fn failure(error: Error) -> Failed {
    let Error::Other(text) = error else {
        return Failed::Refused(Unavailable::new("the counters in Redis: Spin refused the call").into());
    };
    let refused = |reason: &str| Failed::Refused(Unavailable::new(format!("the counters in Redis: {reason}")).into());
    if contains(&text, &["readonly", "read only replica", "masterdown", "loading", "clusterdown"]) {
        Failed::Away(Unavailable::new(TAKES_NO_CHANGES))
    } else if contains(&text, &["oom "]) {
        Failed::Refused(CounterFault::Full)
    } else if contains(&text, &["wrongtype"]) {
        Failed::Refused(CounterFault::Damaged)
    } else if contains(&text, &["noauth", "wrongpass", "authentication"]) {
        refused("the server does not accept the user and the password of their address")
    } else if contains(&text, &["noperm", "no permissions"]) {
        refused("the user may not run EVALSHA and EVAL, or not use the keys of the gateway")
    } else if contains(&text, &["moved", "crossslot"]) {
        refused("the server is a node of a cluster, whose redirections Spin does not follow")
    } else {
        Failed::Broken(Unavailable::new("the counters in Redis: the call failed"))
    }
}

fn contains(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// What is told of a server that says so.
const TAKES_NO_CHANGES: &str = "the server takes no changes: it is a replica, or loads its data";

/// Less than the timeout of a store, and more than attempts against other gateways may take.
const ANSWER_MAX_MS: u64 = 2_800;

/// The timeout of a call, and of a connection.
const CALL_MAX_MS: u64 = 1_000;

/// How often a request looks whether another one has made its call.
const TURN_NANOS: u64 = NANOS_PER_MS / 4;

/// An instance lives for 128 requests; each has a few cells.
const CELLS_REMEMBERED_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_from_a_flat_list() {
        let values = || vec![RedisResult::Nil, RedisResult::Binary(vec![1])];
        assert_eq!(reply(values(), 2), Some(Reply::Current(vec![None, Some(vec![1])])));
        assert_eq!(reply(vec![RedisResult::Int64(1)], 2), Some(Reply::Swapped));
        for other in [values(), vec![RedisResult::Int64(0)], vec![RedisResult::Status("OK".into())], Vec::new()] {
            assert_eq!(reply(other, 1), None);
        }
    }

    #[test]
    fn errors_are_told_without_their_text() {
        let failed = |text: &str| match failure(Error::Other(text.to_owned())) {
            Failed::Broken(reason) => format!("broken: {reason}"),
            Failed::Away(reason) => format!("away: {reason}"),
            Failed::Refused(fault) => fault.to_string(),
        };
        assert_eq!(failed("OOM command not allowed"), CounterFault::Full.to_string());
        assert_eq!(failed("WRONGTYPE Operation against a key"), CounterFault::Damaged.to_string());
        assert!(failed("An error was signalled by the server - WRONGPASS: invalid").contains("user and the password"));
        for text in
            ["READONLY: You can't write against a read only replica.", "LOADING: Redis is loading", "CLUSTERDOWN"]
        {
            assert!(failed(text).starts_with("away: "), "{text}");
        }
        assert!(failed("MOVED: 3999 127.0.0.1:6381").contains("cluster"));
        assert!(
            failed("broken pipe, key secret=1").starts_with("broken: ") && !failed("key secret=1").contains("secret")
        );
    }
}
