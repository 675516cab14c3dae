//! Sessions that end before their time: by a logout, because the provider says so, and by an operator.

use std::rc::Rc;

use http::Request;
use tollgate_core::authn::{OidcLoginSettings, Outage, RevokedToken};
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::{Clock, Content as _};
use tollgate_edge::{Client, Isolate, serve};
use tollgate_kv_schemas::{encode, keys};

use crate::bench::{Answer, request};
use crate::logins::{World, check, settings};
use crate::tokens::{key as signer, token};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn revocable() -> OidcLoginSettings {
    OidcLoginSettings { is_revocable: true, ..settings() }
}

impl World {
    /// A logout token with these claims beside the usual ones.
    fn logout_token(&self, more: &str) -> String {
        let now = self.bench.host.clock.now().as_secs();
        let claims = format!(
            r#"{{"iss":"https://id.example.com","aud":"portal","iat":{now},"exp":{},"jti":"j","events":{{"{EVENT}":{{}}}}{more}}}"#,
            now + 120
        );
        token("a", &signer(1), &claims)
    }

    /// The provider sends a logout token to the gateway.
    fn told(&self, token: &str) -> Answer {
        self.posted(format!("logout_token={token}"))
    }

    fn posted(&self, form: String) -> Answer {
        let sent = Request::post("/.login/back-channel-logout").header("host", "api.example.com");
        self.bench.send(sent.body(Content::from_bytes(form.into())).unwrap())
    }

