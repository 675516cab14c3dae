//! Counters by compare-and-swap in Spin's key-value store, through `wasi:keyvalue`.
//!
//! The store has no expiry, so a key per partition would stay for ever, and every client address would leave one.
//! Partitions therefore share a fixed number of buckets, and each write drops the partitions that are whole again.
//!
//! A swap of an absent key does not compare in Spin: two first writers would both succeed, the second undoing the
//! first. Who may write first is therefore drawn with the atomic `increment`, on a key beside the bucket.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use spin_sdk::experimental::wasi::keyvalue::atomics::{self, Cas, CasError};
use spin_sdk::experimental::wasi::keyvalue::store::{self, Bucket, Error};
use spin_sdk::wasip3::clocks::monotonic_clock;
use tollgate_core::limit::{ChargeOutcome, ChargeRequest, CounterState, charge, refund};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Counters, Unavailable};

use crate::store::STORE;
use crate::upstream::NANOS_PER_MS;

/// Counters of one gateway.
pub struct SpinCounters {
    gateway: String,
    bucket: OnceCell<Bucket>,
}

/// The partitions of one bucket that are not whole.
type States = BTreeMap<String, CounterState>;

/// Buckets of a gateway: enough that busy partitions seldom share one, few enough to bound the store.
const BUCKETS: u32 = 1 << 16;
/// Partitions in one bucket that are not whole at once. Past it the counter is unavailable rather than forgetful,
/// because whoever could crowd a bucket could otherwise make it forget its own charges.
const PARTITIONS_MAX: usize = 256;
/// Attempts against other instances that write the same bucket.
const ATTEMPTS_MAX: u32 = 12;
/// How much longer each further attempt waits.
const BACKOFF_MS: u64 = 2;
/// A drawn first writer that died before it wrote is replaced after as many draws.
const DRAWS_PER_WRITER: i64 = 64;

impl SpinCounters {
    pub(crate) fn new(gateway: &str) -> Self {
        Self { gateway: gateway.to_owned(), bucket: OnceCell::new() }
    }

    fn key(&self, partition: &str) -> String {
        let bucket = crc32fast::hash(partition.as_bytes()) % BUCKETS;
        format!("{}:counter:{bucket:04x}", self.gateway)
    }

    /// Replaces a partition's state by what `change` makes of it, atomically.
    async fn update<T>(
        &self,
        partition: &str,
        now: Timestamp,
        change: impl Fn(&CounterState) -> (T, CounterState),
    ) -> Result<T, Unavailable> {
        let key = self.key(partition);
        for attempt in 0..ATTEMPTS_MAX {
            if let Some(outcome) = self.attempt(&key, partition, now, &change)? {
                return Ok(outcome);
            }
            let wait = BACKOFF_MS * u64::from(attempt + 1) * NANOS_PER_MS;
            monotonic_clock::wait_for(wait).await;
        }
        Err(Unavailable::new("counters: too many writers at once"))
    }

    /// One compare and swap; `None` if another instance was faster.
    fn attempt<T>(
        &self,
        key: &str,
        partition: &str,
        now: Timestamp,
        change: impl Fn(&CounterState) -> (T, CounterState),
    ) -> Result<Option<T>, Unavailable> {
        let bucket = self.bucket()?;
        let swap = Cas::new(bucket, key).map_err(unavailable)?;
        let current = swap.current().map_err(unavailable)?;
        if current.is_none() && !may_write_first(bucket, key)? {
            return Ok(None);
        }
        let mut states = current.as_deref().map(parse).unwrap_or_default();
        let outcome = apply(&mut states, partition, now, change)?;
        let value =
            serde_json::to_vec(&states).map_err(|_| Unavailable::new("counters: the state cannot be written"))?;
        match atomics::swap(swap, &value) {
            Ok(()) => Ok(Some(outcome)),
            Err(CasError::CasFailed(_)) => Ok(None),
            Err(CasError::StoreError(error)) => Err(unavailable(error)),
        }
    }

