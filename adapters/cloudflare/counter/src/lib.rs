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
    static NEXT: Place<u32> = const { Place::new(0) };
    /// By number, which increases.
    static OPEN: RefCell<Vec<OpenCell>> = const { RefCell::new(Vec::new()) };
}

struct OpenCell {
    number: u32,
    /// The cell, or why its state cannot be read.
    cell: Result<Cell, CellError>,
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
pub extern "C" fn cell_open() -> u32 {
    let cell = INPUT.with_borrow(|state| if state.is_empty() { Ok(Cell::default()) } else { Cell::from_bytes(state) });
    let number = NEXT.get();
    NEXT.set(number.wrapping_add(1));
    OPEN.with_borrow_mut(|open| {
        if number == 0 {
            // Once in four billion: the numbers begin again, and the objects open their cells again.
            open.clear();
        }
        if open.len() == OPEN_MAX {
            open.remove(0);
        }
        open.push(OpenCell { number, cell });
    });
    number
}

/// Maximum number of open cells, of at most a few kilobytes each: more than the objects of an isolate that have calls within a
/// second. An object that the platform has reset leaves its cell open; beyond this number the oldest is assumed to be one
/// of these.
const OPEN_MAX: usize = 4096;

/// Applies the request in the input to an open cell.
///
/// Describes the output at [`cell_output`]: returns the number of bytes of the reply, times four, plus [`CHANGED`] if the
/// cell has to be stored, plus [`WRITE_THROUGH`] if that has to be done before the reply is sent; or [`NOT_OPEN`].
#[unsafe(no_mangle)]
pub extern "C" fn cell_update(number: u32, now_ms: f64) -> usize {
    OPEN.with_borrow_mut(|open| {
        let Some(at) = place(open, number) else { return NOT_OPEN };
        let served = INPUT.with_borrow(|request| cell::serve(&mut open[at].cell, request, timestamp(now_ms)));
        let changed = if served.committed.changed { CHANGED } else { 0 };
        let write_through = if served.committed.write_through { WRITE_THROUGH } else { 0 };
        put_out(served.answer) * 4 + changed + write_through
    })
}

/// Set in the result of [`cell_update`] if the state has changed.
pub const CHANGED: usize = 1;
/// Set in the result of [`cell_update`] if the new state has to be stored immediately.
pub const WRITE_THROUGH: usize = 2;
/// The result of [`cell_update`] if there is no open cell of this number: no reply has so many bytes.
pub const NOT_OPEN: usize = usize::MAX;

/// Puts the state of an open cell into the output, and returns its number of bytes; none if there is no open cell of this
/// number, or its state cannot be read.
#[unsafe(no_mangle)]
pub extern "C" fn cell_state(number: u32) -> usize {
    OPEN.with_borrow(|open| match place(open, number).map(|at| &open[at].cell) {
        Some(Ok(cell)) => put_out(cell.to_bytes()),
        Some(Err(_)) | None => 0,
    })
}

/// Closes a cell.
#[unsafe(no_mangle)]
pub extern "C" fn cell_close(number: u32) {
    OPEN.with_borrow_mut(|open| {
        if let Some(at) = place(open, number) {
            open.remove(at);
        }
    });
}

fn place(open: &[OpenCell], number: u32) -> Option<usize> {
    open.binary_search_by_key(&number, |cell| cell.number).ok()
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

    use tollgate_core::cell::{Gcra, Operation, OperationId, Outcome, Terms, read_answer, write_request};

    use super::*;

    /// The same calls as in the object; the addresses are not used here.
    fn input(bytes: &[u8]) {
        cell_input(bytes.len());
        INPUT.with_borrow_mut(|input| input.copy_from_slice(bytes));
    }

    fn open(state: &[u8]) -> u32 {
        input(state);
        cell_open()
    }

    fn update(cell: u32, id: u8, now_ms: f64) -> (Outcome, usize) {
        let n = |value| NonZeroU32::new(value).unwrap();
        let gcra = Gcra { quota: "p".into(), rate: n(1), period_ms: n(1_000), burst: n(1), cost: n(1) };
        let terms = Terms { id: OperationId::new([id; 16]), hold_ms: None };
        input(&write_request(terms, &[Operation::Charge(gcra)]));
        let result = cell_update(cell, now_ms);
        assert_ne!(result, NOT_OPEN);
        let output = OUTPUT.with_borrow(Clone::clone);
        assert_eq!(output.len(), result / 4);
        (read_answer(&output).unwrap(), result)
    }

    fn state(cell: u32) -> Vec<u8> {
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
    fn the_oldest_of_too_many_open_cells_is_closed() {
        let first = open(b"");
        let others: Vec<u32> = (0..OPEN_MAX).map(|_| open(b"")).collect();
        assert_eq!(cell_update(first, 1.0), NOT_OPEN);
        update(others[0], 1, 1_000.0);
        for cell in others {
            cell_close(cell);
        }
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
