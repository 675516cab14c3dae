//! The settings of each of the three levels: gateway, API and route.

use serde::Serialize;
use tollgate_core::cache::CacheCredentials;
use tollgate_core::limit::LegacyFields;

use super::identity::{self, Identity};
use super::upstream;
use super::upstream_auth::WrittenAuth;
use crate::decode::{self, DURATION, Fields, SIZE, habits};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::schema::Object;
use crate::source::{Node, Value};

/// The settings that exist on all levels; they are merged from gateway to API to operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Level {
    pub(crate) guard: Option<ListStatement>,
    pub(crate) authn: Option<ListStatement>,
    pub(crate) authz: Option<ListStatement>,
    pub(crate) limit: Option<ListStatement>,
    /// Absent in a setting: only the standard ones.
    pub(crate) limit_fields: Option<Setting<Option<LegacyFields>>>,
    /// Absent in a setting: `none`.
    pub(crate) help: Option<Setting<Option<String>>>,
    pub(crate) cache: Option<CacheStatement>,
    pub(crate) timeout: Option<Setting<Timeout>>,
    pub(crate) body_limit: Option<Setting<u64>>,
    pub(crate) identity: Option<Setting<Identity>>,
    /// Absent in a setting: `none`.
    pub(crate) upstream_auth: Option<Setting<Option<WrittenAuth>>>,
}

/// The origin of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginLevel {
    /// Tollgate's default.
    Default,
    /// No level: it follows from other settings.
    Computed,
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

/// A single value that a level sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
    /// The place of `locked: true`: lower levels may not set it again.
    pub(crate) locked: Option<Span>,
}

/// The statement of a level about a phase's list of policies.
#[derive(Clone, Debug)]
pub(crate) struct ListStatement {
    pub(crate) span: Span,
    /// The items; empty for `none`.
    pub(crate) items: Vec<Item>,
    /// Whether the list replaces those of higher levels; `None` if it is not set.
    pub(crate) replace: Option<bool>,
    /// The place of `locked: true`: lower levels may not replace the list.
    pub(crate) locked: Option<Span>,
}

/// One item of a list of policies: a single policy, or in `authn` several that must all accept the caller; none for a caller
/// without a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) span: Span,
    pub(crate) names: Vec<Spanned<String>>,
}

impl Item {
    fn one(name: Spanned<String>) -> Self {
        Self { span: name.span, names: vec![name] }
    }

    /// Whether both items name the same policies.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.names.len() == other.names.len()
            && self.names.iter().all(|name| other.names.iter().any(|known| known.value == name.value))
    }

    /// The names for messages, such as `keys + signature`.
    pub(crate) fn title(&self) -> String {
        if self.names.is_empty() {
            return "callers without a credential".to_owned();
        }
        self.names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(" + ")
    }
}

/// The statement of a level about caching.
#[derive(Clone, Debug)]
pub(crate) struct CacheStatement {
    pub(crate) span: Span,
    /// The members that are set, while the others are those of the higher level; `None` if nothing is cached.
    pub(crate) fields: Option<CacheFields>,
    /// Whether the statements of higher levels are ignored.
    pub(crate) replace: bool,
    /// The place of `locked: true`: lower levels may not set these members again.
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

/// A time limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    Unbounded,
    Millis(u64),
}

