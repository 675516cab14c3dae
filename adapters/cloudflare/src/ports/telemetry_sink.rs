use http::{HeaderMap, StatusCode, Uri};
use tollgate_core::telemetry::ExchangeRecord;
use tollgate_edge::ports::{TelemetrySink, Unavailable};
use wasm_bindgen::JsValue;

use super::unavailable;
use crate::task::settled;
use crate::{fields, platform};

/// Lines go to the Worker's log, batches by `fetch`. There is no endpoint to read metrics from.
#[derive(Clone, Copy, Debug)]
pub struct WorkerTelemetry;

impl TelemetrySink for WorkerTelemetry {
    fn log(&self, line: &str) {
        web_sys::console::log_1(&JsValue::from_str(line));
    }

    fn record(&self, _record: &ExchangeRecord) {}

    async fn post(&self, endpoint: &Uri, fields: HeaderMap, content: Vec<u8>) -> Result<StatusCode, Unavailable> {
        let status =
            settled(platform::post(&endpoint.to_string(), &fields::to_json(&fields), content, POST_TIMEOUT_MS))
                .await
                .map_err(|error| unavailable("the telemetry endpoint", &error))?;
        let status = status.as_f64().unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float is cut to the range of u16"
        )]
        StatusCode::from_u16(status as u16).map_err(|_| Unavailable::new("the telemetry endpoint answered no status"))
    }
}

/// Time for one batch, within the 30 s that the platform gives to work after the reply.
const POST_TIMEOUT_MS: f64 = 10_000.0;
