use js_sys::Uint8Array;
use tollgate_core::cell::{CellKey, Outcome, Update, read_answer, write_request};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{CounterFault, Counters, Unavailable};
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;

use super::unavailable;
use crate::platform;
use crate::task::settled;

/// Durable Objects: one for each cell, of the class bound as `TOLLGATE_COUNTERS`.
///
/// The object (`js/counter.mjs`) runs one call at a time, on its own clock.
#[derive(Clone, Debug)]
pub struct ObjectCounters {
    pub(crate) env: Env,
    pub(crate) gateway: String,
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
        let request = write_request(update.terms, &part.operations);
        let answer = settled(platform::update_cell(&self.env, &name, request)).await.map_err(|error| fault(&error))?;
        let bytes = answer.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec);
        let bytes = bytes.ok_or_else(|| Unavailable::new(format!("{STORE}: the answer is not bytes")))?;
        Ok(read_answer(&bytes)?)
    }
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
