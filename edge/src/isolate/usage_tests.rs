use std::cell::Cell;
use std::collections::HashMap;

use proptest::prelude::*;
use tollgate_core::telemetry::UsageBatch;
use tollgate_kv_schemas::decode;

use super::*;
use crate::ports::Unavailable;

const HOUR_MS: u64 = 3_600_000;
const SETTINGS: UsageSettings = UsageSettings { every_ms: 0, keep_s: 60 };

/// What an exchange used: the hour, the consumer and the cost.
type One = (u64, usize, u32);

const fn at(hour: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + hour * HOUR_MS)
}

fn used((hour, consumer, cost): One) -> Used<'static> {
    const CONSUMERS: [&str; 3] = ["acme", "globex", "initech"];
    Used { at: at(hour), route: Some("a.b"), consumer: Some(CONSUMERS[consumer]), status: 200, cost, ..Used::default() }
}

/// Bytes that differ each time.
#[derive(Default)]
struct Differing(Cell<u8>);

impl Entropy for Differing {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.set(self.0.get().wrapping_add(1));
        buffer.fill(self.0.get());
    }
}

/// What happens to a write.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Written,
    /// It is written, and the answer is lost.
    AnswerLost,
    /// It is not written.
    Failed,
    /// The answer is a failure, and it is written later, perhaps after newer ones.
    WrittenLate,
    /// The platform ends the exchange that waits for the answer, and it is written later.
    Cancelled,
    TooOften,
}

#[derive(Clone, Debug)]
enum Step {
    Exchange(One),
    /// In this hour.
    Write(Fate, u64),
    /// A late write arrives.
    Arrive(usize),
    /// The isolate ends, and another one begins.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![
        4 => Just(Fate::Written),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Failed),
        1 => Just(Fate::WrittenLate),
        1 => Just(Fate::Cancelled),
        1 => Just(Fate::TooOften),
    ];
    let step = prop_oneof![
        6 => (0u64..3, 0usize..3, 0u32..9).prop_map(Step::Exchange),
        6 => (fate, 0u64..3).prop_map(|(fate, hour)| Step::Write(fate, hour)),
        2 => (0usize..4).prop_map(Step::Arrive),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..120)
}

#[derive(Default)]
struct World {
    store: HashMap<String, Vec<u8>>,
    late: Vec<(String, Vec<u8>)>,
}

impl World {
    /// Lets the isolate make one write; answers whether there was one.
    fn write_at(&mut self, log: &mut UsageLog, entropy: &Differing, fate: Fate, now: Timestamp) -> bool {
        log.is_due = true;
        let Some((number, key, bytes)) = log.next("shop", now, entropy) else { return false };
        let written = match fate {
            Fate::Written | Fate::AnswerLost => {
                self.store.insert(key, bytes);
                Ok(())
            }
            Fate::Failed => Err(Unavailable::new("away").into()),
            Fate::WrittenLate | Fate::Cancelled => {
                self.late.push((key, bytes));
                Err(Unavailable::new("late").into())
            }
            Fate::TooOften => Err(WriteFault::TooOften),
        };
        match fate {
            Fate::Cancelled => {}
            Fate::AnswerLost => {
                log.settle(number, &Err(Unavailable::new("lost").into()));
            }
            Fate::Written | Fate::Failed | Fate::WrittenLate | Fate::TooOften => {
                log.settle(number, &written);
            }
        }
        true
    }

    fn write(&mut self, log: &mut UsageLog, entropy: &Differing, fate: Fate) -> bool {
        self.write_at(log, entropy, fate, at(0))
    }

    /// What is stored, as sums of requests and cost by hour and consumer.
    fn sums(&self) -> HashMap<(String, String), (u64, u64)> {
        let mut sums: HashMap<_, (u64, u64)> = HashMap::new();
        for bytes in self.store.values() {
            let batch: UsageBatch = decode(bytes).unwrap();
            for row in batch.rows {
                let sum = sums.entry((batch.hour.clone(), row.consumer.unwrap())).or_default();
                *sum = (sum.0 + row.requests, sum.1 + row.cost);
            }
        }
        sums
    }
}

fn sums_of(all: &[One]) -> HashMap<(String, String), (u64, u64)> {
    let mut sums: HashMap<_, (u64, u64)> = HashMap::new();
    for one in all {
        let used = used(*one);
        let hour = used.at.to_rfc3339()[..13].to_owned();
        let sum = sums.entry((hour, used.consumer.unwrap().to_owned())).or_default();
        *sum = (sum.0 + 1, sum.1 + u64::from(used.cost));
    }
    sums
}

