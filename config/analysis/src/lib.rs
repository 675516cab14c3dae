//! Analyses compiled projects: proofs about routes, bounds of what a request can cause, and differences of two projects.
//!
//! This crate does not read the configuration format, which is the task of `tollgate-config`: it reads core's settings,
//! and the places for diagnostics. `tollgate-config` does not depend on this crate, so projects are compiled through it:
//! [`compile()`] runs the compiler and the analyses, and collects the findings of all of them.
//!
//! Where to start: [`compile()`]. Then [`proofs`] (which route serves a request, which rules hold for all routes), [`bounds`]
//! (the maximum that one request can cause, and the limits of platforms) and [`diff`] (the differences of two projects for
//! requests).
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod bounds;
mod compile;
pub mod diff;
mod leased;
pub mod proofs;

pub use compile::{Outcome, check, compile, compile_dir, compile_each, compile_files, compile_str};
pub use leased::{LeasedLimit, leased_limits};
