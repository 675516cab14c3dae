//! Names of header fields. In settings they are in lower case; as a module for `with`, it stores them as text.

use http::HeaderName;
use minicbor::encode::{self, Encoder, Write};
use serde::{Deserialize, Deserializer, Serializer};

/// The trace and the parent span (W3C Trace Context).
pub(crate) const TRACEPARENT: &str = "traceparent";
/// Vendor-specific state of a trace.
pub(crate) const TRACESTATE: &str = "tracestate";

/// Whether it is the name of a field, in lower case as settings have it.
pub(crate) fn is_field_name(name: &str) -> bool {
    HeaderName::from_lowercase(name.as_bytes()).is_ok()
}

pub(crate) fn encode<C, W: Write>(
    name: &HeaderName,
    encoder: &mut Encoder<W>,
    _: &mut C,
) -> Result<(), encode::Error<W::Error>> {
    encoder.str(name.as_str())?.ok()
}

pub(crate) fn serialize<S: Serializer>(name: &HeaderName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderName, D::Error> {
    let name = String::deserialize(deserializer)?;
    HeaderName::from_lowercase(name.as_bytes()).map_err(serde::de::Error::custom)
}
