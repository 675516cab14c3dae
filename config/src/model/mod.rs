//! What a project says, as written: types with the place of every part, before anything is resolved or merged.
//!
//! [`project`] is the whole; `tables` has the keys of every part, by which `decode` turns nodes into them. Everything that core has a type for (hosts, paths, keys)
//! stays text here and is read by core's own parser when it is lowered, so that there is one reader of each.

pub(crate) mod api;
mod file_kind;
pub(crate) mod fixtures;
pub(crate) mod level;
pub(crate) mod operations;
pub(crate) mod plan;
pub(crate) mod prices;
pub(crate) mod project;
pub(crate) mod tables;
pub(crate) mod target;
pub(crate) mod upstream;
pub(crate) mod when;

pub use file_kind::FileKind;
