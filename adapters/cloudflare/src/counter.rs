//! What the Durable Object of a partition (`js/counter.mjs`) calls: the core's arithmetic, from old state to new state.
//!
//! Requests, outcomes and states cross as text; the object keeps the state and owns atomicity.

use tollgate_core::limit::{CounterState, charge, refund};
use wasm_bindgen::prelude::*;

use crate::content::to_number;
use crate::ports::timestamp;

/// Charges a state, and returns the outcome and the new state as text.
#[wasm_bindgen]
pub fn charge_counter(state: &str, request: &str, now_ms: f64) -> Result<Vec<String>, JsError> {
    let request = serde_json::from_str(request)?;
    let (outcome, state) = charge(&state_of(state), &request, timestamp(now_ms));
    Ok(vec![serde_json::to_string(&outcome)?, text_of(&state)])
}

/// Gives back what a request charged, and returns the new state as text.
#[wasm_bindgen]
pub fn refund_counter(state: &str, request: &str, now_ms: f64) -> Result<String, JsError> {
    let request = serde_json::from_str(request)?;
    Ok(text_of(&refund(&state_of(state), &request, timestamp(now_ms))))
}

/// Tells when the state may be deleted, in milliseconds since the epoch.
#[wasm_bindgen]
pub fn counter_idle_at(state: &str) -> f64 {
    to_number(state_of(state).idle_at().as_millis())
}

/// A state from its text; one that cannot be read starts anew, as `CounterState::from_bytes` says.
fn state_of(text: &str) -> CounterState {
    CounterState::from_bytes(text.as_bytes()).unwrap_or_default()
}

fn text_of(state: &CounterState) -> String {
    String::from_utf8(state.to_bytes()).unwrap_or_default()
}
