//! The wasm module of the Durable Object (`js/counter.mjs`): core's cells, applied to bytes.
//!
//! It stores nothing, reads no clock and has no imports: the object opens its stored state, passes requests and the time,
//! and gets replies and, when it wants to store it, the new state. It is separate from the gateway's module because it is
//! much smaller, and an object's isolate need not load the gateway to count.
//!
//! Start with [`cell_update`]. There is one buffer for input and one for output; the module returns their addresses.
#![expect(unsafe_code, reason = "exporting an unmangled name is unsafe, because two could be equal")]

use std::cell::{Cell as Place, RefCell};

use tollgate_core::cell::{self, Cell, CellError};
use tollgate_core::time::Timestamp;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static NEXT: Place<f64> = const { Place::new(0.0) };
    /// By number, which increases: a double counts to 2^53, which an isolate does not live to see.
    static OPEN: RefCell<Vec<OpenCell>> = const { RefCell::new(Vec::new()) };
}

struct OpenCell {
    number: f64,
    /// The cell, or why its state cannot be read.
    cell: Result<Cell, CellError>,
    /// Whether it has changes that only this module has: the object has not taken the state since.
    is_ahead: bool,
}

/// Reserves this number of bytes for the input, and returns the address to write them to.
#[unsafe(no_mangle)]
pub extern "C" fn cell_input(bytes: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        input.clear();
        input.resize(bytes, 0);
        input.as_mut_ptr()
    })
}

/// Opens the cell whose stored state is in the input; no bytes are no state. Returns its number.
#[unsafe(no_mangle)]
pub extern "C" fn cell_open() -> f64 {
    let cell = INPUT.with_borrow(|state| if state.is_empty() { Ok(Cell::default()) } else { Cell::from_bytes(state) });
    let number = NEXT.get();
    NEXT.set(number + 1.0);
    OPEN.with_borrow_mut(|open| {
        while open.len() >= OPEN_MAX
            && let Some(oldest) = open.iter().position(|cell| !cell.is_ahead)
        {
            open.remove(oldest);
        }
        open.push(OpenCell { number, cell, is_ahead: false });
    });
    number
}

/// Maximum number of open cells, of at most a few kilobytes each: more than the objects of an isolate that have calls within a
/// second. Beyond it the oldest whose state its object has is closed; if there is none, each state is taken with its reply
/// ([`TAKE`]). An object that the platform has reset leaves its cell open.
const OPEN_MAX: usize = 4096;

/// Applies the request in the input to an open cell.
///
/// Describes the output at [`cell_output`]: returns the number of bytes of the reply, times eight, plus [`CHANGED`] if the
/// cell has to be stored, plus [`WRITE_THROUGH`] if that has to be done before the reply is sent, plus [`TAKE`]; or [`NOT_OPEN`].
#[unsafe(no_mangle)]
pub extern "C" fn cell_update(number: f64, now_ms: f64) -> usize {
    OPEN.with_borrow_mut(|open| {
        let is_crowded = open.len() > OPEN_MAX;
        let Some(cell) = find(open, number) else { return NOT_OPEN };
        let served = INPUT.with_borrow(|request| cell::serve(&mut cell.cell, request, timestamp(now_ms)));
        cell.is_ahead |= served.committed.changed;
        let changed = if served.committed.changed { CHANGED } else { 0 };
        let write_through = if served.committed.write_through { WRITE_THROUGH } else { 0 };
        let take = if is_crowded && cell.is_ahead { TAKE } else { 0 };
        put_out(served.answer) * 8 + changed + write_through + take
    })
}

/// Set in the result of [`cell_update`] if the state has changed.
pub const CHANGED: usize = 1;
/// Set in the result of [`cell_update`] if the new state has to be stored immediately.
pub const WRITE_THROUGH: usize = 2;
/// Set in the result of [`cell_update`] if the object has to take the new state immediately: there are too many open cells.
pub const TAKE: usize = 4;
/// The result of [`cell_update`] if there is no open cell of this number: no reply has so many bytes.
pub const NOT_OPEN: usize = usize::MAX;

/// Puts the state of an open cell into the output, and returns its number of bytes; none if there is no open cell of this
/// number, or its state cannot be read. From now on the object has this state, and the cell may be closed.
#[unsafe(no_mangle)]
pub extern "C" fn cell_state(number: f64) -> usize {
    OPEN.with_borrow_mut(|open| match find(open, number) {
        Some(OpenCell { cell: Ok(cell), is_ahead, .. }) => {
            *is_ahead = false;
            put_out(cell.to_bytes())
        }
        Some(_) | None => 0,
    })
}

/// Closes a cell.
#[unsafe(no_mangle)]
pub extern "C" fn cell_close(number: f64) {
    OPEN.with_borrow_mut(|open| {
        if let Some(at) = place(open, number) {
            open.remove(at);
        }
    });
}

fn find(open: &mut [OpenCell], number: f64) -> Option<&mut OpenCell> {
    place(open, number).map(|at| &mut open[at])
}

fn place(open: &[OpenCell], number: f64) -> Option<usize> {
    open.binary_search_by(|cell| cell.number.total_cmp(&number)).ok()
}

/// The address of the last output.
#[unsafe(no_mangle)]
pub extern "C" fn cell_output() -> *const u8 {
    OUTPUT.with_borrow(|output| output.as_ptr())
}

fn put_out(bytes: Vec<u8>) -> usize {
    OUTPUT.with_borrow_mut(|output| {
        *output = bytes;
        output.len()
    })
}

