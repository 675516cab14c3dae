//! The fixed merge of the levels: gateway, upstream (which has a timeout only), API, operation.
//!
//! Maps merge key by key, the lower level's key counts. Phase lists append, higher levels first; `replace: true` or
//! `none` starts a list anew. A single value of a lower level takes the place of the higher one's. What a level locks, a
//! lower one does not override: what tries to is left out, and reported.

use tollgate_core::cache::CacheCredentials;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::level::{CacheFields, CacheStatement, Item, Level, ListStatement, OriginLevel, Setting, Timeout};
use crate::place::{Span, Spanned};

/// Something that a level said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) level: OriginLevel,
    pub(crate) value: T,
}

/// What is in force for a route.
#[derive(Debug, Default)]
pub(crate) struct Effective<'p> {
    pub(crate) guard: List<'p>,
    pub(crate) authn: List<'p>,
    pub(crate) limit: List<'p>,
    pub(crate) cache: Option<Cache<'p>>,
    /// The level that turned caching off, where it is off.
    pub(crate) cache_off: Option<At<Span>>,
    pub(crate) timeout: Single<'p, Timeout>,
    pub(crate) body_limit: Single<'p, u64>,
    pub(crate) violations: Vec<Violation>,
}

/// A phase's list in force.
#[derive(Debug, Default)]
pub(crate) struct List<'p> {
    pub(crate) items: Vec<At<&'p Item>>,
    /// The lowest level that says something.
    pub(crate) last: Option<At<Span>>,
    /// What higher levels said and lower ones replaced.
    pub(crate) lost: Vec<At<&'p Item>>,
    /// The lowest list, where it adds to a higher one without saying that adding is meant, and what it adds to.
    pub(crate) widened: Option<(Span, Vec<&'p Item>)>,
    locked: Option<At<Span>>,
}

/// A single value in force.
#[derive(Debug)]
pub(crate) struct Single<'p, T> {
    pub(crate) value: Option<At<&'p Setting<T>>>,
    /// What higher levels said.
    pub(crate) lost: Vec<At<&'p Setting<T>>>,
}

/// Caching in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache<'p> {
    pub(crate) ttl_ms: Member<'p, u64>,
    pub(crate) vary: Member<'p, Vec<Spanned<String>>>,
    pub(crate) credentials: Member<'p, CacheCredentials>,
    pub(crate) key_query: Member<'p, Vec<Spanned<String>>>,
}

/// A member of `cache`, where a level says it, and where it is locked.
#[derive(Clone, Debug)]
pub(crate) struct Member<'p, T> {
    pub(crate) value: Option<At<&'p Spanned<T>>>,
    /// What higher levels said.
    pub(crate) lost: Vec<At<&'p Spanned<T>>>,
    locked: Option<Span>,
}

/// What a lower level says against a lock.
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
    let Effective { guard, authn, limit, cache, cache_off, timeout, body_limit, violations } = &mut effective;
    for At { level, value } in levels.iter().copied() {
        if let Some(statement) = &value.guard {
            guard.add(At { level, value: statement }, "guard", true, violations);
        }
        if let Some(statement) = &value.authn {
            authn.add(At { level, value: statement }, "authn", false, violations);
        }
        if let Some(statement) = &value.limit {
            limit.add(At { level, value: statement }, "limit", true, violations);
        }
        if let Some(statement) = &value.timeout {
            timeout.add(At { level, value: statement }, "timeout", violations);
        }
        if let Some(statement) = &value.body_limit {
            body_limit.add(At { level, value: statement }, "body-limit", violations);
        }
    }
    (*cache, *cache_off) = merge_cache(levels, violations);
    effective
}

/// Reports what is said against locks.
pub(crate) fn report_violations(violations: &[Violation], report: &mut Report) {
    for Violation { span, key, what, locked } in violations {
        report.push(
            Diagnostic::error(Code::Locked, *span, format!("`{key}` is locked by a higher level, and this {what}"))
                .why("`locked: true` keeps what is said there in force for everything below")
                .fix("remove it here, or have the lock lifted there")
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
        let At { level, value: ListStatement { span, items, replace, locked } } = statement;
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
            self.lost.append(&mut self.items);
        }
        let inherited: Vec<_> = self.items.iter().map(|known| known.value).collect();
        for value in items {
            // A policy that a higher level put in force already is in force.
            if !self.items.iter().any(|known| known.value.is_same(value)) {
                self.items.push(At { level, value });
            }
        }
        let others = inherited.into_iter().filter(|known| !items.iter().any(|item| item.is_same(known)));
        let others: Vec<_> = others.collect();
        self.widened = (replace.is_none() && !others.is_empty()).then_some((*span, others));
        self.last = Some(At { level, value: *span });
        self.locked = self.locked.or(locked.map(|value| At { level, value }));
    }

    /// Whether what a level says here may not be overridden.
    pub(crate) fn is_locked_from(&self, level: OriginLevel) -> bool {
        self.locked.is_some_and(|lock| level <= lock.level)
    }

    /// The items, in force in this order.
    pub(crate) fn items(&self) -> impl Iterator<Item = &'p Item> + '_ {
        self.items.iter().map(|item| item.value)
    }
}

impl<'p, T> Single<'p, T> {
    fn add(&mut self, said: At<&'p Setting<T>>, key: &'static str, violations: &mut Vec<Violation>) {
        if let Some(At { value: Setting { locked: Some(lock), .. }, .. }) = self.value {
            violations.push(Violation { span: said.value.span, key, what: "says it again", locked: *lock });
            return;
        }
        self.lost.extend(self.value.replace(said));
    }
}

impl<T> Default for Single<'_, T> {
    fn default() -> Self {
        Self { value: None, lost: Vec::new() }
    }
}

impl<T> Default for Member<'_, T> {
    fn default() -> Self {
        Self { value: None, lost: Vec::new(), locked: None }
    }
}

fn merge_cache<'p>(levels: &[At<&'p Level>], violations: &mut Vec<Violation>) -> (Option<Cache<'p>>, Option<At<Span>>) {
    let (mut cache, mut off, mut lock) = (None, None, None);
    for At { level, value } in levels.iter().copied() {
        let Some(CacheStatement { span, fields, replace, locked }) = &value.cache else { continue };
        if let (Some(lock), true) = (lock, *replace) {
            let what = if fields.is_some() { "replaces it" } else { "turns it off" };
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
    /// Whether no lower level may say it again.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    fn add(
        &mut self,
        level: OriginLevel,
        said: Option<&'p Spanned<T>>,
        key: &'static str,
        lock: Option<Span>,
        violations: &mut Vec<Violation>,
    ) {
        let Some(said) = said else { return };
        match self.locked {
            Some(locked) => violations.push(Violation { span: said.span, key, what: "says it again", locked }),
            None => {
                self.lost.extend(self.value.replace(At { level, value: said }));
                self.locked = lock;
            }
        }
    }
}

#[cfg(test)]
mod tests;
