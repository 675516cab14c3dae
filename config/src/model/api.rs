//! `apis:`, the APIs and their routes.

use std::sync::Arc;

use super::level::Level;
use super::operations::Override;
use super::project::format_version;
use super::scopes::Scopes;
use super::upstream::Upstream;
use super::when::When;
use crate::decode::{self, Fields, Named, habits};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::openapi::{Described, SecurityRequirement};
use crate::place::{Span, Spanned};
use crate::policies::WrittenPolicy;
use crate::source::{Node, Value};

/// One API as written.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) hosts: Option<Vec<Spanned<String>>>,
    pub(crate) base: Option<Spanned<String>>,
    pub(crate) upstream: Option<Spanned<String>>,
    pub(crate) strip_base: bool,
    pub(crate) strip_base_at: Option<Span>,
    pub(crate) internal: bool,
    pub(crate) internal_at: Option<Span>,
    pub(crate) level: Level,
    /// The OpenAPI document whose operations become routes.
    pub(crate) spec: Option<Spanned<String>>,
    /// Whether operations require the scopes of the document.
    pub(crate) spec_scopes: bool,
    pub(crate) overlays: Vec<Spanned<String>>,
    pub(crate) operations: Vec<Override>,
    /// The routes as written, followed by those of the operations.
    pub(crate) routes: Vec<Route>,
    /// The operations of the document, each with the index of its route, if it has one.
    pub(crate) described: Vec<(Described, Option<usize>)>,
    /// Upstreams that are visible only to this API.
    pub(crate) upstreams: Named<Upstream>,
    /// Policies that are visible only to this API.
    pub(crate) policies: Named<WrittenPolicy>,
}

/// One route as written.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// The place of the route in its list.
    pub(crate) span: Span,
    pub(crate) path: Spanned<String>,
    pub(crate) methods: Option<Vec<Spanned<String>>>,
    pub(crate) when: Option<When>,
    pub(crate) id: Option<Spanned<String>>,
    pub(crate) scopes: Vec<Scopes>,
    pub(crate) cost: Option<Spanned<u32>>,
    pub(crate) internal: Option<bool>,
    pub(crate) internal_at: Option<Span>,
    pub(crate) matrix_parameters: Option<Spanned<bool>>,
    /// The settings between those of the API and those of the route itself, the highest level first.
    pub(crate) between: Vec<Arc<Level>>,
    pub(crate) level: Level,
    /// The security requirement of the specification, for a route of an operation.
    pub(crate) requirement: Option<Arc<SecurityRequirement>>,
    /// The operation that is not routed to which the requirement belongs, because this one answers its requests.
    pub(crate) answers: Option<Arc<str>>,
    pub(crate) is_operation: bool,
    /// The operation's tags.
    pub(crate) tags: Arc<[String]>,
}

impl Api {
    /// Decodes an API in `tollgate.yaml`.
    pub(crate) fn decode(name: &Spanned<String>, node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::API, format!("API `{}`", name.value), name.span, report)?;
        let api = Self::members(&mut fields, report);
        fields.finish(report);
        Some(api)
    }

    /// Decodes the root of an API's own file.
    pub(crate) fn decode_file(name: &Spanned<String>, root: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(root, &tables::API_FILE, format!("API `{}`", name.value), name.span, report)?;
        format_version(&mut fields, report);
        let mut api = Self::members(&mut fields, report);
        api.upstreams = fields
            .optional("upstreams", report, |node, report| decode::named(node, report, Upstream::decode))
            .unwrap_or_default();
        api.policies = fields
            .optional("policies", report, |node, report| decode::named(node, report, WrittenPolicy::decode))
            .unwrap_or_default();
        fields.finish(report);
        Some(api)
    }

    fn members(fields: &mut Fields<'_>, report: &mut Report) -> Self {
        check_source(fields, report);
        Self {
            hosts: fields.optional("hosts", report, |node, report| decode::some_texts(node, HOSTS_MAX, report)),
            base: fields.optional("base", report, decode::text),
            upstream: fields.required("upstream", report, decode::text),
            strip_base: fields.optional("strip-base", report, decode::boolean).unwrap_or(true),
            strip_base_at: fields.key_span("strip-base"),
            internal: fields.optional("internal", report, decode::boolean).unwrap_or(false),
            internal_at: fields.key_span("internal"),
            level: Level::decode(fields, report),
            spec: fields.optional("spec", report, decode::text),
            spec_scopes: fields.optional("spec-scopes", report, decode::boolean).unwrap_or(false),
            overlays: fields
                .optional("overlays", report, |node, report| decode::texts(node, OVERLAYS_MAX, report))
                .unwrap_or_default(),
            operations: fields
                .optional("operations", report, |node, report| decode::list(node, report, Override::decode))
                .unwrap_or_default(),
            routes: fields
                .optional("routes", report, |node, report| decode::list(node, report, Route::decode))
                .unwrap_or_default(),
            described: Vec::new(),
            upstreams: Named::new(),
            policies: Named::new(),
        }
    }
}

