//! What Tollgate stores: the names of its records, their versioned form, and how old versions are read.
//!
//! Every record is one JSON document `{"kind": …, "v": …, "data": …}`. The kind and version are looked at before the
//! data: an edge refuses a record newer than itself with [`RecordError::Version`] and serves on with what it has. A
//! bundle is a [`Pointer`] to a [`Manifest`] that names [`SiteSettings`] parts, each under the SHA-256 of its bytes,
//! so that the same configuration has the same name everywhere and a damaged one is noticed.
//!
//! It does not store anything (ports do) and decides nothing (core does). Start with [`keys`] and [`Record`].
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod keys;
mod record;
mod records;

pub use record::{Id, Record, RecordError, decode, decode_named, encode};
pub use records::{Bundle, Manifest, Pointer};

#[doc(no_inline)]
pub use tollgate_core::{authn::Credential, cache::Purges, settings::SiteSettings};
