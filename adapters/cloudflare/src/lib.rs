//! Placeholder.
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
pub async fn fetch(request: web_sys::Request, _env: worker::Env, _context: worker::worker_sys::Context) -> Result<web_sys::Response, JsValue> {
    wasm_bindgen_futures::JsFuture::from(js_sys::Promise::resolve(&JsValue::NULL)).await?;
    web_sys::Response::new_with_opt_str(Some(&request.url()))
}
#[wasm_bindgen]
pub fn charge_counter(state: &str, request: &str, now: f64) -> Vec<JsValue> {
    vec![request.into(), format!("{state}{now}").into()]
}
#[wasm_bindgen]
pub fn refund_counter(state: &str, _request: &str, _now: f64) -> String { state.into() }
#[wasm_bindgen]
pub fn counter_idle_at(_state: &str) -> f64 { 0.0 }
