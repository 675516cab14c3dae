//! All interleavings of attempts at a store, with a crash of each of them at every point, on real cells.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;

use tollgate_core::cell::{CellKey, CellOperations, Charge, Operation, OperationId, StateChange, Table, Terms, Update};
use tollgate_core::time::Timestamp;

use super::super::CELLS_MAX;
use super::super::group::{self, Answers};
use super::*;

/// A store like Spin's: a swap of a key that was absent when it was read writes without comparing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Store {
    generations: BTreeMap<u64, Vec<u8>>,
    tickets: i64,
    takeovers: i64,
}

/// An instance that charges for one request, or for two of a group at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Edge {
    /// The numbers of its requests.
    requests: &'static [u8],
    /// The number of remaining attempts; with the last one it takes over.
    attempts: u8,
    waiting: Option<(Attempt<Grants>, Call)>,
    /// The generation that was read last, and its value.
    seen: (u64, Option<Vec<u8>>),
    /// Whether each was granted; `None` at the end means that it gave up.
    granted: Option<Grants>,
}

/// Whether each request of an edge was granted.
type Grants = Vec<bool>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    store: Store,
    edges: Vec<Edge>,
}

const BURST: usize = 2;

/// A charge of one, of a quota of two a day.
fn charge(request: u8) -> Update {
    let number = |n: u32| NonZeroU32::new(n).unwrap();
    let (rate, period_ms, burst, cost) = (number(2), number(86_400_000), number(2), number(1));
    let operations = vec![Operation::Charge(Charge {
        quota: "daily".into(),
        rate,
        period_ms,
        burst,
        cost,
        algorithm: None,
        lease: None,
        tells: None,
    })];
    let terms = Terms { id: OperationId::new([request; 16]), hold_ms: None, refund_ms: None };
    Update { terms, cells: vec![CellOperations { cell: CellKey::new("consumer=acme"), operations }] }
}

/// The time of an attempt. Some edges are seconds behind the others, as if they had waited for the store; the last is
/// minutes behind.
fn now_of(request: u8) -> Timestamp {
    const BEHIND_MS: [u64; 4] = [0, 5_000, 1, 200_000];
    Timestamp::from_millis(1_800_000_000_000).minus_millis(BEHIND_MS[usize::from(request) % 4])
}

fn applied(requests: &[u8], table: Option<&[u8]>) -> Changed<Grants> {
    let updates: Vec<Update> = requests.iter().map(|request| charge(*request)).collect();
    let (answers, table): (Answers, _) = group::apply(table, updates.iter(), now_of(requests[0]))?;
    Ok((answers.into_iter().map(|answer| answer.unwrap().granted).collect(), table))
}

impl Edge {
    fn new(requests: &'static [u8], attempts: u8) -> Self {
        let mut edge = Self { requests, attempts, waiting: None, seen: (0, None), granted: None };
        edge.try_again();
        edge
    }

    fn try_again(&mut self) {
        self.waiting = (self.attempts > 0).then(|| Attempt::begin(self.attempts == 1));
        self.attempts = self.attempts.saturating_sub(1);
    }

    fn step(&mut self, store: &mut Store) {
        let Some((attempt, call)) = self.waiting.take() else { return };
        let answer = match call {
            Call::Read(generation) => {
                self.seen = (generation, store.generations.get(&generation).cloned());
                Answer::Value(self.seen.1.clone())
            }
            Call::Swap(value) => {
                let (generation, seen) = &self.seen;
                let same = seen.is_none() || store.generations.get(generation) == seen.as_ref();
                if same {
                    store.generations.insert(*generation, value);
                }
                Answer::Swapped(same)
            }
            Call::DrawTicket => {
                store.tickets += 1;
                Answer::Number(store.tickets)
            }
            Call::Takeovers(delta) => {
                store.takeovers += delta;
                Answer::Number(store.takeovers)
            }
        };
        match attempt.go_on(answer, |table| applied(self.requests, table)).unwrap() {
            Step::Ask(attempt, call) => self.waiting = Some((attempt, call)),
            Step::Done(granted) => self.granted = Some(granted),
            Step::Again => self.try_again(),
        }
    }
}

