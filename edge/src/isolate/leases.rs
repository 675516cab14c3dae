//! The permits that an isolate has of limits whose counters are elsewhere.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;

use tollgate_core::cell::{CellKey, Charge, OperationId, Unused, Verdict};
use tollgate_core::kinds::PolicyName;
use tollgate_core::limit::{Drawn, Lease, Purpose};
use tollgate_core::time::MonotonicInstant;

use super::room::make_room;

/// The leases of an isolate, by partition.
///
/// A lease that is forgotten, because there is no room, loses its permits, and creates none.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    partitions: HashMap<CellKey, Partition>,
    /// When batches are over, in the order in which they were taken.
    ends: VecDeque<(MonotonicInstant, CellKey, PolicyName)>,
    /// What was not used of batches that are over, or that others have taken the place of.
    unused: Vec<(CellKey, Unused)>,
}

/// The limits of a partition, once for each of the numbers that its callers have: few.
type Partition = Vec<(PolicyName, Lease)>;

impl Leases {
    /// As [`Lease::draw`].
    pub(crate) fn draw(&mut self, cell: &CellKey, charge: &Charge, now: MonotonicInstant) -> Drawn {
        if let Some(lease) = self.known(cell, charge) {
            return lease.draw(charge, now);
        }
        let is_used = |partition: &Partition| partition.iter().any(|(_, lease)| lease.is_used(now));
        make_room(&mut self.partitions, PARTITIONS_MAX, is_used);
        let mut lease = Lease::new(charge);
        let drawn = lease.draw(charge, now);
        let partition = self.partitions.entry(cell.clone()).or_default();
        if partition.iter().filter(|(name, _)| *name == charge.quota).count() >= NUMBERS_MAX
            && let Some(place) = partition.iter().position(|(name, _)| *name == charge.quota)
        {
            let (_, mut oldest) = partition.remove(place);
            let unused = oldest.give_up(&charge.quota).into_iter().flatten().map(|unused| (cell.clone(), unused));
            self.unused.extend(unused.take(ENDS_MAX.saturating_sub(self.unused.len())));
        }
        partition.push((charge.quota.clone(), lease));
        drawn
    }

    /// As [`Lease::draw_again`].
    pub(crate) fn draw_again(
        &mut self,
        cell: &CellKey,
        charge: &Charge,
        (since, now): (MonotonicInstant, MonotonicInstant),
    ) -> Drawn {
        match self.known(cell, charge) {
            Some(lease) => lease.draw_again(charge, since, now),
            // Forgotten meanwhile.
            None => self.draw(cell, charge, now),
        }
    }

    /// As [`Lease::put_back`].
    pub(crate) fn put_back(&mut self, cell: &CellKey, charge: &Charge, id: OperationId) {
        if let Some(lease) = self.known(cell, charge) {
            lease.put_back(charge, id);
        }
    }

    /// As [`Lease::drain`].
    pub(crate) fn drain(&mut self, cell: &CellKey, charge: &Charge, now: MonotonicInstant) -> u32 {
        self.known(cell, charge).map_or(0, |lease| lease.drain(charge.cost, now))
    }

    /// As [`Lease::answered`], if there is a lease of the limit.
    pub(crate) fn answered(
        &mut self,
        cell: &CellKey,
        charge: &Charge,
        said: &Verdict,
        asked: (OperationId, Purpose),
        times: (MonotonicInstant, MonotonicInstant),
    ) {
        let Some(lease) = self.known(cell, charge) else { return };
        let unused = lease.answered(charge, said, asked, times);
        if self.unused.len() < ENDS_MAX {
            self.unused.extend(unused.map(|unused| (cell.clone(), unused)));
        }
        if let Some(leased) = said.leased {
            if self.ends.len() >= ENDS_MAX {
                self.ends.pop_front();
            }
            let end = times.0.plus_micros(leased.for_us);
            self.ends.push_back((end, cell.clone(), charge.quota.clone()));
        }
    }

    /// As [`Lease::failed`].
    pub(crate) fn failed(&mut self, cell: &CellKey, charge: &Charge, times: (MonotonicInstant, MonotonicInstant)) {
        if let Some(lease) = self.known(cell, charge) {
            lease.failed(charge, times);
        }
    }

    /// As [`Lease::not_asked`].
    pub(crate) fn not_asked(&mut self, cell: &CellKey, charge: &Charge) {
        if let Some(lease) = self.known(cell, charge) {
            lease.not_asked(charge);
        }
    }

    /// As [`Lease::plans_refill`].
    pub(crate) fn plans_refill(&mut self, cell: &CellKey, charge: &Charge, now: MonotonicInstant) -> bool {
        self.known(cell, charge).is_some_and(|lease| lease.plans_refill(now))
    }

    /// As [`Lease::refill`].
    pub(crate) fn refill(&mut self, cell: &CellKey, charge: &Charge, now: MonotonicInstant) -> Option<NonZeroU32> {
        self.known(cell, charge)?.refill(now)
    }

    /// Whether there are batches that may be over.
    pub(crate) fn has_batches(&self) -> bool {
        !self.ends.is_empty() || !self.unused.is_empty()
    }

