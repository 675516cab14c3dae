//! The contracts of the ports inside a Worker, on the adapter's own ports and the platform's own stores.
//!
//! It contains no checks (`tollgate-contracts` does) and is never deployed. `worker.mjs` is the entry point that calls
//! [`contract`]; the Durable Object of the counters is the adapter's, exported by the same module.

use http::{HeaderMap, HeaderName, HeaderValue};
use js_sys::{Array, Uint8Array};
use tollgate_cloudflare::{CloudflareHost, WorkerContent, response_of};
use tollgate_contracts::stage::{Answer, Command, ask};
use tollgate_contracts::{Breach, NAMES, Subject, charge, run};
use tollgate_core::cell::{self, OperationId, Terms};
use tollgate_core::forward::Reply;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, Request, RequestInit, Response};
use worker::Env;

/// The names of all checks.
#[wasm_bindgen]
#[must_use]
pub fn names() -> Vec<String> {
    NAMES.iter().map(|name| (*name).to_owned()).collect()
}

/// Runs a check; returns how the contract was violated, or nothing.
///
/// # Errors
/// If there is no check with this name.
#[wasm_bindgen]
pub async fn contract(name: String, stage: String, env: Env) -> Result<Option<String>, JsError> {
    let subject = Worker { host: CloudflareHost::new(&env, "contracts"), stage };
    let outcome = run(&name, &subject).await.ok_or_else(|| JsError::new("no such check"))?;
    Ok(outcome.err().map(|breach| breach.to_string()))
}

/// A request to a cell, which charges the only token of a quota, for `cells.mjs`.
#[wasm_bindgen(js_name = chargeRequest)]
#[must_use]
pub fn charge_request(id: u8) -> Vec<u8> {
    cell::write_request(
        Terms { id: OperationId::new([id; 16]), hold_ms: None, refund_ms: None },
        &[charge("only", 1, 1)],
    )
}

/// Whether a cell's reply is that it was granted.
#[wasm_bindgen(js_name = isGranted)]
#[must_use]
pub fn is_granted(answer: &[u8]) -> bool {
    cell::read_answer(answer).is_ok_and(|outcome| outcome.granted)
}

struct Worker {
    host: CloudflareHost,
    /// The URL of the stage.
    stage: String,
}

impl Subject for Worker {
    type Host = CloudflareHost;
    const LOSES_EMPTY_VALUES: bool = true;

    fn host(&self) -> &CloudflareHost {
        &self.host
    }

    fn received_content(&self, fields: &HeaderMap) -> Result<WorkerContent, Breach> {
        let headers = Headers::new().map_err(|error| broke_off(&error))?;
        for (name, value) in fields {
            headers.append(name.as_str(), value.to_str()?).map_err(|error| broke_off(&error))?;
        }
        let init = RequestInit::new();
        init.set_headers_headers(&headers);
        let request = Request::new_with_str_and_init("https://client.test/", &init);
        Ok(WorkerContent::of_request(request.map_err(|error| broke_off(&error))?, false, String::new()))
    }

    async fn sent(&self, reply: Reply<WorkerContent>) -> Result<(HeaderMap, WorkerContent), Breach> {
        let response = response_of(reply).map_err(|error| broke_off(&error))?;
        let mut fields = HeaderMap::new();
        for entry in response.headers().entries() {
            let pair: Array = entry.map_err(|error| broke_off(&error))?.unchecked_into();
            let text = |place| pair.get(place).as_string().unwrap_or_default();
            fields.append(HeaderName::from_bytes(text(0).as_bytes())?, HeaderValue::from_str(&text(1))?);
        }
        Ok((fields, WorkerContent::of_message(&response)))
    }

    async fn read(&self, content: WorkerContent) -> Result<Vec<u8>, Breach> {
        let body = content.into_body();
        let body = if body.is_null() { None } else { Some(body) };
        // The body of a JavaScript response: a stream or bytes.
        let response = Response::new_with_opt_readable_stream(body.as_ref().map(JsCast::unchecked_ref));
        let reading = response.and_then(|response| response.array_buffer()).map_err(|error| broke_off(&error))?;
        let buffer = JsFuture::from(reading).await.map_err(|error| broke_off(&error))?;
        Ok(Uint8Array::new(&buffer).to_vec())
    }

    async fn command(&self, command: &Command) -> Result<Answer, Breach> {
        ask(self, &self.stage, command).await
    }
}

fn broke_off(error: &JsValue) -> Breach {
    Breach(format!("content was interrupted: {error:?}"))
}
