//! The functions of `js/host.mjs`: the platform's calls, each with one crossing from wasm to JavaScript.

use js_sys::{Array, Function, Promise};
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, Request, Response, WebSocket};
use worker::Env;

use crate::entry::UnreadIn;

#[wasm_bindgen(module = "/js/host.mjs")]
extern "C" {
    /// A pending request of `js/instance.mjs`.
    #[derive(Debug)]
    pub type Exchange;

    #[wasm_bindgen(catch, js_name = settleLater)]
    pub(crate) fn settle_later(promise: &Promise) -> Result<u32, JsValue>;

    #[wasm_bindgen(catch, js_name = kvGet)]
    pub(crate) fn kv_get(env: &Env, key: &str, cache_ttl_secs: u32) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = kvPut)]
    pub(crate) fn kv_put(env: &Env, key: &str, value: Vec<u8>, keep_secs: Option<u32>) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = kvList)]
    pub(crate) fn kv_list(env: &Env, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn gather(stream: &ReadableStream, max_bytes: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = fetchOwn)]
    pub(crate) fn fetch_own(head: &str, content: Vec<u8>, timeout_ms: f64, max_bytes: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn verify(algorithm: &str, jwk: &str, message: &[u8], signature: &[u8]) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn sign(algorithm: &str, jwk: &str, message: &[u8]) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn cipher(seals: bool, key: &[u8], nonce: &[u8], content: &[u8]) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn digest(name: &str, content: &[u8]) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = updateCell)]
    pub(crate) fn update_cell(env: &Env, name: &str, request: &[u8]) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = copyBytes)]
    pub(crate) fn copy_bytes(text: &JsValue, into: &mut [u8]) -> i32;

    #[wasm_bindgen(js_name = requestHead)]
    pub(crate) fn request_head(request: &Request) -> String;

    #[wasm_bindgen(js_name = responseHead)]
    pub(crate) fn response_head(response: &Response) -> String;

    #[wasm_bindgen(js_name = leftOut)]
    pub(crate) fn left_out(message: &JsValue, unread_in: UnreadIn) -> String;

    #[wasm_bindgen(js_name = clientCertificate)]
    pub(crate) fn client_certificate(request: &Request) -> Option<String>;

    #[wasm_bindgen(js_name = clientLocation)]
    pub(crate) fn client_location(request: &Request) -> Option<String>;

    #[wasm_bindgen(js_name = socketOf)]
    pub(crate) fn socket_of(response: &Response) -> Option<WebSocket>;

    pub(crate) fn answer(
        exchange: &Exchange,
        received: Option<Response>,
        status: u16,
        fields: &str,
        body: JsValue,
        socket: Option<WebSocket>,
    );

    #[wasm_bindgen(catch, js_name = responseOf)]
    pub(crate) fn response_of(
        received: Option<Response>,
        status: u16,
        fields: &str,
        body: JsValue,
        socket: Option<WebSocket>,
    ) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch, js_name = keepAlive)]
    pub(crate) fn keep_alive(exchange: &Exchange) -> Result<Function, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn send(
        received: Option<Request>,
        head: &str,
        body: JsValue,
        timeout_ms: Option<f64>,
        env: &Env,
        certificate: Option<&str>,
    ) -> Result<Promise, JsValue>;

    pub(crate) fn limited(stream: &ReadableStream, max_bytes: f64) -> ReadableStream;

    pub(crate) fn watched(stream: &ReadableStream, length: Option<f64>) -> Array;

    #[wasm_bindgen(js_name = declaredLength)]
    pub(crate) fn declared_length(message: &JsValue) -> Option<f64>;

    pub(crate) fn limit(request: &Request, max_bytes: f64);

    #[wasm_bindgen(catch, js_name = cacheMatch)]
    pub(crate) fn cache_match(url: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = gatherCopy)]
    pub(crate) fn gather_copy(copy: &JsValue, max_bytes: f64) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = lengthOf)]
    pub(crate) fn length_of(content: &JsValue) -> f64;

    #[wasm_bindgen(catch, js_name = cachePut)]
    pub(crate) fn cache_put(url: &str, meta: &str, max_age_secs: f64, content: JsValue) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = cachedMeta)]
    pub(crate) fn cached_meta(response: &Response) -> Option<String>;

    #[wasm_bindgen(js_name = startTimer)]
    pub(crate) fn start_timer(ms: f64) -> u32;

    #[wasm_bindgen(js_name = endTimer)]
    pub(crate) fn end_timer(timer: u32);

    #[wasm_bindgen(catch)]
    pub(crate) fn post(url: &str, fields: &str, content: Vec<u8>, timeout_ms: f64) -> Result<Promise, JsValue>;
}

/// The message of an error of the platform, for the log.
pub(crate) fn message_of(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => error.as_string().unwrap_or_else(|| "an error without a message".to_owned()),
    }
}

/// Whether a Durable Object refused a call because too many calls are waiting.
pub(crate) fn is_overload(error: &JsValue) -> bool {
    has_mark(error, "overloaded")
}

/// Whether a Durable Object was reset or lost while it had a call, so that another call may be answered.
pub(crate) fn is_reset(error: &JsValue) -> bool {
    has_mark(error, "retryable") || has_mark(error, "durableObjectReset")
}

fn has_mark(error: &JsValue, name: &str) -> bool {
    js_sys::Reflect::get(error, &JsValue::from_str(name)).is_ok_and(|mark| mark.is_truthy())
}

/// The name of the error, such as `TimeoutError`.
pub(crate) fn name_of(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.name())).unwrap_or_default()
}
