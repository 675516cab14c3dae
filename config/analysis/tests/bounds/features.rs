//! What single features add to the bounds, and requests that need it.

use http::{Request, Response};
use tollgate_analysis::bounds::{State, Usage, count};
use tollgate_analysis::compile_str;
use tollgate_config::Compiled;
use tollgate_core::authn::Credential;
use tollgate_edge::memory::{Content, MemoryHost, VirtualClock};
use tollgate_edge::ports::Content as _;
use tollgate_edge::serve;
use tollgate_kv_schemas::{encode, keys};

use crate::counting::{CountingHost, run};
use crate::{Bench, CLIENT, NOW, key, request};

/// A project with a route `/a` for callers with keys, with these settings.
fn compiled(gateway: &str, rest: &str, policies: &str, limit: &str) -> Compiled {
    let text = format!(
        "format: 1\ngateway: {{name: g{gateway}}}\nupstreams: {{u: \"http://u\"}}\n{rest}policies:\n  keys: {{kind: api-key}}\n{policies}\
         apis:\n  a: {{upstream: u, routes: [{{path: /a, methods: [GET], authn: keys, limit: {limit}}}]}}\n"
    );
    compile_str("tollgate.yaml", &text).unwrap_or_else(|found| panic!("{text}{found}"))
}

fn most(compiled: &Compiled, state: State) -> Usage {
    count(compiled)[0].most(state)
}

fn host(compiled: &Compiled) -> CountingHost {
    let inner = MemoryHost::new(VirtualClock::at(NOW), 1, |_: &Request<Content>| {
        let mut response = Response::new(Content::empty());
        response.headers_mut().insert("x-cost", "2".parse().unwrap());
        (0, Ok(response))
    });
    compiled.records().iter().for_each(|(key, value)| inner.records.put(key.clone(), value.clone()));
    let own = key(0);
    inner.records.put(keys::credential("g", &own.digest()), encode(&Credential::of(own.public_id(), "acme")));
    CountingHost::new(inner)
}

/// What one request with a key takes, on a new isolate.
fn taken(host: &CountingHost) -> Usage {
    let mut request = request("GET", "/a");
    request.headers_mut().insert("x-api-key", key(0).expose().parse().unwrap());
    let served = run(&host.inner.clock, serve(&Bench::isolate(), host, request, CLIENT));
    assert_eq!(run(&host.inner.clock, served.after).status, 200);
    host.usage.get()
}

#[test]
fn usage_is_written_in_batches_and_again_after_failures() {
    for (every, warm) in [("10s", 0), ("0s", 1)] {
        let compiled = compiled("", &format!("telemetry: {{usage: {{every: {every}}}}}\n"), "", "none");
        assert_eq!((most(&compiled, State::Cold).record_writes, most(&compiled, State::Warm).record_writes), (8, warm));
        assert_eq!(taken(&host(&compiled)).record_writes, 1, "one batch");
        let failing = CountingHost { writes_fail: true, ..host(&compiled) };
        assert_eq!(taken(&failing).record_writes, 4, "four attempts");
    }
}

