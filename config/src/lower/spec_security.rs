//! Compares the security requirements of specifications with the policies of the gateway.
//!
//! Each weakness is reported once for an API: with a thousand operations there is usually one policy to correct.

use std::sync::Arc;

use tollgate_core::authn::CredentialPlace;
use tollgate_core::kinds::Uses;

use crate::diagnostic::{Code, Diagnostic, Report, listed};
use crate::model::api::Route;
use crate::openapi::{SchemeKind, SchemeRequirement, SecurityRequirement};
use crate::place::{Span, Spanned};

/// What the gateway requires of the callers of a route.
pub(super) struct Required<'a> {
    /// The alternatives of `authn`; none for a public route.
    pub(super) alternatives: Vec<Accepted<'a>>,
    /// Whether a caller without a credential is accepted too.
    pub(super) admits_anonymous: bool,
    /// The smallest sets of scopes with which a caller is accepted.
    pub(super) scopes: &'a [Vec<&'a str>],
    pub(super) is_internal: bool,
}

/// The credentials of an alternative.
#[derive(Default)]
pub(super) struct Accepted<'a> {
    /// The places from which credentials are read.
    places: Vec<&'a CredentialPlace>,
    /// Whether the certificate of the client is verified.
    certificate: bool,
}

impl<'a> FromIterator<Uses<'a>> for Accepted<'a> {
    fn from_iter<I: IntoIterator<Item = Uses<'a>>>(policies: I) -> Self {
        policies.into_iter().fold(Self::default(), |mut all, uses| {
            all.places.extend(uses.credential);
            all.certificate |= uses.certificate;
            all
        })
    }
}

/// The weaknesses of an API's operations.
#[derive(Default)]
pub(super) struct Weaknesses {
    public: Found,
    certificate: Found,
    together: Found,
    /// As `together`, but no policy could read all of the credentials.
    partly_read: Found,
    scopes: Found,
    elsewhere: Found,
    /// As `elsewhere`, but no policy could read the credential.
    unread: Found,
}

/// The operations with one weakness.
#[derive(Default)]
struct Found {
    /// Only the first operations.
    shown: Vec<Shown>,
    count: usize,
}

struct Shown {
    operation: Span,
    requirement: Span,
    missing: String,
    /// The operation that requires it, if this one only answers its requests.
    of: Option<Arc<str>>,
}

impl Found {
    fn add(&mut self, route: &Route, requirement: &SecurityRequirement, missing: impl FnOnce() -> String) {
        self.count += 1;
        if self.shown.len() < SHOWN_MAX {
            let (operation, requirement, of) = (route.span, requirement.span, route.answers.clone());
            self.shown.push(Shown { operation, requirement, missing: missing(), of });
        }
    }
}

impl Weaknesses {
    /// Compares one route. Internal routes are skipped, because specifications describe the public ones.
    pub(super) fn compare(&mut self, route: &Route, required: &Required<'_>) {
        let Some(requirement) = route.requirement.as_deref() else { return };
        if required.is_internal || !requirement.requires_credential() {
            return;
        }
        let all = &requirement.alternatives;
        if required.alternatives.is_empty() || required.admits_anonymous {
            let kinds = || all.iter().flatten().map(|requirement| requirement.scheme.name.as_str());
            return self.public.add(route, requirement, || listed(unique(kinds()).into_iter()));
        }
        match compare_credentials(all, &required.alternatives) {
            Some(Weakness::Certificate) => self.certificate.add(route, requirement, String::new),
            Some(Weakness::Together) => {
                let found = if can_be_met(all) { &mut self.together } else { &mut self.partly_read };
                found.add(route, requirement, String::new);
            }
            Some(Weakness::Elsewhere) => {
                let places = || all.iter().flatten().map(|requirement| place(&requirement.scheme.kind));
                let found = if can_be_met(all) { &mut self.elsewhere } else { &mut self.unread };
                found.add(route, requirement, || unique(places()).join(" or "));
            }
            None => {}
        }
        let missing = required.alternatives.iter().map(|keys| missing_scopes(all, keys, required.scopes));
        if let Some(missing) = missing.max_by_key(Vec::len).filter(|missing| !missing.is_empty()) {
            self.scopes.add(route, requirement, || listed(missing.into_iter()));
        }
    }

