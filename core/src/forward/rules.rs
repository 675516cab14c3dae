//! What a part's configuration says of the fields of requests: collected once, when the part is loaded, so that one look-up
//! by name decides whether a field is forwarded.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use rustc_hash::FxHasher;

use super::fields::nominated;
use super::framing::is_trimmed;
use super::names::{as_read, may_trail};

/// The fields that a part's policies, routes and upstreams name.
///
/// A name stands for all spellings that CGI and WSGI servers read as the same.
#[derive(Clone, Debug, Default)]
pub struct FieldRules {
    rules: HashMap<Box<str>, Rule, BuildHasherDefault<FxHasher>>,
    /// A bit for each length of a name: most names have no rule, and do not have the length of one that does.
    lengths: u64,
}

/// What the configuration says of one field.
#[derive(Clone, Debug, Default)]
struct Rule {
    /// The policies that read a credential in it, as indexes in the list of their slot.
    read_by: Vec<usize>,
    /// What a value with a credential begins with; `None` if each value may be one.
    schemes: Vec<Option<Box<str>>>,
    /// The upstreams for which the gateway sets it, as indexes in the list of the part.
    set_for: Vec<usize>,
    /// Whether it tells an upstream who the caller is.
    is_identity: bool,
    /// The spellings that select routes.
    selects: Vec<Box<str>>,
}

/// What happens to a field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is removed.
    Removed,
    /// It is forwarded unless `Connection` names it.
    Forwarded,
    /// It is forwarded even if `Connection` names it: the upstream must see what selected the route.
    Kept,
}

impl FieldRules {
    /// A policy reads a credential in a field; with a scheme, only in values that begin with it.
    pub fn add_credential(&mut self, field: &str, scheme: Option<&str>, policy: usize) {
        let rule = self.rule(field);
        let scheme = scheme.map(Box::from);
        if !rule.schemes.contains(&scheme) {
            rule.schemes.push(scheme);
        }
        rule.read_by.push(policy);
    }

    /// The gateway sets a field in requests to an upstream.
    pub fn add_set(&mut self, field: &str, upstream: usize) {
        self.rule(field).set_for.push(upstream);
    }

    /// A field tells an upstream who the caller is. A client's is not forwarded to any upstream: it may be the same server.
    pub fn add_identity(&mut self, field: &str) {
        self.rule(field).is_identity = true;
    }

    /// Routes are selected by a field.
    pub fn add_selecting(&mut self, field: &str) {
        let selects = &mut self.rule(field).selects;
        if !selects.iter().any(|name| **name == *field) {
            selects.push(field.into());
        }
    }

    fn rule(&mut self, field: &str) -> &mut Rule {
        self.lengths |= length_bit(field);
        self.rules.entry(as_read(field).into()).or_default()
    }

    fn get(&self, read: &str) -> Option<&Rule> {
        if self.lengths & length_bit(read) == 0 { None } else { self.rules.get(read) }
    }

    /// Whether the configuration names one of these fields, in any spelling.
    #[must_use]
    pub fn names_any(&self, fields: &[&str]) -> bool {
        fields.iter().any(|name| self.get(name).is_some())
    }

    /// What happens to a field on the way to an upstream, if a route's own policies are those that `is_own` selects.
    #[must_use]
    pub fn fate(
        &self,
        fields: &HeaderMap,
        name: &HeaderName,
        read: &str,
        upstream: usize,
        is_own: impl Fn(usize) -> bool,
    ) -> Fate {
        let Some(rule) = self.get(read) else { return Fate::Forwarded };
        if rule.is_identity
            || rule.is_disguised(name)
            || rule.set_for.contains(&upstream)
            || rule.read_by.iter().any(|policy| is_own(*policy))
            || rule.may_hold_credential(fields, name)
        {
            return Fate::Removed;
        }
        if rule.selects.is_empty() { Fate::Forwarded } else { Fate::Kept }
    }

    /// What happens to a field of a request for the same host that another part serves, which has decided this fate: it is
    /// removed if a credential may be in it, if it tells upstreams who the caller is, or if it is another spelling of a field
    /// that selects routes.
    #[must_use]
    pub fn fate_elsewhere(&self, fate: Fate, fields: &HeaderMap, name: &HeaderName, read: &str) -> Fate {
        let Some(rule) = self.get(read) else { return fate };
        let is_disguised = fate == Fate::Forwarded && rule.is_disguised(name);
        if is_disguised || rule.is_identity || rule.may_hold_credential(fields, name) { Fate::Removed } else { fate }
    }
}

