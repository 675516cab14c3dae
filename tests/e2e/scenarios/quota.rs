//! Quotas: a number of requests in each window of a calendar.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use tollgate_core::jose::Algorithm;
use tollgate_tests::client::{Answer, Request};
use tollgate_tests::hosts::Kind;

use crate::lane::NOTICE_SECRET;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "limit";
    a_quota_refuses_until_its_window_ends,
    a_plan_changes_the_quota_of_its_consumers,
    exactly_the_quota_passes_of_thousands_in_parallel,
    exactly_the_quota_passes_of_requests_that_are_forwarded_while_they_are_charged,
    who_hangs_up_while_it_is_charged_and_forwarded_is_charged,
    a_quota_in_shadow_mode_refuses_nothing_and_tells,
    a_share_of_a_quota_is_told_once_when_it_is_reached,
    a_receiver_is_told_of_a_share_by_a_signed_webhook,
    a_budget_that_is_spent_refuses_everyone_until_its_window_ends,
    older_clients_find_their_limit_in_older_fields,
    no_charge_of_a_quota_is_lost_or_doubled_when_the_host_is_killed,
    what_was_charged_is_given_back_after_responses_that_do_not_count,
}

async fn limited(world: &World, limit: &str, plans: &[&str]) -> Outcome {
    let name = format!("{}-limit", world.name);
    let project = Project::new(world)
        .policy(&format!("{name}: {limit}"))
        .route(&format!("{{path: /a, authn: keys, limit: {name}}}"));
    let project = plans.iter().fold(project, |project, plan| project.plan(&plan.replace("LIMIT", &name)));
    world.publish(project).await
}

async fn with_key(world: &World, key: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(Request::get("/a").field("X-API-Key", key)).await?)
}

async fn a_quota_refuses_until_its_window_ends(world: Rc<World>) -> Outcome {
    // No test runs over the end of a year of Apia, but those of one second in it.
    limited(&world, "{kind: quota, quota: 3, window: year, zone: Pacific/Apia}", &[]).await?;
    let key = world.plain_key("acme").await?;
    for left in [2, 1, 0] {
        let answer = with_key(&world, &key).await?;
        assert_eq!(answer.status, 200);
        let state = answer.field("ratelimit").unwrap_or_default();
        assert!(state.contains(&format!(";r={left};t=")), "{state}");
    }
    let refused = with_key(&world, &key).await?;
    assert_problem(&refused, 429, "rate-limit-exceeded");
    let (quota, left) = (&refused.json()["quota"], &refused.json()["remaining"]);
    assert_eq!((quota.as_u64(), left.as_u64()), (Some(3), Some(0)), "{}", refused.text());
    let wait: u64 = refused.field("retry-after").and_then(|s| s.parse().ok()).unwrap_or(0);
    assert!((1..=366 * 86_400).contains(&wait), "{refused:?}");
    let policy = refused.field("ratelimit-policy").unwrap_or_default();
    assert!(policy.ends_with(";q=3;w=31536000") || policy.ends_with(";q=3;w=31622400"), "{policy}");
    assert_eq!(world.upstream.report().total(), 3);
    Ok(())
}

async fn a_plan_changes_the_quota_of_its_consumers(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: quota, quota: 1, window: year}", &["gold: {limits: {LIMIT: {quota: 3}}}"]).await?;
    for (consumer, plan, quota) in [("acme", Some("gold"), 3), ("solo", None, 1)] {
        let key = world.key(consumer, |key| key.plan = plan).await?;
        for _ in 0..quota {
            assert_eq!(with_key(&world, &key).await?.status, 200, "{consumer}");
        }
        assert_eq!(with_key(&world, &key).await?.status, 429, "{consumer}");
    }
    Ok(())
}

