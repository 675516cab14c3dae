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
        let name = format!("{}:{}", self.gateway, part.cell);
        let request = text_of(&write_request(update.terms, &part.operations));
        let answer = settled(platform::update_cell(&self.env, &name, &request)).await.map_err(|error| fault(&error))?;
        let bytes = answer.as_string().and_then(|text| bytes_of(&text));
        let bytes = bytes.ok_or_else(|| Unavailable::new(format!("{STORE}: the answer is not bytes")))?;
        Ok(read_answer(&bytes)?)
    }
}

/// A character for each byte: the platform passes strings at less cost than bytes.
fn text_of(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(character).ok()).collect()
}

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
    fn every_byte_is_the_same_after_its_way_as_text() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(bytes_of(&text_of(&bytes)), Some(bytes));
        assert_eq!(bytes_of("a€"), None);
    }
}
