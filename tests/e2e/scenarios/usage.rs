//! Records of usage: what exchanges used, whatever happens to the store and to hosts.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use tollgate_core::operator::Role;
use tollgate_core::telemetry::UsageBatch;
use tollgate_kv_schemas::decode;
use tollgate_tests::client::Request;
use tollgate_tests::hosts::{Fault, Host};

use crate::lane::token;
use crate::project::{Key, Project};
use crate::scenario::{Outcome, scenarios};
use crate::world::World;

scenarios! { "record";
    usage_in_records_is_that_of_the_log,
    usage_is_written_once_the_store_is_back,
    no_usage_is_lost_or_doubled_when_the_host_is_killed,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Requests, refused ones, and cost, by consumer.
type Sums = BTreeMap<String, [u64; 3]>;

const EACH_REPLY: &str = "{usage: {every: 0s}}";

fn secrets() -> (String, String) {
    (Role::Read.secret_name().to_owned(), token(Role::Read))
}

/// Publishes a route with a quota of four in a year, at a host of its own; answers the key of a consumer.
async fn limited(world: &World, host: &Host, telemetry: &str) -> Result<String> {
    let name = format!("{}-limit", world.name);
    let project = Project::new(world)
        .telemetry(telemetry)
        .policy(&format!("{name}: {{kind: quota, quota: 4, window: year}}"))
        .route(&format!("{{path: /a, authn: keys, limit: {name}}}"))
        .route("{path: /open}");
    world.publish_to(host, &project.yaml()).await?;
    let key = Key::new(&world.name, 1, &format!("{}-acme", world.name));
    world.secret(&key.text);
    host.put(&key.records()?).await?;
    Ok(key.text)
}

async fn get(world: &World, host: &Host, target: &str, key: &str) -> Result<u16> {
    let client = host.client().for_host(&world.domain);
    Ok(client.send(Request::get(target).field("X-API-Key", key)).await?.status)
}

/// The sums of all records, each batch once.
async fn recorded(world: &World, host: &Host) -> Result<Sums> {
    let (mut batches, mut cursor) = (BTreeMap::new(), None::<String>);
    loop {
        let more = cursor.as_ref().map(|cursor| format!("&cursor={}", cursor.replace(':', "%3A"))).unwrap_or_default();
        let request = Request::get(&format!("/.tollgate/v1/usage?hours=2{more}"));
        let request = request.field("authorization", &format!("Bearer {}", token(Role::Read)));
        let answer = host.client().for_host(&world.domain).send(request).await?;
        if answer.status != 200 {
            return Err(format!("{} {}", answer.status, answer.text()).into());
        }
        let page = answer.json();
        for record in page["records"].as_array().into_iter().flatten() {
            let batch = decode::<UsageBatch>(record.to_string().as_bytes())?;
            batches.insert((batch.hour.clone(), batch.batch.clone()), batch);
        }
        cursor = page["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let mut sums = Sums::new();
    for row in batches.into_values().flat_map(|batch| batch.rows) {
        let sum = sums.entry(row.consumer.unwrap_or_default()).or_default();
        sum.iter_mut().zip([row.requests, row.refused, row.cost]).for_each(|(sum, more)| *sum += more);
    }
    Ok(sums)
}

/// The sums of the lines that hosts have logged.
fn logged<'h>(lines: impl IntoIterator<Item = &'h String>) -> Sums {
    let mut sums = Sums::new();
    for line in lines.into_iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if line["event"] == "exchange" && line["route_id"] != "tollgate.operator" {
            let sum = sums.entry(line["consumer"].as_str().unwrap_or_default().to_owned()).or_default();
            let refused = u64::from(line["problem"] == "rate-limit-exceeded");
            let cost = line["charged"].as_u64().unwrap_or(0);
            sum.iter_mut().zip([1, refused, cost]).for_each(|(sum, more)| *sum += more);
        }
    }
    sums
}

/// Waits until the records have so many requests; an eventually consistent store shows them late.
async fn until_recorded(world: &World, host: &Host, requests: u64) -> Result<Sums> {
    let mut sums = Sums::new();
    for _ in 0..300 {
        sums = recorded(world, host).await?;
        if sums.values().map(|sum| sum[0]).sum::<u64>() >= requests {
            return Ok(sums);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{requests} requests were expected in {sums:?}").into())
}

async fn usage_in_records_is_that_of_the_log(world: Rc<World>) -> Outcome {
    let (name, value) = secrets();
    let host = world.start_host(false, &[(&name, &value)]).await?;
    let key = limited(&world, &host, "{usage: {every: 1s, keep: 2d}}").await?;
    for number in 0..6 {
        let status = get(&world, &host, "/a", &key).await?;
        assert_eq!(status, if number < 4 { 200 } else { 429 });
    }
    for _ in 0..3 {
        get(&world, &host, "/open", "").await?;
    }
    let sums = until_recorded(&world, &host, 9).await?;
    world.eventually("nine lines", || logged(&host.logs()).values().map(|sum| sum[0]).sum::<u64>() >= 9).await?;
    assert_eq!(sums, logged(&host.logs()));
    assert_eq!(sums[&format!("{}-acme", world.name)], [6, 2, 4]);
    Ok(())
}

async fn usage_is_written_once_the_store_is_back(world: Rc<World>) -> Outcome {
    let (name, value) = secrets();
    let host = world.start_host(false, &[(&name, &value)]).await?;
    let key = limited(&world, &host, EACH_REPLY).await?;
    // The configuration and the key are known before the store is away.
    world.warm(&host.client().for_host(&world.domain), || Request::get("/open")).await?;
    get(&world, &host, "/a", &key).await?;
    let before = until_recorded(&world, &host, 25).await?.values().map(|sum| sum[0]).sum::<u64>();
    host.fault(Fault { records: Some(true), ..Fault::default() }).await?;
    for _ in 0..10 {
        assert_eq!(get(&world, &host, "/open", "").await?, 200);
    }
    host.fault(Fault::NONE).await?;
    world.warm(&host.client().for_host(&world.domain), || Request::get("/open")).await?;
    let sums = until_recorded(&world, &host, before + 34).await?;
    assert_eq!(sums, logged(&host.logs()));
    Ok(())
}

async fn no_usage_is_lost_or_doubled_when_the_host_is_killed(world: Rc<World>) -> Outcome {
    let folder = tempfile::tempdir()?;
    let (name, value) = secrets();
    let (mut lines, mut sent) = (Vec::new(), 0);
    for round in 0..2 {
        let host = world.start_operated_host_keeping(folder.path(), &[(&name, &value)]).await?;
        if round == 0 {
            limited(&world, &host, EACH_REPLY).await?;
        }
        while sent < (round + 1) * 20 {
            match get(&world, &host, "/open", "").await? {
                200 => sent += 1,
                // The next host has to find its configuration, and does not know yet that there are records of usage.
                503 => tokio::time::sleep(Duration::from_millis(50)).await,
                other => return Err(format!("it answered {other}").into()),
            }
        }
        until_recorded(&world, &host, sent).await?;
        world.eventually("its lines", || logged(&host.logs()).values().map(|sum| sum[0]).sum::<u64>() >= 20).await?;
        lines.extend(host.logs().into_iter().filter(|line| !line.contains("\"status\":503")));
        host.kill().await?;
    }
    let host = world.start_operated_host_keeping(folder.path(), &[(&name, &value)]).await?;
    assert_eq!(until_recorded(&world, &host, sent).await?, logged(&lines));
    Ok(())
}
