//! Counters alone: what a charge takes in core, how much memory a partition takes on the native host, and how both grow.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use tollgate_core::cell::{CellKey, CellOperations, Charge, Operation, OperationId, Terms, Update};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::Counters as _;
use tollgate_native::NativeCounters;

use crate::Measured;
use crate::charging::{BY_HAND, Charging, WAYS};
use crate::compare::Row;
use crate::side::artifact_folder;
use crate::valgrind::{Runs, cost};

pub(crate) fn measure() -> Measured {
    let mut rows = charges()?;
    rows.extend(partitions()?);
    Ok(rows)
}

/// Each way to count, against the least that counts.
fn charges() -> Measured {
    let program = artifact_folder("target/release/tollgate-bench-counted");
    let counted = |way: &str| cost(&program, "charge", way.as_ref(), RUNS);
    let by_hand = counted(BY_HAND)?;
    let mut rows = Vec::new();
    for way in WAYS {
        let own = counted(way)?;
        let (own_per_s, by_hand_per_s) = in_turns(way)?;
        let ratio = own.instructions as f64 / by_hand.instructions.max(1) as f64;
        rows.push(Row::plain(
            format!("counters: a charge, {way}, against an instant in a map"),
            format!("{own}; {own_per_s:.1} million/s"),
            format!("{by_hand}; {by_hand_per_s:.1} million/s"),
            format!("{ratio:.1} (instructions; more is slower)"),
        ));
    }
    Ok(rows)
}

/// The charges of a warm partition that valgrind counts.
const RUNS: Runs = Runs { shorter: 2_000, more: 8_000 };

/// Millions of charges in a second on one core: the median of short rounds, in turns with the least that counts.
fn in_turns(way: &str) -> Result<(f64, f64), String> {
    let unknown = || format!("`{way}` cannot be charged");
    let mut charging = [Charging::of(way).ok_or_else(unknown)?, Charging::of(BY_HAND).ok_or_else(unknown)?];
    let mut speeds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (charging, speeds) in charging.iter_mut().zip(&mut speeds) {
            let (begun, mut charges) = (Instant::now(), 0_u32);
            while begun.elapsed() < ROUND {
                for _ in 0..1_000 {
                    black_box(charging.step());
                }
                charges += 1_000;
            }
            speeds.push(f64::from(charges) / begun.elapsed().as_secs_f64() / 1e6);
        }
    }
    Ok((median(&mut speeds[0]), median(&mut speeds[1])))
}

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(150);

/// The memory of partitions, and what a charge takes if there are many of them, against few.
fn partitions() -> Measured {
    let few = Partitions::new(FEW)?;
    let before = resident_bytes()?;
    let mut many = Partitions::new(MILLION)?;
    let each = (resident_bytes()?.saturating_sub(before)) / u64::from(MILLION);
    let by_hand = by_hand()?;
    let mut rows = vec![Row::plain(
        "counters: memory of a million partitions, native, against instants in a map",
        format!("{each} MB"),
        format!("{by_hand} MB"),
        format!("{:.1}", each as f64 / by_hand.max(1) as f64),
    )];
    for size in [MILLION, most(each)] {
        many.grow_to(size)?;
        let (of_many, of_few, ratios) = turns(&many, &few)?;
        rows.push(Row::plain(
            format!("counters: a charge of one of {size} partitions at random, native, against {FEW}"),
            format!("{of_many:.0} ns"),
            format!("{of_few:.0} ns"),
            ratios,
        ));
    }
    Ok(rows)
}

const FEW: u32 = 10;
const MILLION: u32 = 1_000_000;
const MOST: u32 = 10_000_000;

/// As many partitions as have room in this memory.
fn most(bytes_each: u64) -> u32 {
    u32::try_from(ROOM_BYTES / bytes_each.max(1)).map_or(MOST, |most| most.min(MOST))
}

const ROOM_BYTES: u64 = 3_800_000_000;

