use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::rc::Rc;

use tollgate_core::cell::{CellOperations, Charge, Operation, OperationId, Terms};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const START: MonotonicInstant = MonotonicInstant::from_micros(0);

type Answer = Result<Outcome, CounterFault>;

/// A caller, and whether it has gone.
#[derive(Clone, Default)]
struct Caller(Rc<RefCell<(Option<Answer>, bool)>>);

impl Waiter for Caller {
    fn waits(&self) -> bool {
        !self.0.borrow().1
    }

    fn answer(self, answer: Answer) {
        self.0.borrow_mut().0 = Some(answer);
    }
}

impl Caller {
    fn answered(&self) -> Option<Answer> {
        self.0.borrow().0.clone()
    }

    fn granted(&self) -> bool {
        self.answered().is_some_and(|answer| answer.is_ok_and(|outcome| outcome.granted))
    }
}

/// A server that does what the script says.
#[derive(Default)]
struct Server {
    values: BTreeMap<String, Vec<u8>>,
    calls: usize,
}

impl Server {
    fn run(&mut self, call: &Call) -> Reply {
        self.calls += 1;
        let held = |key: &String| self.values.get(key).cloned();
        let expected = call.arguments.chunks(3);
        let stamp_of = |value: Vec<u8>| value[..value.len().min(16)].to_vec();
        let differs = |(key, words): (&String, &[Vec<u8>])| held(key).map(stamp_of).unwrap_or_default() != words[0];
        if call.keys.iter().zip(expected).any(differs) {
            let claim = call.arguments.last().unwrap();
            for key in &call.keys {
                if let Some(value) = self.values.get_mut(key).filter(|value| !claim.is_empty() && value[0] == 1) {
                    value[..16].copy_from_slice(claim);
                }
            }
            return Reply::Current(call.keys.iter().map(|key| self.values.get(key).cloned()).collect());
        }
        for (key, words) in call.keys.iter().zip(call.arguments.chunks(3)) {
            if !words[1].is_empty() {
                self.values.insert(key.clone(), words[1].clone());
            }
        }
        Reply::Swapped
    }
}

/// A gateway with its queue.
struct Gateway {
    queue: Queue<Caller>,
    drawn: u16,
    id: u8,
}

impl Gateway {
    fn new(id: u8) -> Self {
        Self { queue: Queue::new(100), drawn: 0, id }
    }

    fn ask(&mut self, cells: &[&str], burst: u32) -> Caller {
        self.drawn = self.drawn.wrapping_add(1);
        let mut id = [self.id; 16];
        id[..2].copy_from_slice(&self.drawn.to_le_bytes());
        let n = |value| NonZeroU32::new(value).unwrap();
        let charge = Charge {
            quota: "p".into(),
            rate: n(1),
            period_ms: n(60_000),
            burst: n(burst),
            cost: n(1),
            algorithm: None,
            lease: None,
            tells: None,
        };
        let part = |cell: &&str| CellOperations {
            cell: CellKey::new(*cell),
            operations: vec![Operation::Charge(charge.clone())],
        };
        let update = Update {
            terms: Terms { id: OperationId::new(id), hold_ms: None, refund_ms: None },
            cells: cells.iter().map(part).collect(),
        };
        let caller = Caller::default();
        self.queue.add(update, NOW, START, caller.clone());
        caller
    }

    fn call(&mut self, batch: &mut Batch<Caller>) -> Call {
        self.drawn = self.drawn.wrapping_add(1);
        let mut random = [self.id; 15];
        random[1..3].copy_from_slice(&self.drawn.to_le_bytes());
        batch.call("g", START, random)
    }

    /// Runs all batches to their end, one after the other.
    fn run(&mut self, server: &mut Server) {
        while let Some(mut batch) = self.queue.next_batch() {
            loop {
                let call = self.call(&mut batch);
                if batch.settle(&server.run(&call), START) == Settled::Done {
                    break;
                }
            }
            self.queue.end(batch);
        }
    }
}

#[test]
fn a_remembered_cell_is_changed_with_one_call() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    for n in 1..=3 {
        let caller = gateway.ask(&["c"], 2);
        gateway.run(&mut server);
        assert_eq!((caller.granted(), server.calls), (n < 3, n));
    }
}

