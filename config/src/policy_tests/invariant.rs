//! `invariants:`, rules for the routes of a project.

use http::Method;

use super::upstream::method;
use crate::decode::{self, Fields, SIZE};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::schema::written;
use crate::source::{Node, Value};

/// A rule for the routes of a project.
#[derive(Clone, Debug)]
pub struct Invariant {
    /// Its name in reports, if it has one.
    pub name: Option<Spanned<String>>,
    /// The place in the file.
    pub span: Span,
    /// The routes to which it applies.
    pub routes: RouteSelection,
    /// What each of these routes must have.
    pub have: Vec<Spanned<Requirement>>,
    /// What none of these routes may have.
    pub not: Vec<Spanned<Requirement>>,
    /// Whether it passes if it applies to no route.
    pub may_be_empty: bool,
}

/// Selects the routes that meet all conditions; without conditions, all routes.
#[derive(Clone, Debug, Default)]
pub struct RouteSelection {
    /// Routes that accept one of these methods.
    pub methods: Vec<Method>,
    /// Routes on this host, or on hosts that match this pattern.
    pub host: Option<Spanned<String>>,
    /// Routes with this path, in which `*` matches any text.
    pub path: Option<Spanned<String>>,
    /// Routes of this API.
    pub api: Option<Spanned<String>>,
    /// Routes of operations with this tag.
    pub tag: Option<Spanned<String>>,
    /// The route with this id.
    pub id: Option<Spanned<String>>,
    /// Routes that forward to this upstream.
    pub upstream: Option<Spanned<String>>,
    /// Routes that are internal, or those that are not.
    pub internal: Option<bool>,
}

/// A property of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Callers are authenticated.
    Authn,
    /// The credential must have a scope.
    Scopes,
    /// A policy checks requests before callers are authenticated.
    Guard,
    /// A policy decides what authenticated callers may do, and may refuse requests of the route.
    Authz,
    /// A policy limits requests, before or after callers are authenticated.
    Limit,
    /// Responses are cached.
    Cache,
    /// The exchange with the upstream has a time limit.
    Timeout,
    /// The route is internal.
    Internal,
    /// The route has this policy, of any kind.
    Policy(String),
    /// The route has a time limit of at most this many milliseconds.
    TimeoutAtMost(u64),
    /// The route accepts content of at most this many bytes.
    BodyLimitAtMost(u64),
}

const WORDS: &[(&str, Word)] = &[
    ("authn", Word::Authn),
    ("scopes", Word::Scopes),
    ("guard", Word::Guard),
    ("authz", Word::Authz),
    ("limit", Word::Limit),
    ("cache", Word::Cache),
    ("timeout", Word::Timeout),
    ("internal", Word::Internal),
];

#[derive(Clone, Copy)]
enum Word {
    Authn,
    Scopes,
    Guard,
    Authz,
    Limit,
    Cache,
    Timeout,
    Internal,
}

impl Requirement {
    /// The requirement for reports.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Authn => "authn".to_owned(),
            Self::Scopes => "scopes".to_owned(),
            Self::Guard => "guard".to_owned(),
            Self::Authz => "authz".to_owned(),
            Self::Limit => "limit".to_owned(),
            Self::Cache => "cache".to_owned(),
            Self::Timeout => "timeout".to_owned(),
            Self::Internal => "internal".to_owned(),
            Self::Policy(name) => name.clone(),
            Self::TimeoutAtMost(ms) => format!("a timeout of at most {}", written::duration(*ms)),
            Self::BodyLimitAtMost(bytes) => format!("a body-limit of at most {}", written::size(*bytes)),
        }
    }

    /// Decodes a word, or a mapping such as `{policy: name}`.
    fn decode(node: &Node, report: &mut Report) -> Option<Spanned<Self>> {
        if matches!(node.value, Value::Map(_)) {
            let mut fields = Fields::open(node, &tables::REQUIREMENT, "this requirement", node.span, report)?;
            let policy = fields.optional("policy", report, decode::text);
            let policy = policy.map(|name| Spanned::new(Self::Policy(name.value), name.span));
            let timeout = fields.optional("timeout-at-most", report, decode::time_limit).map(Self::TimeoutAtMost);
            let body = fields.optional("body-limit-at-most", report, |node, report| {
                decode::quantity(node, &SIZE, report).map(|size| Self::BodyLimitAtMost(size.value))
            });
            let present = ["policy", "timeout-at-most", "body-limit-at-most"].map(|key| fields.key_span(key));
            fields.finish(report);
            if present.into_iter().flatten().count() != 1 {
                report.push(
                    Diagnostic::error(Code::BadInvariant, node.span, "a requirement must have exactly one key")
                        .why("the requirement is ambiguous")
                        .fix("write `{policy: name}`, `{timeout-at-most: 10s}` or `{body-limit-at-most: 1MiB}`"),
                );
                return None;
            }
            return policy.or(timeout.or(body).map(|requirement| Spanned::new(requirement, node.span)));
        }
        let requirement = match decode::word(node, WORDS, report)? {
            Word::Authn => Self::Authn,
            Word::Scopes => Self::Scopes,
            Word::Guard => Self::Guard,
            Word::Authz => Self::Authz,
            Word::Limit => Self::Limit,
            Word::Cache => Self::Cache,
            Word::Timeout => Self::Timeout,
            Word::Internal => Self::Internal,
        };
        Some(Spanned::new(requirement, node.span))
    }
}

