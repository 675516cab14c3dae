//! Returns the metrics.

use http::StatusCode;
use tollgate_core::operator::MetricsAnswer;

use super::{Done, Task};
use crate::ports::{Host, TelemetrySink};

pub(super) fn show<H: Host>(task: &Task<'_, H>) -> Done {
    match task.host.telemetry_sink().counted().answer(task.fields) {
        MetricsAnswer::Json(document) => {
            Done { status: StatusCode::OK, media_type: "application/json", content: document.into() }
        }
        MetricsAnswer::Text(text) => in_text(text),
    }
}

/// The same in the Prometheus text format, independent of the request's `Accept`.
pub(super) fn text<H: Host>(host: &H) -> Done {
    in_text(host.telemetry_sink().counted().to_prometheus())
}

fn in_text(text: String) -> Done {
    Done { status: StatusCode::OK, media_type: "text/plain; version=0.0.4; charset=utf-8", content: text.into() }
}
