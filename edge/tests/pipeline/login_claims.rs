//! What a session knows of the claims of the person's ID token: those that conditions and upstreams read, as they were last confirmed.

use tollgate_core::authn::{IdentityRules, OidcLoginSettings};
use tollgate_core::jose::Value;

use crate::bench::Answer;
use crate::logins::{World, check, pair, settings};

const EMAIL: &str = r#","email":"ada@example.com","org":{"id":7,"name":"Acme"},"hobbies":["chess"]"#;

/// Settings that keep these claims.
fn keeping(paths: &[&[&str]], refresh_s: u32) -> OidcLoginSettings {
    let path = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let rules = IdentityRules { kept_claims: paths.iter().map(path).collect(), ..settings().rules };
    OidcLoginSettings { rules, refresh_s, idle_s: 3_600, ..settings() }
}

fn claim(page: &Answer, path: &[&str]) -> Option<Value> {
    let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
    page.record.principal().expect("a person").claim(&path).cloned()
}

/// What the upstream was told of the person's address.
fn told(world: &World) -> Option<String> {
    let received = world.bench.host.upstream.take_received().pop().expect("it was forwarded");
    received.headers().get("x-email").map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn the_claims_that_somebody_reads_are_known_behind_a_login() {
    let world = World::with(keeping(&[&["email"], &["org", "id"], &["none"]], 0));
    *world.claims.borrow_mut() = EMAIL.into();
    let session = world.session();
    // The first request decrypts the cookie, the second one is remembered, the third one is at another isolate's place.
    for ms in [0, 0, 60_000] {
        world.advance(ms);
        let page = world.with_cookie(&session);
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(claim(&page, &["email"]), Some(Value::Text("ada@example.com".into())));
        assert_eq!(claim(&page, &["org", "id"]), Some(Value::Integer(7)));
        for other in [&["none"][..], &["org", "name"], &["hobbies"]] {
            assert_eq!(claim(&page, other), None, "{other:?}");
        }
        assert_eq!(told(&world).as_deref(), Some("ada@example.com"));
    }
    let log = world.bench.host.sink.lines().join("\n");
    assert!(!log.contains("ada@example.com"), "{log}");
}

#[test]
fn without_a_reader_nothing_of_the_token_is_kept() {
    let world = World::with(keeping(&[], 0));
    let bare = world.session().len();
    *world.claims.borrow_mut() = EMAIL.into();
    let session = world.session();
    assert_eq!(session.len(), bare, "the cookie is not larger");
    assert_eq!(claim(&world.with_cookie(&session), &["email"]), None);
    assert_eq!(told(&world), None);
}

#[test]
fn a_claim_changes_when_the_provider_confirms_the_session() {
    let world = World::with(keeping(&[&["email"]], 300));
    *world.claims.borrow_mut() = EMAIL.into();
    let session = world.session();
    *world.claims.borrow_mut() = r#","email":"lovelace@example.com""#.into();
    world.advance(300_000);
    world.with_cookie(&session);
    assert_eq!(told(&world).as_deref(), Some("ada@example.com"), "it is asked behind the reply");
    let page = world.with_cookie(&session);
    assert_eq!(told(&world).as_deref(), Some("lovelace@example.com"));
    // Any isolate reads the new one in the new cookie.
    let renewed = pair(page.field("set-cookie"));
    assert_eq!(claim(&world.with_cookie(&renewed), &["email"]), Some(Value::Text("lovelace@example.com".into())));
}

/// A condition such as `!has(principal.claims.banned)` would admit everyone whose session was made before it was published.
#[test]
fn a_claim_that_a_session_could_not_keep_is_not_taken_for_absent() {
    let world = World::with(keeping(&[], 0));
    *world.claims.borrow_mut() = EMAIL.into();
    let session = world.session();
    world.publish(keeping(&[&["email"]], 0));
    // The new generation is read, and what is remembered of the session ends.
    world.advance(60_000);
    world.with_cookie(&session);
    world.advance(60_000);
    check(&world.with_cookie(&session), 401, "session-ended");
    let opened = world.send("GET", "/reports", &[("cookie", &session), ("accept", "text/html")]);
    check(&opened, 302, "session-ended");
    let again = world.session();
    assert_eq!(world.with_cookie(&again).status, 200);
}

#[test]
fn a_provider_that_confirms_sessions_is_asked_for_new_claims_without_a_login() {
    let world = World::with(keeping(&[], 600));
    *world.claims.borrow_mut() = EMAIL.into();
    let session = world.session();
    world.publish(keeping(&[&["email"]], 600));
    world.advance(60_000);
    world.with_cookie(&session);
    world.advance(60_000);
    world.bench.host.upstream.take_received();
    assert_eq!((world.with_cookie(&session).status, world.refreshes.get()), (200, 1));
    assert_eq!(told(&world).as_deref(), Some("ada@example.com"));
}

#[test]
fn claims_that_are_too_long_for_a_cookie_log_nobody_in() {
    let world = World::with(keeping(&[&["email"]], 0));
    *world.claims.borrow_mut() = format!(r#","email":"{}""#, "a".repeat(4_000));
    let (url, login) = world.begin();
    let answer = world.back(&url, &login);
    check(&answer, 401, "login-refused");
    assert!(String::from_utf8_lossy(&answer.content).contains("fewer groups, scopes or claims"), "{answer:?}");
}
