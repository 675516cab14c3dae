//! What was probably meant by something that is written as in another gateway, router or format.
//!
//! Each function takes a text that is refused, or that has another meaning here, and returns what to write instead. They
//! only choose words for diagnostics; the decoders decide what is valid.

pub(super) mod bad_path;
pub(super) mod field;
pub(super) mod host;
pub(crate) mod key;
pub(super) mod list;
mod matcher;
pub(crate) mod network;
pub(crate) mod path;
mod regex;
pub(crate) mod unit;
pub(crate) mod url;
pub(crate) mod value;
pub(crate) mod word;

/// The longest text that is examined: nobody writes a longer one by hand.
const EXAMINED_BYTES_MAX: usize = 512;
