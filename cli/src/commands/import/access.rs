//! What the `security` of a document requires, as `authn` and `scopes` of routes: never less than the document says.
//!
//! A credential that the gateway cannot check is replaced by an API key. Tokens are verified by a policy for which a person has to
//! write what the document does not say; until then none is accepted. Alternatives of the same schemes are alternatives of scopes; of
//! others all scopes are required, because it is known only of a request which scheme its credential is of. A document with a requirement that cannot be written is refused: if only its
//! operation were not routed, another route with fewer requirements could match its requests.

use std::collections::{BTreeSet, HashMap, HashSet};

use tollgate_config::openapi::{Operation, Scheme, SchemeKind, SchemeRequirement, Spec};
use tollgate_config::{POLICIES_MAX, SCOPES_MAX, can_be_field, can_be_parameter, can_be_scope, usable_url};

use super::draft::{LIMIT, NAME_BYTES_MAX, items, quoted, slug};
use crate::failure::Failure;
use crate::terminal::printable;

/// The policies of a project, and what each route requires.
#[derive(Debug, Default)]
pub(super) struct Access {
    pub(super) policies: Vec<Policy>,
    /// What most of the operations that require a credential require; empty if there are none.
    pub(super) default: Authn,
    /// What each operation requires, in the order of the document.
    pub(super) routes: Vec<Required>,
    /// What is stricter than in the document.
    pub(super) notes: Vec<String>,
}

/// Alternatives, each with the places of policies that are required together; none for a public route.
pub(super) type Authn = Vec<Vec<usize>>;

/// What a route requires of its callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Required {
    pub(super) authn: Authn,
    /// Whether callers without a credential are admitted too.
    pub(super) is_optional: bool,
    pub(super) scopes: Scopes,
}

/// The scopes that a route requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scopes {
    /// All of these.
    All(Vec<String>),
    /// All of one of these lists.
    Any(Vec<Vec<String>>),
}

/// A policy that reads a credential where a security scheme places it.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) definition: String,
    pub(super) remark: Option<&'static str>,
    /// Whether it reads API keys from a field or parameter of their own.
    takes_key: bool,
}

impl Access {
    /// # Errors
    /// If the requirement of an operation cannot be written.
    pub(super) fn of(spec: &Spec) -> Result<Self, Failure> {
        let (mut reader, mut refused) = (Reader::default(), Vec::new());
        let mut routes = Vec::with_capacity(spec.operations().len());
        for operation in spec.operations() {
            match reader.required(operation) {
                Ok(required) => routes.push(required),
                Err(why) => refused.push(format!("{} {}: {why}", operation.method(), printable(operation.path()))),
            }
        }
        if !refused.is_empty() {
            return Err(refuse(&refused));
        }
        let (notes, policies) = (reader.notes(), reader.policies);
        Ok(Self { default: most_frequent(&routes), policies, routes, notes })
    }

    /// The names of policies that are required together.
    pub(super) fn names<'a>(&'a self, together: &'a [usize]) -> impl Iterator<Item = &'a str> {
        together.iter().filter_map(|place| self.policies.get(*place)).map(|policy| policy.name.as_str())
    }

    /// Whether one key is enough for the operation at this place: the first alternative is one policy that reads keys.
    pub(super) fn takes_one_key(&self, place: usize) -> bool {
        let first = self.routes.get(place).and_then(|required| required.authn.first());
        let Some([policy]) = first.map(Vec::as_slice) else { return false };
        self.policies.get(*policy).is_some_and(|policy| policy.takes_key)
    }

    /// What a route requires, as the members of `authn`.
    pub(super) fn members(&self, Required { authn, is_optional, .. }: &Required) -> String {
        if *is_optional { self.any(authn).replacen("any", "optional", 1) } else { self.any(authn) }
    }

    /// Alternatives as an item of `authn`.
    pub(super) fn any(&self, authn: &Authn) -> String {
        let item = |together: &Vec<usize>| {
            let names: Vec<String> = self.names(together).map(quoted).collect();
            if let [one] = names.as_slice() { one.clone() } else { format!("{{all: [{}]}}", names.join(", ")) }
        };
        format!("any: [{}]", authn.iter().map(item).collect::<Vec<_>>().join(", "))
    }
}

