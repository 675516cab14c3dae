//! Charges of one partition, each a millisecond after the other: by core alone, and by hand. All pass.

use std::collections::HashMap;
use std::num::NonZeroU32;

use tollgate_core::cell::{Algorithm, Cell, CellKey, Charge, Edges, Operation, OperationId, Reply, Terms};
use tollgate_core::limit::{Drawn, Lease, Purpose};
use tollgate_core::time::{MonotonicInstant, Timestamp};

/// What is charged: the words of the command line.
pub(crate) const WAYS: [&str; 8] =
    ["gcra", "sliding-window", "sliding-log", "fixed-window", "spacing", "calendar", "concurrency", "leased"];

/// The least that counts: the instant at which a limit is available again, in a map by the key of the partition.
pub(crate) const BY_HAND: &str = "by-hand";

/// A partition.
pub(crate) struct Charging {
    way: Way,
    steps: u64,
}

enum Way {
    ByHand { charged: HashMap<Box<str>, u64>, key: Box<str> },
    Owner { cell: Cell, charge: Charge },
    Leased { cell: Cell, charge: Charge, lease: Box<Lease> },
}

impl Charging {
    pub(crate) fn of(way: &str) -> Option<Self> {
        let algorithm = match way {
            BY_HAND => {
                let way = Way::ByHand {
                    charged: HashMap::new(),
                    key: CellKey::partition("consumer", "acme").as_str().into(),
                };
                return Some(Self { way, steps: 0 });
            }
            "gcra" | "leased" => None,
            "sliding-window" => Some(Algorithm::SlidingWindow),
            "sliding-log" => Some(Algorithm::SlidingLog),
            "fixed-window" => Some(Algorithm::FixedWindow),
            "spacing" => Some(Algorithm::Spacing),
            "calendar" => Some(Algorithm::Calendar(EDGES)),
            "concurrency" => Some(Algorithm::Concurrency),
            _ => return None,
        };
        // A log has a hundred entries.
        let (rate, period_ms) = match algorithm {
            Some(Algorithm::SlidingLog) => (200, 100),
            Some(Algorithm::Calendar(_)) => (u32::MAX, 1),
            _ => (2_000, 1_000),
        };
        let charge = charge(rate, period_ms, algorithm);
        let cell = Cell::default();
        let way = if way == "leased" {
            let lease = Box::new(Lease::new(&charge));
            Way::Leased { cell, charge, lease }
        } else {
            Way::Owner { cell, charge }
        };
        Some(Self { way, steps: 0 })
    }

    /// Charges once more; of requests in flight, one begins and ends. Answers whether it passes.
    pub(crate) fn step(&mut self) -> bool {
        self.steps += 1;
        let (id, now) = (id(self.steps), NOW.plus_millis(self.steps));
        match &mut self.way {
            Way::ByHand { charged, key } => {
                let now_us = now.as_micros();
                let full_at_us = charged.entry(key.clone()).or_default();
                let after_us = (*full_at_us).max(now_us) + 500;
                let passes = after_us - now_us <= 1_000_000;
                *full_at_us = after_us;
                passes
            }
            Way::Owner { cell, charge } => {
                let passes = update(cell, Operation::Charge(charge.clone()), id, now).is_some();
                if charge.ends() {
                    let _ = cell.update(terms(end_of(id)), &[Operation::Leave { id }], now);
                }
                passes
            }
            Way::Leased { cell, charge, lease } => {
                let at = MonotonicInstant::from_micros(self.steps * 1_000);
                let (asked, purpose) = match lease.draw(charge, at) {
                    Drawn::Taken { is_low: false, .. } => return true,
                    Drawn::Taken { .. } => match lease.refill(at) {
                        Some(wanted) => {
                            (Charge { lease: NonZeroU32::new(wanted.get() - 1), ..charge.clone() }, Purpose::Refill)
                        }
                        None => return true,
                    },
                    Drawn::Ask(ahead) => (Charge { lease: ahead, ..charge.clone() }, Purpose::Request),
                    Drawn::Refused(_) | Drawn::Wait | Drawn::Away => return false,
                };
                let Some(Reply::Charged(said)) = update(cell, Operation::Charge(asked.clone()), id, now) else {
                    return false;
                };
                lease.answered(&asked, &said, (id, purpose), (at, at));
                true
            }
        }
    }
}

/// The answer, if the update is granted.
fn update(cell: &mut Cell, operation: Operation, id: OperationId, now: Timestamp) -> Option<Reply> {
    let (outcome, _) = cell.update(terms(id), &[operation], now).ok()?;
    outcome.replies.into_iter().next().filter(|_| outcome.granted)
}

fn charge(rate: u32, period_ms: u32, algorithm: Option<Algorithm>) -> Charge {
    let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    let (rate, cost) = (number(rate), number(1));
    Charge {
        quota: "limit".into(),
        rate,
        period_ms: number(period_ms),
        burst: rate,
        cost,
        algorithm,
        lease: None,
        tells: None,
    }
}

const fn terms(id: OperationId) -> Terms {
    Terms { id, hold_ms: None, refund_ms: None }
}

fn id(number: u64) -> OperationId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    OperationId::new(bytes)
}

/// The id of another step of the same request.
fn end_of(id: OperationId) -> OperationId {
    id.step(1)
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A window that does not end meanwhile.
const EDGES: Edges = Edges {
    before_us: NOW.as_micros() - DAY_US,
    start_us: NOW.as_micros(),
    end_us: NOW.as_micros() + DAY_US,
    after_us: NOW.as_micros() + 2 * DAY_US,
};

const DAY_US: u64 = 86_400_000_000;
