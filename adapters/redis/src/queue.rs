//! The updates of one gateway that wait, and which of them become one swap.
//!
//! Updates of one cell wait in a line while a swap of that cell is under way, and then become the next swap together: in their
//! order, so that none waits for ever. Swaps of different cells are under way side by side.

use std::collections::{HashMap, HashSet, VecDeque};

use tollgate_core::cell::{CellError, CellKey, Outcome, Update};
use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_edge::ports::CounterFault;

use crate::known::{Known, Remembered, Stamp};
use crate::script::{Call, key_of};
use crate::swap::{Reply, Swap};

/// Who gets the answer to an update.
pub trait Waiter {
    /// Whether somebody still waits; an update for which nobody waits is not begun.
    fn waits(&self) -> bool;

    /// Gives the answer.
    fn answer(self, answer: Result<Outcome, CounterFault>);
}

/// The updates that wait, and the cells that are remembered.
#[derive(Debug)]
pub struct Queue<W> {
    /// Updates by the first of their cells.
    lines: HashMap<CellKey, VecDeque<Waiting<W>>>,
    /// Lines that may go on.
    ready: VecDeque<CellKey>,
    /// The cells of the batches that are under way.
    busy: HashSet<CellKey>,
    /// Lines that wait for another cell to be free.
    blocked: HashMap<CellKey, Vec<CellKey>>,
    remembered: Remembered,
}

/// An update that waits.
#[derive(Debug)]
struct Waiting<W> {
    update: Update,
    now: Timestamp,
    since: MonotonicInstant,
    waiter: W,
}

/// Updates that become one swap. It is run until it is settled, and then given back with [`Queue::end`].
#[derive(Debug)]
pub struct Batch<W> {
    /// The first cell of its updates.
    line: CellKey,
    members: Vec<Waiting<W>>,
    /// The cells of its updates.
    cells: Vec<CellKey>,
    /// What is known of them before the next call.
    known: HashMap<CellKey, Known>,
    /// The swap that was sent, with the answers to the members if it takes effect.
    sent: Option<(Swap, Vec<Result<Outcome, CellError>>)>,
    conflicts: u32,
    /// The claim of the last call.
    claim: Option<Stamp>,
}

/// Whether a batch has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// All of its updates have their answers.
    Done,
    /// Others have changed a cell: it is sent again after this time. There is none unless another gateway has claimed the cell: a
    /// pause would favour the gateway that has won, which makes none.
    Again {
        /// Milliseconds.
        wait_ms: u64,
    },
}

impl<W: Waiter> Queue<W> {
    /// A queue that remembers at most so many cells.
    #[must_use]
    pub fn new(cells_max: usize) -> Self {
        Self {
            lines: HashMap::new(),
            ready: VecDeque::new(),
            busy: HashSet::new(),
            blocked: HashMap::new(),
            remembered: Remembered::new(cells_max),
        }
    }

    /// The number of cells that are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.remembered.len()
    }

    /// Adds an update, whose caller has this time, at this instant.
    pub fn add(&mut self, update: Update, now: Timestamp, since: MonotonicInstant, waiter: W) {
        let Some(first) = update.cells.first() else {
            return waiter.answer(Ok(Outcome { granted: true, replies: Vec::new() }));
        };
        let cell = first.cell.clone();
        let line = self.lines.entry(cell.clone()).or_default();
        line.push_back(Waiting { update, now, since, waiter });
        if line.len() == 1 && !self.busy.contains(&cell) {
            self.ready.push_back(cell);
        }
    }

    /// The next batch, if there is a line whose cells are free.
    pub fn next_batch(&mut self) -> Option<Batch<W>> {
        while let Some(line) = self.ready.pop_front() {
            if self.busy.contains(&line) {
                continue;
            }
            let mut batch = Batch::new(line);
            self.fill(&mut batch, true);
            if !batch.members.is_empty() {
                return Some(batch);
            }
        }
        None
    }

    /// Adds the updates that wait for the same cells to a batch that is sent again.
    pub fn join(&mut self, batch: &mut Batch<W>) {
        self.fill(batch, false);
    }

    /// Takes back a batch that has ended, or that its driver leaves: who has no answer then waits again.
    pub fn end(&mut self, batch: Batch<W>) {
        let Batch { line, members, cells, known, .. } = batch;
        if !members.is_empty() {
            let waiting = self.lines.entry(line).or_default();
            members.into_iter().rev().for_each(|member| waiting.push_front(member));
        }
        for (cell, known) in known {
            self.remembered.put(cell, known);
        }
        for cell in cells {
            self.busy.remove(&cell);
            self.ready.extend(self.blocked.remove(&cell).unwrap_or_default());
            if self.lines.contains_key(&cell) {
                self.ready.push_back(cell);
            }
        }
    }

    fn fill(&mut self, batch: &mut Batch<W>, with_more_cells: bool) {
        let Some(mut line) = self.lines.remove(&batch.line) else { return };
        while let Some(head) = line.front() {
            if !head.waiter.waits() {
                line.pop_front();
                continue;
            }
            let others = || head.update.cells.iter().map(|part| &part.cell).filter(|cell| !batch.cells.contains(cell));
            if let Some(busy) = others().find(|cell| self.busy.contains(*cell)) {
                if batch.members.is_empty() {
                    self.blocked.entry(busy.clone()).or_default().push(batch.line.clone());
                }
                break;
            }
            let more = others().count();
            let is_full = batch.members.len() >= MEMBERS_MAX || batch.cells.len() + more > CELLS_MAX;
            if !batch.members.is_empty() && (is_full || more > 0 && !with_more_cells) {
                break;
            }
            let more: Vec<CellKey> = others().cloned().collect();
            for cell in more {
                self.busy.insert(cell.clone());
                batch.known.insert(cell.clone(), self.remembered.take(&cell));
                batch.cells.push(cell);
            }
            batch.members.extend(line.pop_front());
        }
        if !line.is_empty() {
            self.lines.insert(batch.line.clone(), line);
        }
    }
}

