//! Merges the levels: gateway, upstream (which has only `timeout`, `identity` and `auth`), API, operation.
//!
//! Mappings are merged by key, and the key of a lower level overrides that of a higher one. Lists of policies are
//! appended, higher levels first; `replace: true` or `none` begins a new list. A single value of a lower level replaces
//! that of a higher one. A lower level cannot override a locked setting: the attempt is ignored and reported.

use tollgate_core::cache::CacheCredentials;
use tollgate_core::limit::LegacyFields;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::identity::Identity;
use crate::model::level::{CacheFields, CacheStatement, Item, Level, ListStatement, OriginLevel, Setting, Timeout};
use crate::model::upstream_auth::WrittenAuth;
use crate::place::{Span, Spanned};

/// A statement with its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) level: OriginLevel,
    pub(crate) value: T,
}

/// The merged settings of a route.
#[derive(Debug, Default)]
pub(crate) struct Effective<'p> {
    pub(crate) guard: List<'p>,
    pub(crate) authn: List<'p>,
    pub(crate) authz: List<'p>,
    pub(crate) limit: List<'p>,
    pub(crate) cache: Option<Cache<'p>>,
    /// The level that disabled caching, if it is disabled.
    pub(crate) cache_off: Option<At<Span>>,
    pub(crate) limit_fields: Single<'p, Option<LegacyFields>>,
    pub(crate) help: Single<'p, Option<String>>,
    pub(crate) timeout: Single<'p, Timeout>,
    pub(crate) body_limit: Single<'p, u64>,
    pub(crate) identity: Single<'p, Identity>,
    pub(crate) upstream_auth: Single<'p, Option<WrittenAuth>>,
    pub(crate) violations: Vec<Violation>,
}

/// The merged list of policies of a phase.
#[derive(Debug, Default)]
pub(crate) struct List<'p> {
    pub(crate) items: Vec<At<&'p Item>>,
    /// The lowest level with a statement.
    pub(crate) last: Option<At<Span>>,
    /// The items of higher levels that lower levels replaced.
    pub(crate) overridden: Vec<At<&'p Item>>,
    /// The lowest list, if it adds to a higher one without `replace: false`, and the inherited items.
    pub(crate) widened: Option<(&'p ListStatement, Vec<&'p Item>)>,
    /// The place of the lock, and its level.
    pub(crate) locked: Option<At<Span>>,
}

/// The merged single value.
#[derive(Debug)]
pub(crate) struct Single<'p, T> {
    pub(crate) value: Option<At<&'p Setting<T>>>,
    /// The values of higher levels.
    pub(crate) overridden: Vec<At<&'p Setting<T>>>,
}

/// The merged cache settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache<'p> {
    pub(crate) ttl_ms: Member<'p, u64>,
    pub(crate) vary: Member<'p, Vec<Spanned<String>>>,
    pub(crate) credentials: Member<'p, CacheCredentials>,
    pub(crate) key_query: Member<'p, Vec<Spanned<String>>>,
}

/// A merged member of `cache`, and the place of its lock.
#[derive(Clone, Debug)]
pub(crate) struct Member<'p, T> {
    pub(crate) value: Option<At<&'p Spanned<T>>>,
    /// The values of higher levels.
    pub(crate) overridden: Vec<At<&'p Spanned<T>>>,
    locked: Option<Span>,
}

/// A statement of a lower level that violates a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) span: Span,
    pub(crate) key: &'static str,
    pub(crate) what: &'static str,
    pub(crate) locked: Span,
}

/// Merges the levels, the highest first.
pub(crate) fn merge<'p>(levels: &[At<&'p Level>]) -> Effective<'p> {
    let mut effective = Effective::default();
    let Effective {
        guard,
        authn,
        authz,
        limit,
        limit_fields,
        help,
        cache,
        cache_off,
        timeout,
        body_limit,
        identity,
        upstream_auth,
        violations,
    } = &mut effective;
    for At { level, value } in levels.iter().copied() {
        if let Some(statement) = &value.guard {
            guard.add(At { level, value: statement }, "guard", true, violations);
        }
        if let Some(statement) = &value.authn {
            authn.add(At { level, value: statement }, "authn", false, violations);
        }
        if let Some(statement) = &value.authz {
            authz.add(At { level, value: statement }, "authz", true, violations);
        }
        if let Some(statement) = &value.limit {
            limit.add(At { level, value: statement }, "limit", true, violations);
        }
        if let Some(statement) = &value.limit_fields {
            limit_fields.add(At { level, value: statement }, "limit-fields", violations);
        }
        if let Some(statement) = &value.help {
            help.add(At { level, value: statement }, "help", violations);
        }
        if let Some(statement) = &value.timeout {
            timeout.add(At { level, value: statement }, "timeout", violations);
        }
        if let Some(statement) = &value.body_limit {
            body_limit.add(At { level, value: statement }, "body-limit", violations);
        }
        if let Some(statement) = &value.identity {
            identity.add(At { level, value: statement }, "identity", violations);
        }
        if let Some(statement) = &value.upstream_auth {
            upstream_auth.add(At { level, value: statement }, "upstream-auth", violations);
        }
    }
    (*cache, *cache_off) = merge_cache(levels, violations);
    effective
}

