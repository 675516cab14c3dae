//! Cells by compare-and-swap in Spin's key-value store, through `wasi:keyvalue`.
//!
//! The store has no expiry, so a key per cell would never be removed, and every client address would leave one. Cells
//! therefore share a fixed number of buckets, and each write drops the idle cells. [`attempt`] defines the calls of one
//! attempt to change a bucket.

mod attempt;

use std::cell::OnceCell;
use std::num::NonZeroUsize;

use spin_sdk::experimental::wasi::keyvalue::atomics::{self, Cas, CasError};
use spin_sdk::experimental::wasi::keyvalue::store::{self, Bucket, Error};
use spin_sdk::wasip3::clocks::monotonic_clock;
use tollgate_core::cell::{Applied, CellKey, Outcome, StateChange, Table, Update};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{CounterFault, Counters, Unavailable};

use crate::store::STORE;
use crate::upstream::NANOS_PER_MS;
use attempt::{Answer, Attempt, Call, Changed, Step};

/// Cells of one gateway.
pub struct SpinCounters {
    gateway: String,
    bucket: OnceCell<Bucket>,
}

/// Buckets of a gateway: enough that busy cells rarely share one, few enough to bound the store.
const BUCKETS: u32 = 1 << 16;
/// Maximum number of cells in one bucket that are not idle. Beyond it the bucket is full and nothing is dropped,
/// because a client that fills a bucket could otherwise remove its own charges.
const CELLS_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("it is not 0");
/// Attempts against other instances that write the same bucket.
const ATTEMPTS_MAX: u32 = 12;
/// Attempts before an unfinished creator of a bucket is assumed to have failed: about 70 ms.
const PATIENT_ATTEMPTS: u32 = 8;
const NANOS_PER_US: u64 = 1_000;
/// The increase of the delay with each further attempt, and the maximum of its random part.
const BACKOFF_MS: u64 = 2;

impl Counters for SpinCounters {
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool {
        place_of(one) == place_of(other)
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        let begun = monotonic_clock::now();
        for number in 0..ATTEMPTS_MAX {
            // Others may have changed the cells meanwhile, so each attempt reads the time again.
            let now = || now.plus_micros(monotonic_clock::now().saturating_sub(begun) / NANOS_PER_US);
            if let Some(outcome) = self.attempt(update, now, number >= PATIENT_ATTEMPTS)? {
                return Ok(outcome);
            }
            let backoff = BACKOFF_MS * NANOS_PER_MS;
            monotonic_clock::wait_for(backoff * u64::from(number + 1) + monotonic_clock::now() % backoff).await;
        }
        Err(CounterFault::Contended)
    }
}

impl SpinCounters {
    pub(crate) fn new(gateway: &str) -> Self {
        Self { gateway: gateway.to_owned(), bucket: OnceCell::new() }
    }

    /// One attempt; `None` if it conflicted with others.
    fn attempt(
        &self,
        update: &Update,
        now: impl Fn() -> Timestamp,
        takes_over: bool,
    ) -> Result<Option<Outcome>, CounterFault> {
        let Some(first) = update.cells.first() else {
            return Ok(Some(Outcome { granted: true, replies: Vec::new() }));
        };
        let mut keys = Keys { store: self.store()?, key: self.key(&first.cell), swap: None };
        let change = |table: Option<&[u8]>| changed(Table::apply(table, update, now(), CELLS_MAX)?);
        let (mut attempt, mut call) = Attempt::begin(takes_over);
        loop {
            let answer = keys.answer(call)?;
            match attempt.go_on(answer, change)? {
                Step::Ask(next, asked) => (attempt, call) = (next, asked),
                Step::Done(outcome) => return Ok(Some(outcome)),
                Step::Again => return Ok(None),
            }
        }
    }

    fn key(&self, cell: &CellKey) -> String {
        format!("{}:cells:{:04x}", self.gateway, place_of(cell))
    }

    fn store(&self) -> Result<&Bucket, Unavailable> {
        if let Some(bucket) = self.bucket.get() {
            return Ok(bucket);
        }
        let bucket = store::open(STORE).map_err(unavailable)?;
        Ok(self.bucket.get_or_init(|| bucket))
    }
}

fn place_of(cell: &CellKey) -> u32 {
    crc32fast::hash(cell.as_str().as_bytes()) % BUCKETS
}

fn changed(applied: Applied) -> Changed<Outcome> {
    let table = match applied.state {
        StateChange::Replace(table) => Some(table),
        StateChange::None => None,
    };
    Ok((applied.outcome, table))
}

/// The keys of one bucket.
struct Keys<'s> {
    store: &'s Bucket,
    key: String,
    /// The compare-and-swap that the last read started.
    swap: Option<Cas>,
}

impl Keys<'_> {
    fn answer(&mut self, call: Call) -> Result<Answer, Unavailable> {
        match call {
            Call::Read(generation) => {
                let key = if generation == 1 { self.key.clone() } else { format!("{}:{generation}", self.key) };
                let swap = Cas::new(self.store, &key).map_err(unavailable)?;
                let value = swap.current().map_err(unavailable)?;
                self.swap = Some(swap);
                Ok(Answer::Value(value))
            }
            Call::Swap(value) => match self.swap.take().map(|swap| atomics::swap(swap, &value)) {
                Some(Ok(())) => Ok(Answer::Swapped(true)),
                Some(Err(CasError::CasFailed(_))) | None => Ok(Answer::Swapped(false)),
                Some(Err(CasError::StoreError(error))) => Err(unavailable(error)),
            },
            Call::DrawTicket => self.add("tickets", 1),
            Call::Takeovers(delta) => self.add("takeovers", delta),
        }
    }

    fn add(&self, number: &str, delta: i64) -> Result<Answer, Unavailable> {
        let key = format!("{}:{number}", self.key);
        atomics::increment(self.store, &key, delta).map(Answer::Number).map_err(unavailable)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "taken by map_err")]
fn unavailable(error: Error) -> Unavailable {
    Unavailable::new(format!("counters: {error}"))
}
