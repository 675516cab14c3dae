//! The encoding of updates of one cell, for an owner in another process or module.
//!
//! Both ends are deployed together but not at the same instant, so requests and answers contain a version.

use crate::codec::Decode;
use minicbor::Encode;

use super::state::decode_all;
use super::{Cell, CellError, Committed, Operation, Outcome, Terms};
use crate::time::Timestamp;

/// The result of a request at its owner.
#[derive(Debug)]
pub struct Served {
    /// The answer, for [`read_answer`].
    pub answer: Vec<u8>,
    /// Whether the cell has to be stored.
    pub committed: Committed,
}

/// The result of an update on stored bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer.
    pub outcome: Outcome,
    /// The change of the stored state.
    pub state: StateChange,
    /// Whether the state has to be stored before the reply is sent.
    pub write_through: bool,
}

/// The change of a stored state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// It is unchanged.
    None,
    /// It is replaced by these bytes.
    Replace(Vec<u8>),
}

#[derive(Debug, Encode, Decode)]
struct Request {
    #[n(0)]
    terms: Terms,
    #[n(1)]
    operations: Vec<Operation>,
}

/// Encodes a request.
#[must_use]
pub fn write_request(terms: Terms, operations: &[Operation]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    // The same bytes as the derived encoding of `Request`, without owning the operations. Writing to memory does not
    // fail.
    let mut encoder = minicbor::Encoder::new(&mut bytes);
    let _ = encoder.array(2).and_then(|e| e.encode(terms)).and_then(|e| e.encode(operations));
    bytes
}

/// Applies a request to its cell, or answers why the state of the cell cannot be read.
///
/// An owner keeps a busy cell decoded, because the updates it records are most of the work of decoding it.
#[must_use]
pub fn serve(cell: &mut Result<Cell, CellError>, request: &[u8], now: Timestamp) -> Served {
    let updated = read_request(request)
        .and_then(|request| cell.as_mut().map_err(|error| *error)?.update(request.terms, &request.operations, now));
    match updated {
        Ok((outcome, committed)) => Served { answer: write_answer(Ok(outcome)), committed },
        Err(error) => Served { answer: write_answer(Err(error)), committed: Committed::default() },
    }
}

/// Applies operations to stored bytes: the complete arithmetic of cells as one pure function. Absent bytes are an empty
/// cell.
///
/// # Errors
/// [`CellError`]; the stored bytes are unchanged.
pub fn apply(
    state: Option<&[u8]>,
    terms: Terms,
    operations: &[Operation],
    now: Timestamp,
) -> Result<Applied, CellError> {
    let mut cell = state.map_or_else(|| Ok(Cell::default()), Cell::from_bytes)?;
    let (outcome, committed) = cell.update(terms, operations, now)?;
    let state = if committed.changed { StateChange::Replace(cell.to_bytes()) } else { StateChange::None };
    Ok(Applied { outcome, state, write_through: committed.write_through })
}

/// When a stored state may be deleted; `None` if it is never idle or cannot be read.
#[must_use]
pub fn idle_at(state: &[u8]) -> Option<Timestamp> {
    Cell::from_bytes(state).ok()?.idle_at()
}

/// Decodes the answer of [`serve`].
///
/// # Errors
/// The [`CellError`] that the owner answered; [`CellError::UnknownRequest`] if the bytes are not an answer of a
/// supported version.
pub fn read_answer(bytes: &[u8]) -> Result<Outcome, CellError> {
    match bytes.split_first() {
        Some((&VERSION, answer)) => decode_all(answer).unwrap_or(Err(CellError::UnknownRequest)),
        Some(_) | None => Err(CellError::UnknownRequest),
    }
}

fn read_request(bytes: &[u8]) -> Result<Request, CellError> {
    match bytes.split_first() {
        Some((&VERSION, request)) => decode_all(request).ok_or(CellError::UnknownRequest),
        Some(_) | None => Err(CellError::UnknownRequest),
    }
}

fn write_answer(answer: Result<Outcome, CellError>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    // Writing to memory does not fail.
    let _ = minicbor::encode(answer, &mut bytes);
    bytes
}

/// The version of requests and answers.
const VERSION: u8 = 1;
