//! Cells by compare-and-swap in Spin's key-value store, through `wasi:keyvalue`; or in a Redis server ([`redis`]).
//!
//! The store has no expiry, so a key per cell would never be removed, and every client address would leave one. Cells
//! therefore share a fixed number of buckets, and each write drops the idle cells. Which bucket a cell is in depends on a secret of the
//! store: a bucket has room for few cells, so whoever could choose partitions that share one could fill it. [`attempt`] defines the calls of one
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
use tollgate_core::cell::{CellError, CellKey, Outcome, PLACE_SECRET_BYTES, Update};
use tollgate_core::crc32;
use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_edge::ports::{Clock, CounterFault, Counters, Entropy, Unavailable};

use crate::blocking::BlockingStore;
use crate::clock::{NANOS_PER_MS, SpinClock};
use crate::host::SpinEntropy;
use crate::store::STORE;
pub use chosen::ChosenCounters;
pub use redis::RedisCounters;

use attempt::{Answer, Attempt, Call, Changed, Step};
use group::{Answers, Groups, Lead, Member};

/// Cells of one gateway.
pub struct SpinCounters {
    gateway: String,
    bucket: OnceCell<Bucket>,
    /// What the places of cells depend on.
    secret: OnceCell<PlaceSecret>,
    blocking: BlockingStore,
    groups: Groups,
}

/// Where a cell is. Of the cells that callers can choose there are 65,536 buckets: enough that busy ones rarely share one, few enough to
/// bound the store. The few of the gateway itself have buckets of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Chosen(u16),
    OfGateway(u16),
}