impl Invariant {
    /// The name, or a description of the rule if it has no name.
    #[must_use]
    pub fn title(&self) -> String {
        if let Some(name) = &self.name {
            return name.value.clone();
        }
        let list = |all: &[Spanned<Requirement>]| {
            all.iter().map(|requirement| requirement.value.title()).collect::<Vec<_>>().join(", ")
        };
        let mut title = format!("routes {}", self.routes.title());
        if !self.have.is_empty() {
            title.push_str(&format!("have {}", list(&self.have)));
        }
        if !self.not.is_empty() {
            title.push_str(&format!("{}have no {}", if self.have.is_empty() { "" } else { " and " }, list(&self.not)));
        }
        title
    }

    pub(super) fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::INVARIANT, "this invariant", node.span, report)?;
        let name = fields.optional("name", report, decode::text);
        let routes = fields.optional("routes", report, RouteSelection::decode);
        let have = fields.optional("have", report, |node, report| decode::list(node, report, Requirement::decode));
        let not = fields.optional("not", report, |node, report| decode::list(node, report, Requirement::decode));
        let may_be_empty = fields.optional("may-be-empty", report, decode::boolean).unwrap_or(false);
        let has_condition = fields.key_span("have").or(fields.key_span("not")).is_some();
        fields.finish(report);
        let (have, not) = (have.unwrap_or_default(), not.unwrap_or_default());
        if !has_condition {
            report.push(
                Diagnostic::error(Code::BadInvariant, node.span, "the invariant has no condition")
                    .why("it would always pass")
                    .fix("add `have: [authn]` or `not: [cache]`"),
            );
        }
        Some(Self { name, span: node.span, routes: routes.unwrap_or_default(), have, not, may_be_empty })
    }
}

impl RouteSelection {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        if matches!(&node.value, Value::Text(text) if text == "all") {
            return Some(Self::default());
        }
        let mut fields = Fields::open(node, &tables::ROUTE_SELECTION, "`routes`", node.span, report)?;
        let selection = Self {
            methods: fields.optional("method", report, methods).unwrap_or_default(),
            host: fields.optional("host", report, decode::text),
            path: fields.optional("path", report, decode::text),
            api: fields.optional("api", report, decode::text),
            tag: fields.optional("tag", report, decode::text),
            id: fields.optional("id", report, decode::text),
            upstream: fields.optional("upstream", report, decode::text),
            internal: fields.optional("internal", report, decode::boolean),
        };
        fields.finish(report);
        Some(selection)
    }

    fn title(&self) -> String {
        let mut title = String::new();
        if !self.methods.is_empty() {
            let methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
            title.push_str(&format!("for {} ", methods.join(", ")));
        }
        let named = [
            ("host", &self.host),
            ("path", &self.path),
            ("api", &self.api),
            ("tag", &self.tag),
            ("id", &self.id),
            ("upstream", &self.upstream),
        ];
        for (word, value) in named {
            if let Some(value) = value {
                title.push_str(&format!("with {word} {} ", value.value));
            }
        }
        match self.internal {
            Some(true) => title.push_str("that are internal "),
            Some(false) => title.push_str("that are not internal "),
            None => {}
        }
        title
    }
}

/// A method, or a list of methods.
fn methods(node: &Node, report: &mut Report) -> Option<Vec<Method>> {
    match &node.value {
        Value::List(_) => decode::list(node, report, method),
        _ => method(node, report).map(|method| vec![method]),
    }
}
