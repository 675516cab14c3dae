use tollgate_core::authn::{ApiKey, Credential};
use tollgate_core::bounds::CREDENTIAL_FRESH_MS;
use tollgate_core::settings::RouteSettings;

use crate::bench::{BEARER, Bench, KEYS, NOW, QUERY_KEYS, credential, key, ok, route};

fn bench() -> Bench {
    let keyed = RouteSettings { authn: vec![vec![KEYS]], ..route("/keyed", &["GET"]) };
    let by_query = RouteSettings { authn: vec![vec![QUERY_KEYS]], ..route("/query", &["GET"]) };
    let public = route("/public", &["GET"]);
    let scoped =
        RouteSettings { authn: vec![vec![KEYS]], scopes: vec!["pets.write".into()], ..route("/scoped", &["GET"]) };
    let either = RouteSettings {
        scope_sets: vec![vec!["pets.admin".into(), "pets.all".into()], vec!["pets.list".into()]],
        path: "/either".parse().unwrap(),
        id: "api.either".into(),
        ..scoped.clone()
    };
    let bench = Bench::new(vec![keyed, by_query, public, scoped, either], ok(&[], "hello"));
    bench.add(&key(), &credential());
    bench
}

#[track_caller]
fn check(stored: &Credential, want: (u16, &str)) {
    let bench = bench();
    bench.add(&key(), stored);
    let answer = bench.get("/keyed", &[("x-api-key", key().expose())]);
    assert_eq!((answer.status, answer.problem().as_str()), want);
}

#[test]
fn a_key_is_valid_within_its_time_and_until_revoked() {
    let now = NOW;
    check(&credential(), (200, ""));
    check(&Credential { revoked: true, ..credential() }, (401, "credential-revoked"));
    check(&Credential { expires: Some(now), ..credential() }, (401, "credential-expired"));
    check(&Credential { expires: Some(now.plus_millis(1)), ..credential() }, (200, ""));
    check(&Credential { not_before: Some(now.plus_millis(1)), ..credential() }, (401, "credential-not-yet-valid"));
}

