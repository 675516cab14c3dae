//! Faults around an exchange: unavailable stores, clients that disconnect, instances that trap.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_tests::client::Request;
use tollgate_tests::hosts::{Fault, Kind};

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "faults";
    a_key_that_cannot_be_looked_up_is_503_not_401,
    a_key_in_memory_works_without_the_records,
    a_public_route_works_without_any_store,
    a_store_that_another_process_holds_delays_an_instance_once
        except (Native, "no other process holds its stores for long: SQLite is only written in short transactions")
               (Cloudflare, "a call to a store does not block its isolate, so its timeout applies"),
    a_client_that_leaves_is_recorded_once,
    a_client_that_leaves_before_the_answer_is_recorded_once,
    a_trap_in_one_request_does_not_affect_the_next
        except (Native, "native code does not trap; nothing in it panics"),
}

async fn a_key_that_cannot_be_looked_up_is_503_not_401(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a, authn: keys}").route("{path: /b}")).await?;
    world.warm(&world.client(), || Request::get("/b")).await?;
    let key = world.plain_key("acme").await?;
    world.host.fault(Fault { records: Some(true), ..Fault::default() }).await?;
    let answer = world.client().send(Request::get("/a").field("X-API-Key", &key)).await?;
    assert_problem(&answer, 503, "store-unavailable");
    assert_eq!(world.upstream.report().count("/a"), 0);
    world.host.fault(Fault::NONE).await?;
    let answer = world.client().send(Request::get("/a").field("X-API-Key", &key)).await?;
    assert_eq!(answer.status, 200);
    Ok(())
}

async fn a_key_in_memory_works_without_the_records(world: Rc<World>) -> Outcome {
    // Without `--dev`, because this tests what is kept in memory.
    let host = world.start_host(false, &[]).await?;
    world.publish_to(&host, &Project::new(&world).route("{path: /a, authn: keys}").yaml()).await?;
    let key = crate::project::Key::new(&world.name, 7, "acme");
    host.put(&key.records()?).await?;
    let client = host.client().for_host(&world.domain);
    let request = || Request::get("/a").field("X-API-Key", &key.text);
    world.warm(&client, request).await?;
    host.fault(Fault { records: Some(true), ..Fault::default() }).await?;
    world.warm(&client, request).await
}

async fn a_public_route_works_without_any_store(world: Rc<World>) -> Outcome {
    let limit = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{limit}: {{kind: rate-limit, rate: 100/s, by: address}}"))
        .route(&format!("{{path: /a, limit: {limit}, cache: {{ttl: 1h}}}}"));
    world.publish(project).await?;
    let stores = |fail| Fault { records: Some(fail), counters: Some(fail), cache: Some(fail) };
    // Spin replaces an instance after 128 requests, and a new one has to read its configuration.
    let attempts = if world.on(Kind::Spin) { 5 } else { 1 };
    for left in (0..attempts).rev() {
        world.host.fault(stores(false)).await?;
        world.warm(&world.client(), || Request::get("/a?first")).await?;
        world.host.fault(stores(true)).await?;
        let mut statuses = Vec::new();
        for at in 0..4 {
            statuses.push(world.client().get(&format!("/a?n={at}")).await?.status);
        }
        if statuses == [200; 4] {
            return Ok(());
        }
        assert!(left > 0, "{statuses:?}");
    }
    Ok(())
}

async fn a_store_that_another_process_holds_delays_an_instance_once(world: Rc<World>) -> Outcome {
    let host = world.start_host(false, &[]).await?;
    let limit = |rule: &str| {
        format!("{}-{rule}: {{kind: rate-limit, rate: 100/s, by: address, on-unavailable: {rule}}}", world.name)
    };
    let project = Project::new(&world)
        .policy(&limit("open"))
        .policy(&limit("closed"))
        .route("{path: /public}")
        .route(&format!("{{path: /open, limit: {}-open}}", world.name))
        .route(&format!("{{path: /closed, limit: {}-closed}}", world.name));
    world.publish_to(&host, &project.yaml()).await?;
    let client = host.client().for_host(&world.domain);
    for path in ["/public", "/open", "/closed"] {
        assert_eq!(client.get(path).await?.status, 200, "{path}");
    }
    host.hold_stores(Duration::from_secs(12)).await?;
    assert_problem(&client.get("/closed").await?, 503, "store-unavailable");
    // The store is still held, and nobody waits for it again.
    let begun = Instant::now();
    for (path, status) in [("/public", 200), ("/closed", 503), ("/open", 200), ("/public", 200)] {
        assert_eq!(client.get(path).await?.status, status, "{path}");
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    Ok(())
}

async fn a_client_that_leaves_is_recorded_once(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    let mut answer = world.client().open(Request::get("/a?chunks=100&every_ms=100")).await?;
    assert!(answer.piece().await.is_some());
    drop(answer);
    let left = || !world.upstream.report().last().is_some_and(|received| received.answered);
    assert!(left());
    world.records(1).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let records = world.records(1).await?;
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(left(), "the upstream sent everything although the client had left");
    assert_eq!(world.client().get("/a").await?.status, 200);
    Ok(())
}

async fn a_client_that_leaves_before_the_answer_is_recorded_once(world: Rc<World>) -> Outcome {
    let limit = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{limit}: {{kind: rate-limit, rate: 5/d, burst: 5, by: address}}"))
        .route(&format!("{{path: /a, limit: {limit}}}"));
    world.publish(project).await?;
    let client = world.client();
    let waiting = tokio::task::spawn_local(async move { client.get("/a?head_ms=2000").await });
    world.eventually("the request at the upstream", || world.upstream.report().total() == 1).await?;
    waiting.abort();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let answer = world.client().get("/a").await?;
    let state = answer.field("ratelimit").unwrap_or_default();
    assert!(state.contains("r=3;"), "charged once for each of two requests: {state}");
    // A platform may stop the work for a client that has left; it never records it twice.
    let records = world.records(1).await?;
    assert!(records.len() <= 2, "{records:?}");
    Ok(())
}

async fn a_trap_in_one_request_does_not_affect_the_next(world: Rc<World>) -> Outcome {
    assert!(!world.on(Kind::Native));
    let project = Project::new(&world).route("{path: /a, authn: keys}");
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    let get = || world.client().send_owned(Request::get("/a").field("X-API-Key", &key));
    assert_eq!(get().await?.status, 200);
    for _ in 0..3 {
        world.host.trap().await?;
        let trapped = get().await.map(|answer| answer.status).unwrap_or(0);
        assert!(trapped == 0 || trapped >= 500, "the trap did not happen: {trapped}");
        for _ in 0..3 {
            assert_eq!(get().await?.status, 200);
        }
    }
    Ok(())
}
