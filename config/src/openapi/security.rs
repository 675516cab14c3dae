//! The security schemes and requirements of a specification.

use std::collections::HashMap;
use std::sync::Arc;

use super::documents::{Site, entries, get, report_broken, text};
use super::reference::short;
use super::resolver::{Dangling, Resolver};
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
    /// `Authorization: Bearer` with a JWT.
    Jwt,
    /// `Authorization` with another scheme.
    OtherHttp(String),
    /// OAuth 2: an access token, with scopes.
    OAuth2,
    /// OpenID Connect: a token of the provider whose metadata have this URL, with scopes.
    OpenIdConnect(String),
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
pub struct SchemeRequirement {
    /// The scheme of the credential.
    pub scheme: Arc<Scheme>,
    /// The scopes that the credential must have.
    pub scopes: Vec<String>,
}

impl SecurityRequirement {
    /// Whether a request without any credential is refused.
    pub(crate) fn requires_credential(&self) -> bool {
        !self.alternatives.is_empty() && self.alternatives.iter().all(|requirements| !requirements.is_empty())
    }

    /// A credential of which nothing is known.
    pub(super) fn unknown(span: Span) -> Arc<Self> {
        Arc::new(Self { alternatives: vec![unknown(span)], span })
    }
}

/// Whether each caller that satisfies the first requirement satisfies the second one, too; `None` is public.
///
/// This is the only comparison of requirements: each alternative of the first one must have all credentials and scopes of
/// an alternative of the second one. Of two requirements neither of which implies the other, none is the stricter one.
pub(crate) fn implies(some: Option<&Arc<SecurityRequirement>>, other: Option<&Arc<SecurityRequirement>>) -> bool {
    let guarded = |one: Option<&'_ Arc<SecurityRequirement>>| one.is_some_and(|one| one.requires_credential());
    let (Some(some), Some(other), true) = (some, other, guarded(other)) else { return !guarded(other) };
    if Arc::ptr_eq(some, other) || is_same(&some.alternatives, &other.alternatives) {
        return true;
    }
    let parts = |one: &SecurityRequirement| one.alternatives.iter().flatten().map(|need| 1 + need.scopes.len()).sum();
    let work = usize::saturating_mul(parts(some), parts(other));
    guarded(Some(some))
        && work <= COMPARED_MAX
        && some.alternatives.iter().all(|own| other.alternatives.iter().any(|needs| has_all(own, needs)))
}

fn is_same(some: &[Vec<SchemeRequirement>], others: &[Vec<SchemeRequirement>]) -> bool {
    let is_same_need =
        |(a, b): (&SchemeRequirement, &SchemeRequirement)| a.scheme.name == b.scheme.name && a.scopes == b.scopes;
    let is_same_list = |(a, b): (&Vec<_>, &Vec<_>)| a.len() == b.len() && a.iter().zip(b).all(is_same_need);
    some.len() == others.len() && some.iter().zip(others).all(is_same_list)
}

/// Whether credentials that are required together include others with their scopes.
fn has_all(own: &[SchemeRequirement], needs: &[SchemeRequirement]) -> bool {
    let is_in = |need: &SchemeRequirement, own: &SchemeRequirement| {
        own.scheme.name == need.scheme.name && need.scopes.iter().all(|scope| own.scopes.contains(scope))
    };
    needs.iter().all(|need| own.iter().any(|own| is_in(need, own)))
}

/// The schemes of a specification by name.
pub(super) type Schemes = HashMap<String, Arc<Scheme>>;

/// Parses `components.securitySchemes`.
pub(super) fn schemes<'d>(root: Site<'d>, resolver: &mut Resolver<'d>, report: &mut Report) -> Schemes {
    let Some(all) = root.get("components").and_then(|components| components.get("securitySchemes")) else {
        return Schemes::new();
    };
    let mut schemes = Schemes::new();
    for Entry { key, value } in entries(all.node) {
        let site = Site { node: value, ..all };
        // A scheme of unknown type still requires a credential.
        let kind = match resolver.follow(site) {
            Ok(site) => scheme_kind(site.node),
            Err(Dangling { broken, text, span }) => {
                report_broken(&broken, text, span, report);
                SchemeKind::Unknown
            }
        };
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
            "bearer" if word("bearerFormat").eq_ignore_ascii_case("jwt") => SchemeKind::Jwt,
            "bearer" => SchemeKind::Bearer,
            other => SchemeKind::OtherHttp(short(other).into_owned()),
        },
        "oauth2" => SchemeKind::OAuth2,
        "openIdConnect" => SchemeKind::OpenIdConnect(short(word("openIdConnectUrl")).into_owned()),
        "mutualTLS" => SchemeKind::MutualTls,
        _ => SchemeKind::Unknown,
    }
}