async fn exactly_the_quota_passes_of_thousands_in_parallel(world: Rc<World>) -> Outcome {
    const ADMITTED: usize = 700;
    limited(&world, &format!("{{kind: quota, quota: {ADMITTED}, window: year}}"), &[]).await?;
    let key = world.plain_key("acme").await?;
    assert_eq!(passed_in_parallel(&world, &key, (40, 50), "/a").await?, ADMITTED);
    assert_eq!(world.upstream.report().total(), ADMITTED);
    Ok(())
}

async fn exactly_the_quota_passes_of_requests_that_are_forwarded_while_they_are_charged(world: Rc<World>) -> Outcome {
    const ADMITTED: usize = 150;
    limited(&world, &format!("{{kind: quota, quota: {ADMITTED}, window: year, charge: beside}}"), &[]).await?;
    let key = world.plain_key("acme").await?;
    assert_eq!(passed_in_parallel(&world, &key, (20, 15), "/a?head_ms=20").await?, ADMITTED);
    let seen = world.upstream.report().total();
    assert!((ADMITTED..=300).contains(&seen), "{seen}");
    for _ in 0..10 {
        let refused = world.client().send(Request::get("/a?head_ms=200").field("X-API-Key", &key)).await?;
        assert_problem(&refused, 429, "rate-limit-exceeded");
        assert!(refused.field("ratelimit").is_some_and(|state| state.contains(";r=0;")), "{refused:?}");
    }
    // Elsewhere the counters answer before the request goes on.
    assert!(!world.on(Kind::Cloudflare) || world.upstream.report().total() > seen, "{seen}");
    Ok(())
}

async fn who_hangs_up_while_it_is_charged_and_forwarded_is_charged(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: quota, quota: 5, window: year, charge: beside}", &[]).await?;
    let key = world.plain_key("acme").await?;
    for count in 1..=3 {
        let (client, key) = (world.client(), key.clone());
        let request = Request::get("/a?head_ms=2000").field("X-API-Key", &key);
        let waiting = tokio::task::spawn_local(async move { client.send(request).await });
        world.eventually("the request at the upstream", || world.upstream.report().total() == count).await?;
        waiting.abort();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = with_key(&world, &key).await?;
    let state = answer.field("ratelimit").unwrap_or_default();
    assert!(state.contains("r=1;"), "once for each of four requests: {state}");
    Ok(())
}

/// How many of the requests pass that so many clients send at the same time, each so many, one after the other.
async fn passed_in_parallel(
    world: &World,
    key: &str,
    (clients, each): (usize, usize),
    target: &'static str,
) -> Result<usize, Box<dyn std::error::Error>> {
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let (client, key) = (world.client(), key.to_owned());
            tokio::task::spawn_local(async move {
                let (mut passed, mut refused) = (0, 0);
                while passed + refused < each {
                    let answer = client.send(Request::get(target).field("X-API-Key", &key)).await;
                    match answer.map_err(std::io::Error::other)?.status {
                        200 => passed += 1,
                        429 => refused += 1,
                        // Many instances that change one partition may not all have their turn in time.
                        503 => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                        other => return Err(std::io::Error::other(format!("status {other}"))),
                    }
                }
                Ok::<usize, std::io::Error>(passed)
            })
        })
        .collect();
    let mut passed = 0;
    for client in clients {
        passed += client.await??;
    }
    Ok(passed)
}

async fn a_quota_in_shadow_mode_refuses_nothing_and_tells(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: quota, quota: 1, window: year, shadow: true}", &[]).await?;
    let key = world.plain_key("acme").await?;
    for _ in 0..3 {
        let answer = with_key(&world, &key).await?;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("ratelimit"), None, "what refuses nothing is not promised to clients");
    }
    let records = world.records(3).await?;
    let told = records.iter().filter(|record| record.to_string().contains("would_refuse")).count();
    assert_eq!(told, 2, "{records:?}");
    Ok(())
}

