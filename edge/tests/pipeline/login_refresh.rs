//! Sessions that the provider confirms: behind a reply, before one when that is overdue, once among isolates, and never for those whom
//! it does not know any more.

use std::rc::Rc;

use futures_util::future::join_all;
use tollgate_edge::{Client, Isolate, serve};

use crate::bench::{Answer, request};
use crate::logins::{World, check, pair, settings};

const REFRESH_S: u32 = 300;

/// A gateway whose sessions are confirmed every five minutes.
fn world() -> World {
    World::with(tollgate_core::authn::OidcLoginSettings { refresh_s: REFRESH_S, idle_s: 3_600, ..settings() })
}

impl World {
    /// How often the provider was asked to confirm a session.
    fn refreshes(&self) -> u32 {
        self.refreshes.get()
    }

    fn later(&self, seconds: u64) {
        self.advance(seconds * 1_000);
    }

    /// Requests at once, each to one of these isolates.
    fn at_once(&self, isolates: &[Rc<Isolate>], cookie: &str) -> Vec<u16> {
        let all = isolates.iter().map(|isolate| async {
            let sent = request("GET", "/reports", &[("cookie", cookie)], "");
            let served =
                serve(isolate, &self.bench.host, sent, Client { address: None, https: true, inside: false }).await;
            let status = served.reply.into_response().status().as_u16();
            served.after.await;
            status
        });
        self.bench.host.clock.drive(join_all(all)).unwrap()
    }
}

fn groups(page: &Answer) -> Vec<String> {
    page.record.principal().expect("a person").groups.clone()
}

#[test]
fn a_session_is_confirmed_behind_a_reply() {
    let world = world();
    let session = world.session();
    *world.claims.borrow_mut() = r#","groups":["admins"]"#.into();
    world.later(299);
    assert_eq!(world.with_cookie(&session).status, 200);
    assert_eq!(world.refreshes(), 0, "it was confirmed a short time ago");
    world.later(1);
    let page = world.with_cookie(&session);
    assert_eq!((page.status, page.field("set-cookie")), (200, ""), "nothing is waited for");
    assert_eq!(world.refreshes(), 1);
    let page = world.with_cookie(&session);
    assert_eq!(groups(&page), ["admins"], "the provider said so");
    let renewed = pair(page.field("set-cookie"));
    assert_eq!(world.with_cookie(&renewed).field("set-cookie"), "");
    assert_eq!(world.refreshes(), 1);
    // The token that it was given then is used next.
    world.later(300);
    assert_eq!((world.with_cookie(&renewed).status, world.refreshes()), (200, 2));
}

#[test]
fn after_twice_the_time_the_provider_is_asked_first() {
    let world = world();
    let session = world.session();
    *world.claims.borrow_mut() = r#","groups":["admins"]"#.into();
    world.later(600);
    let page = world.with_cookie(&session);
    assert_eq!((page.status, groups(&page), world.refreshes()), (200, vec!["admins".to_owned()], 1));
    assert!(!page.field("set-cookie").is_empty());
}

#[test]
fn requests_at_once_use_a_refresh_token_once() {
    let world = world();
    let session = world.session();
    let isolates: Vec<_> = (0..8).map(|_| world.bench.another_isolate()).collect();
    world.later(300);
    assert_eq!(world.at_once(&isolates, &session), [200; 8]);
    assert_eq!(world.refreshes(), 1);
    world.later(600);
    assert_eq!(world.at_once(&isolates, &session), [200; 8], "who does not ask goes on");
    assert_eq!((world.refreshes(), world.is_reused.get()), (2, false));
    // Any isolate reads what another one was told.
    assert_eq!(world.with_cookie(&session).status, 200);
    assert_eq!(world.refreshes(), 2);
}

#[test]
fn a_session_that_the_provider_does_not_confirm_ends() {
    let world = world();
    let session = world.session();
    world.status.set(400);
    world.later(300);
    assert_eq!(world.with_cookie(&session).status, 200, "it is asked behind the reply");
    check(&world.with_cookie(&session), 401, "session-withdrawn");
    let opened = world.send("GET", "/reports", &[("cookie", &session), ("accept", "text/html")]);
    check(&opened, 302, "session-withdrawn");
    world.status.set(200);
    check(&world.with_cookie(&session), 401, "session-withdrawn");
    // The token of somebody else.
    let session = world.session();
    *world.person.borrow_mut() = "eve".into();
    world.later(600);
    check(&world.with_cookie(&session), 401, "session-withdrawn");
}

#[test]
fn a_provider_that_is_away_ends_no_session_until_it_is_overdue() {
    let world = world();
    let session = world.session();
    world.status.set(503);
    world.later(300);
    assert_eq!(world.with_cookie(&session).status, 200);
    world.later(119);
    assert_eq!((world.with_cookie(&session).status, world.refreshes()), (200, 1), "it is left alone for a while");
    world.later(181);
    check(&world.with_cookie(&session), 503, "login-away");
    // While another request asks, too: what it learns is waited for.
    for _ in 0..3 {
        check(&world.with_cookie(&session), 503, "login-away");
    }
    world.status.set(200);
    world.later(120);
    assert_eq!(world.with_cookie(&session).status, 200, "the token is still known");
}

#[test]
fn without_a_refresh_token_people_log_in_again() {
    let world = world();
    world.gives_refresh.set(false);
    let session = world.session();
    world.later(599);
    assert_eq!(world.with_cookie(&session).status, 200);
    world.later(1);
    check(&world.with_cookie(&session), 401, "session-withdrawn");
    assert_eq!(world.refreshes(), 0);
}

#[test]
fn a_cookie_that_was_copied_ends_after_the_logout() {
    let world = world();
    let session = world.session();
    // Stores take one write a second for a key.
    world.later(1);
    let out = world.send("POST", "/.login/logout", &[("cookie", &session), ("sec-fetch-site", "same-origin")]);
    assert_eq!(out.status, 303);
    assert_eq!(world.with_cookie(&session).status, 200, "the provider need not confirm it yet");
    world.later(299);
    check(&world.with_cookie(&session), 401, "session-withdrawn");
}

#[test]
fn records_that_nobody_can_read_confirm_nothing() {
    let world = world();
    let session = world.session();
    world.later(300);
    world.bench.host.records.fault.set(true);
    assert_eq!(world.with_cookie(&session).status, 200);
    world.later(300);
    check(&world.with_cookie(&session), 503, "login-away");
    let log = world.bench.host.sink.lines().join("\n");
    assert!(!log.contains("r3fr3sh"), "{log}");
}
