//! The decisions of services about requests: remembered in an isolate, bounded, each for its time.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use rustc_hash::FxHasher;
use tollgate_core::authz::Decision;
use tollgate_core::bounds::DECISIONS_REMEMBERED_MAX;
use tollgate_core::time::MonotonicInstant;
use tollgate_kv_schemas::Id;

/// What services decided, by the question; and which cannot be asked, by the service.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    known: HashMap<Id, (Decision, MonotonicInstant), BuildHasherDefault<FxHasher>>,
    /// Until when a service is not asked again.
    away: HashMap<Id, MonotonicInstant, BuildHasherDefault<FxHasher>>,
}

impl Decisions {
    /// The decision about a question, if it is known.
    pub(crate) fn get(&self, question: Id, now: MonotonicInstant) -> Option<Decision> {
        let (decision, until) = self.known.get(&question)?;
        (now < *until).then_some(*decision)
    }

    /// Remembers a decision for a time.
    pub(crate) fn put(&mut self, question: Id, decision: Decision, until: MonotonicInstant, now: MonotonicInstant) {
        if self.known.len() >= DECISIONS_REMEMBERED_MAX {
            self.known.retain(|_, (_, until)| now < *until);
            // Each can be asked for again.
            let mut surplus = self.known.len().saturating_sub(DECISIONS_REMEMBERED_MAX / 8 * 7);
            self.known.retain(|_, _| {
                let is_kept = surplus == 0;
                surplus = surplus.saturating_sub(1);
                is_kept
            });
        }
        self.known.insert(question, (decision, until));
    }

    /// Whether a service could not be asked a moment ago.
    pub(crate) fn is_away(&self, service: Id, now: MonotonicInstant) -> bool {
        self.away.get(&service).is_some_and(|until| now < *until)
    }

    /// Remembers that a service could not be asked.
    pub(crate) fn put_away(&mut self, service: Id, now: MonotonicInstant) {
        if self.away.len() >= SERVICES_MAX {
            self.away.retain(|_, until| now < *until);
        }
        self.away.insert(service, now.plus_millis(AWAY_MS));
    }
}

/// Services of the configurations that an isolate has seen.
const SERVICES_MAX: usize = 64;

/// How long a service that could not be asked is not asked again: its clients are told to wait for this time.
const AWAY_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> MonotonicInstant {
        MonotonicInstant::default().plus_millis(ms)
    }

    #[test]
    fn a_decision_is_known_for_its_time() {
        let mut known = Decisions::default();
        let id = Id::of(b"a");
        known.put(id, Decision::Undefined, at(100), at(0));
        assert_eq!(
            (known.get(id, at(99)), known.get(id, at(100)), known.get(Id::of(b"b"), at(1))),
            (Some(Decision::Undefined), None, None)
        );
        known.put_away(id, at(0));
        assert_eq!((known.is_away(id, at(AWAY_MS - 1)), known.is_away(id, at(AWAY_MS))), (true, false));
    }

    #[test]
    fn memory_is_bounded() {
        let mut known = Decisions::default();
        for number in 0..DECISIONS_REMEMBERED_MAX + 10 {
            known.put(Id::of(&number.to_le_bytes()), Decision::Authorized, at(1_000), at(0));
        }
        assert!(known.known.len() <= DECISIONS_REMEMBERED_MAX);
        for number in 0..200_u64 {
            known.put_away(Id::of(&number.to_le_bytes()), at(number * 2_000));
        }
        assert!(known.away.len() <= SERVICES_MAX + 1);
    }
}