impl<W: Waiter> Batch<W> {
    fn new(line: CellKey) -> Self {
        let (members, cells) = (Vec::new(), Vec::new());
        Self { line, members, cells, known: HashMap::new(), sent: None, conflicts: 0, claim: None }
    }

    /// Whether somebody still waits for it. Who does not wait any more is left out: what is not sent is not charged.
    pub fn is_wanted(&mut self) -> bool {
        self.members.retain(|member| member.waiter.waits());
        !self.members.is_empty()
    }

    /// The key of one of its cells.
    #[must_use]
    pub fn key(&self, gateway: &str) -> String {
        key_of(gateway, &self.line)
    }

    /// Computes the change and returns the call that makes it; `random` are bytes that were never used before.
    pub fn call(&mut self, gateway: &str, instant: MonotonicInstant, random: [u8; Stamp::RANDOM_BYTES]) -> Call {
        let mut known = std::mem::take(&mut self.known);
        let cells = self.cells.iter().map(|cell| (cell.clone(), known.remove(cell).unwrap_or_else(Known::absent)));
        let mut swap = Swap::new(cells, random);
        let add = |member: &Waiting<W>| {
            // Others may have changed the cells meanwhile, so each attempt has an instant of its own.
            swap.add(&member.update, member.now.plus_micros(instant.micros_since(member.since)))
        };
        let answers = self.members.iter().map(add).collect();
        // A gateway that is far from the server would never win against one that is near and makes many changes.
        self.claim = (self.conflicts >= CONFLICTS_MAX).then(|| Stamp::claim(random));
        let call = swap.call(gateway, self.claim.as_ref());
        self.sent = Some((swap, answers));
        call
    }

    /// Takes the answer of the server to the last call.
    pub fn settle(&mut self, reply: &Reply, instant: MonotonicInstant) -> Settled {
        let Some((swap, answers)) = self.sent.take() else { return Settled::Done };
        self.known = swap.after(reply).into_iter().collect();
        match reply {
            Reply::Swapped => {
                for (member, answer) in self.members.drain(..).zip(answers) {
                    member.waiter.answer(answer.map_err(CounterFault::from));
                }
                Settled::Done
            }
            Reply::Current(_) => self.again(instant),
        }
    }

    /// Answers that the call failed, or was not made. It may have taken effect, so nothing is known of the cells.
    pub fn fail(&mut self, fault: &CounterFault) {
        self.sent = None;
        for member in self.members.drain(..) {
            member.waiter.answer(Err(fault.clone()));
        }
    }

    /// Whether the call may be sent again after its answer was lost: somebody waits, and not for too long. The updates have ids,
    /// so that a repetition has no effect.
    pub fn may_repeat(&mut self, instant: MonotonicInstant) -> bool {
        self.sent = None;
        self.members.retain(|member| member.waiter.waits());
        self.members.iter().all(|member| instant.millis_since(member.since) < PATIENCE_MS)
    }

    fn again(&mut self, instant: MonotonicInstant) -> Settled {
        for member in std::mem::take(&mut self.members) {
            if instant.millis_since(member.since) >= PATIENCE_MS {
                member.waiter.answer(Err(CounterFault::Contended));
            } else if member.waiter.waits() {
                self.members.push(member);
            }
        }
        self.conflicts += 1;
        let is_of_another = |known: &Known| known.stamp.is_claim() && Some(&known.stamp) != self.claim.as_ref();
        let wait_ms = if self.known.values().any(is_of_another) { CLAIM_MS } else { 0 };
        if self.members.is_empty() { Settled::Done } else { Settled::Again { wait_ms } }
    }
}

/// The conflicts after which a gateway claims the cells.
const CONFLICTS_MAX: u32 = 8;

/// How long others leave a claimed cell alone: enough for an answer and a call of the gateway that has claimed it.
const CLAIM_MS: u64 = 20;

/// The maximum number of updates of one swap: enough for the requests of a gateway that wait for one hot partition, and less
/// than a millisecond of arithmetic.
const MEMBERS_MAX: usize = 128;

/// The maximum number of cells of one swap, unless a single update has more.
const CELLS_MAX: usize = 32;

/// How long attempts against other gateways go on: less than the timeout of a store, so that the caller learns that they failed.
const PATIENCE_MS: u64 = 2_500;

#[cfg(test)]
mod tests;
