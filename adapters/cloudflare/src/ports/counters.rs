use std::rc::Rc;

use tollgate_core::cell::{CellKey, Outcome, Update, read_answer, write_request};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{CounterFault, Counters, Unavailable};
use wasm_bindgen::JsValue;
use worker::Env;

use super::unavailable;
use crate::platform;
use crate::task::settled;

/// Durable Objects: one for each cell, of the class bound as `TOLLGATE_COUNTERS`.
///
/// The object (`js/counter.mjs`) runs one call at a time, on its own clock.
#[derive(Clone, Debug)]
pub struct ObjectCounters {
    pub(crate) env: Rc<Env>,
    pub(crate) gateway: Rc<str>,
}

impl Counters for ObjectCounters {
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool {
        one == other
    }

    async fn update(&self, update: &Update, _now: Timestamp) -> Result<Outcome, CounterFault> {
        let [part] = &update.cells[..] else {
            return Err(Unavailable::new(format!("{STORE}: it owns one cell")).into());
        };
        let name = [&*self.gateway, ":", part.cell.as_str()].concat();
        let request = write_request(update.terms, &part.operations);
        let answer = settled(platform::update_cell(&self.env, &name, &request)).await.map_err(|error| fault(&error))?;
        let bytes = bytes_of(|into| platform::copy_bytes(&answer, into));
        let bytes = bytes.ok_or_else(|| Unavailable::new(format!("{STORE}: the answer is not bytes")))?;
        Ok(read_answer(&bytes)?)
    }
}

/// The bytes that `copy` writes: it returns how many there are, which may be more than there was room for, or a negative number
/// if there are none.
fn bytes_of(copy: impl Fn(&mut [u8]) -> i32) -> Option<Vec<u8>> {
    let mut bytes = vec![0; ANSWER_BYTES_USUAL];
    let length = usize::try_from(copy(&mut bytes)).ok()?;
    let has_room = length <= bytes.len();
    bytes.resize(length, 0);
    if !has_room {
        copy(&mut bytes);
    }
    Some(bytes)
}

/// More than the verdicts on two limits.
const ANSWER_BYTES_USUAL: usize = 64;

const STORE: &str = "the Durable Object of a counter";

/// An object with more waiting calls than the platform allows is contended, not unavailable. An object that was reset,
/// as in each deployment, is available again for the next call.
fn fault(error: &JsValue) -> CounterFault {
    if platform::is_overload(error) {
        CounterFault::Contended
    } else if platform::is_reset(error) {
        CounterFault::Interrupted(unavailable(STORE, error))
    } else {
        unavailable(STORE, error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_any_length_is_copied() {
        for length in [0, 1, ANSWER_BYTES_USUAL, ANSWER_BYTES_USUAL + 1, 3000] {
            let answer: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let copied = bytes_of(|into| {
                let room = into.len().min(length);
                into[..room].copy_from_slice(&answer[..room]);
                i32::try_from(length).unwrap()
            });
            assert_eq!(copied, Some(answer));
        }
        assert_eq!(bytes_of(|_| -1), None);
    }
}
