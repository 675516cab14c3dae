//! Cells by compare-and-swap in Spin's key-value store, through `wasi:keyvalue`; or in a Redis server ([`redis`]).
//!
//! The store has no expiry, so a key per cell would never be removed, and every client address would leave one. Cells
//! therefore share a fixed number of buckets, and each write drops the idle cells. [`attempt`] defines the calls of one
//! attempt to change a bucket, [`group`] combines the attempts of an instance.

mod attempt;
mod chosen;
mod group;
mod redis;

use std::cell::OnceCell;
use std::num::NonZeroUsize;

use spin_sdk::experimental::wasi::keyvalue::atomics::{self, Cas, CasError};
use spin_sdk::experimental::wasi::keyvalue::store::{self, Bucket, Error};
use spin_sdk::wasip3::clocks::monotonic_clock;
use tollgate_core::cell::{CellKey, Outcome, Update};
use tollgate_core::crc32;
use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_edge::ports::{Clock, CounterFault, Counters, Unavailable};

use crate::blocking::BlockingStore;
use crate::clock::{NANOS_PER_MS, SpinClock};
use crate::store::STORE;
pub use chosen::ChosenCounters;
pub use redis::RedisCounters;

use attempt::{Answer, Attempt, Call, Step};
use group::{Answers, Groups, Lead, Member};

/// Cells of one gateway.
pub struct SpinCounters {
    gateway: String,
    bucket: OnceCell<Bucket>,
    blocking: BlockingStore,
    groups: Groups,
}

/// Buckets of a gateway: enough that busy cells rarely share one, few enough to bound the store.
const BUCKETS: u32 = 1 << 16;
/// Maximum number of cells in one bucket that are not idle. Beyond it the bucket is full and nothing is dropped,
/// because a client that fills a bucket could otherwise remove its own charges.
const CELLS_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("it is not 0");
/// How long attempts against other instances that write the same bucket go on: less than the timeout of a store, so that
/// the caller learns that they failed.
const PATIENCE_MS: u64 = 2_500;
/// Attempts before an unfinished creator of a bucket is assumed to have failed: about 150 ms.
const PATIENT_ATTEMPTS: u32 = 8;
/// The mean delay before the second attempt; it doubles up to the maximum.
const BACKOFF_MS: u64 = 2;
const BACKOFF_MAX_MS: u64 = 32;

impl Counters for SpinCounters {
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool {
        place_of(one) == place_of(other)
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        let Some(first) = update.cells.first() else {
            return Ok(Outcome { granted: true, replies: Vec::new() });
        };
        let (place, since) = (place_of(&first.cell), Since { now, begun: SpinClock.instant() });
        if !self.groups.exists(place) {
            let answers = self.attempt(place, &[update], since, false)?;
            if let Some(answer) = answers.and_then(|mut answers| answers.pop()) {
                return Ok(answer?);
            }
        }
        self.with_others(place, update, since).await
    }
}

/// When an update came. Others may have changed the cells meanwhile, so each attempt computes its own instant.
#[derive(Clone, Copy)]
struct Since {
    now: Timestamp,
    begun: MonotonicInstant,
}

impl Since {
    fn elapsed_ms(self) -> u64 {
        SpinClock.instant().millis_since(self.begun)
    }

    fn now(self) -> Timestamp {
        self.now.plus_micros(SpinClock.instant().micros_since(self.begun))
    }
}

impl SpinCounters {
    pub(crate) fn new(gateway: &str, blocking: BlockingStore) -> Self {
        Self { gateway: gateway.to_owned(), bucket: OnceCell::new(), blocking, groups: Groups::default() }
    }

    /// Applies an update after a conflict, or while other requests of this instance wait for the same bucket.
    async fn with_others(&self, place: u32, update: &Update, since: Since) -> Result<Outcome, CounterFault> {
        let member = Member::new(update);
        let mut lead = self.groups.join(place, &member);
        let mut attempts = 1;
        while since.elapsed_ms() < PATIENCE_MS {
            back_off(attempts).await;
            if lead.is_none() && member.has_no_answer() {
                lead = self.groups.join(place, &member);
            }
            if let Some(lead) = &lead {
                self.lead(place, lead, since, attempts >= PATIENT_ATTEMPTS);
                attempts += 1;
            }
            if let Some(answer) = member.answer() {
                return answer;
            }
        }
        Err(CounterFault::Contended)
    }

