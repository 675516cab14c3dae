//! Keys of stored responses: everything that can change the upstream's answer is in them.

use http::Uri;

use http::header::FORWARDED;
use sha2::{Digest as _, Sha256};

use super::list::members;
use super::plan::selecting;
use super::{CacheKey, CacheSettings, Reading, Taken, forwarded_query};
use crate::forward::{Fields, Outbound, Resource, URL_FIELDS};
use crate::route::{Predicate, Subject, Test};

/// The first key to look up for a GET for the resource that would be forwarded to this target with these fields.
///
/// It depends on what the upstream is told of the URL that the client used, because responses contain links and
/// redirects made of it. `digest` makes the key.
#[must_use]
pub fn primary_key(
    settings: &CacheSettings,
    taken: Taken<'_>,
    target: &Uri,
    fields: Fields<'_>,
    resource: &CacheKey,
    digest: impl Digest,
) -> CacheKey {
    let mut input = Input::new("primary");
    input.add(resource.as_str().as_bytes());
    input.target(target);
    input.told_url(fields);
    input.add(if taken.inside { b"inside".as_slice() } else { b"outside" });
    taken.when.iter().for_each(|predicate| input.predicate(predicate));
    input.end();
    input.add(&[settings.credentials as u8]);
    selecting(settings, taken).iter().for_each(|name| input.add(name.as_bytes()));
    input.end();
    digest(&input.0)
}

impl Reading {
    /// The key of the variant that this request selects by the values of these fields.
    #[must_use]
    pub fn variant(&self, names: &[String], request: &Outbound<'_>, digest: impl Digest) -> CacheKey {
        let fields = request.fields();
        let mut input = Input::new("variant");
        input.add(self.primary.as_str().as_bytes());
        if let Some(consumer) = &self.consumer {
            input.add(consumer.as_bytes());
            // Credentials of one consumer differ in what the upstream is told, such as scopes.
            request.identity().iter().for_each(|field| input.field(fields, field.name.as_str()));
            if let Some(token) = &self.token {
                input.add(token.as_str().as_bytes());
            }
        }
        input.end();
        for name in names {
            input.field(fields, name);
        }
        digest(&input.0)
    }
}

/// The key of a resource, for all variants and consumers.
#[must_use]
pub fn resource_key(settings: &CacheSettings, resource: Resource<'_>, digest: impl Digest) -> CacheKey {
    let Resource { host, path, query } = resource;
    let mut input = Input::new("resource");
    input.add(host.as_bytes());
    input.add(path.as_bytes());
    if let Some(query) = forwarded_query(settings, &[], query) {
        input.add(query.as_bytes());
    }
    input.end();
    digest(&input.0)
}

/// Makes a key of what it depends on: [`CacheKey::digest`], or what remembers its results.
pub trait Digest: Fn(&[u8]) -> CacheKey {}

impl<D: Fn(&[u8]) -> CacheKey> Digest for D {}

impl CacheKey {
    /// The key with the SHA-256 of an input.
    #[must_use]
    pub fn digest(input: &[u8]) -> Self {
        Self::from_digest(Sha256::digest(input).into())
    }
}

/// Pieces, each with its length, and ends of lists, so that different pieces have different inputs.
struct Input(Vec<u8>);

impl Input {
    fn new(purpose: &str) -> Self {
        let mut input = Self(Vec::with_capacity(INPUT_BYTES_USUAL));
        input.add(purpose.as_bytes());
        input
    }

    fn add(&mut self, piece: &[u8]) {
        self.0.extend_from_slice(&(piece.len() as u64).to_be_bytes());
        self.0.extend_from_slice(piece);
    }

    /// Ends a list: no piece is that long.
    fn end(&mut self) {
        self.0.extend_from_slice(&u64::MAX.to_be_bytes());
    }

    fn field(&mut self, fields: Fields<'_>, name: &str) {
        self.add(name.as_bytes());
        for value in fields.get_all(name) {
            self.add(value.as_bytes().trim_ascii());
        }
        self.end();
    }

    fn target(&mut self, target: &Uri) {
        self.add(target.scheme_str().unwrap_or_default().as_bytes());
        self.add(target.authority().map_or("", http::uri::Authority::as_str).as_bytes());
        self.add(target.path_and_query().map_or("", http::uri::PathAndQuery::as_str).as_bytes());
    }

    /// The fields that tell the upstream which URL the client used.
    fn told_url(&mut self, fields: Fields<'_>) {
        for name in URL_FIELDS {
            for value in fields.get_all(&name) {
                if name == FORWARDED { self.forwarded(value.as_bytes()) } else { self.add(value.as_bytes()) }
            }
            self.end();
        }
    }

