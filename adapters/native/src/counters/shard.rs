//! One shard: states by partition, bounded in number.

use std::collections::{HashMap, HashSet};

use tollgate_core::limit::{self, ChargeOutcome, ChargeRequest, CounterState};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::Unavailable;

#[derive(Debug)]
pub(super) struct Shard {
    states: HashMap<String, CounterState>,
    changed: HashSet<String>,
    most: usize,
    /// When the next look for idle partitions is due: a full shard is not searched for each newcomer.
    sweep_at: Timestamp,
}

impl Shard {
    pub(super) fn new(most: usize) -> Self {
        Self { states: HashMap::new(), changed: HashSet::new(), most: most.max(1), sweep_at: Timestamp::EPOCH }
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn restore(&mut self, partition: String, state: CounterState) {
        if self.states.len() < self.most {
            self.states.insert(partition, state);
        }
    }

    pub(super) fn charge(&mut self, request: &ChargeRequest, now: Timestamp) -> Result<ChargeOutcome, Unavailable> {
        if let Some(state) = self.states.get_mut(&request.partition) {
            let (outcome, new) = limit::charge(state, request, now);
            *state = new;
            self.note_change(&request.partition);
            return Ok(outcome);
        }
        self.make_room(now)?;
        let (outcome, state) = limit::charge(&CounterState::default(), request, now);
        if !state.is_idle() {
            self.states.insert(request.partition.clone(), state);
            self.note_change(&request.partition);
        }
        Ok(outcome)
    }

    pub(super) fn refund(&mut self, request: &ChargeRequest, now: Timestamp) {
        if let Some(state) = self.states.get_mut(&request.partition) {
            *state = limit::refund(state, request, now);
            self.note_change(&request.partition);
        }
    }

    /// The partitions changed since the last call, with their states.
    pub(super) fn take_changed(&mut self) -> Vec<(String, CounterState)> {
        let changed = std::mem::take(&mut self.changed);
        let states = &self.states;
        changed
            .into_iter()
            .map(|partition| {
                let state = states.get(&partition).cloned().unwrap_or_default();
                (partition, state)
            })
            .collect()
    }

    pub(super) fn mark_changed(&mut self, partitions: impl Iterator<Item = String>) {
        self.changed.extend(partitions);
    }

    fn note_change(&mut self, partition: &str) {
        if !self.changed.contains(partition) {
            self.changed.insert(partition.to_owned());
        }
    }

    fn make_room(&mut self, now: Timestamp) -> Result<(), Unavailable> {
        if self.states.len() < self.most {
            return Ok(());
        }
        if now >= self.sweep_at {
            self.states.retain(|_, state| state.idle_at() > now);
            self.sweep_at = now.plus_millis(SWEEP_INTERVAL_MS);
        }
        if self.states.len() < self.most {
            return Ok(());
        }
        Err(Unavailable::new("the counters are full of partitions that are in use"))
    }
}

/// A full shard is searched for idle partitions this often: 16,000 entries take well under a millisecond.
const SWEEP_INTERVAL_MS: u64 = 100;
