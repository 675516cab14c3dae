//! The thread that runs the swaps of a process.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{join, select};
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tollgate_edge::ports::{CounterFault, Unavailable};
use tollgate_redis::{Batch, Queue, Settled, Stamp};

use super::connection::{Connection, Failed, Stalled};
use super::{Ask, Asker, instant};

/// Starts the thread; it ends when the last sender is dropped.
pub(super) fn start(
    gateway: &str,
    (connection, stalled): (Connection, mpsc::UnboundedReceiver<Stalled>),
    start: Instant,
) -> std::io::Result<mpsc::Sender<Ask>> {
    let (sender, asks) = mpsc::channel(ASKS_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let queue = RefCell::new(Queue::new(CELLS_REMEMBERED_MAX));
    let engine = Engine { gateway: gateway.to_owned(), connection, start, queue };
    std::thread::Builder::new().name("tollgate-redis".into()).spawn(move || {
        // A server that is slow to say how it is set does not delay charges.
        let of_connection = join(engine.connection.greet(), engine.connection.watch(stalled));
        runtime.block_on(select(pin!(engine.run(asks)), pin!(of_connection)));
        runtime.shutdown_background();
    })?;
    Ok(sender)
}

struct Engine {
    gateway: String,
    connection: Connection,
    start: Instant,
    queue: RefCell<Queue<Asker>>,
}

impl Engine {
    async fn run(&self, mut asks: mpsc::Receiver<Ask>) {
        let mut swaps = FuturesUnordered::new();
        let mut asked = Vec::with_capacity(ASKS_AT_ONCE);
        loop {
            tokio::select! {
                count = asks.recv_many(&mut asked, ASKS_AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                    let mut queue = self.queue.borrow_mut();
                    for Ask { update, now, since, waiter } in asked.drain(..) {
                        queue.add(update, now, since, waiter);
                    }
                }
                Some(()) = swaps.next(), if !swaps.is_empty() => {}
            }
            while swaps.len() < SWAPS_MAX {
                let Some(batch) = self.queue.borrow_mut().next_batch() else { break };
                swaps.push(self.swap(batch));
            }
            let remembered = self.queue.borrow().remembered() as u64;
            self.connection.counts().remembered.store(remembered, Ordering::Relaxed);
        }
    }

    /// Sends a batch until it has taken effect, has failed, or nobody waits for it.
    async fn swap(&self, mut batch: Batch<Asker>) {
        let mut breaks = 0;
        while let Some(wait) = self.attempt(&mut batch, &mut breaks).await {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            self.queue.borrow_mut().join(&mut batch);
        }
        self.queue.borrow_mut().end(batch);
    }

    /// One call; returns after what time there has to be another.
    async fn attempt(&self, batch: &mut Batch<Asker>, breaks: &mut u32) -> Option<Duration> {
        let line = match self.connection.line(batch.key(&self.gateway)).await {
            Ok(line) => line,
            Err(reason) => {
                batch.fail(&not_asked(reason, *breaks));
                return None;
            }
        };
        if !batch.is_wanted() {
            return None;
        }
        let mut random = [0; Stamp::RANDOM_BYTES];
        if getrandom::fill(&mut random).is_err() {
            batch.fail(&Unavailable::new("the counters: the system provides no random bytes").into());
            return None;
        }
        let call = batch.call(&self.gateway, instant(self.start), random);
        match self.connection.swap(line, &call).await {
            Ok(reply) => match batch.settle(&reply, instant(self.start)) {
                Settled::Done => None,
                Settled::Again { wait_ms } => {
                    self.connection.counts().conflicts.fetch_add(1, Ordering::Relaxed);
                    Some(Duration::from_millis(wait_ms))
                }
            },
            Err(Failed::Broken(reason)) => {
                *breaks += 1;
                if batch.may_repeat(instant(self.start)) {
                    return Some(BREAK_PAUSE * (1 << (*breaks).min(BREAK_DOUBLINGS_MAX)));
                }
                batch.fail(&CounterFault::Unavailable(reason));
                None
            }
            Err(Failed::Away(reason)) => {
                batch.fail(&not_asked(reason, *breaks));
                None
            }
            Err(Failed::Refused(fault)) => {
                batch.fail(&fault);
                None
            }
        }
    }
}

/// The fault if an attempt has no effect: an earlier one may have taken effect.
fn not_asked(reason: Unavailable, breaks: u32) -> CounterFault {
    if breaks > 0 { CounterFault::Unavailable(reason) } else { CounterFault::NotAsked(reason) }
}

/// As many as there are requests at once.
const ASKS_MAX: usize = 16_384;

/// How many are put in the queue before swaps begin.
const ASKS_AT_ONCE: usize = 256;

/// Swaps under way: what the server does in some milliseconds.
const SWAPS_MAX: usize = 1_024;

/// The cells that are remembered, of one or two kilobytes if they are busy.
const CELLS_REMEMBERED_MAX: usize = 32_768;

/// The pause before a call is repeated whose connection broke; it doubles, up to 160 ms.
const BREAK_PAUSE: Duration = Duration::from_millis(5);
const BREAK_DOUBLINGS_MAX: u32 = 5;