    /// `Forwarded` (RFC 7239) without the addresses of the client and of proxies.
    fn forwarded(&mut self, line: &[u8]) {
        for element in members(line, b',') {
            for pair in members(element, b';') {
                let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
                if !name.eq_ignore_ascii_case(b"for") && !name.eq_ignore_ascii_case(b"by") {
                    self.add(pair);
                }
            }
            self.end();
        }
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
        self.end();
    }
}

/// Capacity: a usual URL with what the upstream is told of it.
const INPUT_BYTES_USUAL: usize = 320;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Bypass, CacheCredentials, Caller, Plan, plan};
    use crate::forward::{Ambiguity, Attribute, Edits, IdentityField};
    use http::{HeaderMap, HeaderName, HeaderValue, Method};
    use wasm_bindgen_test::wasm_bindgen_test;

    const PLAIN: Taken<'static> = Taken { when: &[], siblings: &[], inside: false };

    const fn of(consumer: &str) -> Caller<'_> {
        Caller { consumer, exchanged: None }
    }

    fn settings(credentials: CacheCredentials) -> CacheSettings {
        CacheSettings { ttl_ms: None, vary: vec!["accept-language".into()], credentials, key_query: None }
    }

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    /// The key of what such a request reads, if the response does not vary.
    fn key(s: &CacheSettings, pairs: &[(&'static str, &str)], consumer: Option<&str>, query: Option<&str>) -> CacheKey {
        let fields = fields(pairs);
        let request = get(&fields, query);
        match plan(s, PLAIN, &request, consumer.map(of), CacheKey::digest) {
            Plan::Use(reading) => reading.variant(&reading.selecting, &request, CacheKey::digest),
            Plan::Bypass { why, .. } => panic!("{why:?}"),
        }
    }

    fn get<'f>(fields: &'f HeaderMap, query: Option<&str>) -> Outbound<'f> {
        let target = format!("http://u/p{}", query.map(|query| format!("?{query}")).unwrap_or_default());
        Outbound::new(&Method::GET, Uri::try_from(target).unwrap(), fields, false).on_behalf_of("h", "/p")
    }

    const fn bypass(why: Bypass) -> Plan {
        Plan::Bypass { why, only_if_cached: false }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn credentials_pass_by_unless_the_route_says_so() {
        let never = settings(CacheCredentials::Never);
        for (pairs, consumer) in
            [(vec![("authorization", "x")], None), (vec![("cookie", "a=b")], None), (vec![], Some("acme"))]
        {
            let fields = fields(&pairs);
            assert_eq!(
                plan(&never, PLAIN, &get(&fields, None), consumer.map(of), CacheKey::digest),
                bypass(Bypass::Credentials)
            );
        }
        let own = settings(CacheCredentials::PerConsumer);
        assert_ne!(key(&own, &[], Some("a"), None), key(&own, &[], Some("b"), None));
        assert_ne!(key(&own, &[("cookie", "a")], None, None), key(&own, &[("cookie", "b")], None, None));
        let shared = settings(CacheCredentials::Shared);
        assert_eq!(key(&shared, &[], Some("a"), None), key(&shared, &[], Some("b"), None));
        assert_ne!(
            key(&shared, &[], None, None),
            key(&never, &[], None, None),
            "stored before the setting was changed"
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_key_holds_what_selects_the_response() {
        let s = settings(CacheCredentials::Never);
        assert_ne!(key(&s, &[("accept-language", "fr")], None, None), key(&s, &[], None, None));
        assert_eq!(key(&s, &[("accept", "x")], None, None), key(&s, &[], None, None));
        assert_ne!(key(&s, &[], None, Some("")), key(&s, &[], None, Some("a")));
        let resource = |query| resource_key(&s, Resource { host: "h", path: "/p", query }, CacheKey::digest);
        assert_ne!(resource(Some("a")), resource(None));
        let picky = CacheSettings { key_query: Some(vec!["q".into(), "page".into()]), ..s.clone() };
        let resource = |query| resource_key(&picky, Resource { host: "h", path: "/p", query }, CacheKey::digest);
        assert_eq!(resource(Some("q=1&page=2&utm=x")), resource(Some("page=2&q=1")));
        assert_ne!(resource(Some("q=1")), resource(Some("q=2")));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_that_selects_a_sibling_separates_responses() {
        let s = settings(CacheCredentials::Never);
        let siblings = ["x-version".to_owned()];
        let key = |pairs: &[(&'static str, &str)], siblings| {
            let fields = fields(pairs);
            let request = get(&fields, None);
            match plan(&s, Taken { siblings, ..PLAIN }, &request, None, CacheKey::digest) {
                Plan::Use(reading) => reading.variant(&reading.selecting, &request, CacheKey::digest),
                Plan::Bypass { why, .. } => panic!("{why:?}"),
            }
        };
        assert_ne!(key(&[("x-version", "2,")], &siblings), key(&[], &siblings));
        assert_eq!(key(&[("x-version", "2,")], &[]), key(&[], &[]));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn bytes_that_the_platform_could_not_decode_pass_by() {
        let s = settings(CacheCredentials::Never);
        for value in ["fr\u{fffd}", "\u{fffd}"] {
            let fields = HeaderMap::from_iter([("x-l".parse().unwrap(), HeaderValue::from_str(value).unwrap())]);
            assert_eq!(plan(&s, PLAIN, &get(&fields, None), None, CacheKey::digest), bypass(Bypass::NotText));
        }
        let fields = HeaderMap::from_iter([("x-l".parse().unwrap(), HeaderValue::from_bytes(b"fr\xe9").unwrap())]);
        assert!(
            matches!(plan(&s, PLAIN, &get(&fields, None), None, CacheKey::digest), Plan::Use(_)),
            "the bytes are in the key"
        );
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
            let taken = Taken { when, inside: *inside, ..PLAIN };
            match plan(&s, taken, &get(&fields(&[]), None), None, CacheKey::digest) {
                Plan::Use(reading) => reading,
                Plan::Bypass { why, .. } => panic!("{why:?}"),
            }
        };
        let readings: Vec<Reading> = taken.iter().map(reading).collect();
        for (place, reading) in readings.iter().enumerate() {
            assert_eq!(reading.resource, readings[0].resource);
            assert!(readings[..place].iter().all(|other| other.primary != reading.primary), "{:?}", taken[place]);
        }
    }

    fn reading(s: &CacheSettings, request: &Outbound<'_>) -> Reading {
        match plan(s, PLAIN, request, None, CacheKey::digest) {
            Plan::Use(reading) => reading,
            Plan::Bypass { why, .. } => panic!("{why:?}"),
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn pieces_do_not_run_together() {
        let s = settings(CacheCredentials::Never);
        let key = |host, path| resource_key(&s, Resource { host, path, query: None }, CacheKey::digest);
        assert_ne!(key("ab", "/c"), key("a", "b/c"));
        let names = ["accept".to_owned(), "x-b".to_owned()];
        let lines: [&[(&'static str, &str)]; 5] = [
            &[],
            &[("accept", "")],
            &[("accept", ""), ("accept", "x-b")],
            &[("x-b", ""), ("x-b", "x-b")],
            &[("accept", "x-b"), ("x-b", "")],
        ];
        let primary = reading(&s, &get(&HeaderMap::new(), None));
        let keys = lines.map(|lines| primary.variant(&names, &get(&fields(lines), None), CacheKey::digest));
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(key), "{:?}", lines[place]);
        }
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
        let nothing = HeaderMap::new();
        let plain = get(&nothing, None);
        assert_eq!(reading(&s, &dropped()), reading(&s, &plain));
        let names = ["accept-language".to_owned(), "x-a".to_owned()];
        let of_plain = reading(&s, &plain);
        assert_eq!(
            of_plain.variant(&names, &dropped(), CacheKey::digest),
            of_plain.variant(&names, &plain, CacheKey::digest)
        );
        for set in [fields(&[("x-a", "1")]), fields(&[("accept-language", "fr")])] {
            assert_ne!(
                of_plain.variant(&names, &get(&set, None), CacheKey::digest),
                of_plain.variant(&names, &plain, CacheKey::digest)
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_the_upstream_is_told_of_the_clients_url_is_in_the_key() {
        let s = settings(CacheCredentials::Never);
        let nothing = HeaderMap::new();
        let plain = reading(&s, &get(&nothing, None));
        for (name, value) in [
            ("x-forwarded-host", "h:1"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=192.0.2.1;host=\"h:1\";proto=http"),
            ("forwarded", "proto=http, for=192.0.2.1"),
        ] {
            let told = reading(&s, &get(&fields(&[(name, value)]), None));
            assert_ne!(told.primary, plain.primary, "{name}: {value}");
            assert_eq!(told.resource, plain.resource, "a purge names both");
        }
        let forwarded = |text: &str| reading(&s, &get(&fields(&[("forwarded", text)]), None)).primary;
        assert_eq!(forwarded("for=192.0.2.1;proto=http"), forwarded("For=\"[2001:db8::1]\" ;proto=http;by=_x"));
        assert_ne!(forwarded("proto=http"), forwarded("proto=https"));
        let for_address = reading(&s, &get(&fields(&[("x-forwarded-for", "192.0.2.1")]), None));
        assert_eq!(for_address.primary, plain.primary, "otherwise each client would have its own responses");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_target_is_in_the_key() {
        let (s, nothing) = (settings(CacheCredentials::Never), HeaderMap::new());
        let key = |target: &'static str| {
            let request = Outbound::new(&Method::GET, Uri::from_static(target), &nothing, false);
            reading(&s, &request.on_behalf_of("h", "/p")).primary
        };
        let targets = ["http://u/p", "https://u/p", "http://u:81/p", "http://v/p", "http://u/base/p"];
        for (place, target) in targets.iter().enumerate() {
            assert!(targets[..place].iter().all(|other| key(other) != key(target)), "{target}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_cannot_be_in_a_key_bypasses() {
        let (s, nothing) = (settings(CacheCredentials::Never), HeaderMap::new());
        let body = Outbound::new(&Method::GET, Uri::from_static("http://u/p"), &nothing, true);
        assert_eq!(plan(&s, PLAIN, &body, None, CacheKey::digest), bypass(Bypass::Content));
        for (ambiguity, why) in [(Ambiguity::Method, Bypass::Override), (Ambiguity::Spelling, Bypass::Spelling)] {
            let request = get(&nothing, None).with_ambiguity(Some(ambiguity));
            assert_eq!(plan(&s, PLAIN, &request, None, CacheKey::digest), bypass(why));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_bypass_tells_whether_the_request_may_be_forwarded() {
        let (s, target) = (settings(CacheCredentials::Never), Uri::from_static("http://u/p"));
        let map = fields(&[("range", "bytes=0-1"), ("cache-control", "only-if-cached")]);
        for (method, why, only_if_cached) in [
            (Method::GET, Bypass::Range, true),
            (Method::HEAD, Bypass::Range, true),
            (Method::POST, Bypass::Method, false),
        ] {
            let request = Outbound::new(&method, target.clone(), &map, false);
            assert_eq!(
                plan(&s, PLAIN, &request, None, CacheKey::digest),
                Plan::Bypass { why, only_if_cached },
                "{method}"
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_the_upstream_is_told_of_the_caller_selects_the_variant_of_a_consumer() {
        let identity = [IdentityField { name: HeaderName::from_static("x-scopes"), tells: Attribute::Scopes.into() }];
        let key = |credentials, scopes: &'static str, identity| {
            let nothing = HeaderMap::new();
            let mut edits = Edits::default();
            edits.set(HeaderName::from_static("x-scopes"), HeaderValue::from_static(scopes));
            let request = get(&nothing, None).with_edits(edits).with_identity(identity);
            match plan(&settings(credentials), PLAIN, &request, Some(of("acme")), CacheKey::digest) {
                Plan::Use(reading) => reading.variant(&reading.selecting, &request, CacheKey::digest),
                Plan::Bypass { why, .. } => panic!("{why:?}"),
            }
        };
        let (own, shared) = (CacheCredentials::PerConsumer, CacheCredentials::Shared);
        assert_ne!(key(own, "read", &identity), key(own, "read write", &identity));
        assert_eq!(key(own, "read", &[]), key(own, "read write", &[]));
        assert_eq!(key(shared, "read", &identity), key(shared, "read write", &identity));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_that_is_exchanged_selects_the_variant_of_a_consumer() {
        let key = |credentials, exchanged| {
            let nothing = HeaderMap::new();
            let (request, caller) = (get(&nothing, None), Caller { consumer: "app", exchanged });
            match plan(&settings(credentials), PLAIN, &request, Some(caller), CacheKey::digest) {
                Plan::Use(reading) => reading.variant(&reading.selecting, &request, CacheKey::digest),
                Plan::Bypass { why, .. } => panic!("{why:?}"),
            }
        };
        let (own, shared) = (CacheCredentials::PerConsumer, CacheCredentials::Shared);
        let keys = [None, Some("of ada"), Some("of eve")].map(|token| key(own, token));
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
        assert_eq!(key(own, Some("of ada")), keys[1]);
        assert_eq!(key(shared, Some("of ada")), key(shared, Some("of eve")));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_that_selects_the_route_selects_the_variant() {
        let s = settings(CacheCredentials::PerConsumer);
        let when = [Predicate { of: Subject::Header("x-v".into()), test: Test::Present }];
        let nothing = HeaderMap::new();
        let Plan::Use(reading) =
            plan(&s, Taken { when: &when, ..PLAIN }, &get(&nothing, None), Some(of("acme")), CacheKey::digest)
        else {
            panic!("it may use the cache")
        };
        let names = ["accept-language", "authorization", "cookie", "x-v"];
        assert_eq!(reading.selecting, names);
        assert_eq!(reading.varies_on(Some(&["x-a".to_owned(), "x-v".to_owned()])).unwrap().len(), 5);
        let of_other = Reading { consumer: Some("other".into()), ..reading.clone() };
        assert_ne!(
            of_other.variant(&[], &get(&nothing, None), CacheKey::digest),
            reading.variant(&[], &get(&nothing, None), CacheKey::digest)
        );
    }
}
