//! All interleavings of attempts at a store, with a crash of each of them at every point.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::*;

/// A store like Spin's: a swap of a key that was absent when it was read writes without comparing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Store {
    generations: BTreeMap<u64, Vec<u8>>,
    tickets: i64,
    takeovers: i64,
}

/// An edge that charges once; its number is its charge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Edge {
    number: u8,
    /// The number of remaining attempts; with the last one it takes over.
    attempts: u8,
    waiting: Option<(Attempt<bool>, Call)>,
    /// The generation that was read last, and its value.
    seen: (u64, Option<Vec<u8>>),
    /// Whether it was granted; `None` at the end means that it gave up.
    granted: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    store: Store,
    edges: Vec<Edge>,
}

const BURST: usize = 2;

/// A table contains the numbers of the charged edges.
fn charge(number: u8, table: Option<&[u8]>) -> Changed<bool> {
    let charged = table.unwrap_or_default();
    if charged.contains(&number) {
        return Ok((true, None));
    }
    if charged.len() >= BURST {
        return Ok((false, None));
    }
    Ok((true, Some([charged, &[number]].concat())))
}

impl Edge {
    fn new(number: u8, attempts: u8) -> Self {
        let mut edge = Self { number, attempts, waiting: None, seen: (0, None), granted: None };
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
        match attempt.go_on(answer, |table| charge(self.number, table)).unwrap() {
            Step::Ask(attempt, call) => self.waiting = Some((attempt, call)),
            Step::Done(granted) => self.granted = Some(granted),
            Step::Again => self.try_again(),
        }
    }
}

impl World {
    fn new(edges: u8, attempts: u8) -> Self {
        Self { store: Store::default(), edges: (1..=edges).map(|number| Edge::new(number, attempts)).collect() }
    }

    fn charged(&self) -> Vec<u8> {
        let usable = self.store.generations.values().filter(|value| value.first() == Some(&USABLE));
        let usable: Vec<&Vec<u8>> = usable.collect();
        assert!(usable.len() <= 1, "two generations are usable: {self:?}");
        usable.first().map(|value| value[1..].to_vec()).unwrap_or_default()
    }

    fn check(&self) {
        let charged = self.charged();
        assert_eq!(charged.iter().collect::<BTreeSet<_>>().len(), charged.len(), "charged twice: {self:?}");
        let granted = self.edges.iter().filter(|edge| edge.granted == Some(true));
        for edge in granted {
            assert!(charged.contains(&edge.number), "granted and not charged: {self:?}");
        }
        if self.edges.iter().any(|edge| edge.granted == Some(false)) {
            assert_eq!(charged.len(), BURST, "refused although quota remained: {self:?}");
        }
    }
}

/// Visits every reachable state. An edge that takes no further step has failed.
fn explore(world: World) -> HashSet<World> {
    let (mut seen, mut next) = (HashSet::from([world.clone()]), vec![world]);
    while let Some(world) = next.pop() {
        world.check();
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
    assert!(explore(World::new(2, 4)).len() > 1_000);
}

#[test]
fn three_concurrent_edges_never_exceed_the_burst_with_any_crash() {
    assert!(explore(World::new(3, 2)).len() > 10_000);
}

#[test]
fn after_any_crash_a_single_edge_gets_its_answer() {
    for world in explore(World::new(2, 3)) {
        let mut store = world.store.clone();
        let mut lone = Edge::new(9, 3);
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
