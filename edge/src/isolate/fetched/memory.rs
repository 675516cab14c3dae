//! The cache of fetched answers in an isolate, without I/O.

use std::collections::HashMap;
use std::rc::Rc;

use tollgate_core::bounds::{FETCHED_BYTES_MAX, FETCHED_ENTRIES_MAX};
use tollgate_core::fetch::{Freshness, Lifetimes};
use tollgate_core::time::MonotonicInstant;
use tollgate_kv_schemas::Id;

use super::{Outcome, Usable};

/// The fetched answers of an isolate, bounded in number and bytes.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    entries: HashMap<Id, Entry>,
    /// Bytes of all answers.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Entry {
    /// The last successful answer.
    answer: Option<Kept<Rc<Usable>>>,
    /// The result of the last attempt, if it failed.
    failure: Option<Kept<Outcome>>,
    /// When the first of the failures was that no success has followed.
    failing_since: Option<MonotonicInstant>,
    /// Until when a request has the right to fetch it.
    claimed_until: Option<MonotonicInstant>,
    /// When the entry last changed; the oldest is evicted first.
    changed_at: MonotonicInstant,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    /// Its age when it was added.
    age_us: u64,
    since: MonotonicInstant,
}

/// The next step of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Use this answer.
    Use(Outcome),
    /// Use this answer, and fetch it again after the reply.
    UseAndRefresh(Rc<Usable>),
    /// Another request is fetching.
    Wait,
    /// Claim the right to fetch, and fetch.
    Fetch,
}

impl Fetches {
    /// The step of a request that needs an answer.
    pub(super) fn step(&self, id: Id, lifetimes: &Lifetimes, now: MonotonicInstant) -> Step {
        let (mut usable, mut failure, mut claimed) = (None, None, false);
        if let Some(entry) = self.entries.get(&id) {
            usable = entry.answer.as_ref().map(|kept| (Rc::clone(&kept.value), lifetimes.of_answer(kept.age_us(now))));
            let failed = entry.failure.as_ref();
            let failed = failed.filter(|kept| lifetimes.of_failure(kept.age_us(now)) == Freshness::Fresh);
            failure = failed.map(|kept| kept.value.clone());
            claimed = entry.claimed_until.is_some_and(|until| now < until);
        }
        match (usable, failure) {
            (Some((answer, Freshness::Fresh)), _) => Step::Use(Ok(answer)),
            (Some((answer, Freshness::Stale)), failure) if failure.is_some() || claimed => Step::Use(Ok(answer)),
            (Some((answer, Freshness::Stale)), _) => Step::UseAndRefresh(answer),
            (Some((_, Freshness::Gone)) | None, Some(failure)) => Step::Use(failure),
            (Some((_, Freshness::Gone)) | None, None) if claimed => Step::Wait,
            (Some((_, Freshness::Gone)) | None, None) => Step::Fetch,
        }
    }

    /// Gives the right to fetch to one request, until it is released or expires.
    pub(super) fn claim(&mut self, id: Id, until: MonotonicInstant, now: MonotonicInstant) {
        self.make_room(id, 0);
        let entry = self.entries.entry(id).or_default();
        entry.claimed_until = Some(until);
        entry.changed_at = now;
    }

    /// Releases the right that expires at this instant, unless another request has it now.
    pub(super) fn release(&mut self, id: Id, until: MonotonicInstant) {
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.claimed_until == Some(until)
        {
            entry.claimed_until = None;
        }
    }

    /// Caches an answer that was `age_us` microseconds old when it arrived.
    pub(super) fn put_answer(&mut self, id: Id, answer: Rc<Usable>, age_us: u64, now: MonotonicInstant) {
        self.remove(id);
        let bytes = answer.content.len();
        if bytes > FETCHED_BYTES_MAX {
            return;
        }
        self.make_room(id, bytes);
        self.bytes += bytes;
        let answer = Some(Kept { value: answer, age_us, since: now });
        self.entries.insert(id, Entry { answer, changed_at: now, ..Entry::default() });
    }