#[test]
fn notices_are_posted_three_times_to_receivers_that_fail() {
    let receivers: Vec<_> =
        (0..4).map(|n| format!("{{url: \"https://r{n}.example.com\", secret: \"${{secret.N}}\"}}")).collect();
    let gateway = format!(", notify: [{}]", receivers.join(", "));
    let compiled = compiled(&gateway, "", "  daily: {kind: quota, quota: 1, window: day, warn: [100%]}\n", "daily");
    let (cold, warm) = (most(&compiled, State::Cold), most(&compiled, State::Warm));
    assert_eq!((cold.fetches, cold.secret_reads, warm.fetches, warm.secret_reads), (24, 24, 0, 0));
    let with_secret = host(&compiled);
    with_secret.inner.secrets.put("N", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let used = taken(&with_secret);
    assert_eq!((used.fetches, used.secret_reads), (12, 1), "no receiver can be reached");
    let used = taken(&host(&compiled));
    assert_eq!((used.fetches, used.secret_reads), (0, 12), "a missing secret is read again");
}

/// What limits add to the calls of counters, and that a request needs them.
#[test]
fn each_way_in_which_a_limit_counts_has_its_calls() {
    for (policies, limit, bound, needed) in [
        ("  p: {kind: rate-limit, rate: 9/s}\n", "p", 1, 1),
        // Of permits that are taken ahead: the request, a refill, and what was not used of one.
        ("  p: {kind: rate-limit, rate: 100/s}\n", "p", 3, 1),
        ("  p: {kind: rate-limit, rate: 100/s, consistency: local}\n", "p", 0, 0),
        ("  p: {kind: rate-limit, rate: 9/s, shadow: true}\n", "p", 1, 1),
        // One is told of the end.
        ("  p: {kind: concurrency, max: 2}\n", "p", 2, 2),
        ("  p: {kind: quota, quota: 9, window: day, count-when: status >= 500}\n", "p", 2, 2),
        ("  p: {kind: quota, quota: 9, window: day, cost: 'response.headers[\"x-cost\"]', reserve: 5}\n", "p", 2, 2),
        ("  p: {kind: rate-limit, rate: 9/s}\n  q: {kind: quota, quota: 9, window: day}\n", "[p, q]", 1, 1),
        // Two owners: reserved, confirmed, and released if one did not confirm.
        (
            "  p: {kind: rate-limit, rate: 9/s}\n  q: {kind: quota, quota: 9, window: day, by: gateway}\n",
            "[p, q]",
            6,
            4,
        ),
    ] {
        let compiled = compiled("", "", policies, limit);
        let bounds = [State::Warm, State::Cold].map(|state| most(&compiled, state).counter_calls);
        assert_eq!(bounds, [bound, bound], "{policies}");
        assert_eq!(taken(&host(&compiled)).counter_calls, needed, "{policies}");
    }
}

#[test]
fn what_is_kept_of_tokens_and_sessions_is_read_and_written() {
    let of = |policy: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: g}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{own: {{{policy}}}}}\n\
             apis: {{a: {{upstream: u, authn: own, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
        );
        let compiled = compile_str("tollgate.yaml", &text).unwrap_or_else(|found| panic!("{text}{found}"));
        let usage = most(&compiled, State::Cold);
        (usage.record_reads, usage.record_writes, usage.fetches, usage.verifications, usage.counter_calls)
    };
    let jwt = "kind: jwt, issuer: \"https://i\", audience: a, jwks: \"https://i/keys\"";
    assert_eq!(of(jwt), (8, 1, 1, 16, 0));
    let known = format!("{jwt}, on-unavailable: known, outage-consumers: [\"own:ada\"], outage-for: 1h");
    assert_eq!(of(&known), (11, 2, 1, 16, 1), "what operators say, and the record of the token");
    let login = "kind: oidc-login, issuer: \"https://i\", client-id: g, client-secret: \"${secret.C}\", secret: \"${secret.S}\"";
    assert_eq!(of(login), (8, 1, 1, 0, 0), "the metadata");
    let confirmed = format!("{login}, refresh: 15m");
    assert_eq!(of(&confirmed), (31, 5, 4, 16, 2), "the session, its token, and the keys of the ID token");
}

#[test]
fn a_service_whose_answers_are_not_remembered_is_asked_about_each_token() {
    for (cache, warm) in [("30s", 0), ("0s", 1)] {
        let asks = format!(
            "  own: {{kind: introspection, url: \"https://i/ask\", audience: a, client-id: g, \
             client-secret: \"${{secret.C}}\", cache: {cache}}}\n"
        );
        let text = format!(
            "format: 1\ngateway: {{name: g}}\nupstreams: {{u: \"http://u\"}}\npolicies:\n{asks}\
             apis: {{a: {{upstream: u, authn: own, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
        );
        let compiled = compile_str("tollgate.yaml", &text).unwrap_or_else(|found| panic!("{text}{found}"));
        assert_eq!((most(&compiled, State::Cold).fetches, most(&compiled, State::Warm).fetches), (1, warm), "{cache}");
    }
}
