//! Compiles a Tollgate project to a bundle, and reports diagnostics with position, cause, reason and correction.
//!
//! This crate is the only reader of the configuration format; hosts read bundles. It does not:
//! - make decisions about requests, which is the task of core; paths, hosts, keys and times are parsed by core's parsers;
//! - access a store or a network: callers write [`Compiled::records`] to a store;
//! - read files outside the project folder;
//! - put consumers and keys into bundles: [`fixtures`] writes those of a local gateway;
//! - prove properties of all routes together: `tollgate-analysis` does, and calls this crate to compile projects.
//!
//! Where to start: [`Project::draft`] and [`Compiled`]. The folders are layers. Each uses only the layers below it, which
//! `cargo xtask layers` checks. From the lowest:
//!
//! | layer | contents |
//! |---|---|
//! | `place`, `diagnostic` | files and places in them; findings, and how they are printed |
//! | `source` | the files of a project, parsed into trees of limited size with positions |
//! | `zones` | time zones by name |
//! | [`expression`] | expressions of conditions, from text to core's compiled form |
//! | `openapi` | OpenAPI documents, and the operations that are read from them |
//! | `schema` | the language of the tables that describe all keys, and the JSON Schema derived from a table |
//! | `decode` | decoding of trees to typed values by such a table |
//! | `policies` | the kinds of policies, each with the table of its keys and the conversion to settings |
//! | `model` | the configuration as written: the tables of keys of every part, and the types |
//! | `values` | values that differ between environments |
//! | `lower` | conversion of the configuration to core's settings |
//! | `compile` | compilation of a project from its files to its bundle |
//! | `origins`, `fmt`, `fixtures`, `prices`, [`policy_tests`] | other functions on a project |
//!
//! All of them collect [`Diagnostics`] and continue after a mistake, so that one mistake does not hide another.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod compile;
mod decode;
mod diagnostic;
pub mod expression;
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
mod zones;

use decode::habits::path::meant_paths;
use std::path::Path;

/// Reads an OpenAPI document from one text; `name` is its name in diagnostics.
///
/// # Errors
/// If the text is not a readable OpenAPI document.
pub fn import_openapi(name: &str, text: &str) -> Result<(openapi::Spec, Diagnostics), Diagnostics> {
    openapi::import(name, text, meant_paths)
}

/// Reads an OpenAPI document in a folder; `name` is the path of its root document in the folder, with `/` as the separator.
///
/// # Errors
/// If it cannot be read, or is not an OpenAPI document.
pub fn import_openapi_dir(folder: &Path, name: &str) -> Result<(openapi::Spec, Diagnostics), Diagnostics> {
    openapi::import_dir(folder, name, meant_paths)
}

pub use compile::{Compiled, Draft, Encoded, Options, Project};
pub use decode::parsed::{can_be_field, can_be_parameter, can_be_scope, is_scope_pattern, usable_url};
pub use diagnostic::{Code, Diagnostic, Diagnostics, Related, Report, Severity, sarif};
pub use lower::{CompiledRoute, Guarded, Lowered, MoneyBudget, Stated, Whole, Witness, WrittenRoute};
pub use model::FileKind;
pub use model::api::SCOPES_MAX;
pub use model::level::{OriginLevel, POLICIES_MAX};
pub use model::target::{Target, UnknownTarget};
pub use openapi::FixedChars;
pub use origins::{Origin, Overridden};
pub use place::{FileId, Inputs, Place, Position, Span, Spanned};
pub use schema::units::Rate;
pub use schema::written::{duration, size};