    /// What was not used of a batch that is over.
    pub(crate) fn take_unused(&mut self, now: MonotonicInstant) -> Option<(CellKey, Unused)> {
        while self.unused.is_empty() {
            let (_, cell, quota) = self.ends.pop_front_if(|(end, ..)| *end <= now)?;
            let partition = self.partitions.get_mut(&cell);
            let leases = partition.into_iter().flatten().filter(|(name, _)| *name == quota);
            let unused = leases.flat_map(|(_, lease)| lease.take_unused(&quota, now)).flatten();
            self.unused.extend(unused.map(|unused| (cell.clone(), unused)));
        }
        self.unused.pop()
    }

    fn known(&mut self, cell: &CellKey, charge: &Charge) -> Option<&mut Lease> {
        let partition = self.partitions.get_mut(cell)?;
        let is_its = |(name, lease): &&mut (PolicyName, Lease)| *name == charge.quota && lease.is_for(charge);
        partition.iter_mut().find(is_its).map(|(_, lease)| lease)
    }
}

/// Maximum number of partitions of which an isolate knows the demand: about a megabyte.
const PARTITIONS_MAX: usize = 4_096;

/// Maximum number of leases of one limit in a partition: callers with other plans, or keys with numbers of their own.
const NUMBERS_MAX: usize = 8;

/// Maximum number of batches that are given back when they are over; of others, what is not used is lost.
const ENDS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use tollgate_core::cell::Leased;

    use super::*;

    fn charge() -> Charge {
        let n = |number| NonZeroU32::new(number).unwrap();
        Charge {
            quota: "p".into(),
            rate: n(1_000),
            period_ms: n(1_000),
            burst: n(1_000),
            cost: n(1),
            algorithm: None,
            lease: None,
            tells: None,
        }
    }

    fn said(permits: u32) -> Verdict {
        let leased = Some(Leased { permits, for_us: 1_000_000, is_busy: false });
        Verdict {
            allowed: true,
            remaining: 9,
            reset_us: 1,
            retry_after_us: Some(0),
            wait_us: None,
            leased,
            reached: None,
        }
    }

    #[test]
    fn no_more_partitions_are_known_than_there_is_room_for_and_a_forgotten_one_has_no_permits() {
        let (mut leases, now) = (Leases::default(), MonotonicInstant::default());
        let (id, asked) = (OperationId::new([1; 16]), Charge { lease: NonZeroU32::new(8), ..charge() });
        for number in 0..3 * PARTITIONS_MAX {
            let cell = CellKey::new(format!("consumer={number}"));
            assert!(matches!(leases.draw(&cell, &charge(), now), Drawn::Ask(_)));
            leases.answered(&cell, &asked, &said(8), (id, Purpose::Request), (now, now));
            assert!(leases.partitions.len() <= PARTITIONS_MAX && leases.ends.len() <= ENDS_MAX);
        }
        let known = |number: &usize| leases.partitions.contains_key(&CellKey::new(format!("consumer={number}")));
        let lost = (0..3 * PARTITIONS_MAX).find(|number| !known(number)).unwrap();
        let cell = CellKey::new(format!("consumer={lost}"));
        assert_eq!(leases.draw(&cell, &charge(), now), Drawn::Ask(None));
    }

    #[test]
    fn callers_with_other_numbers_have_permits_of_their_own_and_none_are_lost() {
        let (mut leases, now) = (Leases::default(), MonotonicInstant::default());
        let cell = CellKey::new("consumer=acme");
        let with = |rate| Charge { rate: NonZeroU32::new(rate).unwrap(), lease: NonZeroU32::new(8), ..charge() };
        let id = |number: u32| OperationId::new([u8::try_from(number).unwrap(); 16]);
        for number in 1..=20 {
            leases.draw(&cell, &with(number), now);
            leases.answered(&cell, &with(number), &said(8), (id(number), Purpose::Request), (now, now));
            assert!(matches!(leases.draw(&cell, &with(number), now), Drawn::Taken { .. }), "{number}");
        }
        assert!(matches!(leases.draw(&cell, &with(19), now), Drawn::Taken { .. }));
        let later = now.plus_millis(1_000);
        let back: u32 = std::iter::from_fn(|| leases.take_unused(later)).map(|(_, unused)| unused.permits.get()).sum();
        assert_eq!(back, 20 * 8 - 21);
    }

    #[test]
    fn what_is_not_used_when_it_is_over_is_given_back_once() {
        let (mut leases, at) = (Leases::default(), |ms| MonotonicInstant::default().plus_millis(ms));
        let (cell, id) = (CellKey::new("consumer=acme"), OperationId::new([1; 16]));
        leases.draw(&cell, &charge(), at(0));
        let asked = Charge { lease: NonZeroU32::new(8), ..charge() };
        leases.answered(&cell, &asked, &said(8), (id, Purpose::Request), (at(0), at(30)));
        assert!(matches!(leases.draw(&cell, &charge(), at(500)), Drawn::Taken { .. }));
        assert_eq!(leases.take_unused(at(999)), None);
        let (of, unused) = leases.take_unused(at(1_000)).unwrap();
        assert_eq!((of, unused.permits.get(), unused.of.get()), (cell, 7, 9));
        assert_eq!(leases.take_unused(at(2_000)), None);
    }
}
