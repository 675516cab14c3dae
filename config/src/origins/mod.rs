//! Where each part of a route's settings comes from: what `explain` shows beside them.
//!
//! Origins are found when they are asked for, by merging the levels of one route again as the compiler did, so that a
//! gateway of 100,000 routes carries none of them.

mod find;
mod policy;
mod show;

use std::collections::HashMap;

use serde::Serialize;

pub(crate) use find::Finder;

use crate::source::{Span, Spanned};

/// Where one part of a route's settings comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The setting by its keys: `authn`, `cache.ttl`, `upstream.url`, `policies.burst.rate`.
    ///
    /// A list has an origin for each item: several policies of `authn` are several origins of that name.
    pub setting: String,
    /// Its value as people write it: `10s`, `1MiB`, a policy's name.
    pub value: String,
    /// Who says so.
    pub level: OriginLevel,
    /// Where it is written; `None` for a default.
    pub span: Option<Span>,
    /// Where its value is given, when what is written is `${value.NAME}`.
    pub given: Option<Span>,
    /// Whether no lower level may override it.
    pub is_locked: bool,
    /// What higher levels say that does not count, the highest first.
    pub overridden: Vec<Overridden>,
}

/// What a higher level says, and a lower one overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// The value as people write it.
    pub value: String,
    /// Who says so.
    pub level: OriginLevel,
    /// Where.
    pub span: Span,
}

/// Who gives a setting its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginLevel {
    /// Nobody: it is Tollgate's default.
    Default,
    /// `gateway:`.
    Gateway,
    /// The upstream's definition.
    Upstream,
    /// The API.
    Api,
    /// The operation or route itself.
    Operation,
    /// The policy's definition.
    Policy,
    /// A plan.
    Plan,
}

/// A place for people: where a span begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file's path in the project.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
}

/// Places at which `${value.NAME}` is written, with the name, and where the value is given.
pub(crate) type Substituted = HashMap<Span, Spanned<String>>;

impl Origin {
    fn new(setting: &str, value: String, level: OriginLevel, span: Option<Span>) -> Self {
        let (setting, given) = (setting.to_owned(), None);
        Self { setting, value, level, span, given, is_locked: false, overridden: Vec::new() }
    }

    fn default(setting: &str, value: &str) -> Self {
        Self::new(setting, value.to_owned(), OriginLevel::Default, None)
    }
}
