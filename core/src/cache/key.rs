//! Whether a request may use the cache, and under which key.

use http::Method;
use std::fmt;

use http::header::{AUTHORIZATION, COOKIE, RANGE};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CacheControl, CacheKey, CacheSettings};
use crate::forward::{Fields, Outbound, Resource};
use crate::route::{Predicate, Subject, Test};

/// How requests with credentials are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum CacheCredentials {
    /// They bypass the cache.
    #[n(0)]
    Never,
    /// Each consumer has separate stored responses.
    #[n(1)]
    PerConsumer,
    /// All consumers share them: for responses that do not depend on the caller.
    #[n(2)]
    Shared,
}

/// How a request may use the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Not at all: it is forwarded and its response is not stored.
    Bypass(Bypass),
    /// It may be answered from the cache.
    Use(Reading),
}

/// Why a request bypasses the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// Its method is neither GET nor HEAD.
    Method,
    /// It carries credentials, and the route does not allow storing such responses.
    Credentials,
    /// It requests a range.
    Range,
    /// It has `no-store`.
    NoStore,
    /// It has content, which may affect the answer and is not part of any key.
    Content,
}

impl Bypass {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Credentials => "credentials",
            Self::Range => "range",
            Self::NoStore => "no-store",
            Self::Content => "content",
        }
    }
}

impl fmt::Display for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "neither GET nor HEAD",
            Self::Credentials => "the request carries credentials, and the route does not say to cache those",
            Self::Range => "the request asks for a range",
            Self::NoStore => "the request says no-store",
            Self::Content => "the request has content",
        })
    }
}

/// How a request reads the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The resource: one per host, path and selected query, for all variants and consumers. A purge names it.
    pub resource: CacheKey,
    /// The key to look up first.
    pub primary: CacheKey,
    /// The request's own directives.
    pub control: CacheControl,
}

/// What decides the route of a request besides its URL. Routes that share a URL do not share stored responses.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'r> {
    /// The predicates of the route.
    pub when: &'r [Predicate],
    /// Whether the client is internal: for it, a URL may have another route.
    pub inside: bool,
}

/// Decides whether the request may use the cache; `consumer` is the authenticated one.
#[must_use]
pub fn plan(settings: &CacheSettings, taken: Taken<'_>, request: &Outbound<'_>, consumer: Option<&str>) -> Plan {
    let fields = request.fields();
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Plan::Bypass(Bypass::Method);
    }
    if request.has_content() {
        return Plan::Bypass(Bypass::Content);
    }
    if fields.contains(RANGE) {
        return Plan::Bypass(Bypass::Range);
    }
    let with_credentials = consumer.is_some() || fields.contains(AUTHORIZATION) || fields.contains(COOKIE);
    if with_credentials && settings.credentials == CacheCredentials::Never {
        return Plan::Bypass(Bypass::Credentials);
    }
    let control = CacheControl::of(fields);
    if control.no_store {
        return Plan::Bypass(Bypass::NoStore);
    }
    let resource = resource_key(settings, request.resource());
    let primary = primary_key(settings, taken, request, consumer, &resource);
    Plan::Use(Reading { resource, primary, control })
}

/// The first key to look up for a GET for the resource with the request's fields.
#[must_use]
pub fn primary_key(
    settings: &CacheSettings,
    taken: Taken<'_>,
    request: &Outbound<'_>,
    consumer: Option<&str>,
    resource: &CacheKey,
) -> CacheKey {
    let mut hash = Hasher::new("primary");
    hash.add(resource.as_str().as_bytes());
    if taken.inside {
        hash.add(b"inside");
    }
    taken.when.iter().for_each(|predicate| hash.predicate(predicate));
    // The upstream learns of the host as it was written, and may build links of it: one with a port is a key apart.
    if request.forwarded_host() != request.resource().host {
        hash.add(b"host");
        hash.add(request.forwarded_host().as_bytes());
    }
    let fields = request.fields();
    for name in &settings.vary {
        hash.field(fields, name);
    }
    if settings.credentials == CacheCredentials::PerConsumer {
        hash.add(consumer.unwrap_or_default().as_bytes());
        hash.field(fields, AUTHORIZATION.as_str());
        hash.field(fields, COOKIE.as_str());
    }
    hash.key()
}