fn refuse(operations: &[String]) -> Failure {
    let mut shown = operations[..operations.len().min(SHOWN_MAX)].join("\n  ");
    if operations.len() > SHOWN_MAX {
        shown.push_str(&format!("\n  and {} more", operations.len() - SHOWN_MAX));
    }
    Failure::problem(format!(
        "the `security` of operations cannot be required, so nothing was written: change it in the document, or remove them\n  {shown}"
    ))
}

/// The alternatives that most routes have, of equally many those of the first.
fn most_frequent(routes: &[Required]) -> Authn {
    let mut counts: HashMap<&Authn, (usize, usize)> = HashMap::new();
    let is_guarded = |route: &Required| !route.authn.is_empty() && !route.is_optional;
    for (place, Required { authn, .. }) in routes.iter().enumerate().filter(|(_, route)| is_guarded(route)) {
        counts.entry(authn).or_insert((0, place)).0 += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, (count, first))| (*count, usize::MAX - first));
    most.map(|(authn, _)| authn.clone()).unwrap_or_default()
}

/// The place of a credential that the gateway can read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum CredentialPlace {
    /// A field, in lower case.
    Field(String),
    Parameter(String),
    Bearer,
    Basic,
    /// A token of this issuer; empty if the document does not say whose tokens are accepted.
    Token(String),
    /// The client's TLS connection.
    Certificate,
}

#[derive(Default)]
struct Reader {
    policies: Vec<Policy>,
    places: HashMap<CredentialPlace, usize>,
    /// The schemes whose credentials are keys of the gateway.
    schemes: BTreeSet<String>,
    names: HashSet<String>,
    /// Schemes that the gateway cannot check, and the number of operations where a key replaces them.
    replaced: (BTreeSet<String>, usize),
    /// Schemes that the gateway cannot check, and the number of operations that require them beside others.
    left_out: (BTreeSet<String>, usize),
    /// The number of operations whose alternatives have different scopes.
    combined: usize,
    /// The number of operations with more alternatives than can be listed.
    shortened: usize,
    /// The number of operations that need no credential, and name one that the gateway cannot check.
    opened: usize,
    /// The policies for tokens, whose issuer or audience the document does not say.
    tokens: Vec<String>,
}

impl Reader {
    fn required(&mut self, operation: &Operation) -> Result<Required, String> {
        if !operation.requires_credential() {
            return self.optional(operation);
        }
        let is_checked = |needs: &&Vec<SchemeRequirement>| needs.iter().all(|need| is_readable(&need.scheme));
        let mut all: Vec<_> = operation.alternatives().iter().filter(is_checked).collect();
        if all.is_empty() {
            all = operation.alternatives().iter().collect();
        }
        let scopes = scopes(&all)?;
        let mut authn = Authn::new();
        for needs in &all {
            authn.push(self.together(needs)?);
        }
        let (beside, alone): (Vec<_>, Vec<_>) =
            all.iter().partition(|needs| needs.iter().any(|need| is_readable(&need.scheme)));
        add(&mut self.replaced, &alone);
        add(&mut self.left_out, &beside);
        if let Scopes::All(scopes) = &scopes {
            self.combined += usize::from(all.iter().any(|needs| distinct(needs).len() < scopes.len()));
        }
        Ok(Required { authn: self.bounded(authn), is_optional: false, scopes })
    }

    /// What is read of callers who need no credential: one that they send must be right. Such a route requires no scopes.
    fn optional(&mut self, operation: &Operation) -> Result<Required, String> {
        let all = || operation.alternatives().iter().filter(|needs| !needs.is_empty());
        let is_checked = |needs: &&Vec<SchemeRequirement>| needs.iter().all(|need| is_readable(&need.scheme));
        let mut authn = Authn::new();
        for needs in all().filter(is_checked) {
            authn.push(self.together(needs)?);
        }
        self.opened += usize::from(!all().all(|needs| is_checked(&needs)));
        Ok(Required { is_optional: !authn.is_empty(), authn: self.bounded(authn), scopes: Scopes::default() })
    }

    fn bounded(&mut self, authn: Authn) -> Authn {
        let mut authn = without_longer(authn);
        self.shortened += usize::from(authn.len() > POLICIES_MAX);
        authn.truncate(POLICIES_MAX);
        authn
    }

