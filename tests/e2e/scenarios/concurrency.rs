//! Limits of concurrency: a number of requests at the same time.

use std::rc::Rc;

use tollgate_tests::client::{Answer, Request};

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "limit";
    requests_beyond_those_in_flight_are_refused_and_pass_when_one_has_ended,
    a_request_that_fails_or_is_refused_later_is_no_longer_in_flight,
    an_upstream_has_caps_of_its_own_whoever_asks_for_whatever_route,
}

async fn limited(world: &World, limit: &str) -> Outcome {
    let name = format!("{}-limit", world.name);
    let project = Project::new(world)
        .policy(&format!("{name}: {limit}"))
        .route(&format!("{{path: \"/{{*rest}}\", authn: keys, limit: {name}}}"));
    world.publish(project).await
}

async fn get(world: &World, key: &str, target: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(Request::get(target).field("X-API-Key", key)).await?)
}

/// The answer to the first request that is not refused. The end of a request is told after its reply, so what was
/// answered before can be in flight for a moment.
async fn admitted(world: &World, key: &str, target: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    for _ in 0..50 {
        let answer = get(world, key, target).await?;
        if answer.status != 429 {
            return Ok(answer);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(format!("{target}: what has ended is still in flight").into())
}

async fn requests_beyond_those_in_flight_are_refused_and_pass_when_one_has_ended(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: concurrency, max: 2, lease: 1min}").await?;
    let key = world.plain_key("acme").await?;
    assert_eq!(get(&world, &key, "/warm").await?.status, 200);
    let slow = |target: &'static str| {
        let (world, key) = (world.clone(), key.clone());
        tokio::task::spawn_local(async move {
            admitted(&world, &key, target).await.map(|a| a.status).map_err(|e| e.to_string())
        })
    };
    let (one, two) = (slow("/1?head_ms=2000"), slow("/2?head_ms=2000"));
    world.eventually("two requests are in flight", || world.upstream.report().total() >= 3).await?;
    let refused = get(&world, &key, "/3").await?;
    assert_problem(&refused, 429, "rate-limit-exceeded");
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert_eq!((one.await??, two.await??), (200, 200));
    assert_eq!(admitted(&world, &key, "/4").await?.status, 200);
    Ok(())
}

async fn a_request_that_fails_or_is_refused_later_is_no_longer_in_flight(world: Rc<World>) -> Outcome {
    let name = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{name}: {{kind: concurrency, max: 1, lease: 1min, by: address}}"))
        .route(&format!("{{path: \"/{{*rest}}\", guard: {name}, authn: keys}}"));
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    for (target, key, status) in [("/a", "wrong", 401), ("/b?break=head", key.as_str(), 502), ("/c", key.as_str(), 200)]
    {
        assert_eq!(admitted(&world, key, target).await?.status, status, "{target}");
    }
    Ok(())
}

async fn an_upstream_has_caps_of_its_own_whoever_asks_for_whatever_route(world: Rc<World>) -> Outcome {
    let name = world.name.clone();
    let mut project = Project::new(&world)
        .policy(&format!("{name}-flight: {{kind: concurrency, max: 2, lease: 1min, by: upstream}}"))
        .policy(&format!("{name}-rate: {{kind: rate-limit, rate: 4/h, by: upstream}}"));
    project.upstreams.push(format!("other: \"{}\"", world.upstream.url()));
    let project = ["/a/{*rest}", "/b/{*rest}"].into_iter().fold(project, |project, path| {
        project.route(&format!("{{path: \"{path}\", authn: keys, limit: {name}-flight}}"))
    });
    let project = project
        .route(&format!("{{path: \"/c\", authn: keys, limit: {name}-rate}}"))
        .route(&format!("{{path: \"/d\", authn: keys, limit: {name}-rate}}"));
    let other = format!(
        "  {name}-other:\n    upstream: other\n    routes:\n      - {{path: \"/other/{{*rest}}\", authn: keys, limit: {name}-flight}}\n      \
         - {{path: \"/e\", authn: keys, limit: {name}-rate}}\n"
    );
    world.publish_yaml(&(project.yaml() + &other)).await?;
    let (acme, globex) = (world.plain_key("acme").await?, world.plain_key("globex").await?);
    let slow = |key: &str, target: &'static str| {
        let (world, key) = (world.clone(), key.to_owned());
        tokio::task::spawn_local(async move {
            admitted(&world, &key, target).await.map(|a| a.status).map_err(|e| e.to_string())
        })
    };
    let (one, two) = (slow(&acme, "/a/1?head_ms=2500"), slow(&globex, "/b/2?head_ms=2500"));
    world.eventually("two requests are in flight", || world.upstream.report().total() >= 2).await?;
    assert_problem(&get(&world, &acme, "/b/3").await?, 429, "rate-limit-exceeded");
    assert_problem(&get(&world, &globex, "/a/4").await?, 429, "rate-limit-exceeded");
    assert_eq!(get(&world, &acme, "/other/5").await?.status, 200);
    assert_eq!((one.await??, two.await??), (200, 200));
    for (key, target) in [(&acme, "/c"), (&globex, "/d"), (&acme, "/d"), (&globex, "/c")] {
        assert_eq!(get(&world, key, target).await?.status, 200, "{target}");
    }
    assert_problem(&get(&world, &acme, "/d").await?, 429, "rate-limit-exceeded");
    assert_eq!(get(&world, &acme, "/e").await?.status, 200);
    Ok(())
}
