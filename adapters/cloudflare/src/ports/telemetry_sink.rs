use std::cell::RefCell;
use std::rc::Rc;

use http::{HeaderMap, StatusCode, Uri};
use tollgate_core::operator::{MetricsScope, MetricsSnapshot};
use tollgate_core::telemetry::{ExchangeRecord, Metrics};
use tollgate_edge::ports::{TelemetrySink, Unavailable};
use wasm_bindgen::JsValue;

use super::unavailable;
use crate::task::settled;
use crate::{fields, platform};

/// Lines are written to the Worker's log, batches are sent with `fetch`.
///
/// Each isolate counts separately, and only if the operator endpoint can be asked, because counting costs time in every
/// exchange.
#[derive(Clone, Debug)]
pub struct WorkerTelemetry {
    pub(crate) counts: Option<Rc<RefCell<Metrics>>>,
}

impl TelemetrySink for WorkerTelemetry {
    fn log(&self, line: &str) {
        web_sys::console::log_1(&JsValue::from_str(line));
    }

    fn record(&self, record: &ExchangeRecord) {
        if let Some(counts) = &self.counts {
            counts.borrow_mut().observe(record);
        }
    }

    fn counted(&self) -> MetricsSnapshot {
        let metrics = self.counts.as_ref().map(|counts| counts.borrow().clone()).unwrap_or_default();
        MetricsSnapshot { scope: MetricsScope::Isolate, metrics, gauges: Vec::new() }
    }

    async fn post(&self, endpoint: &Uri, fields: HeaderMap, content: Vec<u8>) -> Result<StatusCode, Unavailable> {
        let status =
            settled(platform::post(&endpoint.to_string(), &fields::to_json(&fields), content, POST_TIMEOUT_MS))
                .await
                .map_err(|error| unavailable("the telemetry endpoint", &error))?;
        let status = status.as_f64().unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the conversion saturates at the range of u16"
        )]
        StatusCode::from_u16(status as u16).map_err(|_| Unavailable::new("the telemetry endpoint's status is invalid"))
    }
}

/// Timeout of one batch, within the 30 s that the platform allows after the reply.
const POST_TIMEOUT_MS: f64 = 10_000.0;