impl Rule {
    /// Routes are selected by one spelling; the upstream must not see another.
    fn is_disguised(&self, name: &HeaderName) -> bool {
        !self.selects.is_empty() && !self.selects.iter().any(|spelling| **spelling == *name.as_str())
    }

    fn may_hold_credential(&self, fields: &HeaderMap, name: &HeaderName) -> bool {
        let mut lines = fields.get_all(name).iter().map(HeaderValue::as_bytes);
        match self.schemes.as_slice() {
            [] => false,
            schemes if schemes.contains(&None) => true,
            schemes => lines.any(|line| schemes.iter().flatten().any(|scheme| has_scheme(line, scheme))),
        }
    }
}

/// Spellings of a name have its length.
fn length_bit(name: &str) -> u64 {
    1 << (name.len() % 64)
}

/// Some platforms join the lines of a field.
fn has_scheme(line: &[u8], scheme: &str) -> bool {
    line.split(|byte| *byte == b',').any(|value| {
        let value = value.trim_ascii();
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        value[..end].eq_ignore_ascii_case(scheme.as_bytes())
    })
}

/// The trailer fields of one message that are not forwarded, besides those that never are.
#[derive(Clone, Debug, Default)]
pub struct TrailerRules {
    /// Of a request: what the parts for its host name.
    parts: Vec<Arc<FieldRules>>,
    /// What `Connection` names (RFC 9110, section 7.6.1).
    nominated: Vec<HeaderName>,
}

impl TrailerRules {
    /// The rules for a message with these fields in its head.
    #[must_use]
    pub fn of(fields: &HeaderMap, parts: Vec<Arc<FieldRules>>) -> Self {
        Self { parts, nominated: nominated(fields).collect() }
    }

    fn refuse(&self, name: &HeaderName, read: &str) -> bool {
        self.nominated.contains(name) || self.parts.iter().any(|part| part.get(read).is_some())
    }
}

