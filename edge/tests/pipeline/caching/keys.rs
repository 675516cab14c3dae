//! Who gets the responses that were stored for others.

use tollgate_core::cache::CacheCredentials;
use tollgate_core::settings::RouteSettings;
use tollgate_edge::Client;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::Content as _;

use super::{CC, bench, split, status};
use crate::bench::{Bench, KEYS, answer, cached, credential, key, ok, request, route};

#[test]
fn variants_are_separate() {
    let bench = bench(|request| {
        let french = request.headers().get("accept-language").is_some_and(|l| l == "fr");
        (
            0,
            Ok(answer(
                200,
                &[(CC, "max-age=10"), ("vary", "Accept-Language")],
                if french { "bonjour" } else { "hello" },
            )),
        )
    });
    let get = |language: &str| bench.get("/c", &[("accept-language", language)]);
    assert_eq!(status(&get("fr")), "tollgate; fwd=uri-miss; stored");
    assert_eq!(status(&get("en")), "tollgate; fwd=vary-miss; stored");
    let (french, english) = (get("fr"), get("en"));
    assert_eq!((&french.content[..], &english.content[..]), (&b"bonjour"[..], &b"hello"[..]));
    assert_eq!(
        (status(&french).as_str(), status(&english).as_str()),
        ("tollgate; hit; ttl=10", "tollgate; hit; ttl=10")
    );
}

#[test]
fn requests_with_credentials_bypass_unless_the_route_allows_them() {
    let keyed = |path: &str, credentials| {
        cached(RouteSettings { authn: vec![vec![KEYS]], ..route(path, &["GET"]) }, credentials)
    };
    let routes = vec![keyed("/never", CacheCredentials::Never), keyed("/own", CacheCredentials::PerConsumer)];
    let bench = Bench::new(routes, ok(&[(CC, "max-age=10")], "hello"));
    bench.add(&key(), &credential());
    let get = |target: &str| status(&bench.get(target, &[("x-api-key", key().expose())]));
    assert_eq!((get("/never").as_str(), get("/never").as_str()), ("tollgate; fwd=bypass", "tollgate; fwd=bypass"));
    assert_eq!(
        (get("/own").as_str(), get("/own").as_str()),
        ("tollgate; fwd=uri-miss; stored", "tollgate; hit; ttl=10")
    );
}

/// The upstream reads the field, and says nothing of it in `Vary`.
#[test]
fn a_field_that_no_predicate_matches_does_not_poison_the_response_of_others() {
    let bench = Bench::new(split(), |request: &http::Request<Content>| {
        let version = request.headers().contains_key("x-v");
        (0, Ok(answer(200, &[(CC, "max-age=60")], if version { "for versions" } else { "for all" })))
    });
    for odd in [&[("x-v", "2"), ("x-v", "")][..], &[("x-v", "2,")], &[("x-v", "")]] {
        assert_eq!(&bench.get("/c", odd).content[..], b"for versions", "{odd:?}");
    }
    let plain = bench.get("/c", &[]);
    assert_eq!((&plain.content[..], status(&plain).as_str()), (&b"for all"[..], "tollgate; fwd=uri-miss; stored"));
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; hit; ttl=60");
}

#[test]
fn routes_that_share_a_url_do_not_share_stored_responses() {
    let bench = Bench::new(split(), ok(&[(CC, "max-age=60")], "hello"));
    let get = |target: &str, fields: &[(&str, &str)]| status(&bench.get(target, fields));
    let requests: [(&str, &[(&str, &str)]); 4] =
        [("/c", &[]), ("/c", &[("x-v", "2")]), ("/c?v=2", &[]), ("/c?v=2", &[("x-v", "2")])];
    for (target, fields) in requests {
        assert_eq!(get(target, fields), "tollgate; fwd=uri-miss; stored", "{target} {fields:?}");
    }
    for (target, fields) in requests {
        assert_eq!(get(target, fields), "tollgate; hit; ttl=60", "{target} {fields:?}");
    }
    // Without the value that the route requires, the URL has the plain route, whose key contains the whole query.
    assert_eq!(get("/c?v=3", &[]), "tollgate; fwd=uri-miss; stored");
}

/// Clients that differ in what the upstream is told of their URL, and the responses that the upstream makes of it.
#[test]
fn what_the_upstream_is_told_of_the_url_separates_clients() {
    let bench = bench(|request| {
        let told =
            ["x-forwarded-proto", "x-forwarded-host"].map(|name| request.headers()[name].to_str().unwrap().to_owned());
        let mut response = answer(200, &[(CC, "max-age=60")], "");
        *response.body_mut() = Content::from_bytes(told.join("://").into());
        (0, Ok(response))
    });
    let get = |https, host: &'static str| {
        let sent = request("GET", "/c", &[("host", host)], "");
        let answer = bench.send_by(Client { address: None, https, inside: false }, sent);
        (status(&answer).starts_with("tollgate; hit"), String::from_utf8(answer.content.to_vec()).unwrap())
    };
    let urls = [
        (true, "api.example.com", "https://api.example.com"),
        (true, "api.example.com:1", "https://api.example.com:1"),
        (false, "api.example.com", "http://api.example.com"),
        (false, "api.example.com:443", "http://api.example.com:443"),
    ];
    for (https, host, told) in urls {
        assert_eq!(get(https, host), (false, told.to_owned()));
    }
    let spellings = [(true, "API.Example.com.:443", urls[0].2), (false, "api.example.com:080", urls[2].2)];
    for (https, host, told) in urls.into_iter().chain(spellings) {
        assert_eq!(get(https, host), (true, told.to_owned()), "{host}");
    }
}

#[test]
fn only_the_parameters_of_the_key_reach_the_upstream() {
    let mut route = cached(route("/c", &["GET", "POST"]), CacheCredentials::Never);
    route.cache.as_mut().unwrap().key_query = Some(vec!["q".into()]);
    let bench = Bench::new(vec![route], ok(&[(CC, "max-age=60")], "hello"));
    let forwarded = |method: &str, target: &str| {
        bench.send(request(method, target, &[("cookie", "a=b")], ""));
        bench.host.upstream.take_received()[0].uri().path_and_query().unwrap().to_string()
    };
    assert_eq!(forwarded("GET", "/c?evil=1&%71=2&q=1"), "/base/c?%71=2&q=1");
    assert_eq!(forwarded("GET", "/c?evil=1"), "/base/c");
    assert_eq!(forwarded("HEAD", "/c?evil=1&q=1"), "/base/c?q=1");
    assert_eq!(forwarded("POST", "/c?evil=1&q=1"), "/base/c?evil=1&q=1");
    bench.host.clock.advance(1);
    let get = |target: &str| status(&bench.get(target, &[]));
    assert_eq!(get("/c?q=1&evil=1"), "tollgate; fwd=uri-miss; stored");
    assert_eq!(get("/c?evil=2&q=1"), "tollgate; hit; ttl=60");
    assert_eq!(get("/c?q=1&%71=2"), "tollgate; fwd=uri-miss; stored");
}
