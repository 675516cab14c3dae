//! Names of header fields.

use http::HeaderName;

/// The trace and the parent span (W3C Trace Context).
pub(crate) const TRACEPARENT: &str = "traceparent";
/// Vendor-specific state of a trace.
pub(crate) const TRACESTATE: &str = "tracestate";

/// Whether it is the name of a field, in lower case as settings have it.
pub(crate) fn is_field_name(name: &str) -> bool {
    HeaderName::from_lowercase(name.as_bytes()).is_ok()
}