    /// One attempt for all members of a group.
    fn lead(&self, place: u32, lead: &Lead<'_>, since: Since, takes_over: bool) {
        let members = lead.members();
        let updates: Vec<&Update> = members.iter().map(|member| &member.update).collect();
        match self.attempt(place, &updates, since, takes_over) {
            Ok(None) => {}
            Ok(Some(answers)) => {
                for (member, answer) in members.iter().zip(answers) {
                    member.set_answer(answer.map_err(CounterFault::from));
                }
            }
            Err(fault) => members.iter().for_each(|member| member.set_answer(Err(fault.clone()))),
        }
    }

    /// One attempt; `None` if it conflicted with others.
    fn attempt(
        &self,
        place: u32,
        updates: &[&Update],
        since: Since,
        takes_over: bool,
    ) -> Result<Option<Answers>, CounterFault> {
        let key = format!("{}:cells:{place:04x}", self.gateway);
        let mut keys = Keys { store: self.store()?, blocking: &self.blocking, key, swap: None };
        let change = |table: Option<&[u8]>| group::apply(table, updates.iter().copied(), since.now());
        let (mut attempt, mut call) = Attempt::begin(takes_over);
        loop {
            let answer = keys.answer(call)?;
            match attempt.go_on(answer, change)? {
                Step::Ask(next, asked) => (attempt, call) = (next, asked),
                Step::Done(answers) => return Ok(Some(answers)),
                Step::Again => return Ok(None),
            }
        }
    }

    fn store(&self) -> Result<&Bucket, Unavailable> {
        if let Some(bucket) = self.bucket.get() {
            return Ok(bucket);
        }
        let bucket = self.blocking.run(WHAT, || store::open(STORE))?;
        Ok(self.bucket.get_or_init(|| bucket))
    }
}

fn place_of(cell: &CellKey) -> u32 {
    crc32(cell.as_str().as_bytes()) % BUCKETS
}

/// Waits between half and one and a half times the mean delay, so that instances do not stay in step.
async fn back_off(attempts: u32) {
    let mean = (BACKOFF_MS << attempts.saturating_sub(1).min(8)).min(BACKOFF_MAX_MS) * NANOS_PER_MS;
    monotonic_clock::wait_for(mean / 2 + monotonic_clock::now() % mean).await;
}

/// Names the counters in errors of the store.
const WHAT: &str = "counters";

/// The keys of one bucket.
struct Keys<'s> {
    store: &'s Bucket,
    blocking: &'s BlockingStore,
    key: String,
    /// The compare-and-swap that the last read started.
    swap: Option<Cas>,
}

impl Keys<'_> {
    fn answer(&mut self, call: Call) -> Result<Answer, CounterFault> {
        match call {
            Call::Read(generation) => {
                let key = if generation == 1 { self.key.clone() } else { format!("{}:{generation}", self.key) };
                let swap = Cas::new(self.store, &key).map_err(not_begun)?;
                let value = self.blocking.run(WHAT, || swap.current())?;
                self.swap = Some(swap);
                Ok(Answer::Value(value))
            }
            Call::Swap(value) => {
                let swap = self.swap.take();
                let swapped = self.blocking.run(WHAT, || match swap.map(|swap| atomics::swap(swap, &value)) {
                    Some(Ok(())) => Ok(true),
                    Some(Err(CasError::CasFailed(_))) | None => Ok(false),
                    Some(Err(CasError::StoreError(error))) => Err(error),
                });
                Ok(Answer::Swapped(swapped?))
            }
            Call::DrawTicket => self.add("tickets", 1),
            Call::Takeovers(delta) => self.add("takeovers", delta),
        }
    }

    fn add(&self, number: &str, delta: i64) -> Result<Answer, CounterFault> {
        let key = format!("{}:{number}", self.key);
        let sum = self.blocking.run(WHAT, || atomics::increment(self.store, &key, delta));
        Ok(Answer::Number(sum?))
    }
}

/// Spin keeps a table of 256 swaps for an instance and does not remove one that was carried out. A flood of requests can
/// fill it, so a full table must not count as a store that is away.
#[expect(clippy::needless_pass_by_value, reason = "taken by map_err")]
fn not_begun(error: Error) -> CounterFault {
    match &error {
        Error::Other(text) if text.contains("compare_and_swap") => CounterFault::Contended,
        Error::Other(_) | Error::NoSuchStore | Error::AccessDenied => {
            Unavailable::new(format!("{WHAT}: {error}")).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_of_swaps_is_no_store_that_is_away() {
        let full = Error::Other("too many compare_and_swaps opened".to_owned());
        assert_eq!(not_begun(full), CounterFault::Contended);
        for error in [Error::Other("database is locked".to_owned()), Error::NoSuchStore, Error::AccessDenied] {
            assert!(matches!(not_begun(error), CounterFault::Unavailable(_)));
        }
    }
}
