//! A server that has left a call without an answer is left alone, so that no request waits for it in vain.

use tollgate_core::time::MonotonicInstant;
use tollgate_edge::ports::Unavailable;

/// Whether a server, or a node of a cluster, answers.
///
/// After a call without an answer none is made. After a pause, which grows, one caller at a time asks whether it answers again.
#[derive(Clone, Debug, Default)]
pub struct Stall {
    stalled: Option<Stalled>,
    /// When it answered again: calls of before say nothing of it.
    answered: Option<MonotonicInstant>,
}

#[derive(Clone, Debug)]
struct Stalled {
    failures: u32,
    /// When the last call failed.
    since: MonotonicInstant,
    reason: Unavailable,
    /// When somebody began to ask. Who asked may be gone, so that this is valid for [`PROBE_MAX_MS`].
    probed: Option<MonotonicInstant>,
}

impl Stall {
    /// Why it is not called, if it is not.
    #[must_use]
    pub fn reason(&self) -> Option<&Unavailable> {
        self.stalled.as_ref().map(|stalled| &stalled.reason)
    }

    /// Whether the caller is the one who asks whether it answers again.
    pub fn probes(&mut self, now: MonotonicInstant) -> bool {
        let Some(stalled) = &mut self.stalled else { return false };
        let is_probed = stalled.probed.is_some_and(|at| now.millis_since(at) < PROBE_MAX_MS);
        let is_due = now.millis_since(stalled.since) >= stalled.pause_ms();
        if is_due && !is_probed {
            stalled.probed = Some(now);
        }
        is_due && !is_probed
    }

    /// The pause after its last failure, in milliseconds; 0 if it answers.
    #[must_use]
    pub fn pause_ms(&self) -> u64 {
        self.stalled.as_ref().map_or(0, Stalled::pause_ms)
    }

    /// Notes that a call, which began at `begun`, had no answer; returns whether it is the first.
    pub fn failed(&mut self, begun: MonotonicInstant, now: MonotonicInstant, reason: Unavailable) -> bool {
        match &mut self.stalled {
            Some(stalled) => {
                // Calls that were made together are one failure.
                if begun >= stalled.since {
                    (stalled.failures, stalled.since) = (stalled.failures.saturating_add(1), now);
                    (stalled.reason, stalled.probed) = (reason, None);
                }
                false
            }
            None if self.answered.is_some_and(|answered| begun < answered) => false,
            None => {
                self.stalled = Some(Stalled { failures: 1, since: now, reason, probed: None });
                true
            }
        }
    }

    /// Notes that a call was answered; returns whether it is the first since one was not.
    pub fn answered(&mut self, now: MonotonicInstant) -> bool {
        let was_stalled = self.stalled.take().is_some();
        if was_stalled {
            self.answered = Some(now);
        }
        was_stalled
    }
}

impl Stalled {
    fn pause_ms(&self) -> u64 {
        (PAUSE_MS << (self.failures - 1).min(PAUSE_DOUBLINGS_MAX)).min(PAUSE_MS_MAX)
    }
}

/// The pause after the first failure; it doubles.
const PAUSE_MS: u64 = 100;
const PAUSE_DOUBLINGS_MAX: u32 = 5;

/// The longest pause: so much later at most, a server that is back is used.
const PAUSE_MS_MAX: u64 = 2_000;

/// Longer than it takes to connect and to learn that there is no answer.
const PROBE_MAX_MS: u64 = 2_500;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> MonotonicInstant {
        MonotonicInstant::from_micros(ms * 1_000)
    }

    fn why() -> Unavailable {
        Unavailable::new("no answer in time")
    }

    #[test]
    fn nobody_calls_after_a_failure_and_one_at_a_time_asks_after_growing_pauses() {
        let mut stall = Stall::default();
        assert!(stall.reason().is_none() && !stall.probes(at(0)));
        assert!(stall.failed(at(0), at(1_000), why()));
        let mut now = 1_000;
        for pause in [100, 200, 400, 800, 1_600, 2_000, 2_000] {
            assert!(stall.reason().is_some());
            assert!(!stall.probes(at(now + pause - 1)), "{pause}");
            now += pause;
            assert!(stall.probes(at(now)), "{pause}");
            assert!(!stall.probes(at(now)), "one at a time");
            assert!(!stall.failed(at(now), at(now + 1_000), why()));
            now += 1_000;
        }
        assert!(stall.answered(at(now)));
        assert!(stall.reason().is_none() && !stall.answered(at(now)));
    }

    #[test]
    fn calls_that_were_made_together_are_one_failure() {
        let mut stall = Stall::default();
        for begun in 0..10 {
            assert_eq!(stall.failed(at(begun), at(begun + 1_000), why()), begun == 0);
        }
        assert_eq!(stall.pause_ms(), 100);
        stall.answered(at(1_500));
        assert!(!stall.failed(at(900), at(1_900), why()), "it has answered since");
        assert!(stall.reason().is_none());
        assert!(stall.failed(at(1_600), at(2_600), why()));
    }

    #[test]
    fn who_asked_and_is_gone_is_not_waited_for() {
        let mut stall = Stall::default();
        stall.failed(at(0), at(0), why());
        assert!(stall.probes(at(100)));
        assert!(!stall.probes(at(99 + PROBE_MAX_MS)));
        assert!(stall.probes(at(100 + PROBE_MAX_MS)));
    }
}
