//! A value of a store that is kept in an isolate: for how long it is used, while its store answers and while it does not.

use tollgate_core::time::MonotonicInstant;

/// A value with the instant at which it was read, and the one at which it was last asked for.
#[derive(Debug)]
pub(crate) struct Aged<T> {
    value: T,
    read_at: MonotonicInstant,
    asked_at: MonotonicInstant,
}

impl<T: Clone> Aged<T> {
    /// A value of a read that began at this instant.
    pub(crate) const fn read(value: T, at: MonotonicInstant) -> Self {
        Self { value, read_at: at, asked_at: at }
    }

    /// The value, if it need not be read. If there is none, the caller reads it, and others use the old one meanwhile.
    pub(crate) fn current_or_ask(&mut self, now: MonotonicInstant) -> Option<T> {
        self.younger_or_ask(FRESH_MS, now)
    }

    /// The same for a value that is used for another time before it is read again.
    pub(crate) fn younger_or_ask(&mut self, fresh_ms: u64, now: MonotonicInstant) -> Option<T> {
        let current = self.younger(fresh_ms, now);
        if current.is_none() {
            self.ask(now);
        }
        current
    }

    /// The value, if it need not be read: it is fresh, or another request reads it, or tried to a moment ago.
    fn younger(&self, fresh_ms: u64, now: MonotonicInstant) -> Option<T> {
        let is_asked = now.millis_since(self.asked_at) < RETRY_MS;
        let is_fresh = now.millis_since(self.read_at) < fresh_ms;
        self.last(now).filter(|_| is_fresh || is_asked)
    }

    /// Whether it was read so long ago.
    pub(crate) fn is_older_than(&self, ms: u64, now: MonotonicInstant) -> bool {
        now.millis_since(self.read_at) >= ms
    }

    /// The value, of whatever age.
    pub(crate) fn value(&self) -> T {
        self.value.clone()
    }

    /// The value, if it may be used while its store does not answer.
    pub(crate) fn last(&self, now: MonotonicInstant) -> Option<T> {
        (now.millis_since(self.read_at) < KEPT_MS).then(|| self.value.clone())
    }

    /// Records that a request begins to read the value.
    const fn ask(&mut self, now: MonotonicInstant) {
        self.asked_at = now;
    }

    /// Whether it was read after this instant: an answer to an older read is no news.
    pub(crate) fn is_newer_than(&self, at: MonotonicInstant) -> bool {
        self.read_at > at
    }
}

/// How long a value is used before it is read again: a rotation or a withdrawal takes effect within this time and that of a
/// read.
const FRESH_MS: u64 = 60_000;

/// How long a value is used after it was read, if its store does not answer since: longer than most outages of a secret
/// store, and short enough that a withdrawn secret cannot be used for hours by keeping its store away.
const KEPT_MS: u64 = 10 * 60_000;

/// How long other requests use the value while one reads it, and how long after a failed read the next one is tried. More
/// than the timeout of a store.
const RETRY_MS: u64 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_used_until_its_time_and_longer_only_while_its_store_is_away() {
        let at = |ms| MonotonicInstant::default().plus_millis(ms);
        let mut aged = Aged::read("a", at(0));
        let current = |aged: &Aged<_>, now| aged.younger(FRESH_MS, now);
        assert_eq!((current(&aged, at(FRESH_MS - 1)), current(&aged, at(FRESH_MS))), (Some("a"), None));
        aged.ask(at(FRESH_MS));
        assert_eq!(current(&aged, at(FRESH_MS + RETRY_MS - 1)), Some("a"), "another request reads it");
        assert_eq!(current(&aged, at(FRESH_MS + RETRY_MS)), None);
        assert_eq!((aged.last(at(KEPT_MS - 1)), aged.last(at(KEPT_MS))), (Some("a"), None));
        aged.ask(at(KEPT_MS));
        assert_eq!(current(&aged, at(KEPT_MS)), None, "asking does not prolong it");
    }
}