proptest! {
    /// Whatever happens to writes and their answers: what is stored is what was used, without what died with an isolate.
    #[test]
    fn nothing_is_lost_or_counted_twice(steps in steps()) {
        let (mut world, mut log) = (World::default(), UsageLog::default());
        let entropy = Differing::default();
        // Of the isolate that runs, and of all that have ended: what they used, and what the store had confirmed to them.
        let (mut used_now, mut safe, mut all) = (Vec::new(), Vec::new(), Vec::new());
        let mut has_crashed = false;
        for step in steps {
            match step {
                Step::Exchange(one) => {
                    log.add(&SETTINGS, &used(one), at(0));
                    used_now.push(one);
                    all.push(one);
                }
                Step::Write(fate, hour) => {
                    world.write_at(&mut log, &entropy, fate, at(hour));
                }
                Step::Arrive(at) if at < world.late.len() => {
                    let (key, bytes) = world.late.remove(at);
                    world.store.insert(key, bytes);
                }
                Step::Arrive(_) => {}
                Step::Crash => {
                    if log.is_empty() {
                        safe.append(&mut used_now);
                    } else {
                        has_crashed = true;
                        used_now.clear();
                    }
                    log = UsageLog::default();
                }
            }
        }
        while world.write(&mut log, &entropy, Fate::Written) {}
        for (key, bytes) in std::mem::take(&mut world.late) {
            world.store.insert(key, bytes);
        }
        prop_assert!(log.is_empty() && log.lost == 0);
        safe.append(&mut used_now);
        let (stored, wanted) = (world.sums(), sums_of(&safe));
        if has_crashed {
            // Of an isolate that ended, some was written.
            for (key, most) in sums_of(&all) {
                let (least, known) = (wanted.get(&key).copied().unwrap_or_default(), stored.get(&key).copied().unwrap_or_default());
                prop_assert!((least.0..=most.0).contains(&known.0) && (least.1..=most.1).contains(&known.1), "{key:?}");
            }
        } else {
            prop_assert_eq!(stored, wanted);
        }
    }
}

#[test]
fn a_batch_grows_while_each_write_is_confirmed() {
    let (mut world, mut log, entropy) = (World::default(), UsageLog::default(), Differing::default());
    for _ in 0..10 {
        log.add(&SETTINGS, &used((0, 0, 1)), at(0));
        assert!(world.write(&mut log, &entropy, Fate::Written) && log.is_empty());
    }
    assert_eq!(world.store.len(), 1);
    log.add(&SETTINGS, &used((0, 0, 1)), at(0));
    world.write(&mut log, &entropy, Fate::AnswerLost);
    world.write(&mut log, &entropy, Fate::Written);
    log.add(&SETTINGS, &used((0, 0, 1)), at(0));
    world.write(&mut log, &entropy, Fate::Written);
    assert_eq!(world.store.len(), 2, "an older write of the first one may still arrive");
    log.add(&SETTINGS, &used((1, 0, 1)), at(0));
    world.write(&mut log, &entropy, Fate::Written);
    assert_eq!(world.store.len(), 3, "another hour");
    for more in 4..6 {
        log.add(&SETTINGS, &used((1, 0, 1)), at(2));
        world.write_at(&mut log, &entropy, Fate::Written, at(2));
        assert_eq!(world.store.len(), more, "an hour that is over");
    }
}

#[test]
fn without_a_store_memory_is_bounded_and_what_is_lost_is_told() {
    let (mut world, mut log, entropy) = (World::default(), UsageLog::default(), Differing::default());
    let names: Vec<String> = (0..4_000).map(|number| format!("consumer-{number}-{}", "x".repeat(60))).collect();
    for name in &names {
        log.add(&SETTINGS, &Used { consumer: Some(name), ..used((0, 0, 1)) }, at(0));
        world.write(&mut log, &entropy, Fate::Failed);
    }
    assert!(log.waiting.len() == USAGE_BATCHES_MAX && log.fresh.is_full() && log.lost > 0);
    let lost = log.lost;
    log.add(&SETTINGS, &Used { consumer: Some(&names[0]), ..used((0, 0, 1)) }, at(0));
    while world.write(&mut log, &entropy, Fate::Written) {}
    let stored: u64 = world.sums().values().map(|(requests, _)| requests).sum();
    assert_eq!(stored + log.lost, names.len() as u64 + 1);
    assert!(log.lost <= lost + 1);
}

#[test]
fn one_exchange_waits_and_one_writes() {
    let instant = MonotonicInstant::from_micros;
    let settings = UsageSettings { every_ms: 10_000, keep_s: 60 };
    let mut log = UsageLog::default();
    log.add(&settings, &used((0, 0, 1)), at(0));
    assert_eq!((log.duty(instant(0)), log.duty(instant(1))), (Some(10_000), None));
    assert!(log.begins(instant(10_000_000)) && !log.begins(instant(10_000_001)));
    assert_eq!(log.duty(instant(10_000_002)), Some(10_000), "what comes while one writes waits for its own time");
    // The platform ended both.
    assert!(log.begins(instant(60_000_000)));
    assert_eq!(log.duty(instant(120_000_000)), Some(10_000));
    log.every_ms = 0;
    assert_eq!((log.duty(instant(61_000_000)), log.duty(instant(120_000_000))), (None, Some(0)));
}
