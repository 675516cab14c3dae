//! How the gateway authenticates itself to upstreams: names and passwords, and tokens that are fetched and kept.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::join_all;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use tollgate_core::forward::{ClientCredentials, UpstreamAuth, UpstreamError};
use tollgate_core::oauth::ClientAuthentication;
use tollgate_core::secret::SecretText;
use tollgate_edge::memory::{Content, ScriptedFetch};
use tollgate_edge::ports::{Clock, Content as _};
use tollgate_edge::{Client, serve};

use crate::bench::{Answer, Bench, answer, on_any_host, request, route, site};

fn secret() -> SecretText {
    SecretText::parse("${secret.CLIENT}").unwrap()
}

fn credentials() -> UpstreamAuth {
    UpstreamAuth::ClientCredentials(ClientCredentials {
        url: "https://id.example.com/token".into(),
        is_private: false,
        client: ClientAuthentication::Basic("gateway".into(), secret()),
        scopes: vec!["pets".into()],
        audience: None,
    })
}

/// A gateway whose upstream needs authentication; the server of tokens answers by a script, and counts in its tokens how often it
/// was asked.
struct World {
    bench: Bench,
    asked: Rc<Cell<u32>>,
    /// A delay, and whether there is an answer.
    answering: Rc<RefCell<(u64, Result<(), UpstreamError>)>>,
}

impl World {
    fn new(auth: UpstreamAuth, status: impl Fn(&str) -> u16 + 'static) -> Self {
        let mut bench = Bench::new(vec![], move |request| {
            let sent = request.headers().get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
            (0, Ok(answer(status(sent), &[], "")))
        });
        let (asked, answering) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new((0, Ok(())))));
        let (count, said) = (Rc::clone(&asked), Rc::clone(&answering));
        bench.host.fetch = ScriptedFetch::new(bench.host.clock.clone(), move |_: &Request<Content>| {
            count.set(count.get() + 1);
            let (delay, answer) = *said.borrow();
            let token = format!(r#"{{"access_token":"t{}","token_type":"Bearer","expires_in":100}}"#, count.get());
            (delay, answer.map(|()| Response::new(Content::from_bytes(token.into()))))
        });
        bench.host.secrets.put("CLIENT", "s3cr3t");
        let mut site = site(vec![route("/a", &[])]);
        site.upstreams[0].auth = auth;
        bench.publish(&on_any_host(site));
        Self { bench, asked, answering }
    }

    fn get(&self) -> Answer {
        self.bench.get("/a", &[("authorization", "Bearer of-the-client")])
    }

    /// What the upstream gets with the next request.
    fn sent(&self) -> String {
        assert_eq!(self.get().status, 200);
        let received = self.bench.host.upstream.take_received();
        received[0].headers()[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    fn advance(&self, ms: u64) {
        let clock = &self.bench.host.clock;
        clock.drive(clock.sleep(ms)).unwrap();
    }
}

#[test]
fn a_name_and_a_password_replace_what_the_client_sends() {
    let world = World::new(UpstreamAuth::Basic("gateway".into(), secret()), |_| 200);
    assert_eq!(world.sent(), "Basic Z2F0ZXdheTpzM2NyM3Q=");
    let world =
        World::new(UpstreamAuth::Basic("gateway".into(), SecretText::parse("${secret.NONE}").unwrap()), |_| 200);
    let refused = world.get();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "secret-missing"));
    assert!(world.bench.host.upstream.take_received().is_empty());
}

#[test]
fn a_token_is_fetched_once_and_again_before_it_ends() {
    let world = World::new(credentials(), |_| 200);
    assert_eq!((world.sent(), world.sent()), ("Bearer t1".into(), "Bearer t1".into()));
    let asked = world.bench.host.fetch.take_received().remove(0);
    assert_eq!(asked.headers()[AUTHORIZATION], "Basic Z2F0ZXdheTpzM2NyM3Q=");
    assert_eq!(&asked.body().bytes()[..], b"grant_type=client_credentials&scope=pets");
    world.advance(74_000);
    assert_eq!(world.sent(), "Bearer t1");
    world.advance(1_000);
    assert_eq!((world.sent(), world.asked.get()), ("Bearer t2".into(), 2));
    let log = world.bench.host.sink.lines().join("\n");
    assert!(!log.contains("s3cr3t") && !log.contains("Bearer"), "{log}");
}

#[test]
fn the_token_before_is_used_while_the_server_does_not_answer_until_it_ends() {
    let world = World::new(credentials(), |_| 200);
    assert_eq!(world.sent(), "Bearer t1");
    *world.answering.borrow_mut() = (0, Err(UpstreamError::ConnectionRefused));
    world.advance(80_000);
    assert_eq!((world.sent(), world.sent(), world.asked.get()), ("Bearer t1".into(), "Bearer t1".into(), 2));
    world.advance(1_000);
    assert_eq!((world.sent(), world.asked.get()), ("Bearer t1".into(), 3));
    world.advance(15_000);
    let refused = world.get();
    assert_eq!(
        (refused.status, refused.problem().as_str(), refused.field("retry-after")),
        (503, "store-unavailable", "1")
    );
    assert_eq!(refused.record.refusal().map(|refusal| refusal.reason.code()), Some("upstream-token-away"));
    *world.answering.borrow_mut() = (0, Ok(()));
    world.advance(1_000);
    assert_eq!(world.sent(), "Bearer t5");
}

#[test]
fn a_token_that_the_upstream_refuses_is_forgotten() {
    let world = World::new(credentials(), |sent| if sent == "Bearer t1" { 401 } else { 200 });
    assert_eq!(world.get().status, 401, "requests are not sent again");
    world.advance(4_999);
    assert_eq!(world.get().status, 401, "a new token is not fetched again");
    world.advance(1);
    assert_eq!(world.get().status, 401);
    world.bench.host.upstream.take_received();
    assert_eq!(world.sent(), "Bearer t2");
    assert_eq!(world.sent(), "Bearer t2");
}

#[test]
fn an_upstream_that_accepts_no_token_does_not_make_each_request_fetch_one() {
    let world = World::new(credentials(), |_| 401);
    for _ in 0..100 {
        assert_eq!(world.get().status, 401);
        world.advance(100);
    }
    assert_eq!(world.asked.get(), 2, "one in five seconds");
}

#[test]
fn requests_at_once_fetch_one_token() {
    let world = World::new(credentials(), |_| 200);
    world.answering.borrow_mut().0 = 300;
    let (isolate, host) = (&world.bench.isolate, &world.bench.host);
    let client = Client { address: Some("192.0.2.7".parse().unwrap()), https: true, inside: false };
    let one =
        || async { serve(isolate, host, request("GET", "/a", &[], ""), client).await.reply.into_response().status() };
    let answers = host.clock.drive(join_all((0..20).map(|_| one()))).unwrap();
    assert!(answers.iter().all(|status| *status == StatusCode::OK), "{answers:?}");
    assert_eq!(world.asked.get(), 1);
}
