//! Limits whose cost is read of requests and responses: what is charged, when, and that content streams unchanged.

use std::error::Error;
use std::rc::Rc;

use bytes::Bytes;
use serde_json::Value;
use tollgate_tests::client::{Answer, Request};

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "limit";
    the_bytes_of_responses_are_charged_when_they_are_delivered,
    what_a_client_got_before_it_hung_up_is_charged,
    a_field_of_the_upstreams_response_is_charged_and_what_was_reserved_is_given_back,
    the_bytes_of_requests_are_charged_also_if_their_length_is_not_declared,
    a_number_in_the_request_is_charged_before,
}

/// A limit of 100 in a year, of which nothing comes back while a test runs.
async fn costing(world: &World, cost: &str) -> Outcome {
    let name = format!("{}-limit", world.name);
    let project = Project::new(world)
        .policy(&format!("{name}: {{kind: quota, quota: 100, window: year, {cost}}}"))
        .route(&format!("{{path: /a, authn: keys, limit: {name}}}"));
    world.publish(project).await
}

async fn ask(world: &World, key: &str, query: &str) -> Result<Answer, Box<dyn Error>> {
    Ok(world.client().send(Request::get(&format!("/a{query}")).field("X-API-Key", key)).await?)
}

/// `r` of the response.
#[track_caller]
fn left(answer: &Answer) -> u32 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let state = answer.field("ratelimit").unwrap_or_default();
    let left = state.split(';').find_map(|part| part.strip_prefix("r="));
    left.and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

/// What the log says was charged to so many requests, in any order.
async fn charged(world: &World, count: usize) -> Result<Vec<u64>, Box<dyn Error>> {
    let records = world.records(count).await?;
    let mut charged: Vec<u64> = records.iter().filter_map(|record| record["charged"].as_u64()).collect();
    charged.sort_unstable();
    Ok(charged)
}

async fn the_bytes_of_responses_are_charged_when_they_are_delivered(world: Rc<World>) -> Outcome {
    costing(&world, "cost: response.bytes, cost-per: 1KiB").await?;
    let key = world.plain_key("acme").await?;
    let known = ask(&world, &key, "?size=51201").await?;
    assert_eq!((left(&known), known.content.len(), known.broken), (99, 51_201, false), "one is reserved");
    assert_eq!(known.field("content-length"), Some("51201"), "{:?}", known.fields);
    assert_eq!(charged(&world, 1).await?, [51]);
    // 48 are left; the rest is a debt.
    let streamed = ask(&world, &key, "?chunks=9000").await?;
    let bytes = streamed.content.len();
    assert_eq!((left(&streamed), streamed.broken), (48, false));
    assert_eq!(charged(&world, 2).await?, [51, u64::try_from(bytes.div_ceil(1_024))?]);
    let refused = ask(&world, &key, "?size=1").await?;
    assert_problem(&refused, 429, "rate-limit-exceeded");
    assert_eq!(world.upstream.report().total(), 2);
    Ok(())
}

async fn what_a_client_got_before_it_hung_up_is_charged(world: Rc<World>) -> Outcome {
    costing(&world, "cost: response.bytes").await?;
    let key = world.plain_key("acme").await?;
    let request = Request::get("/a?chunks=600&every_ms=100").field("X-API-Key", &key);
    let mut answer = world.client().open(request).await?;
    let mut got = 0;
    while got < 20 {
        got += answer.piece().await.ok_or("the response ended early")?.len();
    }
    drop(answer);
    let charged = charged(&world, 1).await?;
    assert!(matches!(charged[..], [bytes] if (20..2_000).contains(&bytes)), "{charged:?}");
    Ok(())
}

async fn a_field_of_the_upstreams_response_is_charged_and_what_was_reserved_is_given_back(world: Rc<World>) -> Outcome {
    costing(&world, "cost: 'response.headers[\"x-cost\"]', reserve: 20, cost-max: 90").await?;
    let key = world.plain_key("acme").await?;
    for (query, charges, remaining) in
        [("?field=x-cost:5", 5, 95), ("?field=x-cost:5.5", 6, 89), ("", 20, 69), ("?field=x-cost:-3", 20, 49)]
    {
        let answer = ask(&world, &key, query).await?;
        assert_eq!(left(&answer), remaining, "{query}");
        let seen = world.upstream.report().total();
        assert!(charged(&world, seen).await?.contains(&charges), "{query}");
    }
    let beyond = ask(&world, &key, "?field=x-cost:99999999999999999999").await?;
    assert_eq!(left(&beyond), 0);
    assert!(charged(&world, 5).await?.contains(&90), "no more than `cost-max`");
    assert_problem(&ask(&world, &key, "?field=x-cost:1").await?, 429, "rate-limit-exceeded");
    Ok(())
}

async fn the_bytes_of_requests_are_charged_also_if_their_length_is_not_declared(world: Rc<World>) -> Outcome {
    let name = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{name}: {{kind: quota, quota: 100, window: year, cost: request.bytes, cost-per: 1KiB}}"))
        .route(&format!("{{path: /a, methods: [POST], authn: keys, limit: {name}}}"));
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    let declared = Request::post("/a", vec![b'x'; 10_241]).field("X-API-Key", &key);
    assert_eq!(left(&world.client().send(declared).await?), 89, "11 before it is forwarded");
    let (request, mut sender) = Request::of("POST", "/a").field("X-API-Key", &key).streaming();
    let client = world.client();
    let answer = tokio::task::spawn_local(async move { client.send(request).await });
    for _ in 0..10 {
        sender.send(Bytes::from(vec![b'y'; 2_048])).await?;
    }
    drop(sender);
    let answer = answer.await??;
    assert_eq!(left(&answer), 88, "one is reserved");
    let got: Value = answer.json();
    assert_eq!(got["received"]["content_length"], 20_480, "{got}");
    assert_eq!(charged(&world, 2).await?, [11, 20]);
    let small = Request::post("/a", "x").field("X-API-Key", &key);
    assert_eq!(left(&world.client().send(small).await?), 68);
    Ok(())
}

async fn a_number_in_the_request_is_charged_before(world: Rc<World>) -> Outcome {
    costing(&world, "cost: 'request.query[\"limit\"]', reserve: 10").await?;
    let key = world.plain_key("acme").await?;
    assert_eq!(left(&ask(&world, &key, "?limit=25").await?), 75);
    assert_eq!(left(&ask(&world, &key, "?limit=all").await?), 65);
    assert_problem(&ask(&world, &key, "?limit=66").await?, 429, "rate-limit-exceeded");
    assert_eq!(left(&ask(&world, &key, "?limit=65").await?), 0);
    Ok(())
}