    fn bucket(&self) -> Result<&Bucket, Unavailable> {
        if let Some(bucket) = self.bucket.get() {
            return Ok(bucket);
        }
        let bucket = store::open(STORE).map_err(unavailable)?;
        Ok(self.bucket.get_or_init(|| bucket))
    }
}

impl Counters for SpinCounters {
    async fn charge(&self, request: &ChargeRequest, now: Timestamp) -> Result<ChargeOutcome, Unavailable> {
        let change = |state: &CounterState| charge(state, request, now);
        self.update(&request.partition, now, change).await
    }

    async fn refund(&self, request: &ChargeRequest, now: Timestamp) -> Result<(), Unavailable> {
        let change = |state: &CounterState| ((), refund(state, request, now));
        self.update(&request.partition, now, change).await
    }
}

fn may_write_first(bucket: &Bucket, key: &str) -> Result<bool, Unavailable> {
    let draw = atomics::increment(bucket, &format!("{key}:first"), 1).map_err(unavailable)?;
    Ok(draw % DRAWS_PER_WRITER == 1)
}

/// Anything that is not a bucket counts as an empty one.
fn parse(value: &[u8]) -> States {
    serde_json::from_slice(value).unwrap_or_default()
}

fn apply<T>(
    states: &mut States,
    partition: &str,
    now: Timestamp,
    change: impl Fn(&CounterState) -> (T, CounterState),
) -> Result<T, Unavailable> {
    let state = states.remove(partition).unwrap_or_default();
    let (outcome, state) = change(&state);
    states.retain(|_, state| state.idle_at() > now);
    if state.is_idle() {
        return Ok(outcome);
    }
    if states.len() >= PARTITIONS_MAX {
        return Err(Unavailable::new("counters: a bucket is crowded"));
    }
    states.insert(partition.to_owned(), state);
    Ok(outcome)
}

#[expect(clippy::needless_pass_by_value, reason = "taken by map_err")]
fn unavailable(error: Error) -> Unavailable {
    Unavailable::new(format!("counters: {error}"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use tollgate_core::limit::Charge;

    use super::*;

    fn one(partition: &str) -> ChargeRequest {
        let n = |number| NonZeroU32::new(number).unwrap();
        ChargeRequest {
            partition: partition.to_owned(),
            charges: vec![Charge { policy: "burst".into(), rate: n(1), period_ms: n(1_000), burst: n(2), cost: n(1) }],
        }
    }

    fn charge_one(states: &mut States, partition: &str, ms: u64) -> Result<bool, Unavailable> {
        let (request, now) = (one(partition), Timestamp::from_millis(ms));
        apply(states, partition, now, |state| charge(state, &request, now))
            .map(|outcome: ChargeOutcome| outcome.granted)
    }

    #[test]
    fn partitions_of_one_bucket_do_not_share_a_quota() {
        let mut states = States::new();
        assert_eq!(charge_one(&mut states, "a", 0), Ok(true));
        assert_eq!(charge_one(&mut states, "a", 0), Ok(true));
        assert_eq!(charge_one(&mut states, "a", 0), Ok(false));
        assert_eq!(charge_one(&mut states, "b", 0), Ok(true));
        let read_back = parse(&serde_json::to_vec(&states).unwrap());
        assert_eq!(read_back, states);
    }

    #[test]
    fn a_partition_is_forgotten_once_it_is_whole_and_not_before() {
        let mut states = States::new();
        assert_eq!(charge_one(&mut states, "a", 0), Ok(true));
        assert_eq!(charge_one(&mut states, "b", 999), Ok(true));
        assert!(states.contains_key("a"));
        assert_eq!(charge_one(&mut states, "b", 1_000), Ok(true));
        assert!(!states.contains_key("a"));
    }

    #[test]
    fn a_crowded_bucket_is_unavailable_and_forgets_nobody() {
        let mut states = States::new();
        for number in 0..PARTITIONS_MAX {
            assert_eq!(charge_one(&mut states, &number.to_string(), 0), Ok(true));
        }
        assert!(charge_one(&mut states, "one more", 0).is_err());
        assert_eq!(states.len(), PARTITIONS_MAX);
        assert_eq!(charge_one(&mut states, "0", 0), Ok(true));
    }
}
