//! Compares what specifications promise about callers with what the gateway asks of them.
//!
//! One finding for each API and kind of weakness: a specification of a thousand operations has one policy to be mended.

use tollgate_core::kinds::CredentialPlace;

use crate::diagnostic::{Code, Diagnostic, Report, listed};
use crate::model::api::Route;
use crate::openapi::{Need, Promise, SchemeKind};
use crate::place::{Span, Spanned};

/// What the gateway asks of the callers of a route.
pub(super) struct Asked<'a> {
    /// The ways to be let in, each with the places where it looks for credentials; none where everybody may call.
    pub(super) alternatives: Vec<Vec<CredentialPlace<'a>>>,
    pub(super) scopes: &'a [String],
    pub(super) is_internal: bool,
}

/// The weaknesses of an API's operations.
#[derive(Default)]
pub(super) struct Weaknesses {
    public: Found,
    certificate: Found,
    together: Found,
    scopes: Found,
    elsewhere: Found,
}

/// The operations with one weakness.
#[derive(Default)]
struct Found {
    /// The operation's place, that of its promise, and what is missing; the first few.
    shown: Vec<(Span, Span, String)>,
    count: usize,
}

impl Found {
    fn add(&mut self, route: &Route, promise: &Promise, missing: impl FnOnce() -> String) {
        self.count += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push((route.span, promise.span, missing()));
        }
    }
}

impl Weaknesses {
    /// Compares one route; internal ones are not what a specification promises to its readers.
    pub(super) fn judge(&mut self, route: &Route, asked: &Asked<'_>) {
        let Some(promise) = route.promise.as_deref() else { return };
        if asked.is_internal || !promise.demands_credential() {
            return;
        }
        let all = &promise.alternatives;
        if asked.alternatives.is_empty() {
            let kinds = || all.iter().flatten().map(|need| need.scheme.name.as_str());
            return self.public.add(route, promise, || listed(unique(kinds()).into_iter()));
        }
        if all.iter().all(|needs| needs.iter().any(|need| need.scheme.kind == SchemeKind::MutualTls)) {
            self.certificate.add(route, promise, String::new);
        } else if all.iter().all(|needs| needs.len() > 1) && asked.alternatives.iter().any(|keys| !holds(all, keys)) {
            self.together.add(route, promise, String::new);
        } else if !asked.alternatives.iter().any(|keys| holds(all, keys)) {
            let places = || all.iter().flatten().map(|need| place(&need.scheme.kind));
            self.elsewhere.add(route, promise, || unique(places()).join(" or "));
        }
        let missing = |needs: &Vec<Need>| -> Vec<String> {
            let promised = needs.iter().flat_map(|need| &need.scopes);
            promised.filter(|scope| !asked.scopes.contains(scope)).cloned().collect()
        };
        if let Some(missing) = all.iter().map(missing).min_by_key(Vec::len)
            && !missing.is_empty()
        {
            self.scopes.add(route, promise, || listed(missing.iter().map(String::as_str)));
        }
    }

    /// Reports what was found.
    pub(super) fn report(self, api: &Spanned<String>, report: &mut Report) {
        let Self { public, certificate, together, scopes, elsewhere } = self;
        let (of, weaker) = (format!("of API `{}`", api.value), Code::WeakerThanSpec);
        tell(&public, weaker, report, |count, schemes| Told {
            what: format!("{count} {of} promise a credential ({schemes}), and everybody may call"),
            why: "who reads the specification believes that callers are asked for one".to_owned(),
            fix: "add `authn:`; where the upstream asks by itself, let an overlay remove `security`".to_owned(),
        });
        tell(&certificate, weaker, report, |count, _| Told {
            what: format!("{count} {of} promise that a client certificate is asked for, and the gateway asks for none"),
            why: "the gateway does not look at client certificates".to_owned(),
            fix: "ask for them in front of the gateway, and let an overlay say what remains for the gateway".to_owned(),
        });
        tell(&together, weaker, report, |count, _| {
            Told {
            what: format!("{count} {of} promise that several credentials are asked for, and one of them is enough"),
            why: "the policies of `authn` are ways to be let in, of which any is enough".to_owned(),
            fix: "name them in `all`, or let the upstream check the others, and let an overlay say what the gateway asks for"
                .to_owned(),
        }
        });
        tell(&scopes, weaker, report, |count, missing| Told {
            what: format!("{count} {of} promise scopes that the gateway does not ask for: {missing}"),
            why: "a credential without them is let in".to_owned(),
            fix: "add `scopes:` to an entry of `operations:` that selects them".to_owned(),
        });
        tell(&elsewhere, Code::OtherCredential, report, |count, place| Told {
            what: format!("{count} {of} tell clients to send {place}, which no policy of `authn` reads"),
            why: "a client that does what the specification says is refused".to_owned(),
            fix: "let a policy read it (`header:`, `scheme:`, `query:`), or let an overlay name what the gateway reads"
                .to_owned(),
        });
    }
}