/// Removes the trailer fields that must not be forwarded: those that belong in the head of a message, those that its
/// rules refuse, and those with blanks around a value, which its next reader would read as another value.
pub fn filter_trailers(trailers: &mut HeaderMap, rules: Option<&TrailerRules>) {
    let is_refused = |name: &&HeaderName| {
        let read = as_read(name.as_str());
        !may_trail(&read, matches!(read, Cow::Borrowed(_)))
            || rules.is_some_and(|rules| rules.refuse(name, &read))
            || !trailers.get_all(*name).iter().all(is_trimmed)
    };
    let refused: Vec<HeaderName> = trailers.keys().filter(is_refused).cloned().collect();
    for name in refused {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn fields(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut fields = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            fields.append(name, value);
        }
        fields
    }

    fn rules() -> FieldRules {
        let mut rules = FieldRules::default();
        rules.add_credential("x-api-key", None, 0);
        rules.add_credential("authorization", Some("Bearer"), 1);
        rules.add_set("x-tenant", 1);
        rules.add_selecting("x-version");
        rules
    }

    #[track_caller]
    fn check(lines: &[(&str, &str)], kept: &[&str]) {
        check_for(usize::MAX, |_| false, lines, kept);
    }

    #[track_caller]
    fn check_for(upstream: usize, is_own: impl Fn(usize) -> bool + Copy, lines: &[(&str, &str)], kept: &[&str]) {
        let fields = fields(lines);
        let is_kept = |name: &&HeaderName| {
            rules().fate(&fields, name, &as_read(name.as_str()), upstream, is_own) != Fate::Removed
        };
        let mut left: Vec<&str> = fields.keys().filter(is_kept).map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, kept, "{lines:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_credential_is_removed_in_every_spelling_whatever_is_in_it() {
        for name in ["x-api-key", "X-API-Key", "x_api_key", "x-api_key", "X_Api-Key", "x.api.key"] {
            check(&[(name, "anything"), ("accept", "*/*")], &["accept"]);
        }
        check(&[("x-api-key", "a"), ("x-api-key", "a"), ("x_api_key", "b")], &[]);
        check(&[("x-api-keys", "a"), ("xapikey", "b")], &["x-api-keys", "xapikey"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_with_a_scheme_is_removed_if_the_scheme_is_in_it_or_the_route_reads_it() {
        for value in ["Bearer a", "bearer a", "BEARER\ta", "Basic a, Bearer b"] {
            check(&[("authorization", value)], &[]);
        }
        check(&[("authorization", "Basic a"), ("authorization", "Bearer b")], &[]);
        for value in ["Basic a", "Bearers a"] {
            check(&[("authorization", value)], &["authorization"]);
            check_for(0, |policy| policy == 1, &[("authorization", value)], &[]);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_that_the_gateway_sets_is_removed_for_its_upstream() {
        for name in ["x-tenant", "x_tenant", "X.Tenant"] {
            check_for(1, |_| false, &[(name, "a")], &[]);
        }
        check_for(0, |_| false, &[("x-tenant", "a")], &["x-tenant"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_that_tells_who_the_caller_is_is_never_a_clients() {
        let mut rules = FieldRules::default();
        rules.add_identity("x-consumer");
        rules.add_selecting("x-consumer");
        for name in ["x-consumer", "x_consumer", "X.Consumer"] {
            let came = fields(&[(name, "admin")]);
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let read = as_read(name.as_str());
            assert_eq!(rules.fate(&came, &name, &read, 0, |_| false), Fate::Removed, "{name}");
            assert_eq!(rules.fate_elsewhere(Fate::Kept, &came, &name, &read), Fate::Removed, "{name}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_that_selects_routes_is_forwarded_in_that_spelling_only() {
        check(&[("x-version", "2"), ("x_version", "1"), ("x.version", "1")], &["x-version"]);
        let came = fields(&[("x-version", "2"), ("x-other", "1")]);
        let fate = |name| rules().fate(&came, &HeaderName::from_static(name), name, 0, |_| false);
        assert_eq!((fate("x-version"), fate("x-other")), (Fate::Kept, Fate::Forwarded));
        let elsewhere =
            |name: &'static str, read, fate| rules().fate_elsewhere(fate, &came, &HeaderName::from_static(name), read);
        assert_eq!(elsewhere("x_version", "x-version", Fate::Forwarded), Fate::Removed);
        assert_eq!(elsewhere("x_version", "x-version", Fate::Kept), Fate::Kept, "it selects routes of the other part");
        assert_eq!(elsewhere("x_api_key", "x-api-key", Fate::Kept), Fate::Removed);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn trailers_contain_nothing_that_belongs_to_the_head() {
        let lines = [
            ("grpc-status", "0"),
            ("x-checksum", "1"),
            ("x-forwarded-for", "9.9.9.9"),
            ("x_forwarded_for", "9.9.9.9"),
            ("x-request-id", "1"),
            ("authorization", "Bearer x"),
            ("content-length", "5"),
            ("content_length", "5"),
            ("transfer-encoding", "chunked"),
            ("host", "a"),
            ("cache-status", "tollgate; hit"),
            ("ratelimit", "\"a\";r=1"),
            ("proxy-status", "tollgate"),
            ("set_cookie", "a=b"),
            ("access-control-allow-origin", "*"),
        ];
        let left = |rules: Option<&TrailerRules>, more: &[(&str, &str)]| {
            let mut trailers = fields(&[&lines[..], more].concat());
            filter_trailers(&mut trailers, rules);
            let mut left: Vec<String> = trailers.keys().map(ToString::to_string).collect();
            left.sort_unstable();
            left
        };
        let configured = [("x-api-key", "k"), ("x_tenant", "a"), ("X-Version", "1")];
        let of_host =
            TrailerRules::of(&fields(&[("connection", "close, X-Checksum")]), vec![Arc::default(), Arc::new(rules())]);
        assert_eq!(left(Some(&of_host), &configured), ["grpc-status"]);
        assert_eq!(left(None, &configured), ["grpc-status", "x-api-key", "x-checksum", "x-version", "x_tenant"]);
        let blanks = [("a", "1"), ("a", " 2"), ("b", "3\t"), ("c", "4 5"), ("d", "")];
        assert_eq!(left(None, &blanks), ["c", "d", "grpc-status", "x-checksum"]);
    }
}
