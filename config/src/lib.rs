//! Compiles a Tollgate project to a bundle, with diagnostics that say where, what, why and how to mend it.
//!
//! This crate is the only reader of the authoring format: hosts read bundles. It decides nothing about requests (core
//! does; paths, hosts, keys and times are read by core's own parsers here), and it talks to no store and no network:
//! [`Compiled::records`] is what somebody else writes. Nothing outside the project folder is read, and consumers and
//! keys are no part of a bundle: [`fixtures`] seeds those of a local gateway.
//!
//! Where to start: [`compile_dir`] and [`Compiled`]. Inside, a project goes through `source` (texts become placed,
//! bounded trees), `assemble` and `model` (the trees of all files become what was written) and `lower` (what was written becomes
//! core's settings). [`analysis`] then proves what there is to prove about the routes of the whole.
//! Each of them collects [`Diagnostics`], so that one mistake never hides another.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod analysis;
mod assemble;
pub mod bounds;
mod compile;
mod diagnostic;
pub mod fixtures;
pub mod fmt;
mod lower;
mod model;
pub mod openapi;
mod origins;
pub mod policy_tests;
pub mod prices;
mod project;
mod schema;
mod source;
mod values;

pub use compile::{Compiled, CompiledRoute, Whole, compile_dir, compile_files, compile_str};
pub use diagnostic::{Code, Diagnostic, Diagnostics, Related, Severity, sarif};
pub use origins::{Origin, OriginLevel, Overridden, Place};
pub use project::{Options, Outcome, Project};
pub use schema::FileKind;
pub use source::{FileId, Position, Span, Spanned};