struct Told {
    what: String,
    why: String,
    fix: String,
}

fn tell(found: &Found, code: Code, report: &mut Report, told: impl FnOnce(&str, &str) -> Told) {
    let Some((span, promise, missing)) = found.shown.first() else { return };
    let count = if found.count == 1 { "an operation".to_owned() } else { format!("{} operations", found.count) };
    let Told { what, why, fix } = told(&count, missing);
    let what = if found.count == 1 {
        what.replacen(" promise ", " promises ", 1).replacen(" tell ", " tells ", 1)
    } else {
        what
    };
    let mut diagnostic = Diagnostic::warning(code, *span, what).why(why).fix(fix).related(*promise, "promised here");
    for (other, ..) in found.shown.iter().skip(1) {
        diagnostic = diagnostic.related(*other, "this one too");
    }
    report.push(diagnostic);
}

/// Whether who is let in by these credentials has all that an alternative of the specification needs.
fn holds(alternatives: &[Vec<Need>], keys: &[CredentialPlace<'_>]) -> bool {
    alternatives.iter().any(|needs| needs.iter().all(|need| is_read(need, keys)))
}

/// Whether the gateway reads a credential where the specification says that it is sent.
fn is_read(need: &Need, keys: &[CredentialPlace<'_>]) -> bool {
    let in_scheme = |word: &str| {
        let is_scheme = |scheme: &str| scheme.eq_ignore_ascii_case(word);
        keys.iter().any(|key| key.field == "authorization" && key.scheme.is_some_and(is_scheme))
    };
    match &need.scheme.kind {
        SchemeKind::HeaderKey(name) => keys
            .iter()
            .any(|key| key.field.eq_ignore_ascii_case(name) && (key.scheme.is_none() || key.field == "authorization")),
        SchemeKind::QueryKey(name) => keys.iter().any(|key| key.query == Some(name)),
        SchemeKind::Bearer | SchemeKind::OAuth2 | SchemeKind::OpenIdConnect => in_scheme("bearer"),
        SchemeKind::OtherHttp(scheme) => in_scheme(scheme),
        SchemeKind::CookieKey(_) | SchemeKind::Basic => false,
        SchemeKind::MutualTls | SchemeKind::Unknown => true,
    }
}

fn place(kind: &SchemeKind) -> String {
    match kind {
        SchemeKind::HeaderKey(name) => format!("a key in the field `{name}`"),
        SchemeKind::QueryKey(name) => format!("a key in the query parameter `{name}`"),
        SchemeKind::CookieKey(name) => format!("a key in the cookie `{name}`"),
        SchemeKind::Basic => "`Authorization: Basic`".to_owned(),
        SchemeKind::Bearer => "`Authorization: Bearer`".to_owned(),
        SchemeKind::OtherHttp(scheme) => format!("`Authorization: {scheme}`"),
        SchemeKind::OAuth2 => "an OAuth 2 token (`Authorization: Bearer`)".to_owned(),
        SchemeKind::OpenIdConnect => "an OpenID Connect token (`Authorization: Bearer`)".to_owned(),
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

/// Operations shown with one finding.
const SHOWN_MAX: usize = 4;
