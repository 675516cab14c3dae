//! People with passwords that they thought of: slow hashes are few, are not told from unknown names, and nobody can try many.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::join_all;
use tollgate_core::authn::{BasicSettings, BasicUser, NameAndPassword};
use tollgate_core::kinds::{Named, Place, Policy};
use tollgate_core::settings::{RouteSettings, SiteSettings};
use tollgate_edge::memory::MemorySignatures;
use tollgate_edge::{Client, serve};

use crate::bench::{Answer, Bench, ok, on_any_host, request, route, site};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

/// A gateway with one person, and how many hashes it has computed.
struct World {
    bench: Bench,
    hashes: Rc<Cell<u32>>,
}

fn settings(hash: &str) -> BasicSettings {
    let ada = BasicUser { name: "ada".into(), sha256: Vec::new(), slow: Some(hash.into()) };
    BasicSettings { users: vec![ada], plan: Some("gold".into()), ..BasicSettings::new() }
}

impl World {
    fn new() -> Self {
        let mut bench = Bench::new(vec![], ok(&[], "dashboard"));
        let hashes = Rc::new(Cell::new(0));
        let computed = Rc::clone(&hashes);
        bench.host.signatures = MemorySignatures::default().hashing(bench.host.clock.clone(), move |hash, password| {
            computed.set(computed.get() + 1);
            hash == HASH && password == "right"
        });
        let world = Self { bench, hashes };
        world.publish(&settings(HASH));
        world
    }

    fn publish(&self, settings: &BasicSettings) {
        let named = Named { name: "staff".into(), policy: Policy::from(settings.clone()) };
        let guarded = RouteSettings { authn: vec![vec![Place::new(0)]], ..route("/reports", &["GET"]) };
        let site = SiteSettings { policies: [named].into_iter().collect(), ..site(vec![guarded]) };
        self.bench.publish(&on_any_host(site));
    }

    fn with(&self, name: &str, password: &str) -> Answer {
        self.at("192.0.2.7", name, password)
    }

    fn at(&self, address: &str, name: &str, password: &str) -> Answer {
        let value = format!("Basic {}", NameAndPassword::encode(name, password));
        self.bench.send_at(address, request("GET", "/reports", &[("authorization", &value)], ""))
    }

    fn later(&self, ms: u64) {
        let clock = &self.bench.host.clock;
        clock.drive(tollgate_edge::ports::Clock::sleep(clock, ms)).unwrap();
    }
}

#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    let found = answer.record.refusal().map_or("", |refusal| refusal.reason.code()).to_owned();
    assert_eq!((answer.status, found.as_str()), (status, code), "{answer:?}");
}

#[test]
fn a_right_password_is_hashed_once_and_remembered_for_some_minutes() {
    let world = World::new();
    for _ in 0..3 {
        let answer = world.with("ada", "right");
        let person = answer.record.principal().expect("a person");
        assert_eq!((answer.status, person.consumer.as_str(), person.plan.as_deref()), (200, "ada", Some("gold")));
    }
    assert_eq!(world.hashes.get(), 1);
    world.later(300_000);
    assert_eq!((world.with("ada", "right").status, world.hashes.get()), (200, 2));
    // Another hash is published: the password is another one.
    world.publish(&settings(&HASH.replace("c29tZXNhbHQ", "b3RoZXJzYWx0")));
    world.later(60_000);
    world.with("ada", "right");
    check(&world.with("ada", "right"), 401, "password-wrong");
}

#[test]
fn an_unknown_name_costs_a_hash_too() {
    let world = World::new();
    for (name, password) in [("ada", "wrong"), ("nobody", "right"), ("nobody", "wrong"), ("Ada", "right")] {
        let before = world.hashes.get();
        check(&world.with(name, password), 401, "password-wrong");
        assert_eq!(world.hashes.get(), before + 1, "{name}");
    }
    let log = world.bench.host.sink.lines().join("\n");
    assert!(!log.contains("argon2id") && !log.contains("nobody"), "{log}");
}

#[test]
fn nobody_can_try_many_passwords_and_a_refusal_costs_no_hash() {
    let world = World::new();
    for _ in 0..10 {
        check(&world.with("ada", "wrong"), 401, "password-wrong");
    }
    let refused = world.with("ada", "right");
    check(&refused, 429, "password-tries");
    assert_eq!((refused.problem().as_str(), refused.field("retry-after")), ("rate-limit-exceeded", "60"));
    assert_eq!(world.hashes.get(), 10, "it was refused before");
    // From elsewhere the person is not locked out; right passwords are not counted.
    for _ in 0..40 {
        assert_eq!(world.at("198.51.100.9", "ada", "right").status, 200);
        world.later(300_000);
    }
    assert_eq!(world.with("ada", "right").status, 200);
}

#[test]
fn without_the_counter_store_nobody_can_try() {
    let world = World::new();
    assert_eq!(world.with("ada", "right").status, 200);
    world.bench.host.counters.fault.set(true);
    assert_eq!(world.with("ada", "right").status, 200, "who is known");
    check(&world.with("ada", "wrong"), 503, "passwords-away");
    assert_eq!(world.hashes.get(), 1);
    world.bench.host.counters.fault.set(false);
    world.bench.host.signatures.fault.set(true);
    check(&world.with("ada", "wrong"), 503, "passwords-away");
}

#[test]
fn a_bounded_number_of_hashes_is_computed_at_once() {
    let world = World::new();
    world.bench.host.signatures.hash_ms.set(50);
    let all = (0..7).map(|number| {
        let value = format!("Basic {}", NameAndPassword::encode(&format!("eve-{number}"), "wrong"));
        let sent = request("GET", "/reports", &[("authorization", &value)], "");
        let client = Client { address: None, https: true, inside: false };
        let world = &world;
        async move {
            let served = serve(&world.bench.isolate, &world.bench.host, sent, client).await;
            let reply = served.reply.into_response();
            let retry = reply.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            served.after.await;
            (reply.status().as_u16(), retry)
        }
    });
    // The first one reads the configuration.
    world.with("ada", "right");
    let answers = world.bench.host.clock.drive(join_all(all)).unwrap();
    let busy = answers.iter().filter(|(status, retry)| *status == 503 && retry.as_deref() == Some("1")).count();
    let wrong = answers.iter().filter(|(status, _)| *status == 401).count();
    assert_eq!((wrong, busy), (4, 3), "{answers:?}");
    assert_eq!(world.with("ada", "right").status, 200, "there are places again");
}
