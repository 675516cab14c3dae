//! Notices of limits: who is told, once, and what happens when a receiver does not answer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::{NonZeroU8, NonZeroU32};
use std::rc::Rc;

use http::Request;
use serde_json::{Value, json};
use tollgate_core::authn::Credential;
use tollgate_core::entitlement::PlanNumbers;
use tollgate_core::forward::UpstreamError;
use tollgate_core::kinds::{Named, Place};
use tollgate_core::limit::{
    Consistency, Counting, LimitBy, NoticeReceiver, OnUnavailable, Part, QuotaSettings, Unit, Windows, signatures,
};
use tollgate_core::secret::{Secret, SecretText};
use tollgate_core::settings::{GatewaySettings, RouteSettings};
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, ScriptedFetch};
use tollgate_kv_schemas::Bundle;

use crate::bench::{
    Answer, BY_CONSUMER, Bench, KEYS, answer, credential, gateway, key, ok, on_any_host, request, route, site,
};

const OPS: &str = "https://ops.example.com/limits?token=t0k3n";
const SALES: &str = "https://sales.example.com/limits";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODw==";

/// What each receiver answers, by its host.
type Answers = Rc<RefCell<BTreeMap<&'static str, u16>>>;

fn quota(quota: u32, warn: &[u8], counting: Counting) -> QuotaSettings {
    QuotaSettings {
        quota: NonZeroU32::new(quota).unwrap(),
        windows: Windows { unit: Unit::Day, anchor: None, zone: None, zone_name: String::new() },
        by: LimitBy::Consumer,
        on_unavailable: OnUnavailable::Open,
        plans: BTreeMap::new(),
        counting: Counting { warn: warn.iter().filter_map(|share| NonZeroU8::new(*share)).collect(), ..counting },
    }
}

/// A gateway with this quota on `/a`, and with it and another one on `/both`, that tells these receivers.
fn bench(settings: QuotaSettings, urls: &[&str]) -> (Bench, Answers) {
    bench_of(settings, urls, None)
}

/// The same, and `/each` with another quota.
fn bench_of(settings: QuotaSettings, urls: &[&str], each: Option<QuotaSettings>) -> (Bench, Answers) {
    let limited = |path, limit| RouteSettings { authn: vec![vec![KEYS]], limit, ..route(path, &["GET"]) };
    let (daily, open) = (Place::new(7), RouteSettings { limit: vec![Place::new(7)], ..route("/open", &["GET"]) });
    let mut site = site(vec![limited("/a", vec![daily]), limited("/both", vec![daily, BY_CONSUMER]), open]);
    site.policies.push(Named { name: "daily".into(), policy: settings.into() });
    if let Some(each) = each {
        site.policies.push(Named { name: "each".into(), policy: each.into() });
        site.routes.push(RouteSettings { limit: vec![Place::new(8)], ..route("/each", &["GET"]) });
    }
    let mut bench = Bench::new(vec![], ok(&[], "hello"));
    let receiver = |url: &&str| NoticeReceiver {
        url: (*url).to_owned(),
        secret: SecretText::parse("${secret.NOTIFY}").unwrap(),
        is_private: false,
        timeout_ms: 1_000,
    };
    let notify = urls.iter().map(receiver).collect();
    bench.host.records.publish(&Bundle::new(&GatewaySettings { notify, ..gateway() }, &on_any_host(site)));
    bench.host.secrets.put("NOTIFY", format!("{OLD_SECRET}\n{SECRET}"));
    let answers = Answers::default();
    let script = Rc::clone(&answers);
    bench.host.fetch = ScriptedFetch::new(bench.host.clock.clone(), move |request: &Request<Content>| {
        match script.borrow().get(request.uri().host().unwrap_or_default()).copied().unwrap_or(204) {
            0 => (60_000, Err(UpstreamError::ConnectionRefused)),
            status => (0, Ok(answer(status, &[("location", "https://elsewhere.example.com/")], "thanks"))),
        }
    });
    bench.add(&key(), &credential());
    (bench, answers)
}