/// The key of a resource, for all variants and consumers.
#[must_use]
pub fn resource_key(settings: &CacheSettings, resource: Resource<'_>) -> CacheKey {
    let Resource { host, path, query } = resource;
    let mut hash = Hasher::new("resource");
    hash.add(host.as_bytes());
    hash.add(path.as_bytes());
    match (&settings.key_query, query) {
        (None, None) => {}
        (None, Some(query)) => hash.add(query.as_bytes()),
        (Some(names), query) => {
            let mut pairs: Vec<&str> = query
                .into_iter()
                .flat_map(|q| q.split('&'))
                .filter(|pair| names.iter().any(|n| pair.split_once('=').map_or(*pair, |(k, _)| k) == n))
                .collect();
            // A stable sort only by name: the order of the values of one name can matter, that of names does not.
            pairs.sort_by_key(|pair| pair.split_once('=').map_or(*pair, |(k, _)| k));
            pairs.iter().for_each(|pair| hash.add(pair.as_bytes()));
        }
    }
    hash.key()
}

/// The key of the variant that this request selects, for a response whose `Vary` has these names.
#[must_use]
pub fn variant_key(primary: &CacheKey, varies_on: &[String], request: &Outbound<'_>) -> CacheKey {
    let fields = request.fields();
    let mut hash = Hasher::new("variant");
    hash.add(primary.as_str().as_bytes());
    for name in varies_on {
        hash.field(fields, name);
    }
    hash.key()
}

/// SHA-256 over length-prefixed parts, so that different lists of parts have different inputs.
struct Hasher(Sha256);

impl Hasher {
    fn new(purpose: &str) -> Self {
        let mut hasher = Self(Sha256::new());
        hasher.add(purpose.as_bytes());
        hasher
    }

    fn add(&mut self, piece: &[u8]) {
        self.0.update((piece.len() as u64).to_be_bytes());
        self.0.update(piece);
    }

    fn field(&mut self, fields: Fields<'_>, name: &str) {
        self.add(name.as_bytes());
        for value in fields.get_all(name) {
            self.add(value.as_bytes().trim_ascii());
        }
        self.add(b"");
    }

    fn predicate(&mut self, predicate: &Predicate) {
        let (part, name) = match &predicate.of {
            Subject::Header(name) => ("when header", name),
            Subject::Query(name) => ("when query", name),
        };
        self.add(part.as_bytes());
        self.add(name.as_bytes());
        match &predicate.test {
            Test::OneOf(values) => values.iter().for_each(|value| self.add(format!("={value}").as_bytes())),
            Test::Present => self.add(b"present"),
            Test::Absent => self.add(b"absent"),
        }
    }

