//! Names of header fields in settings.

use http::HeaderName;

/// Whether it is the name of a field, in lower case as settings have it.
pub(crate) fn is_field_name(name: &str) -> bool {
    HeaderName::from_lowercase(name.as_bytes()).is_ok()
}