    /// Reports the weaknesses.
    pub(super) fn report(self, api: &Spanned<String>, report: &mut Report) {
        let Self { public, certificate, together, partly_read, scopes, elsewhere, unread } = self;
        let (of, weaker) = (format!("of API `{}`", api.value), Code::WeakerThanSpec);
        report_weakness(&public, weaker, report, |count, schemes| Message {
            what: format!(
                "{count} {of} without authentication, although the specification requires a credential ({schemes})"
            ),
            why: "readers of the specification expect that the gateway requires a credential".to_owned(),
            fix: "add `authn:`; if the upstream checks the credential, remove `security` with an overlay".to_owned(),
        });
        report_weakness(&certificate, weaker, report, |count, _| {
            Message {
            what: format!("{count} {of} without a client certificate, although the specification requires one"),
            why: "no policy of `authn` reads client certificates".to_owned(),
            fix: "add a policy of kind `client-certificate`; if the upstream checks them, declare only the other credentials with \
                  an overlay"
                .to_owned(),
        }
        });
        report_weakness(&together, weaker, report, |count, _| Message {
            what: format!("{count} {of} with one credential, although the specification requires several together"),
            why: "the policies of `authn` are alternatives, and one of them is sufficient".to_owned(),
            fix: "list them in `all`; if the upstream checks the others, declare only the gateway's with an overlay"
                .to_owned(),
        });
        report_weakness(&partly_read, weaker, report, |count, _| Message {
            what: format!("{count} {of} with a part of the credentials that the specification requires together"),
            why: NOT_READ.to_owned(),
            fix: "if the upstream checks the others, declare only the gateway's with an overlay".to_owned(),
        });
        report_weakness(&scopes, weaker, report, |count, missing| {
            Message {
            what: format!("{count} {of} without scopes that the specification requires: {missing}"),
            why: "a credential without these scopes is accepted".to_owned(),
            fix: "add `scopes:` to an entry of `operations:` that selects these operations, or `spec-scopes: true` to the API"
                .to_owned(),
        }
        });
        report_weakness(&elsewhere, Code::OtherCredential, report, |count, place| {
            Message {
            what: format!("{count} {of} with {place} in the specification, which no policy of `authn` reads"),
            why: "clients that follow the specification are refused".to_owned(),
            fix: "configure a policy to read it (`header:`, `scheme:`, `query:`), or correct the specification with an overlay"
                .to_owned(),
        }
        });
        report_weakness(&unread, Code::OtherCredential, report, |count, place| Message {
            what: format!("{count} {of} with {place} in the specification, which no policy can read"),
            why: NOT_READ.to_owned(),
            fix: "declare the credential that the gateway reads with an overlay".to_owned(),
        });
    }
}

/// The texts of a diagnostic.
struct Message {
    what: String,
    why: String,
    fix: String,
}

fn report_weakness(found: &Found, code: Code, report: &mut Report, message: impl FnOnce(&str, &str) -> Message) {
    let Some(first) = found.shown.first() else { return };
    let count = if found.count == 1 { "an operation".to_owned() } else { format!("{} operations", found.count) };
    let Message { what, why, fix } = message(&count, &first.missing);
    let required = match &first.of {
        Some(of) => format!("required here of `{of}`, which is not routed; its requests go to this operation"),
        None => "required here".to_owned(),
    };
    let mut diagnostic =
        Diagnostic::warning(code, first.operation, what).why(why).fix(fix).related(first.requirement, required);
    for other in found.shown.iter().skip(1) {
        diagnostic = diagnostic.related(other.operation, "also this operation");
    }
    report.push(diagnostic);
}

/// How the credentials of a route differ from those of the specification.
enum Weakness {
    /// A client certificate is required, and not verified.
    Certificate,
    /// One credential is accepted where several are required together.
    Together,
    /// No credential of the specification is read.
    Elsewhere,
}

fn compare_credentials(all: &[Vec<SchemeRequirement>], accepted: &[Accepted<'_>]) -> Option<Weakness> {
    let has_certificate =
        |needs: &Vec<SchemeRequirement>| needs.iter().any(|need| need.scheme.kind == SchemeKind::MutualTls);
    let lacking: Vec<_> = accepted.iter().filter(|keys| !all.iter().any(|needs| satisfies(needs, keys))).collect();
    // By all but the certificate.
    let is_nearly = |needs: &Vec<SchemeRequirement>, keys: &Accepted<'_>| {
        needs.iter().all(|need| need.scheme.kind == SchemeKind::MutualTls || is_read(need, keys))
    };
    let is_some_satisfied = |keys: &Accepted<'_>| all.iter().any(|needs| is_nearly(needs, keys));
    let is_part =
        |keys: &Accepted<'_>| all.iter().any(|needs| needs.len() > 1 && needs.iter().any(|need| is_read(need, keys)));
    let is_single = |needs: &Vec<SchemeRequirement>| needs.len() == 1;
    if lacking.iter().any(|keys| !keys.certificate)
        && (all.iter().all(has_certificate) || lacking.iter().any(|keys| is_some_satisfied(keys)))
    {
        Some(Weakness::Certificate)
    } else if lacking.iter().any(|keys| is_part(keys)) || !(lacking.is_empty() || all.iter().any(is_single)) {
        Some(Weakness::Together)
    } else {
        (lacking.len() == accepted.len()).then_some(Weakness::Elsewhere)
    }
}

