//! The configuration as it is written: types with the place of every part, before names are resolved and levels merged.
//!
//! [`project`] is the root; `tables` has the keys of every part, by which `decode` converts nodes to these types. Values
//! for which core has a type (hosts, paths, keys) are strings here. Core's parsers read them during lowering, so that
//! there is one parser for each. The properties of keys, which are not lowered, are read when they are decoded.

pub(crate) mod api;
mod file_kind;
pub(crate) mod fixtures;
pub(crate) mod identity;
pub(crate) mod key_properties;
pub(crate) mod level;
pub(crate) mod operations;
pub(crate) mod plan;
pub(crate) mod prices;
pub(crate) mod project;
pub(crate) mod scopes;
pub(crate) mod tables;
pub(crate) mod target;
pub(crate) mod upstream;
pub(crate) mod upstream_auth;
pub(crate) mod when;

pub use file_kind::FileKind;