#[test]
fn a_key_is_accepted_only_from_where_it_may_be_used() {
    // The bench's client has the address 192.0.2.7, and asks for the host of its route.
    let restricted = |restrictions: &str| {
        let restrictions = Some(serde_json::from_str(restrictions).unwrap());
        Credential { restrictions, ..credential() }
    };
    check(&restricted(r#"{"addresses":["0.0.0.0/0","::/0"]}"#), (200, ""));
    for restrictions in [
        r#"{"addresses":["198.51.100.0/24"]}"#,
        r#"{"hosts":["elsewhere.test"]}"#,
        r#"{"referrers":["https://app.example.com"]}"#,
    ] {
        check(&restricted(restrictions), (401, "credential-not-accepted"));
    }
}

#[test]
fn invalid_keys_are_distinguished_and_challenged() {
    let bench = bench();
    let text = key().expose().to_owned();
    let typo = format!("{}{}", &text[..text.len() - 1], if text.ends_with('a') { 'b' } else { 'a' });
    let in_query = format!("/keyed?api_key={text}");
    for (target, fields, problem) in [
        ("/keyed", &[][..], "credential-missing"),
        ("/keyed", &[("x-api-key", "hello")], "credential-malformed"),
        ("/keyed", &[("x-api-key", &typo)], "credential-malformed"),
        (&in_query, &[], "credential-misplaced"),
    ] {
        let answer = bench.get(target, fields);
        assert_eq!((answer.status, answer.problem().as_str()), (401, problem));
        assert_eq!(answer.field("www-authenticate"), "ApiKey realm=\"acme\", header=\"x-api-key\"");
        assert!(!String::from_utf8_lossy(&answer.content).contains(&text), "a key is never echoed");
        assert!(answer.record.events.to_string().contains("refuse"), "{}", answer.record.events);
    }
    assert!(bench.host.upstream.take_received().is_empty());
}

#[test]
fn a_key_never_reaches_the_upstream_or_the_log() {
    let bench = bench();
    let text = key().expose().to_owned();
    assert_eq!(bench.get("/keyed", &[("x-api-key", &text)]).status, 200);
    assert_eq!(bench.get(&format!("/query?a=1&k={text}&b=2"), &[]).status, 200);
    assert_eq!(bench.get(&format!("/public?k={text}"), &[("x-api-key", &text)]).status, 200);
    let received = bench.host.upstream.take_received();
    assert_eq!(received.len(), 3);
    assert_eq!(received[1].uri(), "http://pets.internal:8080/base/query?a=1&b=2");
    assert!(received.iter().all(|r| !format!("{r:?}").contains(&text)));
    assert!(bench.host.sink.lines().iter().all(|line| !line.contains(&text) && !line.contains("a=1")));
}

#[test]
fn a_missing_scope_is_403_and_named() {
    let answer = bench().get("/scoped", &[("x-api-key", key().expose())]);
    assert_eq!((answer.status, answer.problem().as_str()), (403, "scope-missing"));
    assert!(answer.field("www-authenticate").contains("scope=\"pets.write\""));
}

#[test]
fn one_of_the_alternatives_of_scopes_is_enough_and_the_nearest_is_named() {
    for (held, want) in [
        ("pets.write pets.list", Ok(())),
        ("pets.write pets.admin pets.all other", Ok(())),
        ("pets.list", Err("pets.write")),
        ("pets.write", Err("pets.list")),
        ("pets.admin", Err("pets.write pets.all")),
        ("pets.all pets.admin", Err("pets.write")),
        ("", Err("pets.write pets.list")),
    ] {
        let bench = bench();
        let scopes = held.split(' ').map(str::to_owned).collect();
        bench.add(&key(), &Credential { scopes, ..credential() });
        let answer = bench.get("/either", &[("x-api-key", key().expose())]);
        match want {
            Ok(()) => assert_eq!(answer.status, 200, "{held}"),
            Err(missing) => {
                assert_eq!((answer.status, answer.problem().as_str()), (403, "scope-missing"), "{held}");
                let named = format!("scope=\"{missing}\"");
                assert!(
                    answer.field("www-authenticate").contains(&named),
                    "{held}: {}",
                    answer.field("www-authenticate")
                );
            }
        }
    }
}

#[test]
fn no_caller_is_admitted_while_the_store_is_unavailable() {
    let bench = bench();
    bench.get("/query", &[]);
    bench.host.records.fault.set(true);
    let answer = bench.get("/keyed", &[("x-api-key", key().expose())]);
    assert_eq!((answer.status, answer.problem().as_str()), (503, "store-unavailable"));
    assert_eq!(answer.field("retry-after"), "1");
}

/// A route that takes a key, or a bearer token together with a key in the query.
fn two_ways() -> Bench {
    let authn = vec![vec![KEYS], vec![BEARER, QUERY_KEYS]];
    let bench = Bench::new(vec![RouteSettings { authn, ..route("/two", &["GET"]) }], ok(&[], "hello"));
    bench.add(&key(), &credential());
    bench.get("/two", &[]);
    bench
}

#[test]
fn the_alternative_that_got_furthest_gives_the_refusal() {
    let known = format!("Bearer {}", key().expose());
    let nobodys = ApiKey::generate("dev", &[9; 32]).unwrap();
    let unknown = format!("Bearer {}", nobodys.expose());
    let bench = two_ways();
    for (fields, policy, problem) in [
        (&[][..], "keys", "credential-missing"),
        (&[("authorization", known.as_str())], "query-keys", "credential-missing"),
        (&[("authorization", &known), ("x-api-key", "hello")], "query-keys", "credential-malformed"),
        (&[("authorization", &unknown)], "bearer", "credential-unknown"),
        (&[("authorization", &unknown), ("x-api-key", "hello")], "bearer", "credential-unknown"),
    ] {
        let answer = bench.get("/two", fields);
        let refusal = answer.record.refusal().unwrap();
        assert_eq!((answer.status, refusal.policy.unwrap().as_str(), refusal.problem.slug()), (401, policy, problem));
    }
}

#[test]
fn a_caller_that_may_be_known_is_told_that_the_store_is_away() {
    let bench = two_ways();
    bench.host.records.fault.set(true);
    let answer = bench.get("/two", &[("x-api-key", key().expose()), ("authorization", "Bearer hello")]);
    assert_eq!((answer.status, answer.problem().as_str()), (503, "store-unavailable"));
}

#[test]
fn a_wall_clock_that_steps_back_does_not_extend_a_revoked_key() {
    let bench = bench();
    let send = || bench.get("/keyed", &[("x-api-key", key().expose())]).status;
    assert_eq!(send(), 200);
    bench.add(&key(), &Credential { revoked: true, ..credential() });
    bench.host.clock.step_back(3_600_000);
    assert_eq!(send(), 200, "remembered");
    bench.host.clock.advance(CREDENTIAL_FRESH_MS);
    assert_eq!(send(), 401, "asked again");
}

#[test]
fn known_and_unknown_keys_are_cached_for_their_times_only() {
    let bench = bench();
    let send = || bench.get("/keyed", &[("x-api-key", key().expose())]).status;
    assert_eq!(send(), 200);
    bench.add(&key(), &Credential { revoked: true, ..credential() });
    assert_eq!(send(), 200, "remembered");
    bench.host.clock.advance(30_000);
    assert_eq!(send(), 401, "asked again");
    let other = ApiKey::generate("dev", &[9; 32]).unwrap();
    let send = || bench.get("/keyed", &[("x-api-key", other.expose())]).status;
    assert_eq!(send(), 401);
    bench.add(&other, &credential());
    assert_eq!(send(), 401, "remembered as unknown");
    bench.host.clock.advance(5_000);
    assert_eq!(send(), 200, "asked again");
}
