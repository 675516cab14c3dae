//! Clocks and random bytes of the operating system.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_edge::ports::{Clock, Entropy};

use crate::local::Signal;

/// The operating system's clock, and tokio's timer.
///
/// When its isolate is stopping, waits end immediately, so that the collection of telemetry does not delay the stop.
#[derive(Clone, Debug)]
pub struct SystemClock {
    drain: Rc<Signal>,
    /// The start of the monotonic clock.
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::until(&Rc::default())
    }
}

impl SystemClock {
    pub(crate) fn until(drain: &Rc<Signal>) -> Self {
        Self { drain: Rc::clone(drain), start: Instant::now() }
    }

    /// The current time; the epoch if the system's clock is before it.
    #[must_use]
    pub fn now() -> Timestamp {
        Timestamp::from_micros(micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

/// Without the 128 bits of [`Duration::as_micros`], because every exchange needs some of these.
const fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros() as u64)
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Self::now()
    }

    fn instant(&self) -> MonotonicInstant {
        MonotonicInstant::from_micros(micros(self.start.elapsed()))
    }

    async fn sleep(&self, ms: u64) {
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = self.drain.given() => {}
        }
    }
}

/// The operating system's random source, read in blocks so that not every request id needs a system call.
///
/// Bytes are returned once and overwritten then.
#[derive(Debug)]
pub struct SystemEntropy {
    block: RefCell<Block>,
}

#[derive(Debug)]
struct Block {
    bytes: [u8; BLOCK_BYTES],
    used: usize,
}

/// The ids of 85 requests, with one system call.
const BLOCK_BYTES: usize = 4096;

impl Default for SystemEntropy {
    fn default() -> Self {
        let block = Block { bytes: [0; BLOCK_BYTES], used: BLOCK_BYTES };
        Self { block: RefCell::new(block) }
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut block = self.block.borrow_mut();
        for part in buffer.chunks_mut(BLOCK_BYTES) {
            block.take(part);
        }
    }
}

impl Block {
    fn take(&mut self, part: &mut [u8]) {
        if self.used + part.len() > self.bytes.len() {
            // Without random bytes, ids would repeat and be predictable, so the host cannot continue. On the supported
            // systems the source does not fail after the system has started.
            getrandom::fill(&mut self.bytes).expect("the operating system has a random source");
            self.used = 0;
        }
        let taken = &mut self.bytes[self.used..self.used + part.len()];
        part.copy_from_slice(taken);
        taken.fill(0);
        self.used += part.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_are_those_of_the_duration() {
        for duration in [Duration::ZERO, Duration::new(3, 999_999_999), Duration::from_secs(10_000_000_000)] {
            assert_eq!(u128::from(micros(duration)), duration.as_micros());
        }
        assert_eq!(micros(Duration::MAX), u64::MAX);
    }

    #[test]
    fn random_bytes_are_never_returned_twice() {
        let entropy = SystemEntropy::default();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let mut id = [0u8; 16];
            entropy.fill(&mut id);
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn a_buffer_larger_than_a_block_is_filled_to_its_end() {
        let mut long = vec![0u8; 3 * BLOCK_BYTES + 7];
        SystemEntropy::default().fill(&mut long);
        assert!(long.rchunks(64).all(|chunk| chunk.len() < 8 || chunk.iter().any(|b| *b != 0)));
    }
}
