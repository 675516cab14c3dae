//! What the `security` of a document requires, as `authn` and `scopes` of routes: never less than the document says.
//!
//! A credential that the gateway cannot check is replaced by an API key. If `scopes` of alternatives differ, all of them are
//! required, because a route has one list. A document with a requirement that cannot be written is refused: if only its
//! operation were not routed, another route with fewer requirements could match its requests.

use std::collections::{BTreeSet, HashMap, HashSet};

use tollgate_config::openapi::{Operation, Scheme, SchemeKind, SchemeRequirement, Spec};
use tollgate_config::{POLICIES_MAX, SCOPES_MAX, can_be_field, can_be_parameter, can_be_scope};

use super::draft::{LIMIT, NAME_BYTES_MAX, quoted, slug};
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
    pub(super) scopes: Vec<String>,
}

/// A policy that reads an API key where a security scheme places it.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) definition: String,
    pub(super) remark: Option<&'static str>,
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

    /// Whether one key is enough for the operation at this place: the first alternative is one policy, and not for certificates.
    pub(super) fn takes_one_key(&self, place: usize) -> bool {
        let first = self.routes.get(place).and_then(|required| required.authn.first());
        let Some([policy]) = first.map(Vec::as_slice) else { return false };
        self.policies.get(*policy).is_some_and(|policy| policy.definition != CERTIFICATE)
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
    for (place, Required { authn, .. }) in routes.iter().enumerate().filter(|(_, route)| !route.authn.is_empty()) {
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
}

impl Reader {
    fn required(&mut self, operation: &Operation) -> Result<Required, String> {
        if !operation.requires_credential() {
            return Ok(Required::default());
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
        self.combined += usize::from(all.iter().any(|needs| distinct(needs).len() < scopes.len()));
        let mut authn = without_longer(authn);
        self.shortened += usize::from(authn.len() > POLICIES_MAX);
        authn.truncate(POLICIES_MAX);
        Ok(Required { authn, scopes })
    }

    /// The policies for credentials that are required together; an API key if the gateway can check none of them.
    fn together(&mut self, needs: &[SchemeRequirement]) -> Result<Vec<usize>, String> {
        let mut together = Vec::new();
        let mut read: HashMap<usize, &Scheme> = HashMap::new();
        for scheme in needs.iter().map(|need| &*need.scheme) {
            let Some(place) = place_of(scheme) else { continue };
            let policy = self.policy(place, Some(scheme))?;
            if let Some(other) = read.insert(policy, scheme).filter(|other| other.name != scheme.name) {
                let (one, other) = (printable(&other.name), printable(&scheme.name));
                return Err(format!("it requires {one} and {other} together, and both are sent in the same place"));
            }
            if scheme.kind != SchemeKind::MutualTls {
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
        let (definition, remark) = definition(scheme);
        self.names.insert(name.clone());
        self.places.insert(place, self.policies.len());
        self.policies.push(Policy { name, definition, remark });
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
        named.chain(alike).collect()
    }
}

/// Adds the schemes that the gateway cannot check.
fn add((schemes, count): &mut (BTreeSet<String>, usize), all: &[&&Vec<SchemeRequirement>]) {
    let unchecked = all.iter().flat_map(|needs| needs.iter()).map(|need| &need.scheme).filter(|s| !is_readable(s));
    let before = unchecked.map(|scheme| schemes.insert(printable(&scheme.name))).count();
    *count += usize::from(before > 0);
}

/// The scopes of all alternatives.
fn scopes(all: &[&Vec<SchemeRequirement>]) -> Result<Vec<String>, String> {
    let scopes: BTreeSet<&str> = all.iter().flat_map(|needs| distinct(needs)).collect();
    if let Some(scope) = scopes.iter().find(|scope| !can_be_scope(scope)) {
        let shown: String = printable(scope).chars().take(SHOWN_CHARS_MAX).collect();
        return Err(format!("it requires the scope {shown}, which no credential can have (RFC 6749, section 3.3)"));
    }
    if scopes.len() > SCOPES_MAX {
        return Err(format!("it requires {} scopes, and a route can require {SCOPES_MAX}", scopes.len()));
    }
    Ok(scopes.into_iter().map(str::to_owned).collect())
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
        SchemeKind::Bearer | SchemeKind::OAuth2 | SchemeKind::OpenIdConnect => Some(CredentialPlace::Bearer),
        SchemeKind::MutualTls => Some(CredentialPlace::Certificate),
        SchemeKind::HeaderKey(_)
        | SchemeKind::QueryKey(_)
        | SchemeKind::CookieKey(_)
        | SchemeKind::Basic
        | SchemeKind::OtherHttp(_)
        | SchemeKind::Unknown => None,
    }
}

const CERTIFICATE: &str = "{kind: client-certificate}";

/// The definition of the policy for a scheme, or of the one that replaces schemes that cannot be checked.
fn definition(scheme: Option<&Scheme>) -> (String, Option<&'static str>) {
    const BEARER: &str = "{kind: api-key, header: Authorization, scheme: Bearer}";
    match scheme.map(|scheme| &scheme.kind) {
        Some(SchemeKind::HeaderKey(name)) => (format!("{{kind: api-key, header: {}}}", quoted(name)), None),
        Some(SchemeKind::QueryKey(name)) => (format!("{{kind: api-key, query: {}}}", quoted(name)), None),
        Some(SchemeKind::Bearer) => (BEARER.to_owned(), None),
        Some(SchemeKind::MutualTls) => (CERTIFICATE.to_owned(), None),
        Some(SchemeKind::OAuth2 | SchemeKind::OpenIdConnect) => (BEARER.to_owned(), Some(TOKENS)),
        Some(SchemeKind::CookieKey(_) | SchemeKind::Basic | SchemeKind::OtherHttp(_) | SchemeKind::Unknown) | None => {
            (format!("{{kind: api-key, header: {REPLACEMENT}}}"), Some(REPLACED))
        }
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

const TOKENS: &str =
    "The specification uses tokens of an identity provider; this policy reads Tollgate keys in the same place.";

/// The maximum number of policies, each for the credentials in one place.
const PLACES_MAX: usize = 256;

/// The maximum number of schemes, and of characters of a scope, that are shown.
const SHOWN_MAX: usize = 8;
const SHOWN_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests {

    use super::*;

    const SCHEMES: &str = "
    key: {type: apiKey, in: header, name: X-Key}
    same: {type: apiKey, in: header, name: x-key}
    query: {type: apiKey, in: query, name: k}
    cookie: {type: apiKey, in: cookie, name: sid}
    basic: {type: http, scheme: basic}
    oauth: {type: oauth2, flows: {}}
    bearer: {type: http, scheme: bearer}
    tls: {type: mutualTLS}
";

    fn read(security: &str) -> Result<Access, Failure> {
        let text = format!(
            "openapi: 3.1.0\nsecurity: {security}\npaths: {{/a: {{get: {{}}}}}}\ncomponents:\n  securitySchemes:{SCHEMES}"
        );
        let (spec, _) = tollgate_config::import_openapi("s.yaml", &text).unwrap();
        Access::of(&spec)
    }

    fn access(security: &str) -> Access {
        read(security).unwrap()
    }

    /// Checks what the only operation of a document requires.
    #[track_caller]
    fn check(security: &str, authn: &str, scopes: &[&str]) {
        let access = access(security);
        let required = &access.routes[0];
        assert_eq!(access.any(&required.authn), authn, "{security}");
        assert_eq!(required.scopes, scopes, "{security}");
    }

    #[test]
    fn every_credential_of_an_alternative_is_required() {
        check("[]", "any: []", &[]);
        check("[{}, {key: [read]}]", "any: []", &[]);
        check("[{key: []}]", "any: [\"key\"]", &[]);
        check("[{key: [], oauth: []}]", "any: [{all: [\"key\", oauth]}]", &[]);
        check("[{key: [], oauth: []}, {query: []}]", "any: [query, {all: [\"key\", oauth]}]", &[]);
        check("[{key: [], oauth: []}, {key: []}]", "any: [\"key\"]", &[]);
        check("[{key: []}, {same: []}]", "any: [\"key\"]", &[]);
        check("[{oauth: []}, {bearer: []}]", "any: [oauth]", &[]);
        check("[{tls: []}, {key: [], tls: []}]", "any: [\"tls\"]", &[]);
        check("[{key: [], tls: []}]", "any: [{all: [\"key\", \"tls\"]}]", &[]);
    }

    #[test]
    fn every_scope_of_every_alternative_is_required() {
        check("[{oauth: [write, read]}]", "any: [oauth]", &["read", "write"]);
        check("[{oauth: [read], key: [read, admin]}]", "any: [{all: [oauth, \"key\"]}]", &["admin", "read"]);
        check("[{oauth: [write, read]}, {key: []}]", "any: [oauth, \"key\"]", &["read", "write"]);
        check("[{oauth: ['write read', '']}]", "any: [oauth]", &["read", "write"]);
        assert!(access("[{oauth: [a]}, {key: [b]}]").notes.join(" ").contains("alternatives with different scopes"));
        assert!(!access("[{oauth: [a]}, {key: [a]}]").notes.join(" ").contains("different scopes"));
    }

    #[test]
    fn a_key_replaces_credentials_that_cannot_be_checked() {
        for security in ["[{basic: []}]", "[{cookie: []}]", "[{unheard: []}]", "{}", "[null]"] {
            check(security, "any: [keys]", &[]);
            assert!(access(security).notes.join(" ").contains("cannot check"), "{security}");
        }
        check("[{basic: [read]}]", "any: [keys]", &["read"]);
        check("[{basic: [], key: []}]", "any: [\"key\"]", &[]);
        check("[{basic: []}, {key: []}]", "any: [\"key\"]", &[]);
        assert!(access("[{basic: []}, {key: []}]").notes.is_empty(), "nothing is replaced");
        assert!(access("[{basic: [], key: []}]").notes.join(" ").contains("(basic) together with others"));
    }

    #[test]
    fn keys_that_are_valid_for_several_schemes_are_noted() {
        for (security, is_noted) in [
            ("[{key: []}]", false),
            ("[{key: []}, {basic: []}]", false),
            ("[{oauth: []}, {bearer: []}]", true),
            ("[{key: []}, {query: []}]", true),
        ] {
            let notes = access(security).notes.join(" ");
            assert_eq!(notes.contains("is valid for each of the schemes"), is_noted, "{security} {notes}");
        }
    }

    #[test]
    fn a_document_with_what_cannot_be_required_is_refused() {
        let scopes = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join(", ");
        assert_eq!(access(&format!("[{{oauth: [{}]}}]", scopes(64))).routes[0].scopes.len(), 64);
        for (security, why) in [
            (format!("[{{oauth: [{}]}}]", scopes(65)), "GET /a: it requires 65 scopes, and a route can require 64"),
            (format!("[{{oauth: [{}]}}, {{key: [t]}}]", scopes(64)), "it requires 65 scopes"),
            ("[{oauth: [é]}]".to_owned(), "which no credential can have"),
            ("[{oauth: [], bearer: []}]".to_owned(), "oauth and bearer together, and both are sent in the same place"),
            ("[{key: [], same: []}]".to_owned(), "both are sent in the same place"),
        ] {
            let found = read(&security).unwrap_err().to_string();
            assert!(found.contains("nothing was written") && found.contains(why), "{found}");
        }
    }
}