/// The path of a route.
fn path(node: &Node, report: &mut Report) -> Option<Spanned<String>> {
    let fix = match &node.value {
        Value::List(_) => "write one route for each path",
        Value::Map(_) => {
            "write the path alone, such as `/pets`, and a second route with `/pets/{*rest}` for all paths below it"
        }
        _ => return decode::text(node, report),
    };
    decode::mistyped(node, "a path", fix, report)
}

impl Route {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        if let Value::Text(text) = &node.value {
            return decode::mistyped(node, "a mapping", &habits::path::route_fix(text), report);
        }
        let mut fields = Fields::open(node, &tables::ROUTE, "this route", node.span, report)?;
        let path = fields.required("path", report, path);
        let methods = fields.optional("methods", report, |node, report| decode::some_texts(node, METHODS_MAX, report));
        let when = fields.optional("when", report, When::decode);
        let id = fields.optional("id", report, decode::text).filter(|id| decode::check_id(id, report));
        let scopes = fields.optional("scopes", report, Scopes::decode).into_iter().collect();
        let cost = fields.optional("cost", report, |node, report| {
            decode::integer(node, 1, COST_MAX, report).map(|cost| Spanned::new(cost, node.span))
        });
        let internal_at = fields.key_span("internal");
        let internal = fields.optional("internal", report, decode::boolean);
        let matrix_parameters = fields.optional("matrix-parameters", report, decode::placed_boolean);
        let level = Level::decode(&mut fields, report);
        fields.finish(report);
        Some(Self {
            span: node.span,
            path: path?,
            methods,
            when,
            id,
            scopes,
            cost,
            internal,
            internal_at,
            matrix_parameters,
            between: Vec::new(),
            level,
            requirement: None,
            answers: None,
            is_operation: false,
            tags: Arc::new([]),
        })
    }
}

/// Reports an API without routes, and keys that have no meaning without a specification.
fn check_source(fields: &Fields<'_>, report: &mut Report) {
    if fields.key_span("spec").is_some() {
        return;
    }
    for key in ["overlays", "operations", "spec-scopes"] {
        if let Some(span) = fields.key_span(key) {
            report.push(
                Diagnostic::error(Code::MissingKey, span, format!("`{key}` is set without `spec`"))
                    .why("it applies to the operations of a specification")
                    .fix("add `spec:` with the path of an OpenAPI document"),
            );
        }
    }
    if fields.key_span("routes").is_none() {
        report.push(
            Diagnostic::error(
                Code::MissingKey,
                fields.at(),
                format!("{} has neither `routes` nor `spec`", fields.owner()),
            )
            .why("requests that match no route are answered with 404, so the API would have no effect")
            .fix("add `routes:`, or `spec:` with the path of an OpenAPI document"),
        );
    }
}

/// The maximum number of hosts in a list: ten times those of the largest expected gateway.
pub(crate) const HOSTS_MAX: usize = 10_000;

/// The maximum number of methods of a route: more than are registered and in use.
pub(crate) const METHODS_MAX: usize = 32;

/// The maximum number of overlays of a specification.
pub(crate) const OVERLAYS_MAX: usize = 32;

/// The maximum number of scopes of a route or key.
pub const SCOPES_MAX: usize = 64;

/// The maximum cost of a request: more than any usual burst.
pub(crate) const COST_MAX: u32 = 1_000_000;