/// Whether [`Weaknesses`] reports that less is required than this.
pub(super) fn is_reported(requirement: &SecurityRequirement, accepted: &[Accepted<'_>], scopes: &[Vec<&str>]) -> bool {
    let all = &requirement.alternatives;
    accepted.is_empty()
        || matches!(compare_credentials(all, accepted), Some(Weakness::Certificate | Weakness::Together))
        || accepted.iter().any(|keys| !missing_scopes(all, keys, scopes).is_empty())
}

/// Whether every caller with one of these alternatives of credentials, and of these of scopes, has what is required.
pub(super) fn is_met(requirement: &SecurityRequirement, accepted: &[Accepted<'_>], scopes: &[Vec<&str>]) -> bool {
    let has_all = |needs: &Vec<SchemeRequirement>, keys: &Accepted<'_>, held: &Vec<&str>| {
        satisfies(needs, keys) && missing_of(needs, held).is_empty()
    };
    let is_enough =
        |keys: &Accepted<'_>, held: &Vec<&str>| requirement.alternatives.iter().any(|needs| has_all(needs, keys, held));
    !accepted.is_empty() && accepted.iter().all(|keys| scopes.iter().all(|held| is_enough(keys, held)))
}

/// The scopes of an alternative that a caller with these lacks.
fn missing_of<'s>(needs: &'s [SchemeRequirement], held: &[&str]) -> Vec<&'s str> {
    let scopes = needs.iter().flat_map(|need| &need.scopes).map(String::as_str);
    scopes.filter(|scope| !held.contains(scope)).collect()
}

/// The scopes of the specification without which a caller with these credentials is accepted.
///
/// Those of the alternatives that the credentials satisfy count, or of all if they satisfy none.
fn missing_scopes<'s>(all: &'s [Vec<SchemeRequirement>], keys: &Accepted<'_>, required: &[Vec<&str>]) -> Vec<&'s str> {
    let missing = |held: &Vec<&str>| {
        let satisfied = all.iter().filter(|needs| satisfies(needs, keys));
        let least = satisfied.map(|needs| missing_of(needs, held)).min_by_key(Vec::len);
        least.or_else(|| all.iter().map(|needs| missing_of(needs, held)).min_by_key(Vec::len)).unwrap_or_default()
    };
    required.iter().map(missing).max_by_key(Vec::len).unwrap_or_default()
}

/// Whether these credentials include all of an alternative of the specification.
fn satisfies(needs: &[SchemeRequirement], keys: &Accepted<'_>) -> bool {
    needs.iter().all(|need| is_read(need, keys))
}

/// Whether the gateway reads a credential from the place that the specification names.
fn is_read(requirement: &SchemeRequirement, keys: &Accepted<'_>) -> bool {
    let in_scheme = |word: &str| {
        let is_scheme = |scheme: &str| scheme.eq_ignore_ascii_case(word);
        keys.places.iter().any(|key| key.field == "authorization" && key.scheme.as_deref().is_some_and(is_scheme))
    };
    match &requirement.scheme.kind {
        SchemeKind::HeaderKey(name) => keys.places.iter().any(|key| {
            key.field.as_str().eq_ignore_ascii_case(name) && (key.scheme.is_none() || key.field == "authorization")
        }),
        SchemeKind::QueryKey(name) => keys.places.iter().any(|key| key.query.as_deref() == Some(name)),
        SchemeKind::Bearer | SchemeKind::Jwt | SchemeKind::OAuth2 | SchemeKind::OpenIdConnect(_) => in_scheme("bearer"),
        SchemeKind::OtherHttp(scheme) => in_scheme(scheme),
        SchemeKind::CookieKey(name) => keys.places.iter().any(|key| key.cookie.as_deref() == Some(name)),
        SchemeKind::Basic => in_scheme("basic"),
        SchemeKind::MutualTls => keys.certificate,
        SchemeKind::Unknown => true,
    }
}

/// Whether policies could read all credentials of one of these alternatives.
fn can_be_met(all: &[Vec<SchemeRequirement>]) -> bool {
    let is_unread = |need: &SchemeRequirement| matches!(need.scheme.kind, SchemeKind::CookieKey(_));
    all.iter().any(|needs| !needs.iter().any(is_unread))
}

const NOT_READ: &str = "policies read keys from header fields and the query, but not from cookies";

fn place(kind: &SchemeKind) -> String {
    match kind {
        SchemeKind::HeaderKey(name) => format!("a key in the field `{name}`"),
        SchemeKind::QueryKey(name) => format!("a key in the query parameter `{name}`"),
        SchemeKind::CookieKey(name) => format!("a key in the cookie `{name}`"),
        SchemeKind::Basic => "`Authorization: Basic`".to_owned(),
        SchemeKind::Bearer => "`Authorization: Bearer`".to_owned(),
        SchemeKind::Jwt => "a JWT (`Authorization: Bearer`)".to_owned(),
        SchemeKind::OtherHttp(scheme) => format!("`Authorization: {scheme}`"),
        SchemeKind::OAuth2 => "an OAuth 2 token (`Authorization: Bearer`)".to_owned(),
        SchemeKind::OpenIdConnect(_) => "an OpenID Connect token (`Authorization: Bearer`)".to_owned(),
        SchemeKind::MutualTls => "a client certificate".to_owned(),
        SchemeKind::Unknown => "a credential".to_owned(),
    }
}

fn unique<T: PartialEq>(words: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen: Vec<T> = Vec::new();
    for word in words {
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    seen
}

/// The maximum number of operations shown with one finding.
const SHOWN_MAX: usize = 4;