async fn a_share_of_a_quota_is_told_once_when_it_is_reached(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: quota, quota: 4, window: year, warn: [\"50%\", \"100%\"]}", &[]).await?;
    let key = world.plain_key("acme").await?;
    for _ in 0..5 {
        with_key(&world, &key).await?;
    }
    let records = world.records(5).await?;
    let told = |share: &str| records.iter().filter(|record| record.to_string().contains(share)).count();
    assert_eq!((told("\"reached\":50"), told("\"reached\":100")), (1, 1), "{records:?}");
    Ok(())
}

async fn a_receiver_is_told_of_a_share_by_a_signed_webhook(world: Rc<World>) -> Outcome {
    let receiver = world.server().await?;
    let name = format!("{}-limit", world.name);
    let of =
        |url: &str| format!("{{url: \"{url}\", secret: \"${{secret.{}}}\", private-network: true}}", NOTICE_SECRET.0);
    let dead = "http://127.0.0.1:9/limits";
    let project = Project::new(&world)
        .gateway(&format!("notify: [{}, {}]", of(&format!("{}/limits", receiver.url())), of(dead)))
        .policy(&format!("{name}: {{kind: quota, quota: 4, window: year, warn: [\"50%\", \"100%\"]}}"))
        .route(&format!("{{path: /a, authn: keys, limit: {name}}}"));
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    for want in [200, 200, 200, 200, 429] {
        assert_eq!(with_key(&world, &key).await?.status, want);
    }
    let arrived = || receiver.report().requests().into_iter().filter(|notice| notice.content_complete);
    world.eventually("both shares are told", || arrived().count() >= 2).await?;
    let mut told: Vec<_> = arrived().collect();
    told.sort_by_key(|notice| notice.content.contains("limit.exhausted"));
    let mut ids = Vec::new();
    for (notice, (kind, share, used)) in told.iter().zip([("threshold-reached", 50, 2), ("exhausted", 100, 4)]) {
        let field = |name: &str| notice.field(name).unwrap_or_default().to_owned();
        let signed = format!("{}.{}.{}", field("webhook-id"), field("webhook-timestamp"), notice.content);
        let secret = Base64::decode_vec(&NOTICE_SECRET.1["whsec_".len()..])?;
        let mac = tollgate_signatures::hmac(Algorithm::Hs256, &secret, signed.as_bytes()).unwrap_or_default();
        assert_eq!(field("webhook-signature"), format!("v1,{}", Base64::encode_string(&mac)));
        let content: serde_json::Value = serde_json::from_str(&notice.content)?;
        let data = &content["data"];
        assert_eq!(content["type"], format!("limit.{kind}"));
        assert_eq!((&data["threshold"], &data["used"], &data["quota"]), (&share.into(), &used.into(), &4.into()));
        assert_eq!(
            (&data["limit"], &data["consumer"]),
            (&name.as_str().into(), &format!("{}-acme", world.name).into())
        );
        assert!(!notice.content.contains(&key));
        ids.push(field("webhook-id"));
    }
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    Ok(())
}

async fn a_budget_that_is_spent_refuses_everyone_until_its_window_ends(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: quota, budget: 3 calls, window: year}", &[]).await?;
    let keys = [world.plain_key("acme").await?, world.plain_key("globex").await?];
    for key in keys.iter().cycle().take(3) {
        assert_eq!(with_key(&world, key).await?.status, 200);
    }
    for key in &keys {
        let refused = with_key(&world, key).await?;
        assert_problem(&refused, 503, "budget-exhausted");
        // What the gateway may spend is nothing that callers are told.
        assert_eq!((&refused.json()["quota"], refused.field("ratelimit")), (&serde_json::Value::Null, None));
        let wait: u64 = refused.field("retry-after").and_then(|s| s.parse().ok()).unwrap_or(0);
        assert!((1..=366 * 86_400).contains(&wait), "{refused:?}");
    }
    assert_eq!(world.upstream.report().total(), 3);
    Ok(())
}