/// Parses a `security` list. A part of another shape is reported, and never read as no requirement.
pub(super) fn requirement(node: &Node, schemes: &Schemes, report: &mut Report) -> Arc<SecurityRequirement> {
    let mut reader = Reader { schemes, report, remaining: PARTS_MAX + 1, is_shape_reported: false };
    let alternatives = match &node.value {
        Value::List(items) => items.iter().map_while(|item| reader.alternative(item)).collect(),
        value => {
            let fix = "write a list of security requirements: `[{scheme: []}]`, or `[]` for none";
            reader.report_shape(node.span, "`security` must be a list", A_CREDENTIAL, fix);
            let is_empty = matches!(value, Value::Map(entries) if entries.is_empty());
            let alternative = if is_empty { Some(unknown(node.span)) } else { reader.alternative(node) };
            alternative.into_iter().collect()
        }
    };
    if reader.remaining == 0 {
        report_too_many(node.span, report);
    }
    Arc::new(SecurityRequirement { alternatives, span: node.span })
}

struct Reader<'r> {
    schemes: &'r Schemes,
    report: &'r mut Report,
    /// The remaining number of parts, and one more; at 0 reading stops, which is an error.
    remaining: usize,
    is_shape_reported: bool,
}

impl Reader<'_> {
    /// One item of the list; `None` if there are too many parts.
    fn alternative(&mut self, item: &Node) -> Option<Vec<SchemeRequirement>> {
        self.spend()?;
        if let Value::Map(entries) = &item.value {
            return entries.iter().map(|Entry { key, value }| self.scheme(&key.value, key.span, value)).collect();
        }
        let what = "a security requirement must be a mapping from schemes to scopes";
        self.report_shape(item.span, what, A_CREDENTIAL, "write `{scheme: []}`");
        Some(match text(item) {
            Some(name) => vec![self.named(name, item.span)],
            None => unknown(item.span),
        })
    }

    fn scheme(&mut self, name: &str, span: Span, scopes: &Node) -> Option<SchemeRequirement> {
        self.spend()?;
        let mut requirement = self.named(name, span);
        let is_list = matches!(&scopes.value, Value::List(items) if items.iter().all(|item| text(item).is_some()));
        if !is_list {
            let why = "other tools may read it as no scopes; here each word of it is a required scope";
            let fix = "write a list such as `[pets.read]`, or `[]` for none";
            self.report_shape(scopes.span, "the scopes of a scheme must be a list of strings", why, fix);
        }
        self.scopes(scopes, &mut requirement.scopes)?;
        Some(requirement)
    }

    fn named(&mut self, name: &str, span: Span) -> SchemeRequirement {
        let scheme = self.schemes.get(name).cloned().unwrap_or_else(|| {
            report_undefined(span, name, self.report);
            Arc::new(Scheme { name: short(name).into_owned(), kind: SchemeKind::Unknown, span })
        });
        SchemeRequirement { scheme, scopes: Vec::new() }
    }

    /// Adds every word below a node: in a token, scopes are separated by spaces (RFC 6749, section 3.3).
    ///
    /// The tree is not deeper than the reader's limit, so recursion is bounded.
    fn scopes(&mut self, node: &Node, into: &mut Vec<String>) -> Option<()> {
        match &node.value {
            Value::List(items) => items.iter().try_for_each(|item| self.scopes(item, into)),
            Value::Map(entries) => entries.iter().try_for_each(|entry| self.words(&entry.key.value, into)),
            Value::Text(text) => self.words(text, into),
            Value::Bool(value) => self.words(&value.to_string(), into),
            Value::Integer(value) => self.words(&value.to_string(), into),
            Value::Float(value) => self.words(&value.to_string(), into),
            Value::Null | Value::Refused => Some(()),
        }
    }

    fn words(&mut self, text: &str, into: &mut Vec<String>) -> Option<()> {
        text.split_ascii_whitespace().try_for_each(|word| {
            into.push(word.to_owned());
            self.spend()
        })
    }

    fn spend(&mut self) -> Option<()> {
        self.remaining = self.remaining.saturating_sub(1);
        (self.remaining > 0).then_some(())
    }

    /// Reports the first part of another shape.
    fn report_shape(&mut self, span: Span, what: &str, why: &str, fix: &str) {
        if !std::mem::replace(&mut self.is_shape_reported, true) {
            self.report.push(Diagnostic::warning(Code::SpecShape, span, what).why(why).fix(fix));
        }
    }
}

/// A credential of which nothing is known.
fn unknown(span: Span) -> Vec<SchemeRequirement> {
    let scheme = Arc::new(Scheme { name: "?".to_owned(), kind: SchemeKind::Unknown, span });
    vec![SchemeRequirement { scheme, scopes: Vec::new() }]
}

fn report_undefined(span: Span, name: &str, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::SpecShape, span, format!("security scheme `{}` is not defined", short(name)))
            .why("clients cannot know which credential they must send")
            .fix("define it under `components.securitySchemes`"),
    );
}

fn report_too_many(span: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::TooMany, span, "a `security` list has too many alternatives, schemes and scopes")
            .why(format!("the maximum is {PARTS_MAX} in total, and none of them may be ignored"))
            .fix("remove alternatives and scopes, or replace several scopes by one"),
    );
}

/// The maximum number of alternatives, schemes and scopes of one `security` list: each is compared with every route
/// that it applies to. The largest published lists have some dozens.
const PARTS_MAX: usize = 2_500;

/// The maximum work for one comparison of two requirements; of longer ones only equal ones are comparable. The largest
/// published lists have some dozens of parts.
const COMPARED_MAX: usize = 64 * 64;

const A_CREDENTIAL: &str = "other tools may read it as no requirement; here a credential is required";
