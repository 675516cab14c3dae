use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// A violation of a contract.
#[derive(Debug)]
pub struct Breach(pub String);

/// The result of a check.
pub type Outcome = Result<(), Breach>;

impl Display for Breach {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Converts an unexpected error of a port.
impl<E: Error> From<E> for Breach {
    fn from(error: E) -> Self {
        Self(format!("unexpected: {error}"))
    }
}

/// Continues if the condition is true, otherwise returns the breach.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err($crate::Breach(format!($($why)+)));
        }
    };
}

/// Continues if the values are equal, otherwise returns the breach.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($what:tt)+) => {{
        let (found, expected) = (&$found, &$expected);
        ensure!(*found == *expected, "{}: {found:?} instead of {expected:?}", format_args!($($what)+));
    }};
}

/// The value, or a breach that names what is missing.
pub(crate) fn present<T>(found: Option<T>, what: &str) -> Result<T, Breach> {
    found.ok_or_else(|| Breach(format!("{what} is missing")))
}

/// Compares content that is too long to print.
pub(crate) fn same_bytes(found: &[u8], expected: &[u8], what: &str) -> Outcome {
    ensure_eq!(found.len(), expected.len(), "{what}: bytes");
    let differs = found.iter().zip(expected).position(|(one, other)| one != other);
    ensure_eq!(differs, None, "{what}: the first byte that differs");
    Ok(())
}