#[test]
fn requests_that_wait_for_one_cell_are_one_swap() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    let callers: Vec<_> = (0..10).map(|_| gateway.ask(&["c"], 4)).collect();
    gateway.run(&mut server);
    let granted: Vec<bool> = callers.iter().map(Caller::granted).collect();
    assert_eq!(granted, [[true; 4].as_slice(), &[false; 6]].concat());
    assert_eq!(server.calls, 1);
}

#[test]
fn two_gateways_grant_exactly_the_quota() {
    let (mut server, mut one, mut two) = (Server::default(), Gateway::new(1), Gateway::new(2));
    let mut granted = 0;
    for _ in 0..20 {
        let callers = [one.ask(&["c"], 7), two.ask(&["c"], 7)];
        // Both compute their change from the same state.
        let (mut first, mut second) = (one.queue.next_batch().unwrap(), two.queue.next_batch().unwrap());
        let calls = [one.call(&mut first), two.call(&mut second)];
        let replies = calls.map(|call| server.run(&call));
        for (gateway, batch, reply) in [(&mut one, first, &replies[0]), (&mut two, second, &replies[1])] {
            let mut batch = batch;
            let mut settled = batch.settle(reply, START);
            while settled != Settled::Done {
                let call = gateway.call(&mut batch);
                settled = batch.settle(&server.run(&call), START);
            }
            gateway.queue.end(batch);
        }
        granted += callers.iter().filter(|caller| caller.granted()).count();
    }
    assert_eq!(granted, 7);
}

#[test]
fn an_update_of_several_cells_takes_effect_at_all_or_none() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    assert!({
        let caller = gateway.ask(&["tight"], 1);
        gateway.run(&mut server);
        caller.granted()
    });
    let both = gateway.ask(&["wide", "tight"], 1);
    gateway.run(&mut server);
    assert!(both.answered().is_some() && !both.granted());
    let wide = gateway.ask(&["wide"], 1);
    gateway.run(&mut server);
    assert!(wide.granted());
}

#[test]
fn a_line_that_waits_for_a_busy_cell_goes_on_when_it_is_free() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    let first = gateway.ask(&["b"], 5);
    let mut busy = gateway.queue.next_batch().unwrap();
    let (both, last) = (gateway.ask(&["a", "b"], 5), gateway.ask(&["b"], 5));
    assert!(gateway.queue.next_batch().is_none(), "both of its cells have to be free");
    let call = gateway.call(&mut busy);
    assert_eq!(busy.settle(&server.run(&call), START), Settled::Done);
    gateway.queue.end(busy);
    gateway.run(&mut server);
    assert!(first.granted() && both.granted() && last.granted());
    assert!(gateway.queue.lines.is_empty() && gateway.queue.busy.is_empty() && gateway.queue.blocked.is_empty());
}

#[test]
fn a_repetition_after_a_lost_answer_charges_once() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    let caller = gateway.ask(&["c"], 2);
    let mut batch = gateway.queue.next_batch().unwrap();
    let call = gateway.call(&mut batch);
    assert_eq!(server.run(&call), Reply::Swapped);
    // Its answer does not arrive.
    assert!(batch.may_repeat(START));
    let mut settled = Settled::Again { wait_ms: 0 };
    while settled != Settled::Done {
        let call = gateway.call(&mut batch);
        settled = batch.settle(&server.run(&call), START);
    }
    gateway.queue.end(batch);
    assert!(caller.granted());
    let more = [gateway.ask(&["c"], 2), gateway.ask(&["c"], 2)];
    gateway.run(&mut server);
    assert_eq!(more.map(|caller| caller.granted()), [true, false]);
}

#[test]
fn who_has_gone_is_not_charged() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    let (gone, stays) = (gateway.ask(&["c"], 1), gateway.ask(&["c"], 1));
    gone.0.borrow_mut().1 = true;
    gateway.run(&mut server);
    assert!(gone.answered().is_none() && stays.granted());
}