fn send(bench: &Bench, path: &str) -> Answer {
    bench.get(path, &[("x-api-key", key().expose())])
}

fn told(bench: &Bench) -> Vec<(String, Value)> {
    let all = bench.host.fetch.take_received();
    let read = |request: &Request<Content>| {
        let id = request.headers()["webhook-id"].to_str().unwrap().to_owned();
        (id, serde_json::from_slice(request.body().bytes()).unwrap())
    };
    all.iter().map(read).collect()
}

/// What the records of exchanges say of notices.
fn outcomes(answers: &[Answer]) -> Vec<&'static str> {
    answers.iter().flat_map(|answer| &answer.record.notices).map(|(_, outcome)| outcome.word()).collect()
}

fn reached(answer: &Answer) -> bool {
    answer.record.events.as_slice().iter().any(|event| event.reason.code() == "quota-reached")
}

#[test]
fn every_receiver_is_told_of_each_share_once() {
    let (bench, _) = bench(quota(10, &[50, 100], Counting::default()), &[OPS, SALES]);
    let answers: Vec<Answer> = (0..13).map(|_| send(&bench, "/a")).collect();
    let reached: Vec<usize> =
        answers.iter().enumerate().filter(|(_, answer)| reached(answer)).map(|(at, _)| at).collect();
    assert_eq!(reached, [4, 9]);
    let told = told(&bench);
    let ids: Vec<&str> = told.iter().map(|(id, _)| id.as_str()).collect();
    assert!(ids.len() == 4 && ids[0] == ids[1] && ids[2] == ids[3] && ids[0] != ids[2], "{ids:?}");
    let window = json!({"start": "2027-01-15T00:00:00.000Z", "end": "2027-01-16T00:00:00.000Z"});
    let data = json!({"gateway": "acme", "limit": "daily", "threshold": 50, "consumer": "acme-inc", "plan": "gold",
        "window": window, "used": 5, "quota": 10});
    assert_eq!(
        told[0].1,
        json!({"type": "limit.threshold-reached", "timestamp": "2027-01-15T08:00:00.000Z", "data": data})
    );
    assert_eq!((&told[2].1["type"], &told[2].1["data"]["used"]), (&"limit.exhausted".into(), &10.into()));
    assert_eq!(outcomes(&answers), ["notice-delivered"; 4]);
    bench.host.clock.advance(86_400_000);
    assert!((0..10).filter(|_| self::reached(&send(&bench, "/a"))).count() == 2, "and again in the next window");
}

#[test]
fn what_belongs_to_a_credential_is_told_with_its_id() {
    let at_most = Counting { at_most: NonZeroU32::new(100), ..Counting::default() };
    let by_credential = Counting { parts: vec![Part::Credential], ..Counting::default() };
    let own = PlanNumbers { policy: "daily".into(), count: 2, ..PlanNumbers::default() };
    for (counting, limits, used, is_told) in [
        (at_most.clone(), vec![own.clone()], 2, true),
        (Counting::default(), vec![own], 4, false),
        (by_credential, vec![], 4, true),
        (at_most, vec![], 4, false),
    ] {
        let (bench, _) = bench(quota(4, &[100], counting), &[OPS]);
        let credential = Credential { limits, ..credential() };
        bench.add(&key(), &credential);
        (0..4).for_each(|_| drop(send(&bench, "/a")));
        let data = &told(&bench)[0].1["data"];
        assert_eq!(data["used"], used);
        assert_eq!(data.get("credential"), is_told.then(|| json!(credential.id)).as_ref(), "{data}");
    }
}

