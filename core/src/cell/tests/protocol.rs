//! Charging at two owners, over a network that loses, repeats, delays and reorders messages, with edges that fail.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The two owners, with the requests that are confirmed at each, as seen by an external observer.
#[derive(Debug, Default)]
struct Owner {
    cell: Cell,
    confirmed: BTreeSet<u64>,
}

/// An edge that serves one request, like `tollgate_edge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// Waits for the owners to reserve; which have granted.
    Holding([bool; 2]),
    /// Waits for the owners to confirm; which have.
    Confirming([bool; 2]),
    Admitted,
    Refused,
    Dead,
}

#[derive(Clone, Debug)]
struct Message {
    owner: usize,
    request: u64,
    ask: Ask,
    sent: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Hold,
    Confirm,
    Release,
}

#[derive(Debug)]
struct World {
    owners: [Owner; 2],
    edges: Vec<Edge>,
    /// When each edge started to wait.
    since: Vec<Timestamp>,
    network: Vec<Message>,
    now: Timestamp,
    /// Requests of which a message was lost or very late, or whose edge failed.
    unlucky: BTreeSet<u64>,
    /// What every request charges.
    charge: Charge,
}

/// The next event; the number selects a request or a message.
#[derive(Clone, Debug)]
enum Event {
    Start,
    Deliver(prop::sample::Index, Fault),
    GiveUp(prop::sample::Index),
    Die(prop::sample::Index),
    Wait(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    LoseMessage,
    LoseAnswer,
    Repeat,
}

impl World {
    fn new(algorithm: Option<Algorithm>) -> Self {
        Self {
            owners: [Owner::default(), Owner::default()],
            edges: Vec::new(),
            since: Vec::new(),
            network: Vec::new(),
            now: NOW,
            unlucky: BTreeSet::new(),
            charge: Charge { algorithm, ..gcra("p", 1, PERIOD_MS, 3, 1) },
        }
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::Start => {
                let request = self.edges.len() as u64;
                self.edges.push(Edge::Holding([false; 2]));
                self.since.push(self.now);
                self.send(request, Ask::Hold);
            }
            Event::Deliver(index, fault) if !self.network.is_empty() => {
                let message = self.network.remove(index.index(self.network.len()));
                self.deliver(&message, *fault);
            }
            Event::GiveUp(index) => {
                if let Some((request, Edge::Holding(_) | Edge::Confirming(_))) = self.pick(*index) {
                    self.refuse(request);
                }
            }
            Event::Die(index) => {
                if let Some((request, Edge::Holding(_) | Edge::Confirming(_))) = self.pick(*index) {
                    self.edges[request as usize] = Edge::Dead;
                    self.unlucky.insert(request);
                }
            }
            Event::Wait(ms) => self.wait_until(self.now.plus_millis(*ms)),
            Event::Deliver(..) => {}
        }
    }

    /// Advances the time. A request whose wait for an answer times out is refused at that instant, not later.
    fn wait_until(&mut self, end: Timestamp) {
        while let Some((deadline, request)) = self.next_deadline().filter(|(deadline, _)| *deadline <= end) {
            self.now = deadline;
            self.refuse(request);
        }
        self.now = end;
    }

    fn next_deadline(&self) -> Option<(Timestamp, u64)> {
        let waiting = self.edges.iter().zip(&self.since).zip(0u64..);
        let waiting = waiting.filter(|((edge, _), _)| matches!(edge, Edge::Holding(_) | Edge::Confirming(_)));
        waiting.map(|((_, since), request)| (since.plus_millis(PATIENCE_MS), request)).min()
    }

    fn pick(&self, index: prop::sample::Index) -> Option<(u64, Edge)> {
        let place = index.index(self.edges.len().max(1));
        Some((place as u64, *self.edges.get(place)?))
    }

    fn send(&mut self, request: u64, ask: Ask) {
        self.network.extend([0, 1].map(|owner| Message { owner, request, ask, sent: self.now }));
    }

    fn refuse(&mut self, request: u64) {
        self.edges[request as usize] = Edge::Refused;
        self.send(request, Ask::Release);
    }

    fn deliver(&mut self, message: &Message, fault: Fault) {
        // No message is delivered after the time for which ids are recorded.
        let too_late = self.now.millis_since(message.sent) >= RECENT_MS;
        if too_late || fault == Fault::LoseMessage {
            self.unlucky.insert(message.request);
            return;
        }
        if self.now.millis_since(message.sent) >= LATE_MS {
            self.unlucky.insert(message.request);
        }
        if fault == Fault::Repeat {
            self.network.push(message.clone());
        }
        let answer = self.ask(message);
        match fault {
            Fault::LoseAnswer => drop(self.unlucky.insert(message.request)),
            Fault::None | Fault::LoseMessage | Fault::Repeat => self.answered(message, &answer),
        }
    }

    fn ask(&mut self, message: &Message) -> Outcome {
        let owner = &mut self.owners[message.owner];
        let (terms, operation) = match message.ask {
            Ask::Hold => (held_of(message.request, HOLD_MS), Operation::Charge(self.charge.clone())),
            Ask::Confirm => (final_of(message.request), Operation::Confirm),
            Ask::Release => (final_of(message.request), Operation::Release),
        };
        let (outcome, _) = owner.cell.update(terms, &[operation], self.now).unwrap();
        match outcome.replies[0] {
            Reply::Confirmed => drop(owner.confirmed.insert(message.request)),
            Reply::Released => drop(owner.confirmed.remove(&message.request)),
            Reply::Charged(_)
            | Reply::NotHeld
            | Reply::Purged { .. }
            | Reply::Purges { .. }
            | Reply::Listed
            | Reply::List(_) => {}
        }
        outcome
    }

