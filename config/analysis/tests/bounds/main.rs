//! Compares the bounds with the production pipeline: no request exceeds them, and some request reaches each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its own data has failed")]

mod counting;
mod features;
mod gateway;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::LazyLock;

use bytes::Bytes;
use counting::{CountingHost, poll, run};
use gateway::{Form, Place, forms};
use http::{Request, Response, StatusCode};
use proptest::prelude::*;
use tollgate_analysis::bounds::{State, Usage, count};
use tollgate_analysis::compile_str;
use tollgate_config::Compiled;
use tollgate_core::authn::{ApiKey, Credential};
use tollgate_core::bounds::{EXPORT_QUEUE_MAX, STORED_CONTENT_BYTES_MAX};
use tollgate_core::forward::UpstreamError;
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, MemoryHost, MemorySignatures, VirtualClock};
use tollgate_edge::ports::Content as _;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, serve};
use tollgate_kv_schemas::{encode, keys};

/// A gateway with ports that count.
struct Bench {
    form: Form,
    compiled: Compiled,
    host: CountingHost,
    /// Exchanges that have begun an export and are not continued.
    exporting: RefCell<Vec<PendingExport>>,
}

type PendingExport = Pin<Box<dyn Future<Output = tollgate_core::telemetry::ExchangeRecord>>>;

/// A request to a route.
#[derive(Clone, Copy, Debug)]
struct Try {
    method: &'static str,
    /// The consumer whose key the last policy finds; the other policies find keys of no consumer.
    consumer: u8,
    /// Whether the request contains a key for every policy.
    keys_for_all: bool,
    /// Whether many exchanges finish before the export.
    crowded: bool,
}

const PLAIN: Try = Try { method: "GET", consumer: 0, keys_for_all: false, crowded: false };

impl Bench {
    fn new(form: &Form) -> Self {
        let text = form.yaml();
        let compiled = compile_str("tollgate.yaml", &text).unwrap_or_else(|found| panic!("{text}{found}"));
        let inner = MemoryHost::new(VirtualClock::at(NOW), 1, answer);
        for (key, value) in compiled.records() {
            inner.records.put(key.clone(), value.clone());
        }
        for consumer in 0..2 {
            let key = key(consumer);
            let credential = Credential::of(key.public_id(), format!("c{consumer}"));
            inner.records.put(keys::credential("g", &key.digest()), encode(&credential));
        }
        for n in 0..4 {
            inner.secrets.put(format!("U{n}"), "s");
            inner.secrets.put(format!("E{n}"), "s");
        }
        Self { form: form.clone(), compiled, host: CountingHost::new(inner), exporting: RefCell::default() }
    }

    fn isolate() -> Rc<Isolate> {
        Rc::new(Isolate::new(IsolateSettings { gateway: "g".into(), freshness: Freshness::Cached }))
    }

    /// An isolate in which another request exports the telemetry.
    fn busy_isolate(&self) -> Rc<Isolate> {
        let isolate = Self::isolate();
        let served = run(&self.host.inner.clock, serve(&isolate, &self.host, request("GET", "/nowhere"), CLIENT));
        let mut after: PendingExport = Box::pin(served.after);
        let _ = poll(after.as_mut());
        self.exporting.borrow_mut().push(after);
        isolate
    }

    /// Runs one request to completion on an isolate; returns its usage.
    fn send(&self, isolate: &Rc<Isolate>, tried: Try) -> Usage {
        let host = self.host.with_new_count();
        let clock = host.inner.clock.clone();
        let served = run(&clock, serve(isolate, &host, self.request(tried), CLIENT));
        let mut after = pin!(served.after);
        if tried.crowded && poll(after.as_mut()).is_pending() {
            let others = self.host.with_new_count();
            for _ in 0..EXPORT_QUEUE_MAX {
                let served = run(&clock, serve(isolate, &others, request("GET", "/nowhere"), CLIENT));
                run(&clock, served.after);
            }
        }
        run(&clock, after);
        host.usage.get()
    }