    /// The session of a person whom the provider calls this, in this session there.
    fn logged_in(&self, person: &str, session: &str) -> String {
        *self.person.borrow_mut() = person.into();
        *self.claims.borrow_mut() = format!(r#","sid":"{session}""#);
        self.session()
    }

    fn status_at(&self, isolate: &Rc<Isolate>, cookie: &str) -> u16 {
        let sent = request("GET", "/reports", &[("cookie", cookie)], "");
        let client = Client { address: None, https: true, inside: false };
        let answered = async {
            let served = serve(isolate, &self.bench.host, sent, client).await;
            let status = served.reply.into_response().status().as_u16();
            served.after.await;
            status
        };
        self.bench.host.clock.drive(answered).unwrap()
    }
}

/// Section 2.5: the provider sends a form, and section 2.8: it is answered by 200.
#[test]
fn the_provider_ends_a_session() {
    let world = World::with(revocable());
    let (ended, other) = (world.logged_in("ada", "s1"), world.logged_in("ada", "s2"));
    let elsewhere = world.bench.another_isolate();
    for cookie in [&ended, &other] {
        assert_eq!((world.with_cookie(cookie).status, world.status_at(&elsewhere, cookie)), (200, 200));
    }
    let answer = world.told(&world.logout_token(r#","sub":"ada","sid":"s1""#));
    assert_eq!((answer.status, answer.field("cache-control")), (200, "no-store"), "{answer:?}");
    check(&world.with_cookie(&ended), 401, "session-logged-out");
    let opened = world.send("GET", "/reports", &[("cookie", &ended), ("accept", "text/html")]);
    check(&opened, 302, "session-logged-out");
    assert_eq!(world.with_cookie(&other).status, 200, "the person's other session goes on");
    // Another isolate looks after the session again within a minute.
    assert_eq!(world.status_at(&elsewhere, &ended), 200);
    world.advance(60_000);
    assert_eq!((world.status_at(&elsewhere, &ended), world.status_at(&elsewhere, &other)), (401, 200));
}

/// Workers KV remembers for a minute that a key is not there, also where it was written then.
#[test]
fn an_end_is_known_where_it_was_told_whatever_the_store_says() {
    let world = World::with(revocable());
    let session = world.logged_in("ada", "s1");
    world.bench.host.records.memory.set(true);
    assert_eq!(world.with_cookie(&session).status, 200);
    assert_eq!(world.told(&world.logout_token(r#","sub":"ada""#)).status, 200);
    for _ in 0..3 {
        check(&world.with_cookie(&session), 401, "session-logged-out");
        world.advance(39_000);
    }
    world.bench.host.records.memory.forget();
    world.advance(60_000);
    check(&world.with_cookie(&session), 401, "session-logged-out");
}

#[test]
fn the_provider_ends_all_sessions_of_a_person() {
    let world = World::with(revocable());
    let all = [world.logged_in("ada", "s1"), world.logged_in("ada", "s2")];
    let other = world.logged_in("bob", "s3");
    assert_eq!(world.told(&world.logout_token(r#","sub":"ada""#)).status, 200);
    for cookie in &all {
        check(&world.with_cookie(cookie), 401, "session-logged-out");
    }
    assert_eq!(world.with_cookie(&other).status, 200);
}

/// Section 2.6, step 7: the same token may come again.
#[test]
fn a_logout_token_that_comes_again_ends_nothing_more() {
    let world = World::with(revocable());
    world.logged_in("ada", "s1");
    let said = world.logout_token(r#","sub":"ada""#);
    assert_eq!(world.told(&said).status, 200);
    world.advance(1_000);
    let again = world.logged_in("ada", "s1");
    let later = world.logout_token(r#","sub":"bob""#);
    for token in [&said, &said, &later] {
        assert_eq!(world.told(token).status, 200);
        assert_eq!(world.with_cookie(&again).status, 200);
    }
    // One that comes late takes back nothing of what another one has ended.
    world.advance(1_000);
    assert_eq!(world.told(&world.logout_token(r#","sub":"ada""#)).status, 200);
    assert_eq!(world.told(&said).status, 200);
    check(&world.with_cookie(&again), 401, "session-logged-out");
}

#[test]
fn what_is_no_logout_token_ends_nothing() {
    let world = World::with(revocable());
    let session = world.logged_in("ada", "s1");
    let good = world.logout_token(r#","sub":"ada""#);
    let now = world.bench.host.clock.now().as_secs();
    let of_other_key = token("a", &signer(2), &String::from_utf8_lossy(&payload(&good)));
    let id_token = format!(
        r#"{{"iss":"https://id.example.com","aud":"portal","sub":"ada","iat":{now},"exp":{},"nonce":"n"}}"#,
        now + 60
    );
    let answers = [
        (world.told(&of_other_key), "signature-wrong"),
        (world.told(&token("b", &signer(1), &String::from_utf8_lossy(&payload(&good)))), "token-key-unknown"),
        (world.told(&token("a", &signer(1), &id_token)), "token-not-accepted"),
        (world.told(&world.logout_token(r#","sub":"ada","nonce":"n""#)), "token-not-accepted"),
        (world.told(&good.replace('.', "")), "token-malformed"),
        (world.told(""), "token-malformed"),
        (world.posted(String::new()), "logout-token-missing"),
        (world.posted(format!("logout_token={good}&logout_token={good}")), "logout-token-missing"),
    ];
    for (answer, reason) in answers {
        check(&answer, 400, reason);
        assert_eq!((answer.problem().as_str(), answer.field("cache-control")), ("bad-request", "no-store"));
    }
    check(&world.posted(format!("logout_token={}", "a".repeat(21_000))), 413, "content-not-verifiable");
    check(&world.send("GET", "/.login/back-channel-logout", &[]), 405, "other-method");
    world.advance(60_000);
    assert_eq!(world.with_cookie(&session).status, 200);
    let log = world.bench.host.sink.lines().join("\n");
    assert!(!log.contains(&good), "{log}");

    let deaf = World::with(settings());
    assert_eq!(deaf.told(&good).status, 404, "such a policy ends no sessions");
}

fn payload(token: &str) -> Vec<u8> {
    use base64ct::{Base64UrlUnpadded, Encoding};
    Base64UrlUnpadded::decode_vec(token.split('.').nth(1).unwrap()).unwrap()
}

#[test]
fn a_copied_cookie_ends_with_the_logout() {
    let world = World::with(revocable());
    let (session, other) = (world.session(), world.session());
    let elsewhere = world.bench.another_isolate();
    let out = world.send("POST", "/.login/logout", &[("cookie", &session), ("sec-fetch-site", "same-origin")]);
    assert_eq!(out.status, 303);
    check(&world.with_cookie(&session), 401, "session-logged-out");
    assert_eq!(world.status_at(&elsewhere, &session), 401);
    assert_eq!(world.with_cookie(&other).status, 200, "which is another login");
}

/// Workers KV takes one write of a key in a second: the one of the login is the first.
#[test]
fn a_logout_within_a_second_after_the_login_is_written() {
    let world = World::with(OidcLoginSettings { refresh_s: 60, ..settings() });
    let session = world.session();
    let out = world.send("POST", "/.login/logout", &[("cookie", &session), ("sec-fetch-site", "same-origin")]);
    assert_eq!(out.status, 303);
    world.advance(60_000);
    check(&world.with_cookie(&session), 401, "session-withdrawn");
    assert_eq!(world.refreshes.get(), 0, "the token is not used any more");
}

#[test]
fn operators_revoke_sessions_as_they_do_tokens() {
    let world = World::with(revocable());
    let session = world.logged_in("ada", "s1");
    let page = world.with_cookie(&session);
    let id = page.record.principal().expect("a person").credential.clone();
    let now = world.bench.host.clock.now();
    let say = |credential: &str, issued_until: Option<Timestamp>| {
        let until = now.plus_millis(9_000_000);
        let revoked = vec![RevokedToken { credential: credential.into(), until, issued_until }];
        let outage = Outage { revoked, ..Outage::default() };
        world.bench.host.records.put(keys::idp_outage("acme", "staff"), encode(&outage));
        world.advance(30_000);
    };
    say("consumer:staff:bob", Some(now));
    assert_eq!(world.with_cookie(&session).status, 200);
    say(&id, None);
    check(&world.with_cookie(&session), 401, "credential-revoked");
    let opened = world.send("GET", "/reports", &[("cookie", &session), ("accept", "text/html")]);
    check(&opened, 302, "credential-revoked");
    say("consumer:staff:ada", Some(now));
    check(&world.with_cookie(&session), 401, "credential-revoked");
    assert_eq!(world.with_cookie(&world.logged_in("ada", "s1")).status, 200, "who logs in again is not revoked");
}

#[test]
fn a_session_is_not_used_while_nobody_knows_whether_it_was_ended() {
    let world = World::with(revocable());
    let session = world.logged_in("ada", "s1");
    assert_eq!(world.with_cookie(&session).status, 200);
    world.bench.host.records.fault.set(true);
    world.advance(59_000);
    assert_eq!(world.with_cookie(&session).status, 200, "it was looked after a moment ago");
    world.advance(1_000);
    check(&world.with_cookie(&session), 503, "logouts-unknown");
    let said = world.logout_token(r#","sub":"ada""#);
    check(&world.told(&said), 503, "login-away");
    world.bench.host.records.fault.set(false);
    assert_eq!(world.told(&said).status, 200, "the provider may try again");
    check(&world.with_cookie(&session), 401, "session-logged-out");
}

#[test]
fn a_session_that_could_not_be_ended_by_the_provider_is_not_used_any_more() {
    let world = World::with(settings());
    let session = world.logged_in("ada", "s1");
    world.publish(revocable());
    world.advance(60_000);
    world.with_cookie(&session);
    world.advance(60_000);
    check(&world.with_cookie(&session), 401, "session-ended");
}