    fn answered(&mut self, message: &Message, answer: &Outcome) {
        let edge = &mut self.edges[message.request as usize];
        match (edge, message.ask) {
            (Edge::Holding(granted), Ask::Hold) if answer.granted => {
                granted[message.owner] = true;
                if *granted == [true; 2] {
                    self.edges[message.request as usize] = Edge::Confirming([false; 2]);
                    self.since[message.request as usize] = self.now;
                    self.send(message.request, Ask::Confirm);
                }
            }
            (Edge::Confirming(confirmed), Ask::Confirm) if answer.replies == [Reply::Confirmed] => {
                confirmed[message.owner] = true;
                if *confirmed == [true; 2] {
                    self.edges[message.request as usize] = Edge::Admitted;
                }
            }
            (Edge::Holding(_), Ask::Hold) | (Edge::Confirming(_), Ask::Confirm) => self.refuse(message.request),
            (Edge::Holding(_) | Edge::Confirming(_) | Edge::Admitted | Edge::Refused | Edge::Dead, _) => {}
        }
    }

    /// Delivers all pending messages, refuses all waiting requests, and lets all holds expire.
    fn end(&mut self) {
        while let Some(message) = self.network.pop() {
            self.deliver(&message, Fault::None);
        }
        for request in 0..self.edges.len() as u64 {
            if matches!(self.edges[request as usize], Edge::Holding(_) | Edge::Confirming(_)) {
                self.refuse(request);
            }
        }
        while let Some(message) = self.network.pop() {
            self.deliver(&message, Fault::None);
        }
        self.now = self.now.plus_millis(u64::from(HOLD_MS));
        for owner in &mut self.owners {
            owner.cell.update(final_of(u64::MAX), &[Operation::ReadPurges { recorded: None }], self.now).unwrap();
        }
    }

    fn admitted(&self) -> BTreeSet<u64> {
        let admitted = self.edges.iter().enumerate().filter(|(_, edge)| **edge == Edge::Admitted);
        admitted.map(|(request, _)| request as u64).collect()
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let index = any::<prop::sample::Index>;
    let fault = prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::LoseMessage),
        1 => Just(Fault::LoseAnswer),
        2 => Just(Fault::Repeat),
    ];
    let event = prop_oneof![
        3 => Just(Event::Start),
        12 => (index(), fault).prop_map(|(index, fault)| Event::Deliver(index, fault)),
        1 => index().prop_map(Event::GiveUp),
        1 => index().prop_map(Event::Die),
        2 => (0u64..4_000).prop_map(Event::Wait),
    ];
    proptest::collection::vec(event, 1..120)
}

/// Those whose charges are given back by nothing else than a release.
fn algorithms() -> impl Strategy<Value = Option<Algorithm>> {
    let us = |periods: u64| NOW.as_micros() + periods * u64::from(PERIOD_MS) * 1_000;
    let month = Edges { before_us: 0, start_us: us(0), end_us: us(1), after_us: us(2) };
    prop_oneof![
        Just(None),
        Just(Some(Algorithm::Spacing)),
        Just(Some(Algorithm::FixedWindow)),
        Just(Some(Algorithm::SlidingWindow)),
        Just(Some(Algorithm::SlidingLog)),
        Just(Some(Algorithm::Calendar(month))),
        Just(Some(Algorithm::Concurrency)),
    ]
}

/// How long an edge waits for each answer, when a message is late, and how long owners hold a charge: while the edge
/// waits for the first answer and for the second, and until its release has arrived, if that is not late.
const PATIENCE_MS: u64 = 3_000;
const LATE_MS: u64 = 4_000;
const HOLD_MS: u32 = 10_000;
/// Long enough that no permit becomes available with time during the test; a window of it begins at [`NOW`].
const PERIOD_MS: u32 = 2_000_000_000;

proptest! {
    #[test]
    fn no_permit_is_created_or_lost_whatever_fails_in_between(events in events(), algorithm in algorithms()) {
        let mut world = World::new(algorithm);
        for event in &events {
            world.step(event);
            prop_assert!(world.admitted().len() <= 3, "more were admitted than the burst");
        }
        world.end();
        let admitted = world.admitted();
        for owner in &world.owners {
            prop_assert!(owner.confirmed.is_superset(&admitted), "an admitted request is not charged");
            let lost: BTreeSet<u64> = owner.confirmed.difference(&admitted).copied().collect();
            prop_assert!(lost.is_subset(&world.unlucky), "{lost:?} is charged and was not admitted");
            let charged = owner.cell.clone().update(final_of(u64::MAX - 1), &[Operation::Charge(world.charge.clone())], world.now).unwrap().0;
            let remaining = only_verdict(&charged).remaining + u32::from(charged.granted);
            prop_assert_eq!(remaining as usize + owner.confirmed.len(), 3, "what is charged is what was confirmed");
        }
    }
}
