//! Configuration at the edge: none, new, broken, of another version; the last good one serves on.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_kv_schemas::{Id, keys};
use tollgate_tests::client::Request;
use tollgate_tests::hosts::{Fault, Host};

use crate::lane::GATEWAY;
use crate::project::{self, Project, Records};
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "configuration";
    without_any_the_answer_says_how_to_publish,
    an_edit_takes_effect,
    a_route_that_is_taken_away_is_gone,
    a_truncated_pointer_leaves_the_last_good_one_serving,
    a_truncated_part_leaves_the_last_good_one_serving,
    an_unknown_version_leaves_the_last_good_one_serving,
    a_bundle_of_version_1_is_served,
    a_missing_part_leaves_the_last_good_one_serving,
    two_broken_ones_in_a_row_leave_the_last_good_one_serving,
    records_that_are_away_leave_the_last_good_one_serving,
    an_edit_drops_no_request,
}

async fn without_any_the_answer_says_how_to_publish(world: Rc<World>) -> Outcome {
    let host = world.start_host(true, &[]).await?;
    let client = host.client().for_host(&world.domain);
    let answer = client.get("/a").await?;
    assert_problem(&answer, 503, "no-configuration");
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("tollgate publish"), "{detail}");
    world.publish_to(&host, &Project::new(&world).route("{path: /a}").yaml()).await?;
    assert_eq!(client.get("/a").await?.status, 200);
    Ok(())
}

async fn an_edit_takes_effect(world: Rc<World>) -> Outcome {
    for version in ["one", "two", "three"] {
        let project = Project::new(&world).route(&format!("{{path: /{version}}}"));
        world.publish(project).await?;
        assert_eq!(world.client().get(&format!("/{version}")).await?.status, 200, "{version}");
    }
    Ok(())
}

async fn a_route_that_is_taken_away_is_gone(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}").route("{path: /b}")).await?;
    assert_eq!(world.client().get("/b").await?.status, 200);
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    assert_eq!(world.client().get("/b").await?.status, 404);
    Ok(())
}

/// A host of the scenario's own that serves `/good` (others must not see what becomes of its records).
async fn good(world: &World) -> Result<Host, Box<dyn std::error::Error>> {
    let host = world.start_host(true, &[]).await?;
    world.publish_to(&host, &Project::new(world).route("{path: /good}").yaml()).await?;
    world.warm(&host.client().for_host(&world.domain), || Request::get("/good")).await?;
    Ok(host)
}

/// Checks that the good configuration still serves, and that another good one is taken up at once.
async fn serves_on(world: &World, host: &Host) -> Outcome {
    let client = host.client().for_host(&world.domain);
    world.warm(&client, || Request::get("/good")).await?;
    let mended = Project::new(world).route("{path: /good}").route("{path: /mended}");
    world.publish_to(host, &mended.yaml()).await?;
    assert_eq!(client.get("/mended").await?.status, 200, "it recovers");
    Ok(())
}

/// The records of another configuration, which nobody shall see.
fn other(world: &World) -> Result<Records, Box<dyn std::error::Error>> {
    project::compile(&Project::new(world).route("{path: /spoilt}").yaml())
}

/// Puts what `spoil` makes of each record; `None` leaves it out.
async fn put_spoilt(world: &World, host: &Host, spoil: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) -> Outcome {
    let spoilt: Records =
        other(world)?.into_iter().filter_map(|(key, value)| Some((key.clone(), spoil(&key, &value)?))).collect();
    Ok(host.put(&spoilt).await?)
}

fn half(value: &[u8]) -> Vec<u8> {
    value[..value.len() / 2].to_owned()
}

async fn a_truncated_pointer_leaves_the_last_good_one_serving(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    put_spoilt(&world, &host, |key, value| {
        Some(if key.ends_with("config:active") { half(value) } else { value.to_vec() })
    })
    .await?;
    serves_on(&world, &host).await
}

async fn a_truncated_part_leaves_the_last_good_one_serving(world: Rc<World>) -> Outcome {
    for kind in [":part:", ":manifest:"] {
        let host = good(&world).await?;
        put_spoilt(&world, &host, |key, value| Some(if key.contains(kind) { half(value) } else { value.to_vec() }))
            .await?;
        serves_on(&world, &host).await?;
    }
    Ok(())
}

