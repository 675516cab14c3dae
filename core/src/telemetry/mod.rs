//! Telemetry as data: the record of a finished exchange, and its output as log line, metrics and OTLP.
//!
//! Everything is derived from one [`ExchangeRecord`] after the reply. It contains no key, no query and no content, so no
//! output can leak them; the path appears only as the route's template, and the client's address only in spans.

mod attributes;
mod families;
mod label;
mod log_line;
mod metrics;
mod otlp;
mod record;
mod trace_context;
mod usage;

pub use log_line::{ExchangeLines, event_line};
pub use metrics::{Histogram, Metrics};
pub use otlp::{metrics_request, traces_request};
pub use record::{AbortedBy, ClientRecord, ExchangeRecord, NoticeOutcome, RequestId};
pub use trace_context::TraceContext;
pub use usage::{HOUR_BYTES, OPERATOR_ROUTE, Tally, UsageBatch, UsageRow, UsageSettings, Used};

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Decode};
use crate::secret::SecretText;

/// Where telemetry is written and exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct TelemetrySettings {
    /// Whether each exchange writes one line to the platform's log.
    #[cbor(n(0), skip_if = "codec::is_default")]
    pub log: bool,
    /// The OTLP/HTTP receiver of batches.
    #[serde(default)]
    #[n(1)]
    pub otlp: Option<OtlpSettings>,
    /// The records of usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub usage: Option<UsageSettings>,
}

/// An OTLP/HTTP receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct OtlpSettings {
    /// Its base URL, such as `http://collector:4318`; `/v1/traces` and `/v1/metrics` are added.
    #[n(0)]
    pub endpoint: crate::forward::UpstreamUrl,
    /// Fields set on every export.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub fields: Vec<(String, SecretText)>,
    /// How long finished exchanges are collected before a batch is sent, in milliseconds.
    #[n(2)]
    pub interval_ms: u64,
}