    /// Replaces an answer by one that is not as old, and keeps what is known of failures.
    pub(super) fn put_newer(&mut self, id: Id, answer: Rc<Usable>, age_us: u64, now: MonotonicInstant) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.answer.as_ref().is_some_and(|kept| kept.age_us(now) <= age_us) {
            return;
        }
        let (failure, failing_since) = (entry.failure.take(), entry.failing_since);
        self.put_answer(id, answer, age_us, now);
        if let Some(entry) = self.entries.get_mut(&id) {
            (entry.failure, entry.failing_since) = (failure, failing_since);
        }
    }

    /// Caches a failure, without content, in addition to an answer that may still be usable.
    pub(super) fn put_failure(&mut self, id: Id, failure: Outcome, now: MonotonicInstant) {
        self.make_room(id, 0);
        let entry = self.entries.entry(id).or_default();
        entry.failure = Some(Kept { value: failure, age_us: 0, since: now });
        entry.failing_since.get_or_insert(now);
        entry.claimed_until = None;
        entry.changed_at = now;
    }

    /// For how long all attempts have failed, in milliseconds; 0 if none failed lately.
    pub(crate) fn away_ms(&self, id: Id, now: MonotonicInstant) -> u64 {
        let failing = self.entries.get(&id).and_then(|entry| entry.failing_since.zip(entry.failure.as_ref()));
        let lately = failing.filter(|(_, last)| last.age_us(now) < LATELY_US);
        lately.map_or(0, |(since, _)| now.millis_since(since))
    }

    /// Evicts the entries that were not changed for the longest time, until there is room for `bytes`.
    fn make_room(&mut self, id: Id, bytes: usize) {
        let is_new = !self.entries.contains_key(&id);
        while self.bytes + bytes > FETCHED_BYTES_MAX || is_new && self.entries.len() >= FETCHED_ENTRIES_MAX {
            let oldest =
                self.entries.iter().filter(|(other, _)| **other != id).min_by_key(|(_, entry)| entry.changed_at);
            let Some(oldest) = oldest.map(|(other, _)| *other) else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, id: Id) {
        let answer = self.entries.remove(&id).and_then(|entry| entry.answer);
        self.bytes -= answer.map_or(0, |kept| kept.value.content.len());
    }
}

/// A failure that is older says nothing about now: a service is asked again as long as there are requests.
const LATELY_US: u64 = 60_000_000;