impl World {
    fn new(edges: &[&'static [u8]], attempts: u8) -> Self {
        Self { store: Store::default(), edges: edges.iter().map(|requests| Edge::new(requests, attempts)).collect() }
    }

    /// The table of the usable generation.
    fn table(&self) -> Option<&[u8]> {
        let mut usable = self.store.generations.values().filter(|value| value.first() == Some(&USABLE));
        let table = usable.next().map(|value| &value[1..]);
        assert!(usable.next().is_none(), "two generations are usable: {self:?}");
        table.filter(|table| !table.is_empty())
    }

    /// How much of the burst the stored cells have charged: the rest can still be charged.
    fn charged(&self, known: &mut HashMap<Vec<u8>, usize>) -> usize {
        let Some(table) = self.table() else { return 0 };
        if let Some(charged) = known.get(table) {
            return *charged;
        }
        let charged = BURST - left_in(table);
        known.insert(table.to_vec(), charged);
        charged
    }

    fn check(&self, known: &mut HashMap<Vec<u8>, usize>) {
        let charged = self.charged(known);
        let answers: Vec<bool> = self.edges.iter().flat_map(|edge| edge.granted.iter().flatten()).copied().collect();
        let granted = answers.iter().filter(|granted| **granted).count();
        assert!(granted <= charged, "{granted} granted and {charged} charged: {self:?}");
        if answers.contains(&false) {
            assert_eq!(charged, BURST, "refused although quota remained: {self:?}");
        }
        let requests: usize = self.edges.iter().map(|edge| edge.requests.len()).sum();
        if answers.len() == requests {
            assert_eq!(granted, requests.min(BURST), "all have their answers: {self:?}");
        }
    }
}

/// How much of the burst a table can still charge.
fn left_in(table: &[u8]) -> usize {
    let mut table = table.to_vec();
    for left in 0..=BURST {
        let probe = charge(100 + u8::try_from(left).unwrap());
        let applied = Table::apply(Some(&table), &probe, now_of(0), CELLS_MAX).unwrap();
        if !applied.outcome.granted {
            return left;
        }
        if let StateChange::Replace(changed) = applied.state {
            table = changed;
        }
    }
    panic!("more is left than the burst")
}

/// Visits every reachable state. An edge that takes no further step has failed.
fn explore(world: World) -> HashSet<World> {
    let (mut seen, mut next) = (HashSet::from([world.clone()]), vec![world]);
    let mut known = HashMap::new();
    while let Some(world) = next.pop() {
        world.check(&mut known);
        for place in (0..world.edges.len()).filter(|place| world.edges[*place].waiting.is_some()) {
            let mut after = world.clone();
            let World { store, edges } = &mut after;
            edges[place].step(store);
            if seen.insert(after.clone()) {
                next.push(after);
            }
        }
    }
    seen
}

#[test]
fn two_concurrent_edges_are_charged_once_each_with_any_crash() {
    assert!(explore(World::new(&[&[1], &[2]], 4)).len() > 1_000);
}

#[test]
fn three_concurrent_edges_never_exceed_the_burst_with_any_crash() {
    assert!(explore(World::new(&[&[1], &[2], &[3]], 2)).len() > 10_000);
}

#[test]
fn groups_never_exceed_the_burst_with_any_crash() {
    assert!(explore(World::new(&[&[1, 5], &[2, 6]], 3)).len() > 500);
    assert!(explore(World::new(&[&[3, 7], &[1], &[2]], 2)).len() > 10_000);
}

#[test]
fn after_any_crash_a_single_edge_gets_its_answer() {
    for world in explore(World::new(&[&[1], &[2]], 3)) {
        let mut store = world.store.clone();
        let mut lone = Edge::new(&[9], 3);
        while lone.waiting.is_some() {
            lone.step(&mut store);
        }
        assert!(lone.granted.is_some(), "stuck: {world:?}");
    }
}

#[test]
fn an_invalid_bucket_is_reported() {
    for value in [&b""[..], b"\x03", b"\x00\x00", b"{}"] {
        let (attempt, _) = Attempt::<()>::begin(false);
        let damaged = attempt.go_on(Answer::Value(Some(value.to_vec())), |_| Ok(((), None)));
        assert_eq!(damaged, Err(CellError::Damaged));
    }
}
