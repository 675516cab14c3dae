//! The origin of each setting of a route, which `explain` shows.
//!
//! Origins are computed on request, by merging the levels of one route again, so that a gateway of 100,000 routes does not
//! have to store them.

mod find;
mod policy;
mod show;

use find::Finder;

use crate::compile::Compiled;
use crate::lower::CompiledRoute;
use crate::model::level::OriginLevel;
use crate::place::Span;

/// The origin of one setting of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The path of the setting: `authn`, `cache.ttl`, `upstream.url`, `policies.burst.rate`.
    ///
    /// A list has an origin for each item: several policies of `authn` are several origins with this path.
    pub setting: String,
    /// The value as written in the configuration: `10s`, `1MiB`, the name of a policy.
    pub value: String,
    /// The level that sets it.
    pub level: OriginLevel,
    /// The place at which it is written; `None` for a default, and for what is computed.
    pub span: Option<Span>,
    /// The place at which the value is assigned, if `${value.NAME}` is written.
    pub given: Option<Span>,
    /// Whether lower levels must not override it.
    pub is_locked: bool,
    /// The values of higher levels that are overridden, the highest first.
    pub overridden: Vec<Overridden>,
}

/// A value of a higher level that a lower level overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// The value as written in the configuration.
    pub value: String,
    /// The level that sets it.
    pub level: OriginLevel,
    /// The place at which it is written.
    pub span: Span,
}

impl Compiled {
    /// The origins of the settings of a route.
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