/// When the state in the input may be deleted, in milliseconds since the epoch; infinity if never.
#[unsafe(no_mangle)]
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
pub extern "C" fn cell_idle_at() -> f64 {
    let idle_at =
        INPUT.with_borrow(|state| if state.is_empty() { Some(Timestamp::EPOCH) } else { cell::idle_at(state) });
    // Rounded up, so that it is not before the instant.
    idle_at.map_or(f64::INFINITY, |idle_at| idle_at.plus_micros(999).as_millis() as f64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a clock's time is positive and below 2^52"
)]
fn timestamp(now_ms: f64) -> Timestamp {
    Timestamp::from_millis(now_ms as u64)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use tollgate_core::cell::{Charge, Operation, OperationId, Outcome, Terms, read_answer, write_request};

    use super::*;

    /// The same calls as in the object; the addresses are not used here.
    fn input(bytes: &[u8]) {
        cell_input(bytes.len());
        INPUT.with_borrow_mut(|input| input.copy_from_slice(bytes));
    }

    fn open(state: &[u8]) -> f64 {
        input(state);
        cell_open()
    }

    fn update(cell: f64, id: u8, now_ms: f64) -> (Outcome, usize) {
        let n = |value| NonZeroU32::new(value).unwrap();
        let gcra = Charge {
            quota: "p".into(),
            rate: n(1),
            period_ms: n(1_000),
            burst: n(1),
            cost: n(1),
            algorithm: None,
            lease: None,
            tells: None,
        };
        let terms = Terms { id: OperationId::new([id; 16]), hold_ms: None, refund_ms: None };
        input(&write_request(terms, &[Operation::Charge(gcra)]));
        let result = cell_update(cell, now_ms);
        assert_ne!(result, NOT_OPEN);
        let output = OUTPUT.with_borrow(Clone::clone);
        assert_eq!(output.len(), result / 8);
        (read_answer(&output).unwrap(), result)
    }

    fn state(cell: f64) -> Vec<u8> {
        let bytes = cell_state(cell);
        let output = OUTPUT.with_borrow(Clone::clone);
        assert_eq!(output.len(), bytes);
        output
    }

    #[test]
    fn an_open_cell_has_its_changes_and_another_opens_with_its_state() {
        let cell = open(b"");
        let (first, result) = update(cell, 1, 1_000_000.0);
        assert!(first.granted && result & CHANGED != 0 && result & WRITE_THROUGH == 0);
        let charged = state(cell);
        let (second, result) = update(cell, 2, 1_000_999.0);
        assert!(!second.granted && result & CHANGED == 0);
        cell_close(cell);
        input(&charged);
        assert_eq!(cell_idle_at(), 1_001_000.0);
        let cell = open(&charged);
        assert!(!update(cell, 3, 1_000_999.0).0.granted);
        assert!(update(cell, 4, 1_001_000.0).0.granted);
    }

    #[test]
    fn a_closed_cell_is_not_open_and_has_no_state() {
        let cell = open(b"");
        cell_close(cell);
        assert_eq!((cell_update(cell, 1.0), cell_state(cell)), (NOT_OPEN, 0));
    }

    #[test]
    fn the_oldest_of_too_many_open_cells_whose_object_has_the_state_is_closed() {
        let (ahead, taken, last) = (open(b""), open(b""), open(b""));
        update(ahead, 1, 1_000.0);
        update(taken, 1, 1_000.0);
        state(taken);
        for _ in 3..OPEN_MAX {
            open(b"");
        }
        assert_eq!(open_cells(), OPEN_MAX);
        open(b"");
        assert_eq!(open_cells(), OPEN_MAX);
        assert_eq!(cell_update(taken, 1_000.0), NOT_OPEN);
        let (refused, result) = update(ahead, 2, 1_000.0);
        assert!(!refused.granted && result & TAKE == 0);
        update(last, 1, 1_000.0);
    }

    #[test]
    fn too_many_open_cells_with_changes_lose_none_and_give_out_their_states() {
        let cells: Vec<f64> = (0..OPEN_MAX).map(|_| open(b"")).collect();
        for cell in &cells {
            let (first, result) = update(*cell, 1, 1_000.0);
            assert!(first.granted && result & TAKE == 0);
        }
        let mut taken = b"".to_vec();
        for id in 2..10 {
            let another = open(&taken);
            assert_eq!(open_cells(), OPEN_MAX + 1, "only one more");
            let (outcome, result) = update(another, id, 1_000.0);
            assert_eq!(outcome.granted, taken.is_empty());
            if outcome.granted {
                assert_ne!(result & TAKE, 0);
                taken = state(another);
            }
        }
        for cell in &cells {
            let (second, result) = update(*cell, 2, 1_000.0);
            assert!(!second.granted && result & TAKE != 0, "what it is ahead by is taken, too");
            state(*cell);
        }
        open(b"");
        assert_eq!(open_cells(), OPEN_MAX);
    }

    fn open_cells() -> usize {
        OPEN.with_borrow(Vec::len)
    }

    #[test]
    fn a_state_that_cannot_be_read_is_never_idle_and_never_replaced() {
        let cell = open(&[0xff, 1, 2]);
        input(b"");
        let result = cell_update(cell, 1.0);
        assert_eq!((result & CHANGED, cell_state(cell)), (0, 0));
        input(&[0xff, 1, 2]);
        assert!(cell_idle_at().is_infinite());
    }
}