    /// The policies for credentials that are required together; an API key if the gateway can check none of them.
    fn together(&mut self, needs: &[SchemeRequirement]) -> Result<Vec<usize>, String> {
        let mut together = Vec::new();
        let mut read: HashMap<String, &Scheme> = HashMap::new();
        for scheme in needs.iter().map(|need| &*need.scheme) {
            let Some(place) = place_of(scheme) else { continue };
            let sent = place.sent();
            let policy = self.policy(place, Some(scheme))?;
            if let Some(other) = read.insert(sent, scheme).filter(|other| other.name != scheme.name) {
                let (one, other) = (printable(&other.name), printable(&scheme.name));
                return Err(format!("it requires {one} and {other} together, and both are sent in the same place"));
            }
            if takes_any_key(&scheme.kind) {
                self.schemes.insert(printable(&scheme.name));
            }
            together.push(policy);
        }
        if together.is_empty() {
            together.push(self.policy(CredentialPlace::Field(REPLACEMENT.to_ascii_lowercase()), None)?);
        }
        together.sort_unstable();
        together.dedup();
        if together.len() > POLICIES_MAX {
            return Err(format!(
                "it requires {} credentials together, and {POLICIES_MAX} can be listed",
                together.len()
            ));
        }
        Ok(together)
    }

    /// The policy that reads a place.
    fn policy(&mut self, place: CredentialPlace, scheme: Option<&Scheme>) -> Result<usize, String> {
        if let Some(known) = self.places.get(&place) {
            return Ok(*known);
        }
        if self.policies.len() == PLACES_MAX {
            return Err(format!("the document has more than {PLACES_MAX} places of credentials"));
        }
        let name = scheme.and_then(|scheme| slug(&scheme.name)).unwrap_or_else(|| "keys".to_owned());
        let name = unused(&name, &self.names);
        let (definition, remark) = definition(scheme, &place);
        if matches!(place, CredentialPlace::Token(_)) {
            self.tokens.push(name.clone());
        }
        self.names.insert(name.clone());
        self.places.insert(place, self.policies.len());
        let takes_key = definition.contains("kind: api-key");
        self.policies.push(Policy { name, definition, remark, takes_key });
        Ok(self.policies.len() - 1)
    }

    fn notes(&self) -> Vec<String> {
        let unchecked = |(schemes, count): &(BTreeSet<String>, usize), then: &str| {
            let shown: Vec<&str> = schemes.iter().take(SHOWN_MAX).map(String::as_str).collect();
            let more = if schemes.len() > SHOWN_MAX { ", ..." } else { "" };
            (*count, format!("credentials that the gateway cannot check ({}{more}){then}", shown.join(", ")))
        };
        let notes = [
            unchecked(&self.replaced, ": an API key is required in their place"),
            unchecked(&self.left_out, " together with others: only the others are required"),
            (self.combined, "alternatives with different scopes: all of these scopes are required".to_owned()),
            (self.opened, "no credential, or one that the gateway cannot check: it is not read".to_owned()),
            (self.shortened, format!("more than {POLICIES_MAX} alternatives: the first {POLICIES_MAX} are accepted")),
        ];
        let written = notes.into_iter().filter(|(count, _)| *count > 0);
        let named = written.map(|(count, what)| match count {
            1 => format!("one operation names {what}"),
            more => format!("{more} operations name {what}"),
        });
        let shown: Vec<&str> = self.schemes.iter().take(SHOWN_MAX).map(String::as_str).collect();
        let more = if self.schemes.len() > SHOWN_MAX { ", ..." } else { "" };
        let alike = (shown.len() > 1).then(|| {
            format!(
                "a key of the gateway is valid for each of the schemes {}{more}: to distinguish callers, require scopes",
                shown.join(", ")
            )
        });
        let tokens = self.tokens.iter().take(SHOWN_MAX).map(|policy| {
            format!(
                "policy {policy} accepts no token until you write whose and for whom tokens are: the document does not say it, \
                 so `issuer` or `audience` is a placeholder"
            )
        });
        named.chain(alike).chain(tokens).collect()
    }
}

/// Adds the schemes that the gateway cannot check.
fn add((schemes, count): &mut (BTreeSet<String>, usize), all: &[&&Vec<SchemeRequirement>]) {
    let unchecked = all.iter().flat_map(|needs| needs.iter()).map(|need| &need.scheme).filter(|s| !is_readable(s));
    let before = unchecked.map(|scheme| schemes.insert(printable(&scheme.name))).count();
    *count += usize::from(before > 0);
}

