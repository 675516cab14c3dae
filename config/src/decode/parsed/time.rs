//! Times.

use tollgate_core::time::Timestamp;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;

/// A time in RFC 3339.
pub(crate) fn timestamp(text: &Spanned<String>, report: &mut Report) -> Option<Timestamp> {
    let found = Timestamp::from_rfc3339(&text.value);
    if found.is_none() {
        report.push(
            Diagnostic::error(Code::BadTimestamp, text.span, format!("`{}` is not a valid timestamp", text.value))
                .why("timestamps are written as in RFC 3339, with a time zone offset")
                .fix("write a timestamp such as `2026-01-31T23:59:50Z`"),
        );
    }
    found
}
