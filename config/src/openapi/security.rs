//! The security schemes and requirements of a specification.

use std::collections::HashMap;
use std::sync::Arc;

use super::documents::{Site, entries, get, text};
use super::reference::short;
use super::resolver::Resolver;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::source::{Entry, Node, Value};

/// A security scheme of a specification: a way to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// Its name within the specification.
    pub name: String,
    /// How the credential is sent.
    pub kind: SchemeKind,
    pub(crate) span: Span,
}

/// How a credential is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemeKind {
    /// A key in a header field.
    HeaderKey(String),
    /// A key in a query parameter.
    QueryKey(String),
    /// A key in a cookie.
    CookieKey(String),
    /// `Authorization: Basic`.
    Basic,
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization` with another scheme.
    OtherHttp(String),
    /// OAuth 2: an access token, with scopes.
    OAuth2,
    /// OpenID Connect: a token, with scopes.
    OpenIdConnect,
    /// A client certificate.
    MutualTls,
    /// An unknown type of scheme.
    Unknown,
}

/// The security requirement of an operation: callers must satisfy one of its alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecurityRequirement {
    /// Each alternative is a list of credentials that are required together. An empty alternative, or an empty list of
    /// alternatives, means public.
    pub(crate) alternatives: Vec<Vec<SchemeRequirement>>,
    pub(crate) span: Span,
}

/// A credential of one scheme, with its required scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemeRequirement {
    pub(crate) scheme: Arc<Scheme>,
    pub(crate) scopes: Vec<String>,
}

impl SecurityRequirement {
    /// Whether a request without any credential is refused.
    pub(crate) fn requires_credential(&self) -> bool {
        !self.alternatives.is_empty() && self.alternatives.iter().all(|requirements| !requirements.is_empty())
    }
}

/// The schemes of a specification by name.
pub(super) type Schemes = HashMap<String, Arc<Scheme>>;

/// Parses `components.securitySchemes`.
pub(super) fn schemes<'d>(root: Site<'d>, resolver: &mut Resolver<'d>) -> Schemes {
    let Some(all) = root.get("components").and_then(|components| components.get("securitySchemes")) else {
        return Schemes::new();
    };
    let mut schemes = Schemes::new();
    for Entry { key, value } in entries(all.node).iter().take(SCHEMES_MAX) {
        let site = Site { node: value, ..all };
        // A scheme of unknown type still requires a credential.
        let kind = resolver.follow(site).map_or(SchemeKind::Unknown, |site| scheme_kind(site.node));
        let scheme = Scheme { name: key.value.clone(), kind, span: key.span };
        schemes.insert(key.value.clone(), Arc::new(scheme));
    }
    schemes
}

fn scheme_kind(node: &Node) -> SchemeKind {
    let word = |key| get(node, key).and_then(text).unwrap_or_default();
    match word("type") {
        "apiKey" => {
            let name = short(word("name")).into_owned();
            match word("in") {
                "header" => SchemeKind::HeaderKey(name),
                "query" => SchemeKind::QueryKey(name),
                "cookie" => SchemeKind::CookieKey(name),
                _ => SchemeKind::Unknown,
            }
        }
        "http" => match word("scheme").to_ascii_lowercase().as_str() {
            "basic" => SchemeKind::Basic,
            "bearer" => SchemeKind::Bearer,
            other => SchemeKind::OtherHttp(short(other).into_owned()),
        },
        "oauth2" => SchemeKind::OAuth2,
        "openIdConnect" => SchemeKind::OpenIdConnect,
        "mutualTLS" => SchemeKind::MutualTls,
        _ => SchemeKind::Unknown,
    }
}

/// Parses a `security` list; `None` if it is not a list of requirements, which is reported.
pub(super) fn requirement(node: &Node, schemes: &Schemes, report: &mut Report) -> Option<Arc<SecurityRequirement>> {
    let Value::List(items) = &node.value else {
        report.push(
            Diagnostic::warning(Code::SpecShape, node.span, "`security` must be a list")
                .why("the required credentials are unknown, so they are not compared with the gateway's policies")
                .fix("write a list of security requirements: `[{scheme: []}]`, or `[]` for none"),
        );
        return None;
    };
    let alternatives = items.iter().take(ALTERNATIVES_MAX).map(|item| requirements(item, schemes, report)).collect();
    Some(Arc::new(SecurityRequirement { alternatives, span: node.span }))
}

fn requirements(item: &Node, schemes: &Schemes, report: &mut Report) -> Vec<SchemeRequirement> {
    let requirement = |Entry { key, value }: &Entry| {
        let scheme = schemes.get(&key.value).cloned().unwrap_or_else(|| {
            report_undefined(key.span, &key.value, report);
            Arc::new(Scheme { name: short(&key.value).into_owned(), kind: SchemeKind::Unknown, span: key.span })
        });
        let scopes = match &value.value {
            Value::List(items) => items.iter().filter_map(text).take(SCOPES_MAX).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        SchemeRequirement { scheme, scopes }
    };
    entries(item).iter().take(SCHEMES_MAX).map(requirement).collect()
}

fn report_undefined(span: Span, name: &str, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::SpecShape, span, format!("security scheme `{}` is not defined", short(name)))
            .why("clients cannot know which credential they must send")
            .fix("define it under `components.securitySchemes`"),
    );
}

/// The maximum number of schemes of one specification, or of one alternative.
const SCHEMES_MAX: usize = 64;

/// The maximum number of alternatives of one list.
const ALTERNATIVES_MAX: usize = 64;

/// The maximum number of scopes of one requirement.
const SCOPES_MAX: usize = 64;
