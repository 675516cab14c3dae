//! Counters in a Redis server that several gateways share: docs/redis.md as scenarios.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tollgate_tests::client::{Client, Request};
use tollgate_tests::hosts::Host;
use tollgate_tests::redis::Redis;

use crate::project::{Key, Project};
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "limit";
    two_gateways_share_a_quota_in_redis
        except (Cloudflare, "its counters are Durable Objects, which all gateways share"),
    a_redis_server_that_is_killed_loses_no_quota_and_counts_none_twice
        except (Cloudflare, "its counters are Durable Objects"),
    a_redis_server_that_does_not_answer_delays_no_longer_than_the_timeout
        except (Cloudflare, "its counters are Durable Objects"),
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const QUOTA: usize = 40;

/// A gateway with counters in the server, which serves `/a` with this limit to this key.
async fn gateway(world: &World, redis: &Redis, limit: &str, key: &Key) -> Result<Host> {
    let host = world.start_host_on_redis(&redis.url("")).await?;
    let project = Project::new(world)
        .policy(&format!("shared: {limit}"))
        .route("{path: /a, methods: [GET], authn: keys, limit: shared}");
    world.publish_to(&host, &project.yaml()).await?;
    host.put(&key.records()?).await?;
    Ok(host)
}

async fn status(client: &Client, key: &str) -> Result<u16> {
    Ok(client.send(Request::get("/a").field("X-API-Key", key)).await?.status)
}

async fn two_gateways_share_a_quota_in_redis(world: Rc<World>) -> Outcome {
    let (redis, key) = (Redis::start(&[])?, Key::new(&world.name, 1, "acme"));
    let limit = format!("{{kind: quota, quota: {QUOTA}, window: year, on-unavailable: closed}}");
    let hosts = [gateway(&world, &redis, &limit, &key).await?, gateway(&world, &redis, &limit, &key).await?];
    let requests: Vec<_> = (0..2 * QUOTA)
        .map(|n| {
            let (client, key) = (hosts[n % 2].client().for_host(&world.domain), key.text.clone());
            tokio::task::spawn_local(async move {
                // Many instances that change one partition may not all have their turn in time.
                for _ in 0..40 {
                    match status(&client, &key).await.map_err(|error| error.to_string())? {
                        503 => tokio::time::sleep(Duration::from_millis(100)).await,
                        other => return Ok(other),
                    }
                }
                Ok::<u16, String>(503)
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await??);
    }
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (QUOTA, QUOTA), "{statuses:?}");
    // The script is lost, and given again.
    redis.command(&["SCRIPT", "FLUSH"])?;
    for host in &hosts {
        assert_eq!(status(&host.client().for_host(&world.domain), &key.text).await?, 429);
    }
    Ok(())
}

async fn a_redis_server_that_is_killed_loses_no_quota_and_counts_none_twice(world: Rc<World>) -> Outcome {
    const AT_ONCE: usize = 4;
    let (mut redis, key) = (Redis::start(&[])?, Key::new(&world.name, 1, "acme"));
    let limit = format!("{{kind: quota, quota: {QUOTA}, window: year, on-unavailable: closed}}");
    let host = gateway(&world, &redis, &limit, &key).await?;
    let client = host.client().for_host(&world.domain);
    for _ in 0..QUOTA / 2 {
        assert_eq!(status(&client, &key.text).await?, 200);
    }
    let asking: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (client, key) = (client.clone(), key.text.clone());
            tokio::task::spawn_local(async move {
                let (mut passed, mut refused) = (0, 0);
                while refused < 3 {
                    match status(&client, &key).await.map_err(|error| error.to_string())? {
                        200 => passed += 1,
                        429 => refused += 1,
                        503 => {}
                        other => return Err(format!("status {other}")),
                    }
                    sleep(Duration::from_millis(10)).await;
                }
                Ok(passed)
            })
        })
        .collect();
    let killing = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(20));
        redis.kill();
        std::thread::sleep(Duration::from_millis(300));
        redis.run().map(|()| redis)
    });
    let mut passed = QUOTA / 2;
    for one in asking {
        passed += one.await??;
    }
    killing.await??;
    // A charge whose answer was lost counts, and its request may have been answered 503.
    assert!((QUOTA - AT_ONCE..=QUOTA).contains(&passed), "{passed} of {QUOTA}");
    Ok(())
}

async fn a_redis_server_that_does_not_answer_delays_no_longer_than_the_timeout(world: Rc<World>) -> Outcome {
    let (redis, key) = (Redis::start(&[])?, Key::new(&world.name, 1, "acme"));
    let limit = "{kind: quota, quota: 3, window: year, timeout: 200ms, on-unavailable: open}";
    let open = gateway(&world, &redis, limit, &key).await?;
    let closed = gateway(&world, &redis, &limit.replace("open", "closed"), &key).await?;
    let (open, closed) = (open.client().for_host(&world.domain), closed.client().for_host(&world.domain));
    assert_eq!((status(&open, &key.text).await?, status(&closed, &key.text).await?), (200, 200));
    redis.pause();
    let begun = Instant::now();
    assert_eq!(status(&open, &key.text).await?, 200);
    let refused = closed.send(Request::get("/a").field("X-API-Key", &key.text)).await?;
    let took = begun.elapsed();
    redis.resume();
    assert_problem(&refused, 503, "store-unavailable");
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    // What passed was not charged; then the quota goes on where it was.
    let end = Instant::now() + Duration::from_secs(10);
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) {
        if Instant::now() > end {
            return Err(format!("{statuses:?}").into());
        }
        statuses.push(status(&closed, &key.text).await?);
    }
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert!(passed <= 1, "{statuses:?}");
    Ok(())
}