/// The scopes of alternatives: one of those of the same schemes, or all of others.
fn scopes(all: &[&Vec<SchemeRequirement>]) -> Result<Scopes, String> {
    let scopes: BTreeSet<&str> = all.iter().flat_map(|needs| distinct(needs)).collect();
    if let Some(scope) = scopes.iter().find(|scope| !can_be_scope(scope)) {
        let shown: String = printable(scope).chars().take(SHOWN_CHARS_MAX).collect();
        return Err(format!("it requires the scope {shown}, which no credential can have (RFC 6749, section 3.3)"));
    }
    if scopes.len() > SCOPES_MAX {
        return Err(format!("it requires {} scopes, and a route can require {SCOPES_MAX}", scopes.len()));
    }
    let schemes =
        |needs: &[SchemeRequirement]| needs.iter().map(|need| need.scheme.name.clone()).collect::<BTreeSet<String>>();
    let sets: BTreeSet<BTreeSet<&str>> = all.iter().map(|needs| distinct(needs)).collect();
    let is_one_scheme = all.windows(2).all(|pair| schemes(pair[0]) == schemes(pair[1]));
    let owned = |scopes: &BTreeSet<&str>| scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
    if is_one_scheme && sets.len() > 1 && sets.len() <= SCOPE_SETS_MAX {
        // Who needs no scope by one alternative needs none.
        let least: Vec<_> =
            sets.iter().filter(|set| !sets.iter().any(|other| other != *set && other.is_subset(set))).collect();
        return Ok(match least.as_slice() {
            [one] => Scopes::All(owned(one)),
            several => Scopes::Any(several.iter().map(|set| owned(set)).collect()),
        });
    }
    Ok(Scopes::All(owned(&scopes)))
}