async fn older_clients_find_their_limit_in_older_fields(world: Rc<World>) -> Outcome {
    let name = format!("{}-limit", world.name);
    let page = "https://docs.example.com/limits";
    let project = Project::new(&world)
        .policy(&format!("{name}: {{kind: quota, quota: 1, window: year}}"))
        .api(&format!("help: \"{page}\""))
        .route(&format!("{{path: /a, authn: keys, limit: {name}, limit-fields: x-ratelimit-unix}}"));
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    for status in [200, 429] {
        let answer = with_key(&world, &key).await?;
        assert_eq!(answer.status, status);
        let number = |name: &str| answer.field(name).and_then(|text| text.parse::<u64>().ok());
        assert_eq!((number("x-ratelimit-limit"), number("x-ratelimit-remaining")), (Some(1), Some(0)));
        let reset = number("x-ratelimit-reset").unwrap_or_default();
        assert!(reset > 1_700_000_000 && (reset + 60) % 86_400 < 120, "{reset}: a beginning of a year");
        if status == 429 {
            assert_eq!(answer.json()["help"], page);
            assert_eq!(answer.field("link"), Some(format!("<{page}>; rel=\"help\"").as_str()));
        }
    }
    Ok(())
}

async fn no_charge_of_a_quota_is_lost_or_doubled_when_the_host_is_killed(world: Rc<World>) -> Outcome {
    let folder = tempfile::tempdir()?;
    let name = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{name}: {{kind: quota, quota: {QUOTA}, window: year, by: gateway}}"))
        .route(&format!("{{path: /a, limit: {name}}}"));
    let host = world.start_host_keeping(folder.path()).await?;
    world.publish_to(&host, &project.yaml()).await?;
    let admitted = Rc::new(Cell::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, admitted) = (host.client().for_host(&world.domain), Rc::clone(&admitted));
            tokio::task::spawn_local(async move {
                // Until the host is gone.
                while let Ok(answer) = client.get("/a").await {
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    if !answer.broken {
                        admitted.set(admitted.get() + 1);
                    }
                }
            })
        })
        .collect();
    world.eventually("a part of the quota is used", || admitted.get() >= QUOTA / 3).await?;
    host.kill().await?;
    for client in clients {
        client.await?;
    }
    let host = world.start_host_keeping(folder.path()).await?;
    let client = host.client().for_host(&world.domain);
    loop {
        let answer = client.get("/a").await?;
        match answer.status {
            200 => admitted.set(admitted.get() + 1),
            429 => break,
            // The next host has to find its configuration.
            503 => tokio::time::sleep(Duration::from_millis(50)).await,
            other => return Err(format!("{other}: {}", answer.text()).into()),
        }
    }
    // Each client had one request in flight, which was charged or not, and had no answer.
    let admitted = admitted.get();
    assert!((QUOTA - CLIENTS..=QUOTA).contains(&admitted), "{admitted} of {QUOTA} were admitted");
    Ok(())
}

async fn what_was_charged_is_given_back_after_responses_that_do_not_count(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: quota, quota: 2, window: year, count-when: status < 500}", &[]).await?;
    let key = world.plain_key("acme").await?;
    let get = async |target: &'static str| {
        world.client().send(Request::get(target).field("X-API-Key", &key)).await.map(|answer| answer.status)
    };
    // It is given back after the reply.
    let patient = async |target: &'static str, status: u16| -> Outcome {
        for _ in 0..50 {
            match get(target).await? {
                429 => tokio::time::sleep(Duration::from_millis(100)).await,
                given => {
                    assert_eq!(given, status, "{target}");
                    return Ok(());
                }
            }
        }
        Err(format!("{target} is refused").into())
    };
    for _ in 0..5 {
        patient("/a?status=503", 503).await?;
        patient("/a?break=head", 502).await?;
    }
    for _ in 0..2 {
        patient("/a", 200).await?;
    }
    assert_eq!((get("/a").await?, get("/a?status=503").await?), (429, 429));
    Ok(())
}

const QUOTA: u32 = 90;
const CLIENTS: u32 = 6;