    fn key(self) -> CacheKey {
        CacheKey::from_digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::Edits;
    use http::{HeaderMap, Uri};
    use wasm_bindgen_test::wasm_bindgen_test;

    const PLAIN: Taken<'static> = Taken { when: &[], inside: false };

    fn settings(credentials: CacheCredentials) -> CacheSettings {
        CacheSettings { ttl_ms: None, vary: vec!["accept-language".into()], credentials, key_query: None }
    }

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn primary(
        s: &CacheSettings,
        pairs: &[(&'static str, &str)],
        consumer: Option<&str>,
        query: Option<&str>,
    ) -> CacheKey {
        match plan(s, PLAIN, &get(&fields(pairs), query), consumer) {
            Plan::Use(reading) => reading.primary,
            Plan::Bypass(why) => panic!("{why:?}"),
        }
    }

    fn get<'f>(fields: &'f HeaderMap, query: Option<&str>) -> Outbound<'f> {
        let target = format!("http://u/p{}", query.map(|query| format!("?{query}")).unwrap_or_default());
        Outbound::new(&Method::GET, Uri::try_from(target).unwrap(), fields, false).on_behalf_of("h", "/p", "h")
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn credentials_pass_by_unless_the_route_says_so() {
        let never = settings(CacheCredentials::Never);
        for (pairs, consumer) in
            [(vec![("authorization", "x")], None), (vec![("cookie", "a=b")], None), (vec![], Some("acme"))]
        {
            let fields = fields(&pairs);
            assert_eq!(plan(&never, PLAIN, &get(&fields, None), consumer), Plan::Bypass(Bypass::Credentials));
        }
        let own = settings(CacheCredentials::PerConsumer);
        assert_ne!(primary(&own, &[], Some("a"), None), primary(&own, &[], Some("b"), None));
        assert_ne!(primary(&own, &[("cookie", "a")], None, None), primary(&own, &[("cookie", "b")], None, None));
        let shared = settings(CacheCredentials::Shared);
        assert_eq!(primary(&shared, &[], Some("a"), None), primary(&shared, &[], Some("b"), None));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_key_holds_what_selects_the_response() {
        let s = settings(CacheCredentials::Never);
        assert_ne!(primary(&s, &[("accept-language", "fr")], None, None), primary(&s, &[], None, None));
        assert_eq!(primary(&s, &[("accept", "x")], None, None), primary(&s, &[], None, None));
        assert_ne!(primary(&s, &[], None, Some("")), primary(&s, &[], None, Some("a")));
        let picky = CacheSettings { key_query: Some(vec!["q".into(), "page".into()]), ..s };
        assert_eq!(
            primary(&picky, &[], None, Some("q=1&page=2&utm=x")),
            primary(&picky, &[], None, Some("page=2&q=1"))
        );
        assert_ne!(primary(&picky, &[], None, Some("q=1")), primary(&picky, &[], None, Some("q=2")));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn routes_that_share_a_url_have_keys_of_their_own_and_one_resource() {
        let s = settings(CacheCredentials::Never);
        let (header, query) = (Subject::Header("v".into()), Subject::Query("v".into()));
        let one_of = |values: &[&str]| Test::OneOf(values.iter().map(|v| (*v).to_owned()).collect());
        let mut taken: Vec<(Vec<Predicate>, bool)> = vec![(vec![], false), (vec![], true)];
        for of in [header, query] {
            for test in [Test::Present, Test::Absent, one_of(&["1"]), one_of(&["1", "2"]), one_of(&["present"])] {
                taken.push((vec![Predicate { of: of.clone(), test }], false));
            }
        }
        let reading = |(when, inside): &(Vec<Predicate>, bool)| {
            let taken = Taken { when, inside: *inside };
            match plan(&s, taken, &get(&fields(&[]), None), None) {
                Plan::Use(reading) => reading,
                Plan::Bypass(why) => panic!("{why:?}"),
            }
        };
        let readings: Vec<Reading> = taken.iter().map(reading).collect();
        for (place, reading) in readings.iter().enumerate() {
            assert_eq!(reading.resource, readings[0].resource);
            assert!(readings[..place].iter().all(|other| other.primary != reading.primary), "{:?}", taken[place]);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn pieces_do_not_run_together() {
        let s = settings(CacheCredentials::Never);
        let key = |host, path| resource_key(&s, Resource { host, path, query: None });
        assert_ne!(key("ab", "/c"), key("a", "b/c"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_dropped_on_the_way_decides_no_key_and_what_is_forwarded_does() {
        let s = settings(CacheCredentials::Never);
        let came = fields(&[("accept-language", "fr"), ("authorization", "x"), ("x-a", "1")]);
        let mut edits = Edits::default();
        for name in ["accept-language", "authorization", "x-a"] {
            edits.remove(name.parse().unwrap());
        }
        let dropped = || get(&came, None).with_edits(edits.clone());
        let reading = |request: &Outbound<'_>| match plan(&s, PLAIN, request, None) {
            Plan::Use(reading) => reading,
            Plan::Bypass(why) => panic!("{why:?}"),
        };
        let nothing = HeaderMap::new();
        let plain = get(&nothing, None);
        assert_eq!(reading(&dropped()), reading(&plain));
        let names = ["x-a".to_owned()];
        let primary = reading(&plain).primary;
        assert_eq!(variant_key(&primary, &names, &dropped()), variant_key(&primary, &names, &plain));
        let set = fields(&[("x-a", "1")]);
        assert_ne!(variant_key(&primary, &names, &get(&set, None)), variant_key(&primary, &names, &plain));
        let with_port = get(&nothing, None).on_behalf_of("h", "/p", "h:1");
        assert_ne!(reading(&with_port).primary, primary);
        assert_eq!(reading(&with_port).resource, reading(&plain).resource, "a purge names both");
        let body = Outbound::new(&Method::GET, Uri::from_static("http://u/p"), &nothing, true);
        assert_eq!(plan(&s, PLAIN, &body, None), Plan::Bypass(Bypass::Content));
    }
}
