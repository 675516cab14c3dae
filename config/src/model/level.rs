//! What can be said at each of the three levels: gateway, API and route.

use tollgate_core::cache::CacheCredentials;

use super::decode::{self, DURATION, Fields, SIZE};
use crate::diagnostic::Report;
use crate::schema::{Object, tables};
use crate::source::{Node, Span, Spanned, Value};

/// The settings that the levels share; merged from gateway over API to route.
#[derive(Clone, Debug, Default)]
pub(crate) struct Level {
    pub(crate) authn: Option<ListStatement>,
    pub(crate) limit: Option<ListStatement>,
    pub(crate) cache: Option<CacheStatement>,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) body_limit: Option<u64>,
}

/// What a level says about a phase's list of policies.
#[derive(Clone, Debug)]
pub(crate) struct ListStatement {
    pub(crate) span: Span,
    /// The policies; empty where the level says `none`.
    pub(crate) items: Vec<Spanned<String>>,
    /// Whether the list takes the place of the higher levels' lists; `None` where it does not say.
    pub(crate) replace: Option<bool>,
}

/// What a level says about caching.
#[derive(Clone, Debug)]
pub(crate) enum CacheStatement {
    /// `none`: nothing is cached.
    Off,
    /// The members given; the others come from the higher level.
    On(CacheFields),
}

/// The members of a `cache` mapping.
#[derive(Clone, Debug, Default)]
pub(crate) struct CacheFields {
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) vary: Option<Vec<Spanned<String>>>,
    pub(crate) credentials: Option<CacheCredentials>,
    pub(crate) key_query: Option<Vec<Spanned<String>>>,
    pub(crate) replace: bool,
}

/// A time limit, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    Unbounded,
    Millis(u64),
}

impl Level {
    /// A level that says nothing.
    pub(crate) const NOTHING: Self = Self { authn: None, limit: None, cache: None, timeout: None, body_limit: None };

    pub(crate) fn decode(fields: &mut Fields<'_>, report: &mut Report) -> Self {
        Self {
            authn: fields.optional("authn", report, |node, report| list_statement(node, &tables::AUTHN, "any", report)),
            limit: fields.optional("limit", report, |node, report| list_statement(node, &tables::LIMIT, "use", report)),
            cache: fields.optional("cache", report, cache_statement),
            timeout: fields.optional("timeout", report, timeout),
            body_limit: fields.optional("body-limit", report, |node, report| {
                decode::quantity(node, &SIZE, report).map(|size| size.value)
            }),
        }
    }
}

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
        return Some(ListStatement { span, items: Vec::new(), replace: Some(true) });
    }
    match &node.value {
        Value::Text(_) => {
            let item = decode::text(node, report)?;
            Some(ListStatement { span, items: vec![item], replace: None })
        }
        Value::List(_) => {
            Some(ListStatement { span, items: decode::some_texts(node, POLICIES_MAX, report)?, replace: None })
        }
        Value::Map(_) => {
            let mut fields = Fields::open(node, object, "this list", span, report)?;
            let items = fields.required(key, report, |node, report| decode::some_texts(node, POLICIES_MAX, report));
            let replace = fields.optional("replace", report, decode::boolean);
            fields.finish(report);
            Some(ListStatement { span, items: items?, replace })
        }
        _ => {
            let fix = format!("write a policy's name, `[a, b]`, `{{{key}: [a, b]}}` or `none`");
            decode::mistyped(node, "names of policies", &fix, report)
        }
    }
}

const CREDENTIALS: &[(&str, CacheCredentials)] = &[
    ("never", CacheCredentials::Never),
    ("per-consumer", CacheCredentials::PerConsumer),
    ("shared", CacheCredentials::Shared),
];

fn cache_statement(node: &Node, report: &mut Report) -> Option<CacheStatement> {
    if is_none(node) {
        return Some(CacheStatement::Off);
    }
    if !matches!(node.value, Value::Map(_)) {
        return decode::mistyped(node, "a mapping or `none`", "write `{ttl: 10m}`, `{}` or `none`", report);
    }
    let mut fields = Fields::open(node, &tables::CACHE, "`cache`", node.span, report)?;
    let cache = CacheFields {
        ttl_ms: fields.optional("ttl", report, |node, report| {
            decode::quantity(node, &DURATION, report).map(|duration| duration.value)
        }),
        vary: fields.optional("vary", report, |node, report| decode::texts(node, VARY_MAX, report)),
        credentials: fields
            .optional("with-credentials", report, |node, report| decode::word(node, CREDENTIALS, report)),
        key_query: fields.optional("key-query", report, |node, report| decode::texts(node, QUERY_MAX, report)),
        replace: fields.optional("replace", report, decode::boolean).unwrap_or(false),
    };
    fields.finish(report);
    Some(CacheStatement::On(cache))
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