impl Default for Scopes {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Scopes {
    /// As the value of `scopes`; `None` if none is required.
    pub(super) fn written(&self) -> Option<String> {
        match self {
            Self::All(scopes) if scopes.is_empty() => None,
            Self::All(scopes) => Some(format!("[{}]", items(scopes))),
            Self::Any(sets) => {
                let set = |set: &Vec<String>| match set.as_slice() {
                    [one] => quoted(one),
                    several => format!("[{}]", items(several)),
                };
                Some(format!("{{any: [{}]}}", sets.iter().map(set).collect::<Vec<_>>().join(", ")))
            }
        }
    }
}

fn distinct(needs: &[SchemeRequirement]) -> BTreeSet<&str> {
    needs.iter().flat_map(|need| &need.scopes).map(String::as_str).collect()
}

/// Removes alternatives that contain all policies of another, which would never be used.
fn without_longer(mut all: Authn) -> Authn {
    all.sort_by_key(Vec::len);
    let mut kept = Authn::new();
    for together in all {
        if !kept.iter().any(|shorter| shorter.iter().all(|policy| together.contains(policy))) {
            kept.push(together);
        }
    }
    kept
}

fn is_readable(scheme: &Scheme) -> bool {
    place_of(scheme).is_some()
}

/// Where the gateway can read the credential of a scheme; `None` if it cannot check it.
fn place_of(scheme: &Scheme) -> Option<CredentialPlace> {
    match &scheme.kind {
        SchemeKind::HeaderKey(name) if can_be_field(name) => Some(CredentialPlace::Field(name.to_ascii_lowercase())),
        SchemeKind::QueryKey(name) if can_be_parameter(name) => Some(CredentialPlace::Parameter(name.clone())),
        SchemeKind::Bearer => Some(CredentialPlace::Bearer),
        SchemeKind::Jwt | SchemeKind::OAuth2 => Some(CredentialPlace::Token(String::new())),
        SchemeKind::OpenIdConnect(url) => Some(CredentialPlace::Token(issuer(url).unwrap_or_default())),
        SchemeKind::Basic => Some(CredentialPlace::Basic),
        SchemeKind::MutualTls => Some(CredentialPlace::Certificate),
        SchemeKind::HeaderKey(_)
        | SchemeKind::QueryKey(_)
        | SchemeKind::CookieKey(_)
        | SchemeKind::OtherHttp(_)
        | SchemeKind::Unknown => None,
    }
}

/// The issuer whose metadata have this URL (OpenID Connect Discovery 1.0, section 4).
fn issuer(url: &str) -> Option<String> {
    let issuer = url.strip_suffix("/.well-known/openid-configuration")?;
    let is_usable = issuer.starts_with("https://") && usable_url(issuer).is_ok();
    is_usable.then(|| issuer.to_owned())
}

/// Whether any key of the gateway is a credential of the scheme.
const fn takes_any_key(kind: &SchemeKind) -> bool {
    matches!(kind, SchemeKind::HeaderKey(_) | SchemeKind::QueryKey(_) | SchemeKind::Bearer | SchemeKind::Basic)
}

impl CredentialPlace {
    /// Where it is sent: of two credentials in one place, a request can have one.
    fn sent(&self) -> String {
        match self {
            Self::Field(name) => name.clone(),
            Self::Parameter(name) => format!("?{name}"),
            Self::Bearer | Self::Basic | Self::Token(_) => "authorization".to_owned(),
            Self::Certificate => String::new(),
        }
    }
}

/// The definition of the policy for a scheme, or of the one that replaces schemes that cannot be checked.
fn definition(scheme: Option<&Scheme>, place: &CredentialPlace) -> (String, Option<&'static str>) {
    if let CredentialPlace::Token(issuer) = place {
        let (issuer, remark) = if issuer.is_empty() { (NO_ISSUER, NO_TOKENS) } else { (issuer.as_str(), NO_AUDIENCE) };
        return (format!("{{kind: jwt, issuer: {}, audience: {}}}", quoted(issuer), quoted(AUDIENCE)), Some(remark));
    }
    match scheme.map(|scheme| &scheme.kind) {
        Some(SchemeKind::HeaderKey(name)) => (format!("{{kind: api-key, header: {}}}", quoted(name)), None),
        Some(SchemeKind::QueryKey(name)) => (format!("{{kind: api-key, query: {}}}", quoted(name)), None),
        Some(SchemeKind::Bearer) => ("{kind: api-key, header: Authorization, scheme: Bearer}".to_owned(), None),
        Some(SchemeKind::Basic) => ("{kind: basic}".to_owned(), Some(PASSWORDS)),
        Some(SchemeKind::MutualTls) => ("{kind: client-certificate}".to_owned(), None),
        Some(
            SchemeKind::CookieKey(_)
            | SchemeKind::Jwt
            | SchemeKind::OAuth2
            | SchemeKind::OpenIdConnect(_)
            | SchemeKind::OtherHttp(_)
            | SchemeKind::Unknown,
        )
        | None => (format!("{{kind: api-key, header: {REPLACEMENT}}}"), Some(REPLACED)),
    }
}

/// The name, with a number if another policy has it.
fn unused(name: &str, taken: &HashSet<String>) -> String {
    let is_free = |name: &String| name != LIMIT && !taken.contains(name);
    let short = &name[..name.len().min(NAME_BYTES_MAX - 4)];
    let numbered = (2..).map(|number| format!("{short}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}

/// The field of a key that replaces credentials that the gateway cannot check.
const REPLACEMENT: &str = "X-API-Key";

const REPLACED: &str =
    "In place of credentials that the gateway cannot check. If the upstream checks them, write `authn: none` instead.";

const PASSWORDS: &str = "A password is a key of the consumer that is the name (`tollgate key new`); or list `users`.";

/// What no provider issues tokens as and for (RFC 2606, section 2).
const NO_ISSUER: &str = "https://issuer.invalid";
const AUDIENCE: &str = "https://audience.invalid";

const NO_AUDIENCE: &str =
    "No token is accepted yet: write the audience, the name that the provider has for this API in `aud`.";

const NO_TOKENS: &str = "No token is accepted yet: write the issuer, as in `iss` of its tokens, and the audience, as in `aud`. For tokens \
     that are not JWT, use `kind: introspection`.";

/// The maximum number of policies, each for the credentials in one place.
const PLACES_MAX: usize = 256;

/// The maximum number of schemes, and of characters of a scope, that are shown.
const SHOWN_MAX: usize = 8;
const SHOWN_CHARS_MAX: usize = 60;

/// Alternatives of scopes that a route can have.
const SCOPE_SETS_MAX: usize = 32;

#[cfg(test)]
mod tests;