impl Level {
    pub(crate) fn decode(fields: &mut Fields<'_>, report: &mut Report) -> Self {
        Self {
            guard: fields.optional("guard", report, |node, report| list_statement(node, &tables::GUARD, report)),
            authn: fields.optional("authn", report, authn_statement),
            authz: fields.optional("authz", report, |node, report| list_statement(node, &tables::AUTHZ, report)),
            limit: fields.optional("limit", report, |node, report| list_statement(node, &tables::LIMIT, report)),
            limit_fields: fields.optional("limit-fields", report, |node, report| {
                decode::word(node, LIMIT_FIELDS, report).map(|value| Setting { value, span: node.span, locked: None })
            }),
            help: fields.optional("help", report, help),
            cache: fields.optional("cache", report, cache_statement),
            timeout: fields
                .optional("timeout", report, |node, report| setting(node, &tables::LOCKABLE_TIMEOUT, report, timeout)),
            body_limit: fields.optional("body-limit", report, |node, report| {
                setting(node, &tables::LOCKABLE_SIZE, report, |node, report| {
                    decode::quantity(node, &SIZE, report).map(|size| size.value)
                })
            }),
            identity: fields.optional("identity", report, identity::statement),
            upstream_auth: fields.optional("upstream-auth", report, WrittenAuth::statement),
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

/// The words for fields that tell of limits.
pub(crate) const LIMIT_FIELDS: &[(&str, Option<LegacyFields>)] = &[
    ("standard", None),
    ("x-ratelimit", Some(LegacyFields::XRatelimit)),
    ("x-ratelimit-unix", Some(LegacyFields::XRatelimitUnix)),
    ("draft-03", Some(LegacyFields::Draft03)),
];

/// The URL of a page, or `none`.
fn help(node: &Node, report: &mut Report) -> Option<Setting<Option<String>>> {
    let setting = |value| Some(Setting { value, span: node.span, locked: None });
    if is_none(node) {
        return setting(None);
    }
    let url = upstream::url(node, report)?.value;
    let is_page = url.len() <= HELP_BYTES_MAX
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte))
        && url.split_once("://").is_some_and(|(scheme, rest)| ["https", "http"].contains(&scheme) && !rest.is_empty());
    if !is_page {
        report.push(
            Diagnostic::error(Code::BadUrl, node.span, "the value is not the URL of a page")
                .why("clients that a limit refuses are sent there, by a link in the response")
                .fix("write a URL such as `https://docs.example.com/limits`, with everything but ASCII percent-encoded, or `none`"),
        );
        return None;
    }
    setting(Some(url))
}

/// What fits in a field with room to spare.
const HELP_BYTES_MAX: usize = 1024;

/// A time limit, or `none`.
pub(crate) fn timeout(node: &Node, report: &mut Report) -> Option<Timeout> {
    if is_none(node) {
        return Some(Timeout::Unbounded);
    }
    if is_unbounded_elsewhere(node) {
        report.push(
            Diagnostic::error(Code::BadDuration, node.span, "the value is not a valid duration")
                .why("a duration is an integer directly followed by ms, s, m, h or d")
                .fix("write `none` for no time limit"),
        );
        return None;
    }
    decode::time_limit(node, report).map(Timeout::Millis)
}

/// `name`, `[a, b]`, `none`, or `{use: [a, b], replace: true}`.
fn list_statement(node: &Node, object: &'static Object, report: &mut Report) -> Option<ListStatement> {
    let span = node.span;
    match &node.value {
        Value::Map(_) if report_requirement(node, object, report) => None,
        Value::Map(_) => {
            let mut fields = Fields::open(node, object, "this list", span, report)?;
            let items = fields.required("use", report, names);
            let statement = rest_of_list(&mut fields, span, report);
            fields.finish(report);
            Some(ListStatement { items: items?, ..statement })
        }
        _ => short_list(node, "use", names, report),
    }
}

/// `name`, `[a, {all: [b, c]}]`, `none`, `{any: [...]}`, `{optional: [...]}` or `{all: [...]}`.
fn authn_statement(node: &Node, report: &mut Report) -> Option<ListStatement> {
    let span = node.span;
    match &node.value {
        Value::Map(_) if report_requirement(node, &tables::AUTHN, report) => None,
        Value::Map(_) => {
            let mut fields = Fields::open(node, &tables::AUTHN, "`authn`", span, report)?;
            let any = fields.optional("any", report, alternatives);
            let optional = fields.optional("optional", report, optional);
            let all = fields.optional("all", report, together);
            let statement = rest_of_list(&mut fields, span, report);
            let is_valid = fields.check_rules(report);
            fields.finish(report);
            let items = any.or(optional).or_else(|| all.map(|item| vec![item]));
            Some(ListStatement { items: items.filter(|_| is_valid)?, ..statement })
        }
        _ => short_list(node, "any", alternatives, report),
    }
}

/// Reports a mapping from the names of policies to something else, as in `security` of OpenAPI: `{keys: []}`; returns
/// whether it is one.
fn report_requirement(node: &Node, object: &'static Object, report: &mut Report) -> bool {
    let Value::Map(entries) = &node.value else { return false };
    let is_name = |key: &str| object.key(key).is_none() && habits::key::fix(object.name, key).is_none();
    let (Some(first), true) = (entries.first(), entries.iter().all(|entry| is_name(&entry.key.value))) else {
        return false;
    };
    let names: Vec<&str> = entries.iter().map(|entry| entry.key.value.as_str()).collect();
    let fix = match names.as_slice() {
        [name] => format!("write `{name}` alone; scopes are listed in `scopes` of the route"),
        names => format!("write `{{all: [{}]}}` for policies that must all accept the caller", names.join(", ")),
    };
    report.push(
        Diagnostic::error(Code::UnknownKey, first.key.span, format!("`{}` is written as a key", first.key.value))
            .why("a list names policies, which have no settings there")
            .fix(fix),
    );
    true
}

/// The other keys beside the list in a mapping.
fn rest_of_list(fields: &mut Fields<'_>, span: Span, report: &mut Report) -> ListStatement {
    let replace = fields.optional("replace", report, decode::boolean);
    ListStatement { span, items: Vec::new(), replace, locked: locked(fields, report) }
}

/// `name`, a list or `none`.
fn short_list(
    node: &Node,
    key: &str,
    read: impl FnOnce(&Node, &mut Report) -> Option<Vec<Item>>,
    report: &mut Report,
) -> Option<ListStatement> {
    let span = node.span;
    if is_none(node) {
        return Some(ListStatement { span, items: Vec::new(), replace: Some(true), locked: None });
    }
    let items = match &node.value {
        Value::Text(_) => vec![Item::one(decode::text(node, report)?)],
        Value::List(_) => read(node, report)?,
        _ => {
            let fix = format!("write the name of a policy, `[a, b]`, `{{{key}: [a, b]}}` or `none`");
            return decode::mistyped(node, "the names of policies", &fix, report);
        }
    };
    Some(ListStatement { span, items, replace: None, locked: None })
}

fn names(node: &Node, report: &mut Report) -> Option<Vec<Item>> {
    let is_refused = |item: &Node, report: &mut Report| match &item.value {
        Value::Map(_) | Value::List(_) => {
            let fix = "write the name of a policy that is defined under `policies`";
            decode::mistyped::<()>(item, "the name of a policy", fix, report);
            true
        }
        _ => false,
    };
    if let Value::List(items) = &node.value
        && items.iter().filter(|item| is_refused(item, report)).count() > 0
    {
        return None;
    }
    let names = decode::some_texts(node, POLICIES_MAX, report)?;
    Some(names.into_iter().map(Item::one).collect())
}

/// A list of names and of groups whose policies must all accept the caller: `[a, {all: [b, c]}]`.
fn alternatives(node: &Node, report: &mut Report) -> Option<Vec<Item>> {
    let Value::List(items) = &node.value else { return names(node, report) };
    if items.iter().all(|item| !matches!(item.value, Value::Map(_))) {
        return names(node, report);
    }
    decode::check_length(node, items.len(), POLICIES_MAX, report).then_some(())?;
    let item = |node: &Node, report: &mut Report| match &node.value {
        Value::Map(_) if report_requirement(node, &tables::TOGETHER, report) => None,
        Value::Map(_) => {
            let mut fields = Fields::open(node, &tables::TOGETHER, "this item", node.span, report)?;
            let item = fields.required("all", report, together);
            fields.finish(report);
            item
        }
        _ => decode::text(node, report).map(Item::one),
    };
    let mut kept: Vec<Item> = Vec::with_capacity(items.len());
    for item in decode::list(node, report, item)? {
        match kept.iter().find(|known| known.is_same(&item)) {
            Some(first) => decode::report_repeated(&item.title(), item.span, first.span, report),
            None => kept.push(item),
        }
    }
    Some(kept)
}

/// Alternatives, and one for callers who present no credential.
fn optional(node: &Node, report: &mut Report) -> Option<Vec<Item>> {
    let mut items = alternatives(node, report)?;
    items.push(Item { span: node.span, names: Vec::new() });
    Some(items)
}

fn together(node: &Node, report: &mut Report) -> Option<Item> {
    Some(Item { span: node.span, names: decode::some_texts(node, POLICIES_MAX, report)? })
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
        vary: fields.optional("vary", report, |node, report| names_of(node, VARY_MAX, report)),
        credentials: fields.optional("with-credentials", report, |node, report| {
            decode::word(node, CREDENTIALS, report).map(|word| Spanned::new(word, node.span))
        }),
        key_query: fields.optional("key-query", report, |node, report| names_of(node, QUERY_MAX, report)),
    };
    let replace = fields.optional("replace", report, decode::boolean).unwrap_or(false);
    let locked = locked(&mut fields, report);
    fields.finish(report);
    Some(CacheStatement { span, fields: Some(cache), replace, locked })
}

/// Names with the place of their list.
fn names_of(node: &Node, max: usize, report: &mut Report) -> Option<Spanned<Vec<Spanned<String>>>> {
    decode::texts(node, max, report).map(|list| Spanned::new(list, node.span))
}

/// The maximum number of policies in a list: each of them costs every request a look-up or a charge.
pub const POLICIES_MAX: usize = 32;

/// The maximum number of request fields in a cache key.
pub(crate) const VARY_MAX: usize = 16;

/// The maximum number of query parameters in a cache key.
pub(crate) const QUERY_MAX: usize = 64;

/// Whether a value means no limit in other gateways.
fn is_unbounded_elsewhere(node: &Node) -> bool {
    const WORDS: &[&str] = &["unlimited", "infinite", "infinity", "never", "disabled", "forever", "unbounded", "max"];
    match &node.value {
        Value::Text(text) => WORDS.contains(&text.to_ascii_lowercase().as_str()),
        Value::Integer(number) => *number <= 0,
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) | Value::Refused => false,
    }
}

/// Whether it is `none`.
pub(crate) fn is_none(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text == "none")
}
