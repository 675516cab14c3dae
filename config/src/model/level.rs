//! What can be said at each of the three levels: gateway, API and route.

use serde::Serialize;
use tollgate_core::cache::CacheCredentials;

use crate::decode::{self, DURATION, Fields, SIZE};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::schema::Object;
use crate::source::{Node, Value};

/// The settings that the levels share; merged from gateway over API to operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Level {
    pub(crate) authn: Option<ListStatement>,
    pub(crate) limit: Option<ListStatement>,
    pub(crate) cache: Option<CacheStatement>,
    pub(crate) timeout: Option<Setting<Timeout>>,
    pub(crate) body_limit: Option<Setting<u64>>,
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

/// A single value that a level gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
    /// Where it is said that no lower level may say it again.
    pub(crate) locked: Option<Span>,
}

/// What a level says about a phase's list of policies.
#[derive(Clone, Debug)]
pub(crate) struct ListStatement {
    pub(crate) span: Span,
    /// The policies; empty where the level says `none`.
    pub(crate) items: Vec<Spanned<String>>,
    /// Whether the list takes the place of the higher levels' lists; `None` where it does not say.
    pub(crate) replace: Option<bool>,
    /// Where it is said that no lower level may take the list away.
    pub(crate) locked: Option<Span>,
}

/// What a level says about caching.
#[derive(Clone, Debug)]
pub(crate) struct CacheStatement {
    pub(crate) span: Span,
    /// The members given, the others come from the higher level; `None` where nothing is cached.
    pub(crate) fields: Option<CacheFields>,
    /// Whether what higher levels say is forgotten.
    pub(crate) replace: bool,
    /// Where it is said that no lower level may say these members again.
    pub(crate) locked: Option<Span>,
}

/// The members of a `cache` mapping.
#[derive(Clone, Debug, Default)]
pub(crate) struct CacheFields {
    pub(crate) ttl_ms: Option<Spanned<u64>>,
    pub(crate) vary: Option<Spanned<Vec<Spanned<String>>>>,
    pub(crate) credentials: Option<Spanned<CacheCredentials>>,
    pub(crate) key_query: Option<Spanned<Vec<Spanned<String>>>>,
}

/// A time limit, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    Unbounded,
    Millis(u64),
}

impl Level {
    pub(crate) fn decode(fields: &mut Fields<'_>, report: &mut Report) -> Self {
        Self {
            authn: fields.optional("authn", report, |node, report| list_statement(node, &tables::AUTHN, "any", report)),
            limit: fields.optional("limit", report, |node, report| list_statement(node, &tables::LIMIT, "use", report)),
            cache: fields.optional("cache", report, cache_statement),
            timeout: fields
                .optional("timeout", report, |node, report| setting(node, &tables::LOCKABLE_TIMEOUT, report, timeout)),
            body_limit: fields.optional("body-limit", report, |node, report| {
                setting(node, &tables::LOCKABLE_SIZE, report, |node, report| {
                    decode::quantity(node, &SIZE, report).map(|size| size.value)
                })
            }),
        }
    }
}

/// A single value, or `{value: ..., locked: true}`.
fn setting<T>(
    node: &Node,
    object: &'static Object,
    report: &mut Report,
    decode: impl Fn(&Node, &mut Report) -> Option<T>,
) -> Option<Setting<T>> {
    if !matches!(node.value, Value::Map(_)) {
        return Some(Setting { value: decode(node, report)?, span: node.span, locked: None });
    }
    let mut fields = Fields::open(node, object, "this setting", node.span, report)?;
    let value = fields.required("value", report, |node, report| Some((decode(node, report)?, node.span)));
    let locked = locked(&mut fields, report);
    fields.finish(report);
    value.map(|(value, span)| Setting { value, span, locked })
}

/// The place of `locked: true`.
fn locked(fields: &mut Fields<'_>, report: &mut Report) -> Option<Span> {
    let span = fields.key_span("locked");
    fields.optional("locked", report, decode::boolean).filter(|locked| *locked).and(span)
}

/// A duration that something may take, or `none`.
pub(crate) fn timeout(node: &Node, report: &mut Report) -> Option<Timeout> {
    if is_none(node) {
        return Some(Timeout::Unbounded);
    }
    decode::time_limit(node, report).map(Timeout::Millis)
}

/// `name`, `[a, b]`, `none`, or `{<key>: [a, b], replace: true}`.
fn list_statement(
    node: &Node,
    object: &'static Object,
    key: &'static str,
    report: &mut Report,
) -> Option<ListStatement> {
    let span = node.span;
    if is_none(node) {
        return Some(ListStatement { span, items: Vec::new(), replace: Some(true), locked: None });
    }
    match &node.value {
        Value::Text(_) => {
            let item = decode::text(node, report)?;
            Some(ListStatement { span, items: vec![item], replace: None, locked: None })
        }
        Value::List(_) => {
            let items = decode::some_texts(node, POLICIES_MAX, report)?;
            Some(ListStatement { span, items, replace: None, locked: None })
        }
        Value::Map(_) => {
            let mut fields = Fields::open(node, object, "this list", span, report)?;
            let items = fields.required(key, report, |node, report| decode::some_texts(node, POLICIES_MAX, report));
            let replace = fields.optional("replace", report, decode::boolean);
            let locked = locked(&mut fields, report);
            fields.finish(report);
            Some(ListStatement { span, items: items?, replace, locked })
        }
        _ => {
            let fix = format!("write a policy's name, `[a, b]`, `{{{key}: [a, b]}}` or `none`");
            decode::mistyped(node, "names of policies", &fix, report)
        }
    }
}

pub(crate) const CREDENTIALS: &[(&str, CacheCredentials)] = &[
    ("never", CacheCredentials::Never),
    ("per-consumer", CacheCredentials::PerConsumer),
    ("shared", CacheCredentials::Shared),
];

fn cache_statement(node: &Node, report: &mut Report) -> Option<CacheStatement> {
    let span = node.span;
    if is_none(node) {
        return Some(CacheStatement { span, fields: None, replace: true, locked: None });
    }
    if !matches!(node.value, Value::Map(_)) {
        return decode::mistyped(node, "a mapping or `none`", "write `{ttl: 10m}`, `{}` or `none`", report);
    }
    let mut fields = Fields::open(node, &tables::CACHE, "`cache`", span, report)?;
    let cache = CacheFields {
        ttl_ms: fields.optional("ttl", report, |node, report| decode::quantity(node, &DURATION, report)),
        vary: fields.optional("vary", report, |node, report| {
            decode::texts(node, VARY_MAX, report).map(|list| Spanned::new(list, node.span))
        }),
        credentials: fields.optional("with-credentials", report, |node, report| {
            decode::word(node, CREDENTIALS, report).map(|word| Spanned::new(word, node.span))
        }),
        key_query: fields.optional("key-query", report, |node, report| {
            decode::texts(node, QUERY_MAX, report).map(|list| Spanned::new(list, node.span))
        }),
    };
    let replace = fields.optional("replace", report, decode::boolean).unwrap_or(false);
    let locked = locked(&mut fields, report);
    fields.finish(report);
    Some(CacheStatement { span, fields: Some(cache), replace, locked })
}

/// Policies in one list: each of them costs every request a look-up or a charge.
pub(crate) const POLICIES_MAX: usize = 32;

/// Request fields of a cache key.
pub(crate) const VARY_MAX: usize = 16;

/// Query parameters of a cache key.
pub(crate) const QUERY_MAX: usize = 64;

fn is_none(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text == "none")
}
