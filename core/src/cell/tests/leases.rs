//! Permits that are charged ahead, and what is given back of them.

use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::super::gcra::Level;
use super::*;

/// Begins an hour, so that windows begin with it.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn leased(most: u32) -> Charge {
    Charge { lease: Some(n(most)), ..gcra("p", 100, 1_000, 100, 1) }
}

fn ask(subject: &mut Subject, number: u64, charge: Charge, now: Timestamp) -> (bool, Option<u32>, u32) {
    let outcome = subject.apply(final_of(number), &[Operation::Charge(charge)], now);
    let said = only_verdict(&outcome);
    (outcome.granted, said.leased.map(|leased| leased.permits), said.remaining)
}

fn give_back(subject: &mut Subject, number: u64, (permits, of): (u32, u32), now: Timestamp) -> Reply {
    let unused = Unused { id: id(number), quota: "p".into(), permits: n(permits), of: n(of) };
    subject.apply(final_of(1_000 + number), &[Operation::GiveBack(unused)], now).replies.remove(0)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lease_is_charged_before_it_is_used_and_leaves_half_to_others() {
    let mut subject = Subject::default();
    assert_eq!(ask(&mut subject, 1, leased(20), NOW), (true, Some(20), 79));
    assert_eq!(ask(&mut subject, 2, leased(60), NOW), (true, Some(39), 39));
    for number in 3..8 {
        ask(&mut subject, number, leased(60), NOW);
    }
    assert_eq!(ask(&mut subject, 8, leased(60), NOW), (true, Some(0), 0), "the last one is that of the request");
    let (granted, permits, _) = ask(&mut subject, 9, leased(60), NOW);
    assert_eq!((granted, permits), (false, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn small_limits_and_those_whose_requests_have_places_are_not_leased() {
    let asks = |charge: Charge| ask(&mut Subject::default(), 1, Charge { lease: Some(n(10)), ..charge }, NOW).1;
    assert_eq!(asks(gcra("p", 10, 60_000, 10, 1)), None, "10 a minute");
    assert_eq!(asks(gcra("p", 10, 1_000, 49, 1)), None, "too small a burst");
    assert_eq!(asks(gcra("p", 9, 1_000, 500, 1)), None, "too slow");
    assert_eq!(asks(gcra("p", 10, 1_000, 50, 1)), Some(10));
    let with = |algorithm| asks(Charge { algorithm: Some(algorithm), ..gcra("p", 200, 1_000, 200, 1) });
    assert_eq!([Algorithm::Spacing, Algorithm::SlidingLog, Algorithm::Concurrency].map(with), [None; 3]);
    assert_eq!([Algorithm::FixedWindow, Algorithm::SlidingWindow].map(with), [Some(10); 2]);
    let held = Subject::default().apply(held_of(1, 1_000), &[Operation::Charge(leased(10))], NOW);
    assert_eq!(only_verdict(&held).leased, None, "a charge that may be released takes nothing ahead");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_was_not_used_is_given_back_once_and_while_the_lease_is_known() {
    let mut subject = Subject::default();
    ask(&mut subject, 1, leased(40), NOW);
    assert_eq!(give_back(&mut subject, 1, (30, 41), NOW), Reply::Released);
    assert_eq!(ask(&mut subject, 2, leased(40), NOW), (true, Some(40), 48), "11 and 41 are charged");
    assert_eq!(give_back(&mut subject, 1, (30, 41), NOW), Reply::NotHeld);
    assert_eq!(give_back(&mut subject, 3, (30, 41), NOW), Reply::NotHeld);
    assert_eq!(give_back(&mut subject, 2, (1, 41), NOW.plus_millis(10_000)), Reply::NotHeld, "it is forgotten");
    assert_eq!(only_verdict(&subject.charge(&[leased(1)], NOW.plus_millis(10_000))).remaining, 98);
}

#[wasm_bindgen_test(unsupported = test)]
fn more_is_not_given_back_than_was_charged() {
    let mut subject = Subject::default();
    ask(&mut subject, 1, leased(40), NOW);
    subject.charge(&[gcra("p", 100, 1_000, 100, 30)], NOW);
    assert_eq!(give_back(&mut subject, 1, (4_000, 41), NOW), Reply::Released);
    assert_eq!(only_verdict(&subject.charge(&[gcra("p", 100, 1_000, 100, 1)], NOW)).remaining, 69);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lease_ends_with_its_window() {
    let window = |most| Charge { algorithm: Some(Algorithm::FixedWindow), ..leased(most) };
    let mut lives = Vec::new();
    for ms in [0, 400, 999] {
        let outcome = Subject::default().charge(&[window(10)], START.plus_millis(ms));
        lives.push(only_verdict(&outcome).leased.unwrap().for_us);
    }
    assert_eq!(lives, [1_000_000, 600_000, 1_000]);
    let outcome = Subject::default().charge(&[leased(10)], START.plus_millis(999));
    assert_eq!(only_verdict(&outcome).leased.unwrap().for_us, LEASE_MS * 1_000);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_repetition_takes_nothing_more_ahead() {
    let mut subject = Subject::default();
    assert_eq!(ask(&mut subject, 1, leased(20), NOW), (true, Some(20), 79));
    assert_eq!(ask(&mut subject, 1, leased(20), NOW), (true, None, 79));
}

#[wasm_bindgen_test(unsupported = test)]
fn leases_never_fill_the_table_of_holds() {
    let mut cell = Cell::default();
    let many = |number| {
        let charge = Charge { lease: Some(n(1)), ..gcra("p", 100_000, 1_000, 100_000, 1) };
        (final_of(number), [Operation::Charge(charge)])
    };
    for number in 0..400 {
        let (terms, operations) = many(number);
        assert!(cell.update(terms, &operations, NOW).unwrap().0.granted);
    }
    let charge = [Operation::Charge(gcra("p", 100_000, 1_000, 100_000, 1))];
    assert!(cell.update(held_of(900, 1_000), &charge, NOW).unwrap().0.granted);
    assert!(Cell::from_bytes(&cell.to_bytes()).is_ok_and(|read| read == cell));
}

/// No shares to tell of, as CBOR.
const NULL: u8 = 0xf6;

/// Owners and edges are deployed at different times.
#[wasm_bindgen_test(unsupported = test)]
fn an_owner_that_knows_no_leases_charges_the_cost_alone() {
    let (mut with, without) = (minicbor::to_vec(leased(7)).unwrap(), gcra("p", 100, 1_000, 100, 1));
    assert_eq!(with.pop(), Some(7), "the last member, which is absent otherwise");
    assert_eq!(minicbor::to_vec(&without).unwrap().len() + 1, with.len(), "the algorithm before it is null");
    // What comes after the members that a reader knows is skipped, also what will come after this one.
    let mut later = minicbor::to_vec(leased(7)).unwrap();
    later[0] += 2;
    later.extend([NULL, 9]);
    assert_eq!(crate::codec::decode::<Charge>(&later).unwrap(), leased(7));
}

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Charge(u32),
    Lease(u32),
    GiveBack(prop::sample::Index, u32),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0u64..700).prop_map(Event::Wait),
        (1u32..30).prop_map(Event::Charge),
        (1u32..60).prop_map(Event::Lease),
        (any::<prop::sample::Index>(), 1u32..60).prop_map(|(lease, permits)| Event::GiveBack(lease, permits)),
    ];
    proptest::collection::vec(event, 1..80)
}

proptest! {
    /// The reference has exactly what was used: what was given back was never charged.
    #[test]
    fn a_cell_is_as_if_what_was_not_used_had_never_been_charged(events in events(), burst in 50u32..120) {
        let charge = |cost| gcra("p", 100, 1_000, burst, cost);
        let (mut cell, mut now) = (Cell::default(), NOW);
        // When it was charged, how much, and how many of it were charged together.
        let mut standing: Vec<(u64, Timestamp, u64, u32)> = Vec::new();
        for (number, event) in (0u64..).zip(events) {
            let operation = match event {
                Event::Wait(ms) => { now = now.plus_millis(ms); continue }
                Event::Charge(cost) => Operation::Charge(charge(cost)),
                Event::Lease(most) => Operation::Charge(Charge { lease: Some(n(most)), ..charge(1) }),
                Event::GiveBack(index, permits) => {
                    let Some((number, _, _, of)) = standing.get(index.index(standing.len().max(1))) else { continue };
                    let unused = Unused { id: id(*number), quota: "p".into(), permits: n(permits), of: n(*of) };
                    Operation::GiveBack(unused)
                }
            };
            let (outcome, _) = cell.update(final_of(number), std::slice::from_ref(&operation), now).unwrap();
            match (&operation, &outcome.replies[0]) {
                (Operation::Charge(charged), Reply::Charged(said)) if outcome.granted => {
                    let of = charged.cost.get() + said.leased.map_or(0, |leased| leased.permits);
                    standing.push((number, now, charge(of).shift(Level::default(), 0).new_tat_ns, of));
                }
                (Operation::GiveBack(unused), Reply::Released) => {
                    let lease = standing.iter_mut().find(|lease| id(lease.0) == unused.id).unwrap();
                    lease.2 -= unused.part_of(lease.2);
                }
                _ => {}
            }
            let reference = standing.iter().fold(0, |tat: u64, (_, at, ns, _)| tat.max(at.as_millis() * 1_000_000) + ns);
            let now_ns = now.as_millis() * 1_000_000;
            let real = cell.quotas.first().map_or(0, |quota| quota.tat_ns);
            prop_assert_eq!(real.max(now_ns), reference.max(now_ns), "after {:?}", operation);
        }
    }

    /// Of windows, the count is what was charged and not given back.
    #[test]
    fn a_window_has_counted_what_was_used(events in events(), slides: bool) {
        let algorithm = Some(if slides { Algorithm::SlidingWindow } else { Algorithm::FixedWindow });
        let charge = |cost| Charge { algorithm, ..gcra("p", 400, 4_000, 400, cost) };
        let (mut cell, mut now) = (Cell::default(), START);
        let mut standing: Vec<(u64, u64, u64, u32)> = Vec::new();
        for (number, event) in (0u64..).zip(events) {
            let operation = match event {
                Event::Wait(ms) => { now = now.plus_millis(ms); continue }
                Event::Charge(cost) => Operation::Charge(charge(cost)),
                Event::Lease(most) => Operation::Charge(Charge { lease: Some(n(most)), ..charge(1) }),
                Event::GiveBack(index, permits) => {
                    let Some((number, _, _, of)) = standing.get(index.index(standing.len().max(1))) else { continue };
                    let unused = Unused { id: id(*number), quota: "p".into(), permits: n(permits), of: n(*of) };
                    Operation::GiveBack(unused)
                }
            };
            let (outcome, _) = cell.update(final_of(number), std::slice::from_ref(&operation), now).unwrap();
            match (&operation, &outcome.replies[0]) {
                (Operation::Charge(charged), Reply::Charged(said)) if outcome.granted => {
                    let of = charged.cost.get() + said.leased.map_or(0, |leased| leased.permits);
                    standing.push((number, now.as_millis() / 4_000, of.into(), of));
                }
                (Operation::GiveBack(unused), Reply::Released) => {
                    let lease = standing.iter_mut().find(|lease| id(lease.0) == unused.id).unwrap();
                    lease.2 -= unused.part_of(lease.2);
                }
                _ => {}
            }
            let used: u64 = standing.iter().filter(|lease| lease.1 == now.as_millis() / 4_000).map(|lease| lease.2).sum();
            prop_assert!(used <= 400);
            let probe = cell.clone().update(final_of(9_999), &[Operation::Charge(charge(1))], now).unwrap().0;
            if !slides {
                let left = only_verdict(&probe).remaining + u32::from(probe.granted);
                prop_assert_eq!(u64::from(left), 400 - used, "after {:?}", operation);
            }
        }
    }
}