impl<T> Kept<T> {
    const fn age_us(&self, now: MonotonicInstant) -> u64 {
        self.age_us.saturating_add(now.micros_since(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use tollgate_core::fetch::{FetchAnswer, FetchError};

    const LIFETIMES: Lifetimes = Lifetimes { fresh_ms: 100, stale_ms: 50, negative_ms: 10 };

    fn id(n: usize) -> Id {
        Id::of(&n.to_le_bytes())
    }

    fn at(ms: u64) -> MonotonicInstant {
        MonotonicInstant::default().plus_millis(ms)
    }

    fn answer(bytes: usize) -> Rc<Usable> {
        let content = Bytes::from(vec![b'x'; bytes]);
        Rc::new(Usable::unread(FetchAnswer { status: StatusCode::OK, fields: HeaderMap::new(), content }))
    }

    /// Sequential requests: each that may fetch claims the right for a second.
    fn step(fetches: &mut Fetches, ms: u64) -> Step {
        let step = fetches.step(id(0), &LIFETIMES, at(ms));
        if step == Step::Fetch {
            fetches.claim(id(0), at(ms + 1_000), at(ms));
        }
        step
    }

    #[test]
    fn one_request_fetches_and_the_others_wait_until_it_has_or_its_claim_expires() {
        let mut fetches = Fetches::default();
        assert_eq!(step(&mut fetches, 0), Step::Fetch);
        assert_eq!((step(&mut fetches, 1), step(&mut fetches, 999)), (Step::Wait, Step::Wait));
        assert_eq!((step(&mut fetches, 1_000), step(&mut fetches, 1_001)), (Step::Fetch, Step::Wait));
        fetches.put_answer(id(0), answer(1), 0, at(1_002));
        assert_eq!(step(&mut fetches, 1_003), Step::Use(Ok(answer(1))));
    }

    #[test]
    fn a_released_claim_is_free_immediately_unless_another_request_has_it() {
        let mut fetches = Fetches::default();
        assert_eq!(step(&mut fetches, 0), Step::Fetch);
        fetches.release(id(0), at(1_000));
        assert_eq!((step(&mut fetches, 1), step(&mut fetches, 1_001)), (Step::Fetch, Step::Fetch), "lapsed once");
        fetches.release(id(0), at(1_001));
        assert_eq!(step(&mut fetches, 1_002), Step::Wait, "the lapsed claim is no longer the one that counts");
    }

    #[test]
    fn an_answer_is_fresh_then_stale_then_expired_from_the_time_of_the_fetch() {
        let mut fetches = Fetches::default();
        fetches.put_answer(id(0), answer(1), 40_000, at(0));
        assert_eq!(step(&mut fetches, 59), Step::Use(Ok(answer(1))));
        assert_eq!(step(&mut fetches, 60), Step::UseAndRefresh(answer(1)));
        fetches.claim(id(0), at(200), at(61));
        assert_eq!(step(&mut fetches, 109), Step::Use(Ok(answer(1))), "another request refreshes it");
        assert_eq!(step(&mut fetches, 110), Step::Wait);
    }

    #[test]
    fn a_failure_is_cached_for_its_time_and_keeps_a_usable_answer() {
        let mut fetches = Fetches::default();
        fetches.put_failure(id(0), Err(FetchError::Timeout), at(0));
        assert_eq!(step(&mut fetches, 9), Step::Use(Err(FetchError::Timeout)));
        assert_eq!(step(&mut fetches, 10), Step::Fetch);
        fetches.put_answer(id(0), answer(1), 0, at(20));
        assert_eq!(step(&mut fetches, 120), Step::UseAndRefresh(answer(1)));
        fetches.put_failure(id(0), Err(FetchError::TooLarge), at(121));
        assert_eq!(step(&mut fetches, 130), Step::Use(Ok(answer(1))));
        assert_eq!(step(&mut fetches, 131), Step::UseAndRefresh(answer(1)), "tried again");
    }

    #[test]
    fn a_service_is_away_since_the_first_of_its_failures_while_they_go_on() {
        let mut fetches = Fetches::default();
        let fail = |fetches: &mut Fetches, ms| fetches.put_failure(id(0), Err(FetchError::Timeout), at(ms));
        assert_eq!(fetches.away_ms(id(0), at(0)), 0);
        fail(&mut fetches, 1_000);
        fail(&mut fetches, 50_000);
        assert_eq!((fetches.away_ms(id(0), at(60_000)), fetches.away_ms(id(1), at(60_000))), (59_000, 0));
        assert_eq!((fetches.away_ms(id(0), at(109_999)), fetches.away_ms(id(0), at(110_000))), (108_999, 0));
        fail(&mut fetches, 120_000);
        assert_eq!(fetches.away_ms(id(0), at(120_000)), 119_000, "nothing has succeeded since");
        fetches.put_answer(id(0), answer(1), 0, at(121_000));
        assert_eq!(fetches.away_ms(id(0), at(121_001)), 0);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_evicted() {
        let mut fetches = Fetches::default();
        for n in 0..2 * FETCHED_ENTRIES_MAX {
            fetches.claim(id(n), at(60_000), at(n as u64));
        }
        assert_eq!(fetches.entries.len(), FETCHED_ENTRIES_MAX);
        for n in 0..20 {
            fetches.put_answer(id(n), answer(FETCHED_BYTES_MAX / 8), 0, at(10_000 + n as u64));
            assert!(fetches.bytes <= FETCHED_BYTES_MAX);
        }
        assert!(fetches.entries.contains_key(&id(19)) && !fetches.entries.contains_key(&id(0)));
        fetches.put_answer(id(19), answer(FETCHED_BYTES_MAX + 1), 0, at(20_000));
        assert!(!fetches.entries.contains_key(&id(19)), "too large to be kept");
    }
}