async fn an_unknown_version_leaves_the_last_good_one_serving(world: Rc<World>) -> Outcome {
    for kind in [":part:", ":manifest:", ":config:active"] {
        let host = good(&world).await?;
        let newer = |key: &str, value: &[u8]| {
            if key.contains(kind) { project::of_version(value, 99) } else { value.to_vec() }
        };
        host.put(&project::rewritten(&other(&world)?, newer)?).await?;
        world.warm(&host.client().for_host(&world.domain), || Request::get("/good")).await?;
        let told = |line: &String| line.contains("configuration-refused") && line.contains("has version 99");
        world.eventually("a log line that says the version", || host.logs().iter().any(told)).await?;
        serves_on(&world, &host).await?;
    }
    Ok(())
}

async fn a_bundle_of_version_1_is_served(world: Rc<World>) -> Outcome {
    let host = world.start_host(true, &[]).await?;
    let route = |pattern: &str, path: &str| {
        json!({"id": path, "api": "a", "host": pattern, "path": path, "methods": ["GET"], "internal": false, "authn": [],
            "scopes": [], "limit": [], "cost": 1, "cache": null, "upstream": 0, "strip_segments": 0,
            "content_bytes_max": 1000, "timeout_ms": 5000})
    };
    let upstream = json!({"name": "up", "url": world.upstream.url(), "connect_timeout_ms": 1000});
    let part = |routes: Vec<Value>| {
        let data = json!({"upstreams": [upstream], "policies": [], "routes": routes});
        json!({"kind": "part", "v": 1, "data": data}).to_string().into_bytes()
    };
    let domain = world.domain.as_str();
    let parts =
        [(domain, part(vec![route(domain, "/own"), route("*", "/wide")])), ("*", part(vec![route("*", "/wide")]))];
    let hosts: BTreeMap<&str, Id> = parts.iter().map(|(pattern, part)| (*pattern, Id::of(part))).collect();
    let gateway = json!({"name": GATEWAY, "trust_forwarded": false, "telemetry": {"log": true}});
    let manifest = json!({"kind": "manifest", "v": 1, "data": {"gateway": gateway, "hosts": hosts}}).to_string();
    let id = Id::of(manifest.as_bytes());
    let pointer = json!({"kind": "pointer", "v": 1, "data": {"bundle": id}}).to_string();
    let mut records: Records = parts.into_iter().map(|(_, part)| (keys::part(GATEWAY, &Id::of(&part)), part)).collect();
    records.push((keys::manifest(GATEWAY, &id), manifest.into_bytes()));
    records.push((keys::active(GATEWAY), pointer.into_bytes()));
    host.put(&records).await?;
    let client = host.client().for_host(domain);
    for (path, status) in [("/own", 200), ("/wide", 200), ("/none", 404)] {
        assert_eq!(client.get(path).await?.status, status, "{path}");
    }
    assert_eq!(host.client().for_host("elsewhere.test").get("/own").await?.status, 404);
    world.publish_to(&host, &Project::new(&world).route("{path: /new}").yaml()).await?;
    assert_eq!(client.get("/new").await?.status, 200, "one of today replaces it");
    Ok(())
}

async fn a_missing_part_leaves_the_last_good_one_serving(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    put_spoilt(&world, &host, |key, value| (!key.contains(":part:")).then(|| value.to_vec())).await?;
    serves_on(&world, &host).await
}

async fn two_broken_ones_in_a_row_leave_the_last_good_one_serving(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    let client = host.client().for_host(&world.domain);
    for version in [98, 99] {
        let newer = |key: &str, value: &[u8]| {
            if key.contains(":part:") { project::of_version(value, version) } else { value.to_vec() }
        };
        host.put(&project::rewritten(&other(&world)?, newer)?).await?;
        world.warm(&client, || Request::get("/good")).await?;
    }
    serves_on(&world, &host).await
}

async fn records_that_are_away_leave_the_last_good_one_serving(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    host.fault(Fault { records: Some(true), ..Fault::default() }).await?;
    world.warm(&host.client().for_host(&world.domain), || Request::get("/good")).await?;
    host.fault(Fault::NONE).await?;
    serves_on(&world, &host).await
}

async fn an_edit_drops_no_request(world: Rc<World>) -> Outcome {
    let project = |edit: usize| Project::new(&world).route("{path: /a}").route(&format!("{{path: /edit{edit}}}"));
    world.publish(project(0)).await?;
    let slow = {
        let client = world.client();
        tokio::task::spawn_local(async move { client.get("/a?chunks=4&every_ms=500").await })
    };
    for edit in 1..=8 {
        world.publish(project(edit)).await?;
        assert_eq!(world.client().get("/a").await?.status, 200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let slow = slow.await??;
    assert!(slow.text().ends_with("chunk 3\n") && !slow.broken);
    assert!(world.host.get(&format!("{GATEWAY}:config:active")).await?.is_some());
    Ok(())
}
