//! The wasm module of the Durable Object (`js/counter.mjs`): core's cells, applied to bytes.
//!
//! It stores nothing, reads no clock and has no imports: the object passes its state, a request and the time, and gets
//! a reply and a new state. It is separate from the gateway's module because it is much smaller, and an object's
//! isolate need not load the gateway to count.
//!
//! Start with [`cell_update`]. There is one buffer for input and one for output; the module returns their addresses.
#![expect(unsafe_code, reason = "exporting an unmangled name is unsafe, because two could be equal")]

use std::cell::RefCell;

use tollgate_core::cell::{self, StateChange};
use tollgate_core::time::Timestamp;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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

/// Applies a request to a state. The input is the state, of this number of bytes, followed by the request; no bytes are
/// no state.
///
/// Describes the output at [`cell_output`]: returns the number of bytes of the reply, times four, plus
/// [`STATE_REPLACED`] if the new state follows it, plus [`WRITE_THROUGH`] if that has to be stored before the reply is
/// sent.
#[unsafe(no_mangle)]
pub extern "C" fn cell_update(state_bytes: usize, now_ms: f64) -> usize {
    let served = with_state(state_bytes, |state, request| cell::serve(state, request, timestamp(now_ms)));
    OUTPUT.with_borrow_mut(|output| {
        *output = served.answer;
        let mut result = output.len() * 4;
        if let StateChange::Replace(state) = served.state {
            output.extend_from_slice(&state);
            result += STATE_REPLACED;
        }
        result + if served.write_through { WRITE_THROUGH } else { 0 }
    })
}

/// Set in the result of [`cell_update`] if there is a new state.
pub const STATE_REPLACED: usize = 1;
/// Set in the result of [`cell_update`] if the new state has to be stored immediately.
pub const WRITE_THROUGH: usize = 2;

/// The address of the output of the last update.
#[unsafe(no_mangle)]
pub extern "C" fn cell_output() -> *const u8 {
    OUTPUT.with_borrow(|output| output.as_ptr())
}

/// The number of bytes of the output of the last update.
#[unsafe(no_mangle)]
pub extern "C" fn cell_output_bytes() -> usize {
    OUTPUT.with_borrow(Vec::len)
}

/// When the state in the input may be deleted, in milliseconds since the epoch; infinity if never.
#[unsafe(no_mangle)]
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
pub extern "C" fn cell_idle_at(state_bytes: usize) -> f64 {
    let idle_at = with_state(state_bytes, |state, _| state.map_or(Some(Timestamp::EPOCH), cell::idle_at));
    // Rounded up, so that it is not before the instant.
    idle_at.map_or(f64::INFINITY, |idle_at| idle_at.plus_micros(999).as_millis() as f64)
}

fn with_state<T>(state_bytes: usize, run: impl FnOnce(Option<&[u8]>, &[u8]) -> T) -> T {
    INPUT.with_borrow(|input| {
        let (state, rest) = input.split_at(state_bytes.min(input.len()));
        run(Some(state).filter(|state| !state.is_empty()), rest)
    })
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
    fn update(state: &mut Vec<u8>, number: u8, now_ms: f64) -> (Outcome, usize) {
        let n = |value| NonZeroU32::new(value).unwrap();
        let gcra = Gcra { quota: "p".into(), rate: n(1), period_ms: n(1_000), burst: n(1), cost: n(1) };
        let terms = Terms { id: OperationId::new([number; 16]), hold_ms: None };
        let request = write_request(terms, &[Operation::Charge(gcra)]);
        cell_input(state.len() + request.len());
        INPUT.with_borrow_mut(|input| *input = [state.as_slice(), &request].concat());
        let result = cell_update(state.len(), now_ms);
        let output = OUTPUT.with_borrow(Clone::clone);
        assert_eq!(output.len(), cell_output_bytes());
        let (answer, replaced) = output.split_at(result / 4);
        if result & STATE_REPLACED != 0 {
            *state = replaced.to_vec();
        }
        (read_answer(answer).unwrap(), result)
    }

    #[test]
    fn a_state_goes_in_and_the_next_comes_out() {
        let mut state = Vec::new();
        let (first, result) = update(&mut state, 1, 1_000_000.0);
        assert!(first.granted && result & STATE_REPLACED != 0 && result & WRITE_THROUGH == 0);
        let (second, result) = update(&mut state, 2, 1_000_999.0);
        assert!(!second.granted && result & STATE_REPLACED == 0);
        INPUT.with_borrow_mut(|input| input.clone_from(&state));
        assert_eq!(cell_idle_at(state.len()), 1_001_000.0);
        let (third, _) = update(&mut state, 3, 1_001_000.0);
        assert!(third.granted);
    }

    #[test]
    fn a_state_that_cannot_be_read_is_never_idle() {
        INPUT.with_borrow_mut(|input| *input = vec![0xff, 1, 2]);
        assert!(cell_idle_at(3).is_infinite());
    }
}