/// A random secret of the store.
type PlaceSecret = [u8; PLACE_SECRET_BYTES];

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
        if one == other {
            return true;
        }
        // Without the secret they count as apart, which is right for any two cells, and one call more.
        let Ok(Some(secret)) = self.secret(false) else { return false };
        place_of(one, &secret) == place_of(other, &secret)
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        let Some(first) = update.cells.first() else {
            return Ok(Outcome { granted: true, replies: Vec::new() });
        };
        let since = Since { now, begun: SpinClock.instant() };
        let place = place_of(&first.cell, &self.agreed_secret(since).await?);
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
        Self {
            gateway: gateway.to_owned(),
            bucket: OnceCell::new(),
            secret: OnceCell::new(),
            blocking,
            groups: Groups::default(),
        }
    }

    /// The secret that places depend on, once all instances agree on it.
    async fn agreed_secret(&self, since: Since) -> Result<PlaceSecret, CounterFault> {
        let mut attempts = 0;
        while since.elapsed_ms() < PATIENCE_MS {
            if let Some(secret) = self.secret(attempts >= PATIENT_ATTEMPTS)? {
                return Ok(secret);
            }
            attempts += 1;
            back_off(attempts).await;
        }
        Err(CounterFault::Contended)
    }

    /// The same, if it is stored, or this instance stores one: by the protocol for buckets, so that there is never another.
    fn secret(&self, takes_over: bool) -> Result<Option<PlaceSecret>, CounterFault> {
        if let Some(secret) = self.secret.get() {
            return Ok(Some(*secret));
        }
        let mut drawn = PlaceSecret::default();
        SpinEntropy::default().fill(&mut drawn);
        let key = format!("{}:cells:secret", self.gateway);
        let stored = self.attempt_at(key, takes_over, |stored| kept_secret(stored, drawn))?;
        Ok(stored.map(|secret| *self.secret.get_or_init(|| secret)))
    }

    /// Applies an update after a conflict, or while other requests of this instance wait for the same bucket.
    async fn with_others(&self, place: Place, update: &Update, since: Since) -> Result<Outcome, CounterFault> {
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
    fn lead(&self, place: Place, lead: &Lead<'_>, since: Since, takes_over: bool) {
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
        place: Place,
        updates: &[&Update],
        since: Since,
        takes_over: bool,
    ) -> Result<Option<Answers>, CounterFault> {
        let key = match place {
            Place::Chosen(place) => format!("{}:counters:{place:04x}", self.gateway),
            Place::OfGateway(place) => format!("{}:cells:{place:04x}", self.gateway),
        };
        self.attempt_at(key, takes_over, |table| group::apply(table, updates.iter().copied(), since.now()))
    }

    /// One attempt to change the value of a key.
    fn attempt_at<T>(
        &self,
        key: String,
        takes_over: bool,
        change: impl Fn(Option<&[u8]>) -> Changed<T>,
    ) -> Result<Option<T>, CounterFault> {
        let store = self.store().map_err(CounterFault::NotAsked)?;
        let mut keys = Keys { store, blocking: &self.blocking, key, swap: None };
        let (mut attempt, mut call) = Attempt::begin(takes_over);
        loop {
            let answer = keys.answer(call)?;
            match attempt.go_on(answer, &change)? {
                Step::Ask(next, asked) => (attempt, call) = (next, asked),
                Step::Done(done) => return Ok(Some(done)),
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

fn place_of(cell: &CellKey, secret: &PlaceSecret) -> Place {
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits of the sum")]
    let of_gateway = || Place::OfGateway(crc32(cell.as_str().as_bytes()) as u16);
    cell.place(secret).map_or_else(of_gateway, Place::Chosen)
}

/// The stored secret, or the drawn one, which is then stored. Without it no cell can be found, so a damaged one is not replaced.
fn kept_secret(stored: Option<&[u8]>, drawn: PlaceSecret) -> Changed<PlaceSecret> {
    match stored {
        Some(stored) => Ok((stored.try_into().map_err(|_| CellError::Damaged)?, None)),
        None => Ok((drawn, Some(drawn.to_vec()))),
    }
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
                let value = self.blocking.run(WHAT, || swap.current()).map_err(CounterFault::NotAsked)?;
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
        sum.map(Answer::Number).map_err(CounterFault::NotAsked)
    }
}

/// Spin keeps a table of 256 swaps for an instance and does not remove one that was carried out. A flood of requests can
/// fill it, so a full table must not count as a store that is away.
#[expect(clippy::needless_pass_by_value, reason = "taken by map_err")]
fn not_begun(error: Error) -> CounterFault {
    match &error {
        Error::Other(text) if text.contains("compare_and_swap") => CounterFault::Contended,
        Error::Other(_) | Error::NoSuchStore | Error::AccessDenied => {
            CounterFault::NotAsked(Unavailable::new(format!("{WHAT}: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroU32;

    use tollgate_core::cell::{CellOperations, Charge, Operation, OperationId, StateChange, Table, Terms};

    use super::*;

    /// An update that charges one cell.
    fn charge(cell: &CellKey, number: u32) -> Update {
        let n = |number: u32| NonZeroU32::new(number).unwrap();
        let charge = Charge {
            quota: "daily".into(),
            rate: n(1_000),
            period_ms: n(86_400_000),
            burst: n(1_000),
            cost: n(1),
            algorithm: None,
            lease: None,
            tells: None,
        };
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let cells = vec![CellOperations { cell: cell.clone(), operations: vec![Operation::Charge(charge)] }];
        Update { terms: Terms { id: OperationId::new(id), hold_ms: None, refund_ms: None }, cells }
    }

    /// What becomes of a charge of `victim`, if partitions that share a bucket by the checksum, which everyone can compute, are charged
    /// before.
    fn after_the_attack(place_of: impl Fn(&CellKey) -> u32) -> Result<Outcome, CellError> {
        let victim = CellKey::new("consumer=victim");
        let by_checksum = |cell: &CellKey| crc32(cell.as_str().as_bytes()) as u16;
        let chosen = (0_u32..).map(|number| CellKey::new(format!("parts={number}")));
        let chosen = chosen.filter(|cell| by_checksum(cell) == by_checksum(&victim)).take(CELLS_MAX.get());
        let mut buckets: HashMap<u32, Vec<u8>> = HashMap::new();
        let mut charged = |cell: &CellKey, number| {
            let bucket = buckets.entry(place_of(cell)).or_default();
            let table = Some(bucket.as_slice()).filter(|table| !table.is_empty());
            let applied = Table::apply(table, &charge(cell, number), NOW, CELLS_MAX)?;
            if let StateChange::Replace(table) = applied.state {
                *bucket = table;
            }
            Ok(applied.outcome)
        };
        chosen.zip(1..).for_each(|(cell, number)| assert!(charged(&cell, number).unwrap().granted));
        charged(&victim, 0)
    }

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn nobody_who_chooses_partitions_can_fill_the_bucket_of_another() {
        let by_checksum = |cell: &CellKey| u32::from(crc32(cell.as_str().as_bytes()) as u16);
        assert_eq!(after_the_attack(by_checksum), Err(CellError::Full), "what the attack is about");
        for secret in [[7; PLACE_SECRET_BYTES], [8; PLACE_SECRET_BYTES]] {
            let by_secret = |cell: &CellKey| match place_of(cell, &secret) {
                Place::Chosen(place) => place.into(),
                Place::OfGateway(_) => panic!("{cell} is chosen"),
            };
            assert!(after_the_attack(by_secret).is_ok_and(|outcome| outcome.granted));
        }
    }

    #[test]
    fn the_cells_of_the_gateway_keep_their_places() {
        for cell in [CellKey::purges(), CellKey::new("gateway"), CellKey::partition("idp-outage", "staff")] {
            let places = [[7; PLACE_SECRET_BYTES], [8; PLACE_SECRET_BYTES]].map(|secret| place_of(&cell, &secret));
            assert!(places[0] == places[1] && matches!(places[0], Place::OfGateway(_)), "{cell}");
        }
    }

    #[test]
    fn the_first_secret_that_is_stored_stays() {
        let (one, other) = ([1; PLACE_SECRET_BYTES], [2; PLACE_SECRET_BYTES]);
        assert_eq!(kept_secret(None, one), Ok((one, Some(one.to_vec()))));
        assert_eq!(kept_secret(Some(&one), other), Ok((one, None)));
        assert_eq!(kept_secret(Some(&[1]), other), Err(CellError::Damaged));
    }

    #[test]
    fn a_full_table_of_swaps_is_no_store_that_is_away() {
        let full = Error::Other("too many compare_and_swaps opened".to_owned());
        assert_eq!(not_begun(full), CounterFault::Contended);
        for error in [Error::Other("database is locked".to_owned()), Error::NoSuchStore, Error::AccessDenied] {
            assert!(matches!(not_begun(error), CounterFault::NotAsked(_)));
        }
    }
}
