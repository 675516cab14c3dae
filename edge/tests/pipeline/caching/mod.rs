//! The response cache, on the reference store.

mod changes;
mod keys;
mod storing;
mod validating;

use std::rc::Rc;

use http::Request;
use tollgate_core::cache::CacheCredentials;
use tollgate_core::route::{Predicate, Subject, Test};
use tollgate_core::settings::RouteSettings;
use tollgate_edge::memory::Content;
use tollgate_edge::{Client, Isolate, serve};

use crate::bench::{Bench, cached, request, route};

const CC: &str = "cache-control";

fn bench(
    script: impl Fn(&Request<Content>) -> (u64, Result<http::Response<Content>, tollgate_core::forward::UpstreamError>)
    + 'static,
) -> Bench {
    Bench::new(vec![cached(route("/c", &["GET", "POST"]), CacheCredentials::Never)], script)
}

/// The Cache-Status without its key.
fn status(answer: &crate::bench::Answer) -> String {
    answer.field("cache-status").split("; key=").next().unwrap().to_owned()
}

/// Routes of one URL: without predicates, with a header field, with a query parameter that is not part of the key.
fn split() -> Vec<RouteSettings> {
    let when = |of: Subject| vec![Predicate { of, test: Test::OneOf(vec!["2".into()]) }];
    let plain = cached(route("/c", &["GET"]), CacheCredentials::Never);
    let mut by_query = RouteSettings { when: when(Subject::Query("v".into())), ..plain.clone() };
    by_query.cache.as_mut().unwrap().key_query = Some(vec![]);
    let by_field = RouteSettings { when: when(Subject::Header("x-v".into())), ..plain.clone() };
    let both = RouteSettings { when: [by_field.when.clone(), by_query.when.clone()].concat(), ..plain.clone() };
    vec![plain, by_field, by_query, both, route("/c", &["POST"])]
}

/// Serves a request, and whether its response is a hit, without the work after the reply.
fn is_hit(bench: &Bench, isolate: &Rc<Isolate>, fields: &[(&str, &str)]) -> bool {
    let client = Client { address: None, https: true, inside: false };
    let served = serve(isolate, &bench.host, request("GET", "/c", fields, ""), client);
    let reply = bench.host.clock.drive(served).unwrap().reply;
    reply.into_response().headers()["cache-status"].to_str().unwrap().starts_with("tollgate; hit")
}