/// Reports the violations of locks.
pub(crate) fn report_violations(violations: &[Violation], report: &mut Report) {
    for Violation { span, key, what, locked } in violations {
        report.push(
            Diagnostic::error(Code::Locked, *span, format!("`{key}` is locked by a higher level, and this {what}"))
                .why("`locked: true` prevents changes on all lower levels")
                .fix("remove it here, or remove the lock there")
                .related(*locked, "locked here"),
        );
    }
}

impl<'p> List<'p> {
    fn add(
        &mut self,
        statement: At<&'p ListStatement>,
        key: &'static str,
        may_add: bool,
        violations: &mut Vec<Violation>,
    ) {
        let At { level, value: list } = statement;
        let ListStatement { span, items, replace, locked } = list;
        let is_new = |item: &&Item| !self.items.iter().any(|known| known.value.is_same(item));
        if let Some(At { value: lock, .. }) = self.locked {
            if *replace == Some(true) {
                violations.push(Violation { span: *span, key, what: "replaces it", locked: lock });
                return;
            }
            if let Some(added) = items.iter().find(is_new).filter(|_| !may_add) {
                violations.push(Violation { span: added.span, key, what: "adds to it", locked: lock });
                return;
            }
        }
        if *replace == Some(true) {
            self.overridden.append(&mut self.items);
        }
        let inherited: Vec<_> = self.items.iter().map(|known| known.value).collect();
        for value in items {
            // A policy of a higher level is not added again.
            if !self.items.iter().any(|known| known.value.is_same(value)) {
                self.items.push(At { level, value });
            }
        }
        let others = inherited.into_iter().filter(|known| !items.iter().any(|item| item.is_same(known)));
        let others: Vec<_> = others.collect();
        self.widened = (replace.is_none() && !others.is_empty()).then_some((list, others));
        self.last = Some(At { level, value: *span });
        self.locked = self.locked.or(locked.map(|value| At { level, value }));
    }

    /// Whether the statement of a level is locked.
    pub(crate) fn is_locked_from(&self, level: OriginLevel) -> bool {
        self.locked.is_some_and(|lock| level <= lock.level)
    }

    /// The items in their order.
    pub(crate) fn items(&self) -> impl Iterator<Item = &'p Item> + '_ {
        self.items.iter().map(|item| item.value)
    }
}

impl<'p, T> Single<'p, T> {
    fn add(&mut self, statement: At<&'p Setting<T>>, key: &'static str, violations: &mut Vec<Violation>) {
        if let Some(At { value: Setting { locked: Some(lock), .. }, .. }) = self.value {
            violations.push(Violation { span: statement.value.span, key, what: "sets it again", locked: *lock });
            return;
        }
        self.overridden.extend(self.value.replace(statement));
    }
}

impl<T> Default for Single<'_, T> {
    fn default() -> Self {
        Self { value: None, overridden: Vec::new() }
    }
}

impl<T> Default for Member<'_, T> {
    fn default() -> Self {
        Self { value: None, overridden: Vec::new(), locked: None }
    }
}

fn merge_cache<'p>(levels: &[At<&'p Level>], violations: &mut Vec<Violation>) -> (Option<Cache<'p>>, Option<At<Span>>) {
    let (mut cache, mut off, mut lock) = (None, None, None);
    for At { level, value } in levels.iter().copied() {
        let Some(CacheStatement { span, fields, replace, locked }) = &value.cache else { continue };
        if let (Some(lock), true) = (lock, *replace) {
            let what = if fields.is_some() { "replaces it" } else { "disables it" };
            violations.push(Violation { span: *span, key: "cache", what, locked: lock });
            continue;
        }
        let Some(fields) = fields else {
            (cache, off) = (None, Some(At { level, value: *span }));
            continue;
        };
        let mut merged: Cache<'_> = if *replace { Cache::default() } else { cache.take().unwrap_or_default() };
        merged.add(level, fields, *locked, violations);
        (cache, off) = (Some(merged), None);
        lock = lock.or(*locked);
    }
    (cache, off)
}

impl<'p> Cache<'p> {
    fn add(
        &mut self,
        level: OriginLevel,
        fields: &'p CacheFields,
        lock: Option<Span>,
        violations: &mut Vec<Violation>,
    ) {
        let CacheFields { ttl_ms, vary, credentials, key_query } = fields;
        self.ttl_ms.add(level, ttl_ms.as_ref(), "cache.ttl", lock, violations);
        self.vary.add(level, vary.as_ref(), "cache.vary", lock, violations);
        self.credentials.add(level, credentials.as_ref(), "cache.with-credentials", lock, violations);
        self.key_query.add(level, key_query.as_ref(), "cache.key-query", lock, violations);
    }
}

impl<'p, T> Member<'p, T> {
    /// Whether lower levels must not set it again.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    fn add(
        &mut self,
        level: OriginLevel,
        statement: Option<&'p Spanned<T>>,
        key: &'static str,
        lock: Option<Span>,
        violations: &mut Vec<Violation>,
    ) {
        let Some(statement) = statement else { return };
        match self.locked {
            Some(locked) => violations.push(Violation { span: statement.span, key, what: "sets it again", locked }),
            None => {
                self.overridden.extend(self.value.replace(At { level, value: statement }));
                self.locked = lock;
            }
        }
    }
}

#[cfg(test)]
mod tests;
