//! What only reads a compiled project: proofs about its routes, bounds of what requests can cause, and differences.
//!
//! The authoring format is `tollgate-config`'s, and this crate never sees how a project is written: it reads settings in
//! core's terms, and the places to point at. Nothing in `tollgate-config` knows of this crate, so a project is compiled
//! through here: [`compile()`] runs the compiler, then what proves and counts, and gathers the findings of all of them.
//!
//! Where to start: [`compile()`]. Then [`proofs`] (which request a route wins, which rules hold for all routes), [`bounds`]
//! (what one request can cause at most, and what platforms allow) and [`diff`] (what requests see differently of two
//! projects).
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod bounds;
mod compile;
pub mod diff;
pub mod proofs;

pub use compile::{Outcome, check, compile, compile_dir, compile_each, compile_files, compile_str};