#[test]
fn a_batch_that_its_driver_leaves_is_run_by_another() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    let callers = [gateway.ask(&["c"], 1), gateway.ask(&["c"], 1)];
    let mut batch = gateway.queue.next_batch().unwrap();
    gateway.call(&mut batch);
    gateway.queue.end(batch);
    gateway.run(&mut server);
    assert_eq!(callers.map(|caller| caller.granted()), [true, false]);
}

#[test]
fn conflicts_without_end_are_contention() {
    let mut gateway = Gateway::new(1);
    let caller = gateway.ask(&["c"], 1);
    let mut batch = gateway.queue.next_batch().unwrap();
    let mut conflicts = 0;
    for ms in 0.. {
        gateway.call(&mut batch);
        let instant = START.plus_millis(ms);
        match batch.settle(&Reply::Current(vec![None]), instant) {
            Settled::Again { .. } => conflicts += 1,
            Settled::Done => break,
        }
    }
    assert_eq!(caller.answered(), Some(Err(CounterFault::Contended)));
    assert_eq!(conflicts, PATIENCE_MS);
}

#[test]
fn a_value_that_cannot_be_read_is_neither_empty_nor_replaced() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    let newer = [&[9][..], &[7; 40]].concat();
    server.values.insert("g:cell:c".to_owned(), newer.clone());
    for _ in 0..2 {
        let caller = gateway.ask(&["c"], 1);
        gateway.run(&mut server);
        assert_eq!(caller.answered(), Some(Err(CounterFault::NewerState { found: 9, known: 1 })));
    }
    assert_eq!(server.values["g:cell:c"], newer);
}

#[test]
fn swaps_are_bounded() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    let callers: Vec<_> = (0..MEMBERS_MAX * 2 + 1).map(|_| gateway.ask(&["c"], 1)).collect();
    gateway.run(&mut server);
    assert_eq!(server.calls, 3);
    assert_eq!(callers.iter().filter(|caller| caller.granted()).count(), 1);
}

#[test]
fn a_gateway_that_is_far_gets_its_turn_beside_one_that_is_near() {
    let (mut server, mut near, mut far) = (Server::default(), Gateway::new(1), Gateway::new(2));
    let caller = far.ask(&["c"], 1_000);
    let mut batch = far.queue.next_batch().unwrap();
    let mut rounds = 0;
    let mut near_waits_until = 0;
    while caller.answered().is_none() {
        rounds += 1;
        let call = far.call(&mut batch);
        // While the call is under way, the near one makes many changes, a millisecond each.
        for ms in rounds * 5..(rounds + 1) * 5 {
            let mine = near.ask(&["c"], 1_000);
            let mut own = near.queue.next_batch().unwrap();
            while mine.answered().is_none() && ms >= near_waits_until {
                let call = near.call(&mut own);
                if let Settled::Again { wait_ms } = own.settle(&server.run(&call), START) {
                    near_waits_until = ms + wait_ms;
                }
            }
            near.queue.end(own);
        }
        let _ = batch.settle(&server.run(&call), START);
        assert!(rounds < 20, "it never gets its turn");
    }
    assert!(caller.granted());
    far.queue.end(batch);
}

#[test]
fn what_nobody_waits_for_any_more_is_not_sent() {
    let (mut server, mut gateway) = (Server::default(), Gateway::new(1));
    let [gone, stays] = [gateway.ask(&["c"], 9), gateway.ask(&["c"], 9)];
    let mut batch = gateway.queue.next_batch().unwrap();
    gone.0.borrow_mut().1 = true;
    assert!(batch.is_wanted());
    let call = gateway.call(&mut batch);
    assert_eq!(batch.settle(&server.run(&call), START), Settled::Done);
    gateway.queue.end(batch);
    assert_eq!((stays.granted(), gone.answered()), (true, None));
    let left = gateway.ask(&["c"], 9);
    let mut batch = gateway.queue.next_batch().unwrap();
    left.0.borrow_mut().1 = true;
    assert!(!batch.is_wanted());
    gateway.queue.end(batch);
    let last = gateway.ask(&["c"], 9);
    gateway.run(&mut server);
    assert_eq!(last.answered().unwrap().unwrap().verdicts().next().unwrap().remaining, 7, "two were charged");
}