#[test]
fn both_values_of_the_secret_sign_and_nothing_secret_is_told() {
    let (bench, _) = bench(quota(1, &[100], Counting::default()), &[OPS]);
    send(&bench, "/a");
    let sent = bench.host.fetch.take_received().pop().unwrap();
    let field = |name: &str| sent.headers()[name].to_str().unwrap().to_owned();
    let (id, at) =
        (field("webhook-id"), Timestamp::from_millis(field("webhook-timestamp").parse::<u64>().unwrap() * 1_000));
    let content = String::from_utf8(sent.body().bytes().to_vec()).unwrap();
    let secrets = [OLD_SECRET, SECRET].map(|secret| Secret::new(secret.to_owned()));
    assert_eq!(Some(field("webhook-signature")), signatures(&secrets, &id, at, &content));
    assert_eq!((sent.method().as_str(), field("content-type").as_str()), ("POST", "application/json"));
    let lines = bench.host.sink.lines().join("\n");
    assert!(lines.contains("notice-delivered") && lines.contains("ops.example.com"), "{lines}");
    for hidden in [key().expose(), SECRET, OLD_SECRET, "t0k3n"] {
        assert!(!content.contains(hidden) && !lines.contains(hidden), "{hidden}");
    }
}

#[test]
fn a_receiver_that_fails_is_told_later_the_same_and_no_response_waits_for_it() {
    let (bench, answers) = bench(quota(100, &[2], Counting::default()), &[OPS]);
    for status in [500, 302, 0] {
        bench.host.clock.advance(86_400_000);
        answers.borrow_mut().insert("ops.example.com", status);
        let mut all: Vec<Answer> = (0..2).map(|_| send(&bench, "/a")).collect();
        assert!(all.iter().all(|answer| answer.status == 200));
        let first = told(&bench);
        assert_eq!(first.len(), 3, "{status}: three attempts after the reply");
        all.extend((0..5).map(|_| send(&bench, "/a")));
        assert!(told(&bench).is_empty(), "{status}: it is left alone for a while");
        answers.borrow_mut().clear();
        bench.host.clock.advance(3_600_000);
        all.extend((0..2).map(|_| send(&bench, "/a")));
        let later = told(&bench);
        assert!(later.len() == 1 && first.iter().all(|one| *one == later[0]), "{status}: {later:?}");
        assert_eq!(outcomes(&all), ["notice-failed", "notice-delivered"], "{status}");
    }
    let metrics = bench.host.sink.metrics().to_prometheus();
    for series in ["notice-failed\"} 3", "notice-delivered\"} 3"] {
        assert!(
            metrics.contains(&format!("tollgate_limit_notices_total{{policy=\"daily\",notice=\"{series}\n")),
            "{metrics}"
        );
    }
}

#[test]
fn a_receiver_that_is_gone_is_told_nothing_more() {
    let (bench, answers) = bench(quota(10, &[50, 100], Counting::default()), &[OPS, SALES]);
    answers.borrow_mut().insert("ops.example.com", 410);
    let all: Vec<Answer> = (0..11).map(|_| send(&bench, "/a")).collect();
    assert_eq!(told(&bench).len(), 3, "both of the first share, and the other one of the second");
    assert_eq!(outcomes(&all), ["notice-dropped", "notice-delivered", "notice-delivered"]);
    assert!(bench.host.sink.lines().iter().any(|line| line.contains("410")));
}

#[test]
fn no_more_notices_wait_than_there_is_room_for() {
    let counting = Counting { parts: vec![Part::By(LimitBy::Address), Part::Route], ..Counting::default() };
    let (bench, answers) = bench(quota(1, &[100], counting), &[OPS]);
    answers.borrow_mut().insert("ops.example.com", 503);
    let mut all = Vec::new();
    for number in 0..200 {
        all.push(bench.send_at(&format!("198.51.100.{number}"), request("GET", "/open", &[], "")));
    }
    assert!(all.iter().all(|answer| answer.status == 200));
    let dropped = outcomes(&all).iter().filter(|outcome| **outcome == "notice-dropped").count();
    assert!((130..=140).contains(&dropped), "{dropped}");
    assert!(told(&bench).len() < 20, "it is not asked for each");
    answers.borrow_mut().clear();
    bench.host.clock.advance(3_600_000);
    let late: Vec<Answer> = (0..40).map(|_| bench.send_at("198.51.100.1", request("GET", "/open", &[], ""))).collect();
    let told = told(&bench);
    assert!((60..=70).contains(&told.len()), "{}", told.len());
    assert!(told.iter().all(|(_, told)| told["data"].get("consumer").is_none()), "it is nobody's limit");
    assert!(outcomes(&late).iter().all(|outcome| *outcome == "notice-delivered"));
}

