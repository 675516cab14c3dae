//! Where each part of a route's settings comes from: what `explain` shows beside them.
//!
//! Origins are found when they are asked for, by merging the levels of one route again as the compiler did, so that a
//! gateway of 100,000 routes carries none of them.

mod find;
mod policy;
mod show;

use find::Finder;

use crate::compile::Compiled;
use crate::lower::CompiledRoute;
use crate::model::level::OriginLevel;
use crate::place::Span;

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

impl Compiled {
    /// Where each part of a route's settings comes from.
    #[must_use]
    pub fn origins(&self, route: &CompiledRoute) -> Vec<Origin> {
        let Self { written, substituted, .. } = self;
        Finder { project: written, whole: self.whole(), substituted }.find(route)
    }
}

impl Origin {
    fn new(setting: &str, value: String, level: OriginLevel, span: Option<Span>) -> Self {
        let (setting, given) = (setting.to_owned(), None);
        Self { setting, value, level, span, given, is_locked: false, overridden: Vec::new() }
    }

    fn default(setting: &str, value: &str) -> Self {
        Self::new(setting, value.to_owned(), OriginLevel::Default, None)
    }
}