/// Nanoseconds of a charge of many and of few, and the median of the ratios of pairs with the lowest and the highest.
fn turns(many: &Partitions, few: &Partitions) -> Result<(f64, f64, String), String> {
    let (mut of_many, mut of_few, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (one, other) = (many.charge_for(ROUND)?, few.charge_for(ROUND)?);
        of_many.push(one);
        of_few.push(other);
        ratios.push(one / other);
    }
    let middle = median(&mut ratios);
    let spread = format!("{middle:.2} ({:.2} to {:.2}; more is slower)", ratios[0], ratios[ratios.len() - 1]);
    Ok((median(&mut of_many), median(&mut of_few), spread))
}

/// Partitions of the native host, each charged once.
struct Partitions {
    counters: NativeCounters,
    size: u32,
    clock: Cell<u64>,
    /// Goes on from round to round, so that none charges the partitions of another again.
    random: Cell<u64>,
}

impl Partitions {
    fn new(size: u32) -> Result<Self, String> {
        let counters = NativeCounters::in_memory(MOST as usize * 2);
        let random = Cell::new(0x9e37_79b9_7f4a_7c15);
        let mut own = Self { counters, size: 0, clock: Cell::new(0), random };
        own.grow_to(size)?;
        Ok(own)
    }

    fn grow_to(&mut self, size: u32) -> Result<(), String> {
        for number in self.size..size {
            self.charge(number)?;
        }
        self.size = self.size.max(size);
        Ok(())
    }

    /// Charges partitions at random; answers the mean nanoseconds of a charge.
    fn charge_for(&self, time: Duration) -> Result<f64, String> {
        let (begun, mut charges) = (Instant::now(), 0_u32);
        let mut random = self.random.get();
        while begun.elapsed() < time {
            for _ in 0..200 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                self.charge(u32::try_from(random % u64::from(self.size)).unwrap_or(0))?;
            }
            charges += 200;
        }
        self.random.set(random);
        Ok(begun.elapsed().as_nanos() as f64 / f64::from(charges))
    }

    fn charge(&self, number: u32) -> Result<(), String> {
        self.clock.set(self.clock.get() + 1);
        // So far apart that a partition is available again and has forgotten its updates, as one of millions is.
        let now = NOW.plus_millis(self.clock.get() * STEP_MS);
        let number_of = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let (rate, cost) = (number_of(1_000), number_of(1));
        let charge = Charge {
            quota: "limit".into(),
            rate,
            period_ms: rate,
            burst: rate,
            cost,
            algorithm: None,
            lease: None,
            tells: None,
        };
        let mut id = [1; 16];
        id[..8].copy_from_slice(&self.clock.get().to_le_bytes());
        let cells = vec![CellOperations { cell: key(number), operations: vec![Operation::Charge(charge)] }];
        let update = Update { terms: Terms { id: OperationId::new(id), hold_ms: None, refund_ms: None }, cells };
        match futures_util::FutureExt::now_or_never(self.counters.update(&update, now)) {
            Some(Ok(outcome)) if outcome.granted => Ok(()),
            other => Err(format!("a charge did not pass: {other:?}")),
        }
    }
}

fn key(number: u32) -> CellKey {
    CellKey::partition("consumer", &format!("consumer-{number:08}"))
}

/// The megabytes of a million instants in a map.
fn by_hand() -> Result<u64, String> {
    let before = resident_bytes()?;
    let map: HashMap<CellKey, u64> = (0..MILLION).map(|number| (key(number), u64::from(number))).collect();
    let bytes = resident_bytes()?.saturating_sub(before);
    drop(black_box(map));
    Ok(bytes / u64::from(MILLION))
}

fn resident_bytes() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/self/statm").map_err(|error| format!("/proc/self/statm: {error}"))?;
    let pages: Option<u64> = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.map(|pages| pages * 4_096).ok_or_else(|| format!("/proc/self/statm has no pages: {text}"))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Longer than updates are remembered.
const STEP_MS: u64 = 11_000;
