//! Compiles a Tollgate project to a bundle, with diagnostics that say where, what, why and how to mend it.
//!
//! This crate is the only reader of the authoring format: hosts read bundles. It decides nothing about requests (core
//! does; paths, hosts, keys and times are read by core's own parsers here), and it talks to no store and no network:
//! [`Compiled::records`] is what somebody else writes. Nothing outside the project folder is read, and consumers and
//! keys are no part of a bundle: [`fixtures`] seeds those of a local gateway. It proves nothing about the routes of the
//! whole: `tollgate-analysis` does, through which projects are compiled.
//!
//! Where to start: [`Project::draft`] and [`Compiled`]. The folders are floors, of which each uses only those below it;
//! `cargo xtask layers` checks that. From the lowest:
//!
//! | floor | what it is |
//! |---|---|
//! | `place`, `diagnostic` | files and places in them; what is found, and how it is shown |
//! | `source` | the files of a project, read into placed, bounded trees |
//! | `openapi` | specifications, from which operations come |
//! | `schema` | the language in which the keys of every part are described, and the JSON Schema of a description |
//! | `decode` | from trees to typed values, by such a description |
//! | `policies` | the kinds of policies, each with the keys it is written with and how they become settings |
//! | `model` | what is written: the keys of every part, and its types |
//! | `values` | what differs from one environment to another |
//! | `lower` | what was written becomes core's settings |
//! | `compile` | a project from its files to its bundle |
//! | `origins`, `fmt`, `fixtures`, `prices`, [`policy_tests`] | what is asked of a project beside that |
//!
//! Each of them collects [`Diagnostics`], so that one mistake never hides another.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod compile;
mod decode;
mod diagnostic;
pub mod fixtures;
pub mod fmt;
mod lower;
mod model;
pub mod openapi;
mod origins;
mod place;
pub mod policies;
pub mod policy_tests;
pub mod prices;
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod values;

pub use compile::{Compiled, Draft, Encoded, Options, Project};
pub use diagnostic::{Code, Diagnostic, Diagnostics, Related, Report, Severity, sarif};
pub use lower::{CompiledRoute, Lowered, Stated, Whole, Witness, WrittenRoute};
pub use model::FileKind;
pub use model::level::OriginLevel;
pub use model::target::{NoTarget, Target};
pub use origins::{Origin, Overridden};
pub use place::{FileId, Place, Position, Span, Spanned};
pub use schema::units::Rate;
pub use schema::written::duration;