    fn request(&self, tried: Try) -> Request<Content> {
        let Some(last) = self.form.keys.len().checked_sub(1) else { return request(tried.method, "/a") };
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut query: Vec<String> = Vec::new();
        let chosen = self.chosen_schemes();
        let is_presented = |place: &Place| {
            !tried.keys_for_all || chosen[usize::from(place.field)] == Some(place.scheme) || place.query.is_some()
        };
        let valid = self.form.keys.iter().rposition(is_presented).unwrap_or(last);
        for (n, place) in self.form.keys.iter().enumerate() {
            if n != last && !tried.keys_for_all {
                continue;
            }
            let key = key(if n == valid { tried.consumer } else { 100 + u8::try_from(n).unwrap_or(0) });
            let by_scheme = chosen[usize::from(place.field)] == Some(place.scheme);
            if by_scheme || !tried.keys_for_all {
                let (field, scheme) = (format!("x-k{}", place.field), place.scheme.map(|s| format!("S{s} ")));
                fields.retain(|(name, _)| *name != field);
                fields.push((field, format!("{}{}", scheme.unwrap_or_default(), key.expose())));
            } else if let Some(q) = place.query {
                query.push(format!("q{q}={}", key.expose()));
            }
        }
        let target = if query.is_empty() { "/a".to_owned() } else { format!("/a?{}", query.join("&")) };
        let mut request = request(tried.method, &target);
        for (name, value) in fields {
            request.headers_mut().append(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        request
    }

    /// For each field, the scheme with which most policies find a key, considering their parameters; `None` if most find one
    /// without the field.
    fn chosen_schemes(&self) -> [Option<Option<u8>>; 4] {
        let mut chosen = [None; 4];
        for (field, chosen) in (0u8..).zip(&mut chosen) {
            let of: Vec<_> = self.form.keys.iter().filter(|place| place.field == field).collect();
            let finds = |chosen: Option<Option<u8>>| {
                let by_field = |place: &Place| chosen == Some(place.scheme);
                let reads_any = |place: &Place| place.scheme.is_none() && chosen.is_some();
                of.iter().filter(|place| by_field(place) || (place.query.is_some() && !reads_any(place))).count()
            };
            let schemes = of.iter().map(|place| Some(place.scheme)).chain([None]);
            *chosen = schemes.max_by_key(|scheme| finds(*scheme)).flatten();
        }
        chosen
    }

    /// Publishes another bundle while the next request loads this one.
    fn publish_meanwhile(&self) {
        let other = self.form.yaml().replace("http://u", "http://v");
        let other = compile_str("tollgate.yaml", &other).unwrap();
        let (pointer, rest) = other.records().split_last().unwrap();
        for (key, value) in rest {
            self.host.inner.records.put(key.clone(), value.clone());
        }
        *self.host.publishes.borrow_mut() = Some(pointer.clone());
    }
}

/// The upstream: a response of the largest size that is stored, with variants and a validator.
fn answer(request: &Request<Content>) -> (u64, Result<Response<Content>, tollgate_core::forward::UpstreamError>) {
    let mut response = Response::new(Content::empty());
    if request.headers().contains_key("if-none-match") {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else if request.method() == "GET" {
        *response.body_mut() = Content::from_bytes(LARGEST.clone());
    }
    for (name, value) in [("vary", "accept"), ("etag", "\"1\""), ("cache-control", "max-age=1")] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    (0, Ok(response))
}

static LARGEST: LazyLock<Bytes> = LazyLock::new(|| vec![0; usize::try_from(STORED_CONTENT_BYTES_MAX).unwrap()].into());

fn request(method: &str, target: &str) -> Request<Content> {
    let builder = Request::builder().method(method).uri(target).header("host", "api.example.com");
    builder.body(Content::empty()).unwrap()
}

fn key(n: u8) -> ApiKey {
    ApiKey::generate("dev", &[n; 32]).unwrap()
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const CLIENT: Client =
    Client { address: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)), https: true, inside: false };

/// Requests with the maximum of calls, each on a new bench; the usage of cold isolates, and of warm ones.
fn measured(form: &Form) -> (Vec<Usage>, Vec<Usage>) {
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    cold.extend(methods(form).first().map(|method| crowded(form, Try { method, ..PLAIN })));
    for method in methods(form) {
        let plain = Try { method, ..PLAIN };
        cold.extend([true, false].map(|unavailable| reading_everything(form, plain, unavailable)));
        for missing in 0..=form.upstream_secrets.len() {
            cold.push(missing_secrets(form, plain, missing));
        }
        let scenarios = [refused, confirmations_failed, revalidated, changed];
        for (cold_usage, warm_usage) in scenarios.map(|scenario| scenario(form, plain)) {
            cold.push(cold_usage);
            warm.push(warm_usage);
        }
    }
    (cold, warm)
}

fn methods(form: &Form) -> Vec<&'static str> {
    ["GET", "HEAD", "POST", "PUT"].into_iter().filter(|m| form.methods.is_empty() || takes(form, m)).collect()
}

fn takes(form: &Form, method: &str) -> bool {
    form.methods.contains(method) || (method == "HEAD" && form.methods.contains("GET"))
}

/// Every policy is tried: no credential can be read, or only that of the last one is known.
fn reading_everything(form: &Form, plain: Try, unavailable: bool) -> Usage {
    let mut bench = Bench::new(form);
    bench.host.credentials_unavailable = unavailable;
    bench.publish_meanwhile();
    bench.send(&Bench::isolate(), Try { keys_for_all: true, ..plain })
}

/// Policies that read one key are all tried only if it cannot be read, and then its use is not recorded.
fn share_a_key(form: &Form) -> bool {
    let chosen = Bench::new(form).chosen_schemes();
    (0u8..).zip(chosen).any(|(field, scheme)| {
        form.keys.iter().filter(|place| place.field == field && scheme == Some(place.scheme)).count() > 1
    })
}

fn crowded(form: &Form, plain: Try) -> Usage {
    Bench::new(form).send(&Bench::isolate(), Try { crowded: form.export_secrets.is_some(), ..plain })
}

/// The secrets that first occur in this field of the upstream are missing, and those of the export too.
fn missing_secrets(form: &Form, plain: Try, missing: usize) -> Usage {
    let mut bench = Bench::new(form);
    let known: BTreeSet<u8> = form.upstream_secrets.iter().take(missing).flatten().copied().collect();
    bench.host.inner.secrets = tollgate_edge::memory::MemorySecrets::default();
    let named = form.upstream_secrets.get(missing).cloned().unwrap_or_default();
    for n in (0..4).filter(|n| known.contains(n) || !named.contains(n)) {
        bench.host.inner.secrets.put(format!("U{n}"), "s");
    }
    bench.send(&Bench::isolate(), plain)
}

/// The client's address has exhausted its limit, but another consumer has not.
fn refused(form: &Form, plain: Try) -> (Usage, Usage) {
    let bench = Bench::new(form);
    // An export would take some time, in which the limits become available again.
    bench.send(&bench.busy_isolate(), plain);
    let cold = bench.send(&Bench::isolate(), Try { consumer: 1, ..plain });
    let bench = Bench::new(form);
    let isolate = bench.busy_isolate();
    // Both credentials are in memory, and the limits are available again.
    for consumer in [0, 1] {
        bench.send(&isolate, Try { consumer, ..plain });
    }
    bench.host.inner.clock.advance(RESTED_MS);
    bench.send(&isolate, plain);
    (cold, bench.send(&isolate, Try { consumer: 1, ..plain }))
}

/// The counters hold the charges and then do not confirm them, so that the charges are released.
fn confirmations_failed(form: &Form, plain: Try) -> (Usage, Usage) {
    let bench = || {
        let mut bench = Bench::new(form);
        bench.host.confirmations_fail = true;
        bench
    };
    let cold = bench().send(&Bench::isolate(), plain);
    let bench = bench();
    let isolate = bench.busy_isolate();
    bench.send(&isolate, plain);
    bench.host.inner.clock.advance(RESTED_MS);
    (cold, bench.send(&isolate, plain))
}

/// A variant is stored and stale.
fn revalidated(form: &Form, plain: Try) -> (Usage, Usage) {
    let prime = |bench: &Bench, isolate: &Rc<Isolate>| {
        let method = if form.methods == "[HEAD]" { "HEAD" } else { "GET" };
        bench.send(isolate, Try { method, ..plain });
        bench.host.inner.clock.advance(RESTED_MS);
    };
    let bench = Bench::new(form);
    prime(&bench, &Bench::isolate());
    let cold = bench.send(&Bench::isolate(), plain);
    let bench = Bench::new(form);
    let isolate = bench.busy_isolate();
    prime(&bench, &isolate);
    (cold, bench.send(&isolate, plain))
}

fn changed(form: &Form, plain: Try) -> (Usage, Usage) {
    let bench = Bench::new(form);
    let cold = bench.send(&Bench::isolate(), plain);
    let isolate = bench.busy_isolate();
    bench.host.inner.clock.advance(RESTED_MS);
    bench.send(&isolate, plain);
    bench.host.inner.clock.advance(RESTED_MS);
    (cold, bench.send(&isolate, plain))
}

/// Longer than the periods of limits and the freshness of responses, but shorter than anything is kept in memory.
const RESTED_MS: u64 = 2_000;

/// The bounds of the route on the most specific host, to which requests are sent.
fn bounds(form: &Form, state: State) -> Usage {
    let bench = Bench::new(form);
    let bounds = count(&bench.compiled);
    let own = bench.compiled.routes().iter().position(|route| route.settings.id == "a0.own").unwrap();
    bounds[own].most(state)
}

fn below(measured: Usage, bound: Usage) -> bool {
    measured.max(bound) == bound
}

/// A route only for `HEAD` never finds a cached response, because none is stored.
fn stores_nothing(form: &Form) -> bool {
    form.cache && form.methods == "[HEAD]"
}

#[test]
fn the_work_for_a_token_depends_on_where_its_keys_are() {
    let most = |policy: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: g}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{own: {{{policy}}}}}\n\
             apis: {{a: {{upstream: u, authn: own, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
        );
        let compiled = compile_str("tollgate.yaml", &text).unwrap_or_else(|found| panic!("{text}{found}"));
        let usage = count(&compiled)[0].most(State::Cold);
        (usage.record_reads, usage.record_writes, usage.fetches, usage.verifications, usage.secret_reads)
    };
    let token = |keys: &str| most(&format!("kind: jwt, issuer: \"https://id.example.com\", audience: a{keys}"));
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert_eq!(most("kind: api-key"), (9, 0, 0, 0, 0));
    assert_eq!(token(&format!(", keys: '{{\"keys\":[{key}]}}'")), (7, 0, 0, 8, 0));
    assert_eq!(token(", secret: \"${secret.SHARED}\""), (7, 0, 0, 2, 1));
    assert_eq!(token(", jwks: \"https://id.example.com/keys\""), (8, 1, 1, 16, 0));
    assert_eq!(token(""), (10, 3, 3, 16, 0));
    let asked = |rest: &str| {
        most(&format!(
            "kind: introspection, issuer: \"https://id.example.com\", audience: a, client-id: g, \
             client-secret: \"${{secret.C}}\"{rest}"
        ))
    };
    assert_eq!(asked(", url: \"https://id.example.com/introspect\""), (7, 0, 1, 0, 1));
    assert_eq!(asked(", signed: true"), (9, 2, 3, 16, 1), "the same metadata name the endpoint and the keys");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_exceeds_a_bound_and_some_request_reaches_it(form in forms()) {
        let (cold, warm) = measured(&form);
        for (state, seen) in [(State::Cold, cold), (State::Warm, warm)] {
            let bound = bounds(&form, state);
            let most = seen.iter().fold(Usage::default(), |most, usage| most.max(*usage));
            prop_assert!(below(most, bound), "{state:?} {most:?} {bound:?}\n{}", form.yaml());
            if !stores_nothing(&form) {
                let shared = u64::from(state == State::Cold && share_a_key(&form));
                let bound = Usage { record_reads: bound.record_reads - shared, ..bound };
                prop_assert_eq!(most, bound, "{:?} is not reached\n{}", state, form.yaml());
            }
        }
    }
}

/// A webhook whose messages are accepted once: its secrets, its cell and its content are counted, and a request whose upstream cannot
/// be reached needs them all.
#[test]
fn a_signed_message_reaches_its_bounds() {
    let text = "format: 1\ngateway: {name: g}\nupstreams: {u: \"http://u\"}\npolicies:\n  hooks: {kind: webhook, sender: github, \
                secret: [\"${secret.U0}\", \"${secret.U1}\"], once-within: 1m}\n  often: {kind: rate-limit, rate: 9/s}\napis:\n  a:\n    \
                upstream: u\n    routes:\n      - {path: /a, methods: [POST], authn: hooks, limit: often, body-limit: 1KiB}\n";
    let compiled = compile_str("tollgate.yaml", text).unwrap();
    let bound = count(&compiled)[0].most(State::Cold);
    let mut inner = MemoryHost::new(VirtualClock::at(NOW), 1, |_| (0, Err(UpstreamError::ConnectionRefused)));
    inner.signatures = MemorySignatures::new(|check| check.signature == [7; 32]);
    compiled.records().iter().for_each(|(key, value)| inner.records.put(key.clone(), value.clone()));
    ["U0", "U1"].into_iter().for_each(|name| inner.secrets.put(name, "a secret of sixteen bytes"));
    let host = CountingHost::new(inner);
    let mut request = request("POST", "/a").map(|_| Content::from_bytes(vec![b'x'; 1_024].into()));
    request.headers_mut().insert("x-hub-signature-256", format!("sha256={}", "07".repeat(32)).parse().unwrap());
    let served = run(&host.inner.clock, serve(&Bench::isolate(), &host, request, CLIENT));
    assert_eq!(run(&host.inner.clock, served.after).status, 502);
    let used = host.usage.get();
    assert_eq!((used.counter_calls, used.secret_reads), (3, 2));
    assert_eq!((bound.counter_calls, bound.secret_reads, bound.gathered_bytes), (3, 2, 1_024));
}

#[test]
fn a_service_that_decides_is_asked_about_each_request() {
    let text = "format: 1\ngateway: {name: g}\nupstreams: {u: \"http://u\"}\npolicies:\n  keys: {kind: api-key}\n  opa: {kind: external, url: \
                \"https://opa/allow\", protocol: opa, send: {user: principal.consumer}, token: \"${secret.OPA}\"}\napis:\n  a:\n    upstream: u\n    \
                authn: keys\n    authz: opa\n    limit: none\n    routes: [{path: /a, methods: [GET]}]\n";
    let compiled = compile_str("tollgate.yaml", text).unwrap_or_else(|found| panic!("{found}"));
    let bounds = count(&compiled);
    let most = |state| (bounds[0].most(state).fetches, bounds[0].most(state).secret_reads);
    assert_eq!((most(State::Cold), most(State::Warm)), ((1, 1), (1, 0)));
}