/// A quota of one for each address, and notices of it that failed: so many wait, of the limit `daily` by `/a` first.
fn waiting(of_daily: usize, of_other: u8) -> (Bench, Answers) {
    let counting = Counting { parts: vec![Part::By(LimitBy::Address)], ..Counting::default() };
    let each = QuotaSettings { by: LimitBy::Address, ..quota(1, &[100], counting) };
    let (bench, answers) = bench_of(quota(1, &[100], Counting::default()), &[OPS], Some(each));
    answers.borrow_mut().insert("ops.example.com", 503);
    for _ in 0..of_daily {
        send(&bench, "/a");
    }
    for number in 0..of_other {
        bench.send_at(&format!("198.51.100.{number}"), request("GET", "/each", &[], ""));
    }
    told(&bench);
    answers.borrow_mut().clear();
    bench.host.clock.advance(3_600_000);
    (bench, answers)
}

#[test]
fn one_exchange_sends_all_that_wait() {
    let (bench, answers) = waiting(0, 12);
    let one = send(&bench, "/a");
    assert_eq!(told(&bench).len(), 13, "{:?}", outcomes(&[one]));
    drop(answers);
}

#[test]
fn an_exchange_sends_no_more_than_a_platform_allows() {
    let (bench, _) = waiting(0, 60);
    send(&bench, "/a");
    let first = told(&bench).len();
    assert!((16..=24).contains(&first), "{first}");
    (0..5).for_each(|_| drop(send(&bench, "/a")));
    assert_eq!(first + told(&bench).len(), 61, "later exchanges send the others");
}

#[test]
fn a_flood_of_one_limit_drops_no_notice_of_another() {
    let (bench, _) = waiting(1, 200);
    let all: Vec<Answer> = (0..10).map(|_| send(&bench, "/a")).collect();
    let told = told(&bench);
    let of = |limit: &str| told.iter().filter(|(_, told)| told["data"]["limit"] == limit).count();
    assert_eq!((of("daily"), of("each")), (1, 63), "{:?}", outcomes(&all));
}

#[test]
fn a_secret_without_a_value_or_with_another_form_sends_nothing() {
    for secret in [None, Some("whsec_AAEC"), Some("plain")] {
        let (bench, _) = bench(quota(1, &[100], Counting::default()), &[OPS]);
        bench.host.secrets.remove("NOTIFY");
        secret.into_iter().for_each(|secret| bench.host.secrets.put("NOTIFY", secret));
        let all = [send(&bench, "/a"), send(&bench, "/a")];
        assert!(told(&bench).is_empty());
        assert_eq!((all[0].status, outcomes(&all)), (200, vec!["notice-failed"]), "{secret:?}");
    }
}

#[test]
fn a_share_that_a_refused_request_reached_is_told_too() {
    // Both limits are held, so the daily one has said it before the other one refuses.
    let (bench, _) = bench(quota(3, &[100], Counting { parts: vec![Part::Api], ..Counting::default() }), &[OPS]);
    bench.host.counters.apart.set(true);
    let statuses: Vec<u16> = (0..4).map(|_| send(&bench, "/both").status).collect();
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(told(&bench).len(), 1);
    send(&bench, "/a");
    assert!(told(&bench).is_empty(), "once");
}

#[test]
fn a_lease_that_is_taken_after_a_reply_tells_the_share_that_it_crosses() {
    let counting = Counting { consistency: Consistency::Leased, ..Counting::default() };
    let (bench, _) = bench(quota(400, &[50], counting), &[OPS]);
    bench.host.counters.far.set(true);
    let answers: Vec<Answer> = (0..400).map(|_| send(&bench, "/a")).collect();
    let reached: Vec<usize> =
        answers.iter().enumerate().filter(|(_, answer)| reached(answer)).map(|(at, _)| at).collect();
    assert!(reached.len() == 1 && reached[0] < 200, "{reached:?}");
    assert_eq!(told(&bench).len(), 1);
}
